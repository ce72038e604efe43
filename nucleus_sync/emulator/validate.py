"""What Nucleus refuses about a record that its shape alone does not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .shapes import (
    AnyRecord,
    Category,
    Keypoints,
    KeypointsGeometry,
    LidarScene,
    Mask,
    Multicategory,
    VideoScene,
)

REMOTE = ("http://", "https://", "s3://", "gs://")


def is_remote(url: str) -> bool:
    """Whether the URL has one of the four schemes that Nucleus fetches from (4.1)."""
    return url.lower().startswith(REMOTE)


def fault_of_record(record: AnyRecord) -> str | None:
    """Why a record of good shape is refused all the same, or None."""
    if isinstance(record, Keypoints):
        return _fault_of_keypoints(record.geometry)
    if isinstance(record, Mask):
        values = [str(segment.index) for segment in record.annotations]
        if len(set(values)) != len(values):
            return "A mask must not give one pixel value to two annotations."
    if record.class_pdf and abs(sum(record.class_pdf.values()) - 1) > 0.01:
        return "The values of class_pdf must sum to 1."
    return None


def _fault_of_keypoints(geometry: KeypointsGeometry) -> str | None:
    count = len(geometry.keypoints)
    if len(geometry.names) != count:
        return "The list of keypoints must be the same length as the list of names."
    if len(set(geometry.names)) != count:
        return "Keypoint names must be unique."
    if any(point.visible and (point.x is None or point.y is None) for point in geometry.keypoints):
        return "Visible keypoints must have x and y coordinates."
    if any(not 0 <= index < count for pair in geometry.skeleton or () for index in pair):
        return "The skeleton refers to a keypoint that does not exist."
    return None


def fault_of_lidar_scene(scene: LidarScene) -> str | None:
    """Why a lidar scene is refused, or None (4.3)."""
    lidars = set()
    for frame in scene.frames:
        clouds = [sensor for sensor, item in frame.items() if item.type == "pointcloud"]
        if len(clouds) != 1:
            return "Each frame of a lidar scene must have exactly 1 pointcloud."
        lidars.add(clouds[0])
    if len(lidars) != 1:
        return "Each lidar scene must have exactly one lidar sensor."
    return _fault_of_scene_items([item for frame in scene.frames for item in frame.values()])


def fault_of_video_scene(scene: VideoScene, privacy: bool) -> str | None:
    """Why a video scene is refused, or None (4.4)."""
    frames = scene.frames or []
    if not frames and not scene.video_url:
        return "A video scene needs frames or a video_url."
    if frames and scene.frame_rate is None:
        return "A video scene of frames needs a frame_rate of at least 1."
    if frames and scene.video_url and not privacy:
        return "A video scene takes frames or a video_url, not both."
    if not frames and scene.frame_rate is not None:
        return "A video scene of a video_url takes no frame_rate."
    if any(frame.type != "image" for frame in frames):
        return "The frames of a video scene must be images."
    return _fault_of_scene_items(frames)


def _fault_of_scene_items(items: list[Any]) -> str | None:
    if any(item.type not in ("image", "pointcloud") for item in items):
        return "The type of a scene's item must be image or pointcloud."
    if any(not is_remote(item.url) for item in items):
        return "The items of a scene must be at remote URLs."
    if len({item.reference_id for item in items}) != len(items):
        return "Duplicate reference ids within a scene."
    return None


class MetadataKinds:
    """Which keys of one topic hold strings and which hold numbers; the first record decides (6.6)."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)
        self.learned: dict[str, str] = {}

    def fault(self, metadata: Mapping[str, Any] | None) -> str | None:
        """Why these metadata do not fit what is held, or None; remembers them when they fit."""
        if not metadata:
            return None
        new = {}
        for key, value in metadata.items():
            kind = _kind(value)
            if kind is None:
                continue
            held = self._known.get(key)
            if held is None:
                new[key] = kind
            elif held != kind:
                return f'Metadata key "{key}" holds a {held} elsewhere in this dataset, but a {kind} here.'
        self._known.update(new)
        self.learned.update(new)
        return None


def _kind(value: object) -> str | None:
    if isinstance(value, str):
        return "string"
    # A boolean is a number to Python only.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return None


class Taxonomies:
    """A dataset's taxonomies, to judge category records by (6.4)."""

    def __init__(self, dataset_id: str, labels: Mapping[str, frozenset[str]]) -> None:
        self._dataset_id = dataset_id
        self._labels = labels

    def fault(self, record: Category | Multicategory) -> str | None:
        """Why the whole upload fails because of this record, or None."""
        name = record.taxonomy_name
        if name is None:
            return None
        wanted = [record.label] if isinstance(record, Category) else record.labels
        known = self._labels.get(name)
        for label in wanted or [""]:
            if known is None or (wanted and label not in known):
                return (
                    f"Input validation failed: Taxonomy {name} does not exist in dataset {self._dataset_id}, "
                    f"or label {label} does not exist in the taxonomy {name}."
                )
        return None
