"""Scenes from folders: KITTI's layout with cuboids, frames, video files; read back through the official SDK."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nucleus
import pytest

from .project import Project, picture

Data = Callable[[str], Path]


@pytest.fixture
def kitti(project: Project, data: Data) -> Project:
    """One frame of KITTI's 3D layout, with a point cloud of a hundred points."""
    source = data("formats-mini") / "kitti_dataset"
    root = project.folder / "kitti" / "training"
    for name in ("calib", "image_2", "label_2"):
        shutil.copytree(source / "kitti_3d" / name, root / name)
    (root / "velodyne").mkdir()
    clouds = source / "kitti_raw" / "velodyne_points" / "data"
    shutil.copy(clouds / "0000000000.pcd", root / "velodyne" / "000001.pcd")
    drives = {
        "format": "kitti-3d",
        "path": "kitti",
        "pointcloud_url": "s3://acme/kitti/{path}.json",
        "image_url": "s3://acme/kitti/{file}",
        "convert_to": "converted",
    }
    dataset = {"name": "K", "kind": "lidar", "items": ["drives"], "annotations": ["drives"], "prune": True}
    limit = {"delete_limit": {"records": 1000, "fraction": 1}}
    project.declare(settings=limit, sources={"drives": drives}, datasets={"k": dataset})
    return project


def test_a_kitti_folder_becomes_lidar_scenes_with_cuboids(kitti: Project, client: nucleus.NucleusClient) -> None:
    planned = kitti.plan()["summary"]
    assert (planned["create"], planned["invalid"]) == (1 + 1 + 2, 0)
    points = json.loads((kitti.folder / "converted" / "training" / "000001.json").read_text())["points"]
    assert len(points) == 100
    assert points[0] == {"x": 0.5791356657, "y": 0.4114198749, "z": 0.7830189931}
    assert kitti.apply()["exit_code"] == 0
    kitti.assert_settled()
    (dataset,) = client.datasets
    # The SDK puts a reference id into the path as it is.
    scene = dataset.get_scene("training%2F000001")
    assert [item.reference_id for item in scene.get_items()] == [
        "training/000001/velodyne",
        "training/000001/image_2",
    ]
    truck, car = sorted(
        dataset.refloc("training/000001/velodyne")["annotations"]["cuboid"], key=lambda each: -each.position.x
    )
    assert (truck.label, car.label) == ("Truck", "Car")
    place = [truck.position.x, truck.position.y, truck.position.z, truck.yaw]
    assert place == pytest.approx([69.709899, -0.462620, 0.583495, -0.010672], abs=1e-6)
    assert (truck.dimensions.x, truck.dimensions.y, truck.dimensions.z) == (12.34, 2.63, 2.85)


def test_a_moved_object_is_one_update_and_a_removed_one_is_cleared(
    kitti: Project, client: nucleus.NucleusClient
) -> None:
    kitti.apply()
    labels = kitti.folder / "kitti" / "training" / "label_2" / "000001.txt"
    truck, car, rest = labels.read_text().splitlines()
    labels.write_text("\n".join([truck.replace("69.44", "60.44"), car, rest]))
    assert [(one["action"], one["reason"]) for one in kitti.changes()] == [("update", "geometry changed")]
    assert kitti.apply()["update"] == 1
    labels.write_text(car)
    assert kitti.apply()["delete"] == 1
    kitti.assert_settled()
    (dataset,) = client.datasets
    (left,) = dataset.refloc("training/000001/velodyne")["annotations"]["cuboid"]
    assert left.label == "Car"


def test_frames_and_video_files_become_video_scenes(project: Project, client: nucleus.NucleusClient) -> None:
    for name in ("a/9.png", "a/10.png", "b/1.png"):
        picture(project.folder / "clips" / name, 4, 3)
    (project.folder / "films").mkdir()
    (project.folder / "films" / "one.mp4").write_bytes(b"film")
    clips = {"format": "frames", "path": "clips", "image_url": "s3://acme/{path}", "frame_rate": 10}
    films = {"format": "frames", "path": "films", "video_url": "s3://acme/{path}"}
    dataset = {"name": "V", "kind": "video", "items": ["clips", "films"], "prune": True}
    limit = {"delete_limit": {"records": 1000, "fraction": 1}}
    project.declare(settings=limit, sources={"clips": clips, "films": films}, datasets={"v": dataset})
    assert project.apply()["create"] == 1 + 3
    project.assert_settled()
    (held,) = client.datasets
    scene = held.get_scene("a")
    assert (scene.frame_rate, [item.reference_id for item in scene.items]) == (10, ["a/9.png", "a/10.png"])
    assert held.get_scene("one.mp4").video_location == "s3://acme/one.mp4"
    picture(project.folder / "clips" / "a" / "11.png", 4, 3)
    shutil.rmtree(project.folder / "clips" / "b")
    summary = project.apply()
    assert [summary[name] for name in ("create", "delete", "exit_code")] == [1, 2, 0]
    project.assert_settled()
    assert sorted(each.reference_id for each in held.scenes) == ["a", "one.mp4"]
    assert len(held.get_scene("a").items) == 3


def test_a_source_for_scenes_says_where_they_are_read(project: Project) -> None:
    drives = {"format": "kitti-3d", "path": "kitti"}
    clips = {"format": "frames", "path": "clips", "image_url": "s3://acme/{path}", "frame_rate": 10}
    datasets = {
        "k": {"name": "K", "kind": "lidar", "items": ["drives", "clips"]},
        "i": {"name": "I", "items": ["clips"]},
    }
    project.declare(sources={"drives": drives, "clips": clips}, datasets=datasets)
    answer = project("validate")
    assert answer.code == 6
    assert "the source 'drives' does not say where Nucleus reads its point clouds" in answer.text
    assert "the source 'clips' can't yield lidar scenes: its format is frames" in answer.text
    assert "formats that can: records, kitti-3d" in answer.text
    assert "the source 'clips' can't yield items: its format is frames" in answer.text


def test_a_watched_folder_of_frames_is_kept_equal(project: Project) -> None:
    picture(project.folder / "clips" / "a" / "1.png", 4, 3)
    clips = {"format": "frames", "path": "clips", "image_url": "s3://acme/{path}", "frame_rate": 10}
    project.declare(
        sources={"clips": clips}, datasets={"v": {"name": "V", "kind": "video", "items": ["clips"], "prune": True}}
    )
    answer = project("watch", "--once", "--settle", "0")
    assert answer.code == 0, answer.text
    assert [one["reference_id"] for one in project.dataset()["scenes"]] == ["a"]
    picture(project.folder / "clips" / "b" / "1.png", 4, 3)
    answer = project("watch", "--once", "--settle", "0")
    assert answer.code == 0, answer.text
    assert [one["reference_id"] for one in project.dataset()["scenes"]] == ["a", "b"]
