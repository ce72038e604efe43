"""Geometry that reaches beyond its image: found, said in words, and cut off where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

Flat = Sequence[float]
"""x, y, x, y, …"""

_ROUNDING = 0.001
"""Pixels by which an edge may pass the image's: what adding up binary fractions yields isn't worth a word."""


def overhang(left: float, top: float, right: float, bottom: float, width: float, height: float) -> str:
    """How a box reaches beyond an image in words; empty when it doesn't."""
    said = []
    if left < -_ROUNDING:
        said.append(f"x {left:g}: starts {-left:g} px left of the image")
    if top < -_ROUNDING:
        said.append(f"y {top:g}: starts {-top:g} px above the image")
    if right > width + _ROUNDING:
        said.append(f"ends {right - width:.6g} px right of the image")
    if bottom > height + _ROUNDING:
        said.append(f"ends {bottom - height:.6g} px below the image")
    return ", ".join(said)


def is_outside(left: float, top: float, right: float, bottom: float, width: float, height: float) -> bool:
    """Whether nothing of a box lies within an image."""
    return right <= 0 or bottom <= 0 or left >= width or top >= height


def clipped_box(box: Flat, width: float, height: float) -> tuple[float, float, float, float]:
    """A box (x, y, width, height) cut off at the image's edges."""
    x, y, box_width, box_height = box
    left, top = max(x, 0.0), max(y, 0.0)
    return left, top, min(x + box_width, width) - left, min(y + box_height, height) - top


def clipped_ring(ring: Flat, width: float, height: float) -> list[float]:
    """A ring cut off at the image's edges, edge by edge (Sutherland and Hodgman); may be empty."""
    points = list(zip(ring[::2], ring[1::2], strict=True))
    for axis, limit, sign in ((0, 0.0, 1), (0, width, -1), (1, 0.0, 1), (1, height, -1)):
        points = _cut(points, axis, limit, sign)
    return [number for point in points for number in point]


def _cut(points: list[tuple[float, float]], axis: int, limit: float, sign: int) -> list[tuple[float, float]]:
    """The part of a ring on one side of a line across `axis`."""
    inside: Callable[[tuple[float, float]], bool] = lambda point: sign * (point[axis] - limit) >= 0  # noqa: E731
    kept: list[tuple[float, float]] = []
    for before, point in pairwise([points[-1], *points] if points else []):
        if inside(before) != inside(point):
            kept.append(_crossing(before, point, axis, limit))
        if inside(point):
            kept.append(point)
    return kept


def _crossing(one: tuple[float, float], other: tuple[float, float], axis: int, limit: float) -> tuple[float, float]:
    share = (limit - one[axis]) / (other[axis] - one[axis])
    across = one[1 - axis] + share * (other[1 - axis] - one[1 - axis])
    return (limit, across) if axis == 0 else (across, limit)
