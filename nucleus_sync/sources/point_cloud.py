"""Point clouds of KITTI and PCD files, and the JSON that Nucleus reads."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from math import isfinite
from pathlib import Path

import msgspec

ENDINGS = (".bin", ".pcd")
_ORIGIN = {"x": 0.0, "y": 0.0, "z": 0.0}
_AHEAD = {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
_KITTI = struct.Struct("<4f")
_LETTERS = {
    ("F", "4"): "f",
    ("F", "8"): "d",
    ("U", "1"): "B",
    ("U", "2"): "H",
    ("U", "4"): "I",
    ("I", "1"): "b",
    ("I", "2"): "h",
    ("I", "4"): "i",
}
_INTENSITY = ("intensity", "i", "reflectance")
_LONGEST_HEADER = 64
_encode = msgspec.json.Encoder().encode

Point = tuple[float, ...]
"""x, y, z in metres, and the intensity where there is one."""


class PointCloudError(ValueError):
    """A file that is no point cloud, or one of a kind that isn't read; the text says why."""


def convert(source: Path, target: Path) -> None:
    """Write the point cloud as Nucleus reads it (docs/wire.md §4.3), in the lidar's own coordinates.

    Points that a lidar didn't see (not finite) are left out. Raises PointCloudError and OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with scratch.open("wb") as file:
            place = b'{"device_position":%b,"device_heading":%b,"points":['
            file.write(place % (_encode(_ORIGIN), _encode(_AHEAD)))
            points = (point for point in read_points(source) if all(map(isfinite, point)))
            first = True
            while some := list(islice(points, 10_000)):
                text = _encode([dict(zip("xyzi", point, strict=False)) for point in some])[1:-1]
                file.write(text if first else b"," + text)
                first = False
            file.write(b"]}")
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def read_points(path: Path) -> Iterator[Point]:
    """All points. Raises PointCloudError and OSError."""
    content = path.read_bytes()
    if path.suffix.lower() == ".pcd":
        return _pcd(content)
    if len(content) % _KITTI.size:
        raise PointCloudError(f"{len(content):,} bytes aren't points of 4 numbers: cut off, or no KITTI point cloud")
    return _KITTI.iter_unpack(content)


def _pcd(content: bytes) -> Iterator[Point]:
    """PCD 0.7 as text or binary (https://pointclouds.org/documentation/tutorials/pcd_file_format.html)."""
    header, offset = _header(content)
    names = header.get("FIELDS", [])
    if not {"x", "y", "z"} <= set(names):
        raise PointCloudError("the fields x, y and z are missing")
    if set(header.get("COUNT", ["1"])) != {"1"}:
        raise PointCloudError("fields of several numbers aren't read")
    wanted = [names.index(name) for name in "xyz"]
    wanted += [names.index(name) for name in _INTENSITY if name in names][:1]
    match header.get("DATA"):
        case ["ascii"]:
            rows: Iterable[tuple[float, ...]] = _text_rows(content[offset:], len(names))
        case ["binary"]:
            rows = _binary_rows(content[offset:], header)
        case other:
            raise PointCloudError(f"data {' '.join(other or ['?'])} isn't read; write it as ascii or binary")
    return (tuple(row[number] for number in wanted) for row in rows)


def _header(content: bytes) -> tuple[dict[str, list[str]], int]:
    header: dict[str, list[str]] = {}
    offset = 0
    for _ in range(_LONGEST_HEADER):
        end = content.find(b"\n", offset)
        line = content[offset : end if end >= 0 else None].decode("ascii", "replace").split()
        offset = end + 1
        if line and not line[0].startswith("#"):
            header[line[0]] = line[1:]
        if "DATA" in header:
            return header, offset
        if end < 0:
            break
    raise PointCloudError("no PCD: its header has no DATA")


def _text_rows(content: bytes, width: int) -> Iterator[tuple[float, ...]]:
    for number, line in enumerate(content.split(b"\n")):
        words = line.split()
        if not words:
            continue
        try:
            row = tuple(map(float, words))
        except ValueError:
            raise PointCloudError(f"point {number} holds what is no number") from None
        if len(row) != width:
            raise PointCloudError(f"point {number} has {len(row)} numbers, not {width}")
        yield row


def _binary_rows(content: bytes, header: dict[str, list[str]]) -> Iterator[tuple[float, ...]]:
    try:
        kinds = zip(header["TYPE"], header["SIZE"], strict=True)
        row = struct.Struct("<" + "".join(_LETTERS[kind] for kind in kinds))
        size = row.size * int(header["POINTS"][0])
    except (KeyError, ValueError, IndexError):
        raise PointCloudError("its header says nothing of TYPE, SIZE or POINTS that can be used") from None
    if len(content) < size:
        raise PointCloudError("cut off: it has fewer points than its header says")
    return row.iter_unpack(content[:size])
