"""What is wrong with a scene, in the same words for every source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from msgspec import UNSET

from nucleus_sync.records.complaint import REMOTE_SCHEMES, Complaint, metadata_complaints, number_words
from nucleus_sync.records.scene import LidarScene, Scene, SceneItem, VideoScene, items_of_scene

MOST_VIDEO_FRAMES = 3000
"""Frames of one video scene that Nucleus takes (docs/wire.md §1.6)."""
_CAMERA_MODELS = ("brown_conrady", "fisheye")
_VECTORS = {"position": ("x", "y", "z"), "heading": ("x", "y", "z", "w")}
_REQUIRED = ("fx", "fy", "cx", "cy")
_OPTIONAL = ("k1", "k2", "k3", "k4", "p1", "p2")


def scene_complaints(scene: Scene) -> Iterator[Complaint]:
    """Everything that is wrong with a scene, seen by itself."""
    match scene:
        case LidarScene():
            yield from _lidar(scene)
        case VideoScene():
            yield from _video(scene)
    items = items_of_scene(scene)
    repeated = [name for name, count in Counter(item.reference_id for item in items).items() if count > 1]
    if repeated:
        detail = f"reference_id {repeated[0]} is given to {'two' if len(repeated) == 1 else 'several'} items"
        yield Complaint("reference_id repeats within a scene", detail)
    for item in items:
        yield from _item(item)
    yield from metadata_complaints(scene.metadata)


def _lidar(scene: LidarScene) -> Iterator[Complaint]:
    if not scene.frames:
        yield Complaint("scene without frames", "the scene has no frames")
    sensors = set()
    for number, frame in enumerate(scene.frames):
        clouds = [sensor for sensor, item in frame.items() if item.type == "pointcloud"]
        sensors.update(clouds)
        if len(clouds) != 1:
            detail = f"frame {number} has {len(clouds)} point clouds, not exactly one"
            yield Complaint("frame without exactly one point cloud", detail)
    if len(sensors) > 1:
        detail = f"point clouds under several sensor names: {', '.join(sorted(sensors))}"
        yield Complaint("point clouds under several sensor names", detail)


def _video(scene: VideoScene) -> Iterator[Complaint]:
    if not scene.frames and scene.video_url is UNSET:
        yield Complaint("scene without frames", "the scene has neither frames nor video_url")
    if scene.frames and scene.frame_rate is UNSET:
        yield Complaint("frame_rate is missing", "frames need a frame_rate")
    if scene.frame_rate is not UNSET and scene.frame_rate < 1:
        yield Complaint("frame_rate is below 1", f"frame_rate is {scene.frame_rate}, not 1 or more")
    if len(scene.frames) > MOST_VIDEO_FRAMES:
        detail = f"{len(scene.frames):,} frames; Nucleus takes {MOST_VIDEO_FRAMES:,}: cut the scene in parts"
        yield Complaint("too many frames in a video scene", detail)
    if any(item.type != "image" for item in scene.frames):
        yield Complaint("a video scene holds images only", "a frame of the video is a point cloud")
    if scene.video_url is not UNSET:
        yield from _video_file(scene, scene.video_url)


def _video_file(scene: VideoScene, url: str) -> Iterator[Complaint]:
    yield from _url("video_url", url)
    # In privacy mode Nucleus can't cut the frames itself, so both come together (docs/wire.md §4.4). Which mode it is
    # shows once the scene is known to be of a dataset.
    if scene.upload_to_scale is True:
        if scene.frames:
            yield Complaint("both frames and video_url", "a scene has frames or a video_url, not both")
        elif scene.frame_rate is not UNSET:
            yield Complaint("frame_rate beside video_url", "a video_url takes no frame_rate: the file has its own")
    elif scene.upload_to_scale is False and not scene.frames:
        yield Complaint("video_url without frames in privacy mode", "in privacy mode a video_url needs its frames, too")


def _item(item: SceneItem) -> Iterator[Complaint]:
    if not item.reference_id or "\x00" in item.reference_id:
        yield Complaint("reference_id of an item is empty", f"reference_id of an item is {item.reference_id!r}")
    yield from _url("url", item.url)
    if item.camera_params is not UNSET:
        yield from _camera(item.reference_id, item.camera_params)
        if item.camera_params != item.metadata.get("camera_params"):
            detail = f"camera_params of {item.reference_id} and those in its metadata differ"
            yield Complaint("camera_params differ from those in the metadata", detail)
    elif "camera_params" in item.metadata:
        yield Complaint("camera_params are incomplete", f"camera_params of {item.reference_id} are no object")
    yield from metadata_complaints(item.metadata)


def _url(name: str, url: str) -> Iterator[Complaint]:
    if not url.lower().startswith(REMOTE_SCHEMES):
        yield Complaint(f"{name} has no scheme that Nucleus reads (http, https, s3, gs)", f"{name} {url!r}")


def _camera(name: str, camera: Mapping[str, Any]) -> Iterator[Complaint]:
    """Position, heading (a quaternion) and the four intrinsics are required (docs/wire.md §4.2)."""
    wrong = [*_wrong_vectors(camera), *_wrong_numbers(camera)]
    model = camera.get("camera_model")
    if model not in (None, *_CAMERA_MODELS):
        wrong.append(f"camera_model is {model!r}, not {' or '.join(_CAMERA_MODELS)}")
    if wrong:
        yield Complaint("camera_params are incomplete", f"camera_params of {name}: {'; '.join(wrong)}")


def _wrong_vectors(camera: Mapping[str, Any]) -> Iterator[str]:
    for name, parts in _VECTORS.items():
        vector = camera.get(name)
        if not isinstance(vector, Mapping):
            yield f"{name} is missing"
            continue
        for part in parts:
            yield from _wrong_number(f"{name}.{part}", vector.get(part))
        if name == "heading" and all(vector.get(part) == 0 for part in parts):
            yield "heading is no rotation: all of it is 0"


def _wrong_numbers(camera: Mapping[str, Any]) -> Iterator[str]:
    for name in _REQUIRED:
        yield from _wrong_number(name, camera.get(name))
    for name in _OPTIONAL:
        if camera.get(name) is not None:
            yield from _wrong_number(name, camera[name])


def _wrong_number(name: str, value: Any) -> Iterator[str]:
    if value is None:
        yield f"{name} is missing"
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{name} is not a number"
    elif not isfinite(value):
        yield f"{name} is {number_words(value)}"
