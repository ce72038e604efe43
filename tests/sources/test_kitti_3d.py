"""KITTI's layout as lidar scenes and cuboids, with numbers worked out by hand."""

from __future__ import annotations

import json
import struct
from math import cos, pi, sin, sqrt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind, wire_line
from nucleus_sync.sources.kitti_3d import Kitti3dReader
from nucleus_sync.sources.kitti_calib import CalibrationError, parse_calibration
from nucleus_sync.sources.point_cloud import PointCloudError, convert, read_points
from nucleus_sync.sources.reader import Pick, Surroundings
from nucleus_sync.spec.scene_source import Kitti3dSource

from .test_frames import png
from .test_yolo import shared

# Camera 0 stands 1 m ahead of the lidar and 2 m above it, and looks ahead; camera 2 stands 0.1 m left of camera 0.
STRAIGHT = """P2: 700 0 600 70 0 700 180 0 0 0 1 0
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 2 1 0 0 -1
"""
# Height 1.5, width 1.6, length 4; the middle of the bottom 3 m right, 1.65 m below and 10 m ahead of the camera.
CAR = "Car 0.25 1 -10 1 2 3 4 1.5 1.6 4 3 1.65 10"


def reader(folder: Path, **spec: Any) -> Kitti3dReader:
    given = {"pointcloud_url": "s3://b/{path}.json", "image_url": "s3://b/{file}"}
    source = TypeAdapter(Kitti3dSource).validate_python({"format": "kitti-3d", "path": "kitti", **given, **spec})
    return Kitti3dReader(source, Surroundings("kitti", folder, folder, NoFacts()))


def records(folder: Path, kind: Kind, **spec: Any) -> tuple[list[dict[str, Any]], list[Problem]]:
    """What is read, in wire form, and what is said."""
    problems: list[Problem] = []
    made = reader(folder, **spec)
    picks = []
    for number, seen in enumerate(made.scan(kind, problems.append)):
        key = seen.key if kind is Kind.SCENES else seen.key.partition(b"\x00")[0] + b"\x00a%d" % number
        picks.append(Pick(key, seen.raw, seen.locator))
    found = [msgspec.json.decode(wire_line(record)) for _, record in made.read(kind, picks, problems.append)]
    return found, problems


def write(folder: Path, frame: str, labels: str = "", calib: str = STRAIGHT, below: str = "") -> None:
    """One frame of two points."""
    root = folder / "kitti" / below
    for name, text in (("calib", calib), ("label_2", labels)):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / f"{frame}.txt").write_text(text, "utf-8")
    (root / "velodyne").mkdir(exist_ok=True)
    (root / "velodyne" / f"{frame}.bin").write_bytes(struct.pack("<8f", 1, 2, 3, 0.5, 4, 5, 6, 0.25))
    png(root / "image_2" / f"{frame}.png")


@pytest.mark.parametrize(("rotation", "yaw"), [(0, -pi / 2), (-pi / 2, 0), (pi / 2, pi), (pi / 4, -3 * pi / 4)])
def test_a_label_is_a_cuboid_in_the_coordinates_of_the_lidar(tmp_path: Path, rotation: float, yaw: float) -> None:
    write(tmp_path, "000007", f"{CAR} {rotation}\nDontCare -1 -1 -10 5 1 5 1 -1 -1 -1 -1000 -1000 -1000 -10\n")
    (cuboid,), problems = records(tmp_path, Kind.ANNOTATIONS)
    assert problems == []
    # 10 m ahead of a camera that is 1 m ahead; 3 m to the right; 1.65 m below a camera at 2 m, and half a height.
    assert cuboid["geometry"]["position"] == pytest.approx({"x": 11, "y": -3, "z": 1.1})
    assert cuboid["geometry"]["dimensions"] == {"x": 4, "y": 1.6, "z": 1.5}
    turned = cuboid["geometry"]["yaw"]
    assert (cos(turned), sin(turned)) == pytest.approx((cos(yaw), sin(yaw)))
    names = {name: cuboid[name] for name in ("label", "type", "reference_id", "annotation_id", "metadata")}
    assert names == {
        "label": "Car",
        "type": "cuboid",
        "reference_id": "000007/velodyne",
        "annotation_id": "0",
        "metadata": {"truncated": 0.25, "occluded": 1},
    }


def test_a_frame_is_a_scene_with_a_point_cloud_and_its_cameras(tmp_path: Path) -> None:
    write(tmp_path, "000007", below="training")
    (scene,), problems = records(tmp_path, Kind.SCENES, metadata={"drive": "{folder}"})
    assert problems == []
    assert (scene["reference_id"], scene["metadata"]) == ("training/000007", {"drive": "training"})
    (frame,) = scene["frames"]
    cloud = {"reference_id": "training/000007/velodyne", "url": "s3://b/training/000007.json", "type": "pointcloud"}
    assert frame["velodyne"] == cloud | {"metadata": {}}
    image = frame["image_2"]
    camera = {"position": {"x": 1, "y": 0.1, "z": 2}, "heading": {"x": -0.5, "y": 0.5, "z": -0.5, "w": 0.5}}
    camera |= {"fx": 700, "fy": 700, "cx": 600, "cy": 180}
    assert image["camera_params"] == image["metadata"]["camera_params"] == camera
    place = {name: image[name] for name in ("reference_id", "url", "type", "width", "height")}
    assert place == {
        "reference_id": "training/000007/image_2",
        "url": "s3://b/training/image_2/000007.png",
        "type": "image",
        "width": 4,
        "height": 3,
    }


def test_frames_of_a_drive_make_one_scene(tmp_path: Path) -> None:
    for frame in ("9", "10", "8"):
        write(tmp_path, frame, below="drive")
    (scene,), _ = records(tmp_path, Kind.SCENES, scene="{folder}", image_url=None, reference_id="{frame}-{sensor}")
    assert scene["reference_id"] == "drive"
    assert [list(frame) for frame in scene["frames"]] == [["velodyne"]] * 3
    assert [frame["velodyne"]["reference_id"] for frame in scene["frames"]] == [f"{n}-velodyne" for n in (8, 9, 10)]


def test_point_clouds_are_converted_once(tmp_path: Path) -> None:
    write(tmp_path, "7", below="drive")
    _, problems = records(tmp_path, Kind.SCENES, convert_to="converted")
    assert problems == []
    made = tmp_path / "converted" / "drive" / "7.json"
    assert json.loads(made.read_text()) == {
        "device_position": {"x": 0, "y": 0, "z": 0},
        "device_heading": {"x": 0, "y": 0, "z": 0, "w": 1},
        "points": [{"x": 1, "y": 2, "z": 3, "i": 0.5}, {"x": 4, "y": 5, "z": 6, "i": 0.25}],
    }
    before = made.stat()
    records(tmp_path, Kind.SCENES, convert_to="converted")
    assert made.stat().st_ino == before.st_ino
    assert [path.name for path in made.parent.iterdir()] == ["7.json"]


def test_a_score_makes_a_prediction(tmp_path: Path) -> None:
    write(tmp_path, "7", f"{CAR} 0 0.75\n")
    (prediction,), _ = records(tmp_path, Kind.PREDICTIONS)
    assert prediction["confidence"] == 0.75
    (annotation,), _ = records(tmp_path, Kind.ANNOTATIONS)
    assert "confidence" not in annotation


def test_calibration_may_lie_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, "7", f"{CAR} 0\n")
    (tmp_path / "model" / "label_2").mkdir(parents=True)
    (tmp_path / "kitti" / "label_2" / "7.txt").rename(tmp_path / "model" / "label_2" / "7.txt")
    found, problems = records(tmp_path, Kind.PREDICTIONS, path="model", calib="kitti")
    assert problems == []
    assert len(found) == 1


WRONG = [
    ("Car 0 0 0", STRAIGHT, "4 fields: KITTI has 15"),
    (f"{CAR} x", STRAIGHT, "fields: KITTI has 15"),
    ("Car 0 0 -1 1 2 3 4 -1 -1 -1 -1 -1 -1 -1", STRAIGHT, "cuboid dimension x is -1"),
    (f"{CAR} 0", "P2: 1 2 3\n", "calibration: R0_rect is missing"),
    (f"{CAR} 0", STRAIGHT.replace("2 1 0 0 -1", "2 1 0 0"), "calibration: Tr_velo_to_cam has 11 numbers, not 12"),
    (f"{CAR} 0", STRAIGHT.replace("1 0 0 0 1 0 0 0 1", "1 0 0 0 x 0 0 0 1"), "R0_rect holds what is no number"),
    (f"{CAR} 0", STRAIGHT.replace("1 0 0 0 1 0 0 0 1", "0 0 0 0 0 0 0 0 0"), "the rotations can't be undone"),
]


@pytest.mark.parametrize(("labels", "calib", "says"), WRONG)
def test_what_is_wrong_with_a_label_is_said(tmp_path: Path, labels: str, calib: str, says: str) -> None:
    write(tmp_path, "7", labels, calib)
    found, (problem,) = records(tmp_path, Kind.ANNOTATIONS)
    assert found == []
    assert says in problem.detail


def test_what_is_wrong_with_a_scene_is_said(tmp_path: Path) -> None:
    for frame in ("1", "2", "3", "4"):
        write(tmp_path, frame)
    (tmp_path / "kitti" / "velodyne" / "1.bin").write_bytes(bytes(17))
    (tmp_path / "kitti" / "calib" / "2.txt").unlink()
    (tmp_path / "kitti" / "image_2" / "3.png").write_bytes(b"no picture")
    (tmp_path / "kitti" / "calib" / "4.txt").write_text(STRAIGHT.replace("P2", "P0"))
    found, problems = records(tmp_path, Kind.SCENES, convert_to="converted")
    assert found == []
    assert [problem.key for problem in problems] == [b"1", b"2", b"3", b"4"]
    assert "17 bytes aren't points of 4 numbers" in problems[0].detail
    assert problems[1].detail == "there is no calib/2.txt"
    assert problems[3].detail == "calibration: P2 is missing"


def test_a_scan_sees_what_changes(tmp_path: Path) -> None:
    write(tmp_path, "7", f"{CAR} 0\n{CAR} 1\n")

    def seen(kind: Kind) -> list[bytes]:
        return [each.raw for each in reader(tmp_path).scan(kind, lambda _: None)]

    scenes, labels = seen(Kind.SCENES), seen(Kind.ANNOTATIONS)
    assert (seen(Kind.SCENES), seen(Kind.ANNOTATIONS)) == (scenes, labels)
    write(tmp_path, "7", f"{CAR} 1\n{CAR} 0\n", STRAIGHT.replace("2 1 0 0 -1", "2 1 0 0 -3"))
    assert seen(Kind.SCENES) != scenes
    assert not set(seen(Kind.ANNOTATIONS)) & set(labels)


def pcd(fields: str, data: bytes, **header: str) -> bytes:
    said = {"FIELDS": fields, "COUNT": " ".join("1" for _ in fields.split()), **header}
    return b"# .PCD v0.7\n" + "".join(f"{name} {value}\n" for name, value in said.items()).encode() + data


def test_pcd_files_are_read_as_text_and_binary(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(pcd("x y z intensity", b"1 2 3 0.5\n4 5 nan 1\n", DATA="ascii"))
    assert len(list(read_points(path))) == 2
    convert(path, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["points"] == [{"x": 1, "y": 2, "z": 3, "i": 0.5}]
    packed = struct.pack("<Bddd", 7, 1, 2, 3)
    path.write_bytes(pcd("ring x y z", packed, TYPE="U F F F", SIZE="1 8 8 8", POINTS="1", DATA="binary"))
    assert list(read_points(path)) == [(1, 2, 3)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no pcd", "no PCD"),
        (pcd("x y", b"", DATA="ascii"), "the fields x, y and z are missing"),
        (pcd("x y z", b"1 2\n", DATA="ascii"), "point 0 has 2 numbers, not 3"),
        (pcd("x y z", b"1 2 c\n", DATA="ascii"), "point 0 holds what is no number"),
        (pcd("x y z", b"", DATA="binary_compressed"), "data binary_compressed isn't read"),
        (pcd("x y z", b"1", TYPE="F F F", SIZE="4 4 4", POINTS="1", DATA="binary"), "cut off"),
        (pcd("x y z", b"1", TYPE="F F F", SIZE="4 4", POINTS="1", DATA="binary"), "nothing of TYPE, SIZE or POINTS"),
    ],
)
def test_what_is_no_point_cloud_is_said(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(content)
    with pytest.raises(PointCloudError, match=says):
        list(read_points(path))


def test_kittis_own_calibration() -> None:
    """Numbers worked out with NumPy's inverse of the 4x4 matrices."""
    folder = shared("formats-mini/kitti_dataset/kitti_3d")
    calibration = parse_calibration((folder / "calib" / "000001.txt").read_text())
    truck = calibration.point(0.47, 1.49 - 2.85 / 2, 69.44)
    assert truck == pytest.approx((69.709899, -0.462620, 0.583495), abs=1e-6)
    assert calibration.yaw(-1.56) == pytest.approx(-0.010672, abs=1e-6)
    camera = calibration.camera("2")
    assert tuple(camera["position"].values()) == pytest.approx((0.270147, 0.057880, -0.072040), abs=1e-6)
    assert sqrt(sum(part**2 for part in camera["heading"].values())) == pytest.approx(1)
    with pytest.raises(CalibrationError):
        calibration.camera("7")
