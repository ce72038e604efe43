"""KITTI's 2D labels, and one truth in COCO, VOC, YOLO and KITTI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.records.record import Kind

from .coco_cases.reading import Reading, coco, read
from .label_cases.opening import folder
from .label_cases.pictures import picture
from .test_yolo import box, shared

LINE = "{} 0.00 1 -1.57 {} -1 -1 -1 -1000 -1000 -1000 -10"


def labels(root: Path, scratch: Path, kind: Kind = Kind.ANNOTATIONS, **options: Any) -> Reading:
    return read(folder("kitti", root, scratch, **options), kind)


def export(root: Path, *lines: str) -> Path:
    picture(root / "image_2" / "000001.png", 100, 50)
    (root / "label_2").mkdir(parents=True)
    (root / "label_2" / "000001.txt").write_text("\n".join(lines) + "\n")
    return root


def test_objects_with_what_is_known_of_them(tmp_path: Path) -> None:
    root = export(
        tmp_path,
        LINE.format("Car", "10 20 30 40.5"),
        LINE.format("DontCare", "0 0 5 5"),
        LINE.format("Tram", "1 1 2 2"),
    )
    found = labels(root, tmp_path)
    assert [(each.label, box(each)) for each in found.records] == [("Car", (10, 20, 20, 20.5)), ("Tram", (1, 1, 1, 1))]
    assert found.records[0].metadata == {"truncated": 0.0, "occluded": 1.0, "alpha": -1.57}
    assert found.records[0].reference_id == "image_2/000001.png"
    assert not found.problems


def test_results_have_a_score(tmp_path: Path) -> None:
    root = export(tmp_path, LINE.format("Car", "10 20 30 40") + " 0.9")
    (car,) = labels(root, tmp_path, Kind.PREDICTIONS).records
    assert car.confidence == 0.9


def test_broken_lines(tmp_path: Path) -> None:
    root = export(tmp_path, "Car 1 2 3", LINE.format("Car", "30 20 10 40"), LINE.format("Car", "1 2 3 4"))
    found = labels(root, tmp_path)
    assert len(found.records) == 1
    assert "4 fields" in found.text()
    assert "left > right: 30 > 10" in found.text()


def test_detection_of_another_tools_export(tmp_path: Path) -> None:
    found = labels(shared("formats-mini/kitti_dataset/kitti_detection/training"), tmp_path)
    assert [each.label for each in found.records] == ["Truck", "Van", "Van", "Van", "Van"]
    assert not found.invalid


@pytest.fixture
def truths(tmp_path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """(file name, label, box) of every record, by format."""
    root = shared("weird-names")
    named = {"reference_id": "{name}"}
    readers = {
        "coco": coco(root, "COCO/train.json", images="COCO/data", geometry="box"),
        "voc": folder("voc", root, tmp_path, path="PascalVOC", images="COCO/data", **named),
        "kitti": folder("kitti", root, tmp_path, path="KITTI", **named),
        "yolo": folder("yolo", root, tmp_path, path="YOLOv8", **named),
    }
    found = {name: read(reader, Kind.ANNOTATIONS) for name, reader in readers.items()}
    assert not any(each.invalid for each in found.values())
    items = {name: {each.reference_id for each in read(reader, Kind.ITEMS).records} for name, reader in readers.items()}
    assert all(each == items["coco"] for each in items.values())
    return {
        name: sorted((each.reference_id, each.label, *box(each)) for each in reading.boxes)
        for name, reading in found.items()
    }


def test_one_truth_in_four_formats(truths: dict[str, list[tuple[Any, ...]]]) -> None:
    assert len(truths["coco"]) == 16
    assert truths["voc"] == truths["coco"]
    assert truths["kitti"] == truths["coco"]
    dog = next(row for row in truths["coco"] if row[1] == "dog")
    assert dog[2:] == (540, 295, 23, 18)


def test_the_same_truth_in_shares(truths: dict[str, list[tuple[Any, ...]]]) -> None:
    """The other three files hold whole pixels; YOLO's shares are those of the boxes before they were rounded."""
    assert [row[:2] for row in truths["yolo"]] == [row[:2] for row in truths["coco"]]
    dog = next(row for row in truths["yolo"] if row[1] == "dog")
    assert dog[2:] == pytest.approx((539.72, 295.45, 22.91, 18.39), abs=0.01)
    for row, whole in zip(_by_place(truths["yolo"]), _by_place(truths["coco"]), strict=True):
        assert row[:2] == whole[:2]
        assert row[2:] == pytest.approx(whole[2:], abs=0.51)


def _by_place(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: (*row[:2], *(round(number) for number in row[2:])))


def test_whole_pixels_and_shares_of_them_are_one_record(tmp_path: Path) -> None:
    root = export(tmp_path, LINE.format("Car", "10 20 30 40"))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/000001.txt").write_text("0 0.2 0.6 0.2 0.4\n")
    (kitti,) = labels(root, tmp_path, exclude=["labels"]).records
    (yolo,) = read(folder("yolo", root, tmp_path, names=["Car"], exclude=["label_2"]), Kind.ANNOTATIONS).records
    assert (kitti.reference_id, kitti.label, box(kitti)) == (yolo.reference_id, yolo.label, box(yolo))
