"""Annotations and predictions in Nucleus's own wire form (docs/wire.md §5); a prediction is one with a confidence."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType


class Point(Struct, frozen=True, gc=False):
    """Pixels from the top left corner."""

    x: float
    y: float


class Point3(Struct, frozen=True, gc=False):
    """Metres in the frame of the point cloud."""

    x: float
    y: float
    z: float


class BoxGeometry(Struct, frozen=True, gc=False):
    """Left and top edge, width and height in pixels."""

    x: float
    y: float
    width: float
    height: float


class Vertices(Struct, frozen=True, gc=False):
    """One ring without holes that isn't closed explicitly, or an open line."""

    vertices: list[Point]


class Keypoint(Struct, frozen=True, gc=False):
    """A point of a skeleton; null coordinates where it was not labelled."""

    x: float | None
    y: float | None
    visible: bool


class KeypointsGeometry(Struct, frozen=True, gc=False):
    """Points, their names in the same order, and index pairs from 0 that are joined."""

    keypoints: list[Keypoint]
    names: list[str]
    skeleton: list[list[int]] | None = None


class CuboidGeometry(Struct, frozen=True, gc=False):
    """Centre, length, width and height in metres; yaw in radians about z."""

    position: Point3
    dimensions: Point3
    yaw: float


class Box(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="box"):
    """An axis-aligned box."""

    label: str
    geometry: BoxGeometry
    reference_id: str
    annotation_id: str
    metadata: dict[str, Any] = {}
    embedding_vector: list[float] | None = None
    track_reference_id: str | None = None
    task_id: str | None = None
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


class Line(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="line"):
    """An open line of two points or more."""

    label: str
    geometry: Vertices
    reference_id: str
    annotation_id: str
    metadata: dict[str, Any] = {}
    track_reference_id: str | None = None
    task_id: str | None = None
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


class Polygon(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="polygon"):
    """One ring; a shape of several rings is several polygons."""

    label: str
    geometry: Vertices
    reference_id: str
    annotation_id: str
    metadata: dict[str, Any] = {}
    embedding_vector: list[float] | None = None
    track_reference_id: str | None = None
    task_id: str | None = None
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


class Keypoints(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="keypoints"):
    """Named points and how they are joined."""

    label: str
    geometry: KeypointsGeometry
    reference_id: str
    annotation_id: str
    metadata: dict[str, Any] = {}
    track_reference_id: str | None = None
    task_id: str | None = None
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


class Cuboid(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="cuboid"):
    """A box in space; `reference_id` is the point cloud item's."""

    label: str
    geometry: CuboidGeometry
    reference_id: str
    annotation_id: str
    metadata: dict[str, Any] | UnsetType = UNSET
    track_reference_id: str | UnsetType = UNSET
    task_id: str | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


class Segment(Struct, frozen=True, kw_only=True, gc=False):
    """What one pixel value of a mask means: index 0 to 255."""

    label: str
    index: int
    metadata: dict[str, Any] | UnsetType = UNSET


class Mask(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="mask"):
    """A segmentation of a whole item, one byte a pixel, that Nucleus reads from a URL."""

    mask_url: str
    annotations: list[Segment]
    annotation_id: str | None = None
    reference_id: str


class Category(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="category"):
    """One label of a taxonomy for a whole item."""

    label: str
    geometry: dict[str, Any] = {}
    reference_id: str
    metadata: dict[str, Any] = {}
    track_reference_id: str | None = None
    task_id: str | None = None
    taxonomy_name: str | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


class MultiCategory(Struct, frozen=True, kw_only=True, gc=False, tag_field="type", tag="multicategory"):
    """Several labels of a taxonomy for a whole item; the list replaces the one before."""

    labels: list[str]
    geometry: dict[str, Any] = {}
    reference_id: str
    metadata: dict[str, Any] = {}
    track_reference_id: str | None = None
    task_id: str | None = None
    taxonomy_name: str | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    class_pdf: dict[str, float] | UnsetType = UNSET


Annotation = Box | Line | Polygon | Keypoints | Cuboid | Mask | Category | MultiCategory
