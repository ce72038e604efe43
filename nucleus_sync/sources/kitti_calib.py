"""KITTI's calibration: from rectified camera coordinates to those of the lidar, and where each camera stands.

Camera coordinates go right, down and ahead, lidar coordinates ahead, left and up. A calib file holds for each camera n
its projection `Pn` (3x4) from rectified coordinates, the rectifying rotation `R0_rect` (3x3), and `Tr_velo_to_cam`
(3x4) from the lidar to camera 0 before that rotation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan2, cos, sin, sqrt
from typing import Any

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

_ROTATION = ("R0_rect", "R_rect")
_FROM_LIDAR = ("Tr_velo_to_cam", "Tr_velo_cam", "Tr")


class CalibrationError(ValueError):
    """A calib file that lacks something, or holds what is no calibration; the text says which."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One frame's calibration."""

    to_lidar: Matrix
    """Turns rectified camera coordinates into the lidar's directions."""
    origin: Vector
    """The lidar, in rectified camera coordinates."""
    projections: Mapping[str, Sequence[float]]

    def point(self, x: float, y: float, z: float) -> Vector:
        """A point in lidar coordinates, from rectified camera coordinates."""
        return _turned(self.to_lidar, (x - self.origin[0], y - self.origin[1], z - self.origin[2]))

    def yaw(self, rotation_y: float) -> float:
        """The angle about the lidar's z axis of an object whose length lies at `rotation_y` about the camera's y."""
        ahead = _turned(self.to_lidar, (cos(rotation_y), 0.0, -sin(rotation_y)))
        return atan2(ahead[1], ahead[0])

    def camera(self, number: str) -> dict[str, Any]:
        """Camera parameters as Nucleus takes them, in lidar coordinates. Raises CalibrationError."""
        projection = self.projections.get(number)
        if projection is None:
            raise CalibrationError(f"P{number} is missing")
        fx, cx, fy, cy = projection[0], projection[2], projection[5], projection[6]
        if not fx or not fy:
            raise CalibrationError(f"P{number} has no focal length")
        ahead = projection[11]
        x, y, z = self.point(-(projection[3] - cx * ahead) / fx, -(projection[7] - cy * ahead) / fy, -ahead)
        position = {"x": x, "y": y, "z": z}
        return {"position": position, "heading": _quaternion(self.to_lidar), "fx": fx, "fy": fy, "cx": cx, "cy": cy}


def parse_calibration(text: str) -> Calibration:
    """Raises CalibrationError."""
    rows = {name.strip(): values for name, _, values in (line.partition(":") for line in text.splitlines()) if values}
    rotation = _numbers(rows, _ROTATION, 9)
    transform = _numbers(rows, _FROM_LIDAR, 12)
    rectify = _matrix(rotation, 3)
    turn = _product(rectify, _matrix(transform, 4))
    origin = _turned(rectify, (transform[3], transform[7], transform[11]))
    projections = {name[1:]: _numbers(rows, (name,), 12) for name in rows if name[:1] == "P" and name[1:].isdigit()}
    return Calibration(_inverse(turn), origin, projections)


def _numbers(rows: Mapping[str, str], names: Sequence[str], count: int) -> list[float]:
    name = next((name for name in names if name in rows), None)
    if name is None:
        raise CalibrationError(f"{names[0]} is missing")
    try:
        numbers = [float(word) for word in rows[name].split()]
    except ValueError:
        raise CalibrationError(f"{name} holds what is no number") from None
    if len(numbers) != count:
        raise CalibrationError(f"{name} has {len(numbers)} numbers, not {count}")
    return numbers


def _matrix(numbers: Sequence[float], width: int) -> Matrix:
    a, b, c = ((numbers[n * width], numbers[n * width + 1], numbers[n * width + 2]) for n in range(3))
    return a, b, c


def _turned(matrix: Matrix, vector: Vector) -> Vector:
    x, y, z = (row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2] for row in matrix)
    return x, y, z


def _product(one: Matrix, other: Matrix) -> Matrix:
    columns = tuple(zip(*other, strict=True))
    a, b, c = (_turned((columns[0], columns[1], columns[2]), row) for row in one)
    return a, b, c


def _inverse(matrix: Matrix) -> Matrix:
    """By cofactors: calibrations are rotations only to the digits that they are written with."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if not determinant:
        raise CalibrationError("the rotations can't be undone")
    n = 1 / determinant
    return (
        ((e * i - f * h) * n, (c * h - b * i) * n, (b * f - c * e) * n),
        ((f * g - d * i) * n, (a * i - c * g) * n, (c * d - a * f) * n),
        ((d * h - e * g) * n, (b * g - a * h) * n, (a * e - b * d) * n),
    )


def _quaternion(matrix: Matrix) -> dict[str, float]:
    """The rotation as a unit quaternion; divides by the largest part, which is never near 0."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    squares = (1 + a - e - i, 1 - a + e - i, 1 - a - e + i, 1 + a + e + i)
    rows = (
        (squares[0], b + d, c + g, h - f),
        (b + d, squares[1], f + h, c - g),
        (c + g, f + h, squares[2], d - b),
        (h - f, c - g, d - b, squares[3]),
    )
    x, y, z, w = rows[squares.index(max(squares))]
    length = sqrt(x * x + y * y + z * z + w * w)
    if w < 0:
        length = -length
    return {"x": x / length, "y": y / length, "z": z / length, "w": w / length}
