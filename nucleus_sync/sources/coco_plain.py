"""A quick way for labels of COCO about which there is nothing to say; all others go through coco_shape."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from msgspec import UNSET

from nucleus_sync.records.annotation import Box, BoxGeometry, Point, Polygon, Vertices
from nucleus_sync.sources.coco_label import Label, Rle
from nucleus_sync.sources.coco_shape import Shaping

_NO_METADATA: dict[str, Any] = {}


def plain_record(
    label: Label, part: int, name: str, image: tuple[str, float, float], annotation_id: str, shaping: Shaping
) -> Polygon | Box | None:
    """The record that coco_shape would make, where that is surely sound and without a word; None: ask there.

    `label` was decoded strictly, so that its numbers are finite; `name` is its category's, `image` the reference id,
    the width and the height in pixels (zeros where they aren't known).
    """
    confidence, geometry = UNSET if not shaping.scored else label.score, shaping.geometry
    rings, box = label.segmentation, label.bbox
    if (label.iscrowd or rings.__class__ is Rle) or not (name and annotation_id):
        return None
    if box is not None:
        x, y, along, down = box
        if not -inf < x + y + along + down < inf:
            return None
    if confidence is not UNSET and (confidence is None or not 0 <= confidence <= 1):
        return None
    if geometry is None and not label.keypoints:
        geometry = "polygon" if rings else "box"
    reference_id, width, height = image
    if geometry == "polygon" and rings:
        ring: list[float] = rings[part]  # type: ignore[index]
        if not _is_plain_ring(ring, width, height):
            return None
        numbers = iter(ring)
        return Polygon(
            label=name,
            geometry=Vertices(list(map(Point, numbers, numbers))),
            reference_id=reference_id,
            annotation_id=annotation_id,
            metadata=_NO_METADATA,
            confidence=confidence,
        )
    if geometry != "box" or box is None or not along > 0 < down:
        return None
    if width and not (x >= 0 <= y and x + along <= width and y + down <= height):
        return None
    return Box(
        label=name,
        geometry=BoxGeometry(x, y, along, down),
        reference_id=reference_id,
        annotation_id=annotation_id,
        metadata=_NO_METADATA,
        confidence=confidence,
    )


def _is_plain_ring(ring: list[float], width: float, height: float) -> bool:
    """Whether a ring lies in its image and is open, and its first three points aren't on one line."""
    if len(ring) < 6 or len(ring) % 2:
        return False
    xs, ys = ring[::2], ring[1::2]
    x, y = xs[0], ys[0]
    if (xs[1] - x) * (ys[2] - y) == (xs[2] - x) * (ys[1] - y) or (x == xs[-1] and y == ys[-1]):
        return False
    if not width:
        return isfinite(sum(ring))
    # Sorting compares floats as floats: it takes half the time of looking for the least and the largest.
    xs.sort()
    ys.sort()
    return xs[0] >= 0 <= ys[0] and xs[-1] <= width and ys[-1] <= height
