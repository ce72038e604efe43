"""A line of NDJSON that holds a scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import replace

from nucleus_sync.records.scene import LidarScene, Scene, SceneItem, VideoScene

_lidar: Callable[[bytes], LidarScene] = msgspec.json.Decoder(LidarScene).decode
_video: Callable[[bytes], VideoScene] = msgspec.json.Decoder(VideoScene).decode
_frames = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def scene_of(text: bytes, members: Mapping[str, Raw]) -> Scene:
    """The scene of a line with these members, each item with its camera in both places where Nucleus looks for it.

    Raises msgspec.ValidationError.
    """
    if _is_video(members):
        video = _video(text)
        return replace(video, frames=[_with_camera(item) for item in video.frames])
    lidar = _lidar(text)
    frames = [{sensor: _with_camera(item) for sensor, item in frame.items()} for frame in lidar.frames]
    return replace(lidar, frames=frames)


def _is_video(members: Mapping[str, Raw]) -> bool:
    """A video's frames are items; a lidar scene's are objects from sensor to item (docs/wire.md §4.4)."""
    if "video_url" in members or "frame_rate" in members:
        return True
    try:
        frames = _frames(members.get("frames", b"[]"))
    except msgspec.ValidationError:
        return False
    return any(bytes(frame.get("url", b""))[:1] == b'"' for frame in frames)


def _with_camera(item: SceneItem) -> SceneItem:
    camera = item.metadata.get("camera_params")
    if item.camera_params is not UNSET:
        return item if camera else replace(item, metadata=item.metadata | {"camera_params": item.camera_params})
    return replace(item, camera_params=camera) if isinstance(camera, dict) else item
