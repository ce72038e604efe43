"""What is wrong with a record, in words that are the same for every source and every command."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

from msgspec import UNSET

from nucleus_sync.records.annotation import (
    Box,
    Category,
    Cuboid,
    Keypoints,
    KeypointsGeometry,
    Line,
    Mask,
    MultiCategory,
    Point,
    Polygon,
)
from nucleus_sync.records.complaint import (
    REMOTE_SCHEMES,
    Complaint,
    metadata_complaints,
    number_words,
    plain,
    text_complaints,
)
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.record import Record
from nucleus_sync.records.scene import LidarScene, VideoScene
from nucleus_sync.records.scene_check import scene_complaints


def complaints(record: Record) -> Iterator[Complaint]:
    """Everything that is wrong with a record, seen by itself."""
    if not record.reference_id:
        yield Complaint("reference_id is empty", "reference_id is empty")
    elif "\x00" in record.reference_id:
        yield Complaint("reference_id holds a NUL", f"reference_id {record.reference_id!r} holds a NUL character")
    match record:
        case Item():
            yield from _item(record)
        case LocalItem():
            yield from metadata_complaints(record.item.metadata)
        case Mask():
            yield from _mask(record)
        case PaintedMask():
            yield from _segments(record.mask)
        case LidarScene() | VideoScene():
            yield from scene_complaints(record)
        case _:
            yield from _labelled(record)


def _item(item: Item) -> Iterator[Complaint]:
    if not item.image_url.lower().startswith(REMOTE_SCHEMES):
        yield Complaint(
            "image_url has no scheme that Nucleus reads (http, https, s3, gs)",
            f"image_url {item.image_url!r}",
        )
    yield from text_complaints("image_url", item.image_url)
    yield from metadata_complaints(item.metadata)


def _labelled(record: Any) -> Iterator[Complaint]:
    match record:
        case Box():
            yield from _box(record.geometry.width, record.geometry.height, record.geometry.x, record.geometry.y)
        case Polygon():
            yield from polygon_complaints(record.geometry.vertices)
        case Line():
            if len(record.geometry.vertices) < 2:
                yield Complaint("line of fewer than 2 points", f"line of {len(record.geometry.vertices)} points")
            yield from _finite(record.geometry.vertices)
        case Keypoints():
            yield from _keypoints(record.geometry)
        case Cuboid():
            yield from _cuboid(record)
    yield from _label(record)
    yield from _confidence(record)
    if record.metadata:
        yield from metadata_complaints(record.metadata)


def _label(record: Any) -> Iterator[Complaint]:
    labels = record.labels if isinstance(record, MultiCategory) else [record.label]
    if not labels or not all(labels):
        yield Complaint("label is empty", "label is empty")
    for label in labels:
        yield from text_complaints("label", label)
    if not isinstance(record, Category | MultiCategory) and not record.annotation_id:
        yield Complaint("annotation_id is empty", "annotation_id is empty")


def _box(width: float, height: float, x: float, y: float) -> Iterator[Complaint]:
    for name, value in (("x", x), ("y", y), ("width", width), ("height", height)):
        if not isfinite(value):
            yield Complaint("number is not finite", f"bbox {name} is {number_words(value)}")
    if width <= 0:
        yield Complaint("box without width", f"width {plain(width)}")
    if height <= 0:
        yield Complaint("box without height", f"height {plain(height)}")


def polygon_complaints(vertices: list[Point]) -> Iterator[Complaint]:
    """A ring needs three points that aren't on one line."""
    if len(vertices) < 3:
        yield Complaint("polygon of fewer than 3 points", f"polygon of {len(vertices)} points")
        return
    infinite = list(_finite(vertices))
    if infinite:
        yield from infinite
    elif is_flat(vertices):
        yield Complaint("polygon without area", f"{len(vertices)} points on one line: no area")


def is_flat(vertices: list[Point]) -> bool:
    """Whether all points lie on one line: cheaper and stricter than an area of zero, which a figure of 8 has."""
    first = vertices[0]
    along_x = along_y = 0.0
    for point in vertices:
        x, y = point.x - first.x, point.y - first.y
        if along_x == 0.0 == along_y:
            along_x, along_y = x, y
        elif along_x * y != along_y * x:
            return False
    return True


def _finite(vertices: list[Point]) -> Iterator[Complaint]:
    for number, point in enumerate(vertices):
        if not (isfinite(point.x) and isfinite(point.y)):
            wrong = point.y if isfinite(point.x) else point.x
            yield Complaint("number is not finite", f"point {number} is {number_words(wrong)}")


def _keypoints(geometry: KeypointsGeometry) -> Iterator[Complaint]:
    points, names = geometry.keypoints, geometry.names
    if len(names) != len(points):
        yield Complaint("keypoints and names differ in number", f"{len(points)} keypoints, {len(names)} names")
    if len(set(names)) != len(names):
        yield Complaint("keypoint names repeat", f"names {names}")
    for number, point in enumerate(points):
        if point.visible and (point.x is None or point.y is None):
            yield Complaint("visible keypoint without coordinates", f"visible keypoint {number} without coordinates")
        elif not all(isfinite(value) for value in (point.x, point.y) if value is not None):
            yield Complaint("number is not finite", f"keypoint {number} is not finite")
    for pair in geometry.skeleton or ():
        for index in pair:
            if not 0 <= index < len(points):
                yield Complaint("skeleton index out of range", f"skeleton index {index} out of range")


def _cuboid(cuboid: Cuboid) -> Iterator[Complaint]:
    geometry = cuboid.geometry
    position, dimensions = geometry.position, geometry.dimensions
    values = (position.x, position.y, position.z, dimensions.x, dimensions.y, dimensions.z, geometry.yaw)
    if not all(isfinite(value) for value in values):
        yield Complaint("number is not finite", "cuboid holds a number that is not finite")
    for name in ("x", "y", "z"):
        value = getattr(dimensions, name)
        if value <= 0:
            yield Complaint("cuboid without extent", f"cuboid dimension {name} is {plain(value)}")


def _mask(mask: Mask) -> Iterator[Complaint]:
    if not mask.mask_url.lower().startswith(REMOTE_SCHEMES):
        yield Complaint(
            "mask_url has no scheme that Nucleus reads (http, https, s3, gs)", f"mask_url {mask.mask_url!r}"
        )
    yield from _segments(mask)


def _segments(mask: Mask) -> Iterator[Complaint]:
    for segment in mask.annotations:
        if not 0 <= segment.index <= 255:
            yield Complaint("mask index does not fit 8 bits", f"mask index {segment.index} does not fit 8 bits")
        if not segment.label:
            yield Complaint("label is empty", f"label of mask index {segment.index} is empty")


def _confidence(record: Any) -> Iterator[Complaint]:
    confidence = record.confidence
    if confidence is not UNSET and not 0 <= confidence <= 1:
        yield Complaint("score outside 0..1", f"score {number_words(confidence)} is outside 0..1")


def metadata_type(kind: type[Any]) -> str | None:
    """`text` or `number` for a value's class where Nucleus wants one type for a key (docs/wire.md §6.6), else None."""
    return _METADATA_TYPES.get(kind)


_METADATA_TYPES = {str: "text", int: "number", float: "number"}
