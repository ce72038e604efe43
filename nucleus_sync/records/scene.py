"""Scenes in Nucleus's own wire form (docs/wire.md §4.2 to §4.4)."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from nucleus_sync.records.item import Number


class SceneItem(Struct, frozen=True, kw_only=True, gc=False):
    """An image or a point cloud inside a scene, always remote: `url` has the scheme http, https, s3 or gs.

    `camera_params` repeats `metadata.camera_params`, as the official SDK writes it.
    """

    metadata: dict[str, Any] = {}
    reference_id: str
    width: Number | UnsetType = UNSET
    height: Number | UnsetType = UNSET
    embedding_info: dict[str, Any] | UnsetType = UNSET
    url: str
    type: Literal["image", "pointcloud"]
    camera_params: dict[str, Any] | UnsetType = UNSET


class SceneTrack(Struct, frozen=True, kw_only=True, gc=False):
    """A track that a scene names."""

    reference_id: str
    dataset_id: str | UnsetType = UNSET
    metadata: dict[str, Any] = {}


class LidarScene(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Frames in order, each an object from sensor to item: one point cloud and any cameras."""

    reference_id: str
    frames: list[dict[str, SceneItem]]
    metadata: dict[str, Any] = {}
    tracks: list[SceneTrack] = []


class VideoScene(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Images in order with their number per second, or one video file that Nucleus cuts itself.

    `upload_to_scale` is the opposite of the dataset's privacy mode; it is set once the dataset is known.
    """

    reference_id: str
    frame_rate: int | UnsetType = UNSET
    metadata: dict[str, Any] = {}
    video_url: str | UnsetType = UNSET
    upload_to_scale: bool | UnsetType = UNSET
    frames: list[SceneItem] = []
    tracks: list[SceneTrack] = []


Scene = LidarScene | VideoScene


def items_of_scene(scene: Scene) -> list[SceneItem]:
    """All items of a scene, frame by frame; those that Nucleus cuts from a video file aren't known here."""
    if isinstance(scene, VideoScene):
        return scene.frames
    return [item for frame in scene.frames for item in frame.values()]


def structure_of(scene: Scene) -> Any:
    """What is frozen once Nucleus has the scene (docs/wire.md §6.2), as plain values: all but the metadata."""
    if isinstance(scene, VideoScene):
        video_url, frame_rate = _given(scene.video_url), _given(scene.frame_rate)
        return "video", video_url, frame_rate, [_frozen(item) for item in scene.frames]
    return "lidar", [sorted((sensor, _frozen(item)) for sensor, item in frame.items()) for frame in scene.frames]


def _frozen(item: SceneItem) -> tuple[Any, ...]:
    return item.reference_id, item.url, item.type, _given(item.width), _given(item.height), _given(item.embedding_info)


def _given(value: Any) -> Any:
    return None if value is UNSET else value
