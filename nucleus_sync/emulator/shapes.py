"""The shapes of the records that Nucleus takes, which msgspec checks while it decodes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
PixelValue = Annotated[int, msgspec.Meta(ge=0, le=255)]
PixelText = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,2}|1[0-9]{2}|2[0-4][0-9]|25[0-5])$")]
Metadata = dict[str, Any]


class Embedding(msgspec.Struct):
    index_id: Text
    embedding_vector: list[float]


class Item(msgspec.Struct):
    """A top-level image (4.1)."""

    reference_id: Text
    image_url: Text
    metadata: Metadata | None = None
    width: Positive | None = None
    height: Positive | None = None
    embedding_info: Embedding | None = None
    update: bool | None = None


class SceneItem(msgspec.Struct):
    """An image or a point cloud inside a scene (4.2)."""

    reference_id: Text
    url: Text
    type: str
    metadata: Metadata | None = None
    width: Positive | None = None
    height: Positive | None = None
    embedding_info: Embedding | None = None
    camera_params: dict[str, Any] | None = None


class SceneTrack(msgspec.Struct):
    reference_id: Text
    dataset_id: str | None = None
    metadata: Metadata | None = None


class LidarScene(msgspec.Struct):
    """Frames of sensors (4.3)."""

    reference_id: Text
    frames: Annotated[list[dict[str, SceneItem]], msgspec.Meta(min_length=1)]
    metadata: Metadata | None = None
    tracks: list[SceneTrack] | None = None


class VideoScene(msgspec.Struct):
    """Frames in a row, or one video file (4.4)."""

    reference_id: Text
    frames: Annotated[list[SceneItem], msgspec.Meta(max_length=3000)] | None = None
    frame_rate: Annotated[int, msgspec.Meta(ge=1)] | None = None
    video_url: Text | None = None
    upload_to_scale: bool | None = None
    metadata: Metadata | None = None
    tracks: list[SceneTrack] | None = None


class Point(msgspec.Struct):
    x: float
    y: float


class Point3(msgspec.Struct):
    x: float
    y: float
    z: float


class Dimensions(msgspec.Struct):
    x: Positive
    y: Positive
    z: Positive


class BoxGeometry(msgspec.Struct):
    x: float
    y: float
    width: Positive
    height: Positive


class LineGeometry(msgspec.Struct):
    vertices: Annotated[list[Point], msgspec.Meta(min_length=2)]


class PolygonGeometry(msgspec.Struct):
    vertices: Annotated[list[Point], msgspec.Meta(min_length=3)]


class Keypoint(msgspec.Struct):
    visible: bool
    x: float | None = None
    y: float | None = None


class KeypointsGeometry(msgspec.Struct):
    keypoints: list[Keypoint]
    names: list[str]
    skeleton: list[tuple[int, int]] | None = None


class CuboidGeometry(msgspec.Struct):
    position: Point3
    dimensions: Dimensions
    yaw: float


class Segment(msgspec.Struct):
    label: Text
    index: PixelValue | PixelText
    metadata: Metadata | None = None


class Record(msgspec.Struct, kw_only=True, tag_field="type"):
    """What every annotation and prediction has (5.1), and what predictions have besides (5.6)."""

    reference_id: Text | None = None
    item_id: Text | None = None
    dataset_id: Text | None = None
    annotation_id: Text | None = None
    metadata: Metadata | None = None
    track_reference_id: Text | None = None
    task_id: Text | None = None
    confidence: Share | None = None
    class_pdf: dict[str, Share] | None = None


class Box(Record, kw_only=True, tag="box"):
    label: Text
    geometry: BoxGeometry
    embedding_vector: list[float] | None = None


class Line(Record, kw_only=True, tag="line"):
    label: Text
    geometry: LineGeometry


class Polygon(Record, kw_only=True, tag="polygon"):
    label: Text
    geometry: PolygonGeometry
    embedding_vector: list[float] | None = None


class Keypoints(Record, kw_only=True, tag="keypoints"):
    label: Text
    geometry: KeypointsGeometry


class Cuboid(Record, kw_only=True, tag="cuboid"):
    label: Text
    geometry: CuboidGeometry


class Category(Record, kw_only=True, tag="category"):
    label: Text
    geometry: dict[str, Any] | None = None
    taxonomy_name: Text | None = None


class Multicategory(Record, kw_only=True, tag="multicategory"):
    labels: list[Text]
    geometry: dict[str, Any] | None = None
    taxonomy_name: Text | None = None


class Mask(Record, kw_only=True, tag="mask"):
    mask_url: Text
    annotations: list[Segment]


AnyRecord = Box | Line | Polygon | Keypoints | Cuboid | Category | Multicategory | Mask
GEOMETRIC = ("box", "line", "polygon", "keypoints", "cuboid")
