"""What is wrong with scenes, and what of them is frozen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nucleus_sync.records.check import complaints
from nucleus_sync.records.fingerprint import changed_parts, content_hash
from nucleus_sync.records.record import Kind, key_of, wire_line
from nucleus_sync.records.scene import LidarScene, Scene, VideoScene

CAMERA = {
    "position": {"x": 0, "y": 0, "z": 1.5},
    "heading": {"x": 0, "y": 0, "z": 0, "w": 1},
    "fx": 1000,
    "fy": 1000,
    "cx": 960,
    "cy": 540,
}


def cloud(name: str = "pc", **more: Any) -> dict[str, Any]:
    return {"reference_id": name, "url": f"s3://b/{name}.json", "type": "pointcloud", "metadata": {}} | more


def image(name: str = "cam", **more: Any) -> dict[str, Any]:
    return {"reference_id": name, "url": f"s3://b/{name}.jpg", "type": "image", "metadata": {}} | more


def filmed(camera: dict[str, Any]) -> dict[str, Any]:
    return image(metadata={"camera_params": camera}, camera_params=camera)


def lidar(*frames: dict[str, Any], **more: Any) -> LidarScene:
    return msgspec.convert({"reference_id": "s", "frames": list(frames)} | more, LidarScene)


def video(*frames: dict[str, Any], **more: Any) -> VideoScene:
    return msgspec.convert({"reference_id": "v", "frames": list(frames)} | more, VideoScene)


SOUND: list[Scene] = [
    lidar({"lidar": cloud()}),
    lidar({"lidar": cloud(), "cam": filmed(CAMERA)}, {"lidar": cloud("pc2")}, metadata={"n": 1}),
    video(image(), frame_rate=15),
    video(video_url="s3://b/v.mp4"),
    video(image(), frame_rate=15, video_url="s3://b/v.mp4", upload_to_scale=False),
]
WRONG: list[tuple[Scene, str]] = [
    (lidar(), "the scene has no frames"),
    (lidar({"cam": image()}), "frame 0 has 0 point clouds"),
    (lidar({"a": cloud("1"), "b": cloud("2")}), "frame 0 has 2 point clouds"),
    (lidar({"a": cloud("1")}, {"b": cloud("2")}), "several sensor names: a, b"),
    (lidar({"a": cloud("1"), "b": image("1")}), "reference_id 1 is given to two items"),
    (lidar({"a": cloud(url="/data/1.json")}), "url '/data/1.json'"),
    (lidar({"a": cloud(), "b": filmed(CAMERA | {"fx": None})}), "camera_params of cam: fx is missing"),
    (lidar({"a": cloud(), "b": filmed(CAMERA | {"heading": {"x": 0, "y": 0, "z": 0}})}), "heading.w is missing"),
    (
        lidar({"a": cloud(), "b": filmed(CAMERA | {"heading": dict.fromkeys("xyzw", 0)})}),
        "heading is no rotation: all of it is 0",
    ),
    (lidar({"a": cloud(), "b": filmed(CAMERA | {"camera_model": "pinhole"})}), "camera_model is 'pinhole'"),
    (lidar({"a": cloud(), "b": filmed(CAMERA | {"k1": float("nan")})}), "k1 is NaN"),
    (lidar({"a": cloud(), "b": image(camera_params=CAMERA)}), "and those in its metadata differ"),
    (lidar({"a": cloud()}, metadata={"n": float("inf")}), "metadata key n is Infinity"),
    (video(), "neither frames nor video_url"),
    (video(image()), "frames need a frame_rate"),
    (video(image(), frame_rate=0), "frame_rate is 0, not 1 or more"),
    (video(cloud(), frame_rate=1), "a frame of the video is a point cloud"),
    (video(image(), frame_rate=1, video_url="s3://b/v.mp4", upload_to_scale=True), "frames or a video_url, not both"),
    (video(frame_rate=1, video_url="s3://b/v.mp4", upload_to_scale=True), "a video_url takes no frame_rate"),
    (video(video_url="v.mp4"), "video_url 'v.mp4'"),
    (video(video_url="s3://b/v.mp4", upload_to_scale=False), "in privacy mode a video_url needs its frames"),
    (video(*(image(str(n)) for n in range(3001)), frame_rate=1), "3,001 frames; Nucleus takes 3,000"),
]


@pytest.mark.parametrize("scene", SOUND)
def test_a_sound_scene_has_no_complaints(scene: Scene) -> None:
    assert list(complaints(scene)) == []


@pytest.mark.parametrize(("scene", "says"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_said(scene: Scene, says: str) -> None:
    assert says in "; ".join(complaint.detail for complaint in complaints(scene))


def test_a_scene_goes_out_without_what_is_empty() -> None:
    assert key_of(SOUND[0]) == b"s"
    assert msgspec.json.decode(wire_line(SOUND[0])) == {"reference_id": "s", "frames": [{"lidar": cloud()}]}
    assert msgspec.json.decode(wire_line(SOUND[3])) == {"reference_id": "v", "video_url": "s3://b/v.mp4"}


CHANGES: list[tuple[Scene, list[str]]] = [
    (lidar({"a": cloud(), "b": image()}), []),
    (lidar({"b": image(), "a": cloud()}), []),
    (lidar({"a": cloud(), "b": image()}, metadata={"n": 1}), ["metadata"]),
    (lidar({"a": cloud(metadata={"n": 1}), "b": image()}), ["items' metadata"]),
    (lidar({"a": cloud()}), ["structure", "items' metadata"]),
    (lidar({"a": cloud(), "c": image()}), ["structure"]),
    (lidar({"a": cloud(), "b": image(url="s3://b/other.jpg")}), ["structure"]),
    (lidar({"a": cloud(), "b": image(width=4, height=3)}), ["structure"]),
]


@pytest.mark.parametrize(("scene", "parts"), CHANGES)
def test_a_fingerprint_tells_structure_from_metadata(scene: Scene, parts: list[str]) -> None:
    before = content_hash(lidar({"a": cloud(), "b": image()}))
    assert changed_parts(Kind.SCENES, before, content_hash(scene)) == parts
    assert (before == content_hash(scene)) is (not parts)
