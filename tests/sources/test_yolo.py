"""YOLO's layouts: every line a box, a polygon, an oriented box or keypoints, placed in pixels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Box, Keypoints, Polygon
from nucleus_sync.records.record import Kind

from .coco_cases.reading import Reading, read
from .label_cases.opening import SHARED, folder
from .label_cases.pictures import picture


def shared(name: str) -> Path:
    root = SHARED / name
    if not root.exists():
        pytest.skip(f"no {root}")
    return root


def export(root: Path, labels: dict[str, str], names: str = "names: [cat, dog]\n") -> Path:
    """Pictures of 100x50 in images/, label files in labels/."""
    for name, text in labels.items():
        picture(root / "images" / f"{name}.png", 100, 50, len(name))
        file = root / "labels" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    (root / "data.yaml").write_text(names, "utf-8")
    return root


def labels(root: Path, scratch: Path, kind: Kind = Kind.ANNOTATIONS, **options: Any) -> Reading:
    return read(folder("yolo", root, scratch, **options), kind)


def box(record: Any) -> tuple[float, ...]:
    geometry = record.geometry
    return geometry.x, geometry.y, geometry.width, geometry.height


def test_sharks_hold_boxes_and_polygons_in_one_file(tmp_path: Path) -> None:
    found = labels(shared("sharks/yolo"), tmp_path)
    by_part = Counter((each.reference_id.partition("/")[0], type(each)) for each in found.records)
    assert by_part == {
        ("train", Box): 36,
        ("train", Polygon): 8,
        ("valid", Box): 7,
        ("valid", Polygon): 3,
        ("test", Polygon): 6,
    }
    first = [each for each in found.boxes if "mp4-11" in each.reference_id and each.label == "primary"]
    assert (0, 64.75, 485, 352.5) in [box(each) for each in first]
    assert not found.invalid
    assert "train/val/test point outside the export: ignored in favour of the folder" in found.text()


def test_items_are_the_images_of_all_parts(tmp_path: Path) -> None:
    found = labels(shared("sharks/yolo"), tmp_path, Kind.ITEMS)
    assert Counter(each.reference_id.partition("/")[0] for each in found.records) == {"train": 7, "valid": 2, "test": 1}


def test_polygons_of_instances(tmp_path: Path) -> None:
    found = labels(shared("instance-seg/YOLOv8"), tmp_path)
    assert Counter(each.label for each in found.polygons) == {"sports ball": 1, "person": 1, "elephant": 1}


@pytest.mark.parametrize(("layout", "count"), [("labels", 4), ("strict", 2)])
def test_both_layouts_of_darknet(tmp_path: Path, layout: str, count: int) -> None:
    found = labels(shared(f"formats-mini/yolo_dataset/{layout}"), tmp_path)
    assert Counter(each.label for each in found.boxes) == {"label_2": count // 2, "label_4": count // 2}
    assert box(found.boxes[0]) == pytest.approx((0, 2, 4, 2), abs=0.01)
    assert not found.invalid


def test_oriented_boxes_are_polygons(tmp_path: Path) -> None:
    found = labels(shared("formats-mini/roboflow_dataset/yolo_obb"), tmp_path)
    assert Counter(each.label for each in found.polygons) == {"label_0": 2, "label_1": 2}
    corners = [(point.x, point.y) for point in found.polygons[0].geometry.vertices]
    assert corners == [(0, 0), (0, 2), (2, 2), (2, 0)]


def test_broken_lines_are_named_and_the_others_stay(tmp_path: Path) -> None:
    found = labels(shared("messy/30-yolo-lines"), tmp_path)
    assert {each.where.position for each in found.invalid} == {
        "",
        *(f"line {number}" for number in (4, 5, 6, 8, 10, 11)),
    }
    assert (len(found.boxes), len(found.polygons)) == (3, 1)
    assert "a confidence on ground truth: left out" in found.text()


def test_as_predictions_the_same_folder_needs_confidences(tmp_path: Path) -> None:
    root = export(tmp_path / "in", {"a": "0 0.5 0.5 0.2 0.4 0.75\n1 0.1 0.1 0.5 0.1 0.5 0.5 0.25\n0 0.5 0.5 0.1 0.1\n"})
    found = labels(root, tmp_path, Kind.PREDICTIONS)
    assert [(type(each), each.label, each.confidence) for each in found.records] == [
        (Box, "cat", 0.75),
        (Polygon, "dog", 0.25),
    ]
    assert [each.detail for each in found.invalid] == ["no score"]


def test_predicted_labels_may_lie_far_from_the_images(tmp_path: Path) -> None:
    root = export(tmp_path / "in", {"train/a": "0 0.5 0.5 0.2 0.4\n"})
    runs = tmp_path / "in" / "runs"
    runs.mkdir()
    (runs / "a.txt").write_text("1 0.5 0.5 0.2 0.4 0.5\n")
    found = labels(root, tmp_path, Kind.PREDICTIONS, path="runs", images="images", names=["cat", "dog"])
    assert [(each.reference_id, each.label) for each in found.records] == [("train/a.png", "dog")]
    assert "matched by name" in found.text()


def test_ids_do_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    lines = ["0 0.5 0.5 0.2 0.4", "1 0.2 0.2 0.1 0.1", "0 0.1 0.5 0.2 0.4"]
    one = labels(export(tmp_path / "one", {"a": "\n".join(lines)}), tmp_path / "one")
    other = labels(export(tmp_path / "other", {"a": "\r\n".join(reversed(lines))}), tmp_path / "other")
    assert {each.annotation_id: each for each in one.records} == {each.annotation_id: each for each in other.records}


def test_names_as_a_map_keep_what_yaml_takes_for_other_things(tmp_path: Path) -> None:
    root = export(tmp_path, {"a": "7 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2 0.2"}, "names: {0: no, 7: 012}\nnc: 2\n")
    found = labels(root, tmp_path)
    assert sorted(each.label for each in found.records) == ["012", "no"]
    assert not found.problems


def test_keypoints_where_data_yaml_speaks_of_them(tmp_path: Path) -> None:
    root = export(
        tmp_path, {"a": "0 0.5 0.5 0.2 0.4 0.1 0.2 2 0 0 0 0.5 0.5 1"}, "names: [person]\nkpt_shape: [3, 3]\n"
    )
    (person,) = labels(root, tmp_path).records
    assert isinstance(person, Keypoints)
    assert [(point.x, point.y, point.visible) for point in person.geometry.keypoints] == [
        (10, 10, True),
        (None, None, False),
        (50, 25, False),
    ]


def test_what_reaches_beyond_is_clipped_on_request(tmp_path: Path) -> None:
    root = export(tmp_path, {"a": "0 0.05 0.5 0.2 0.4"})
    assert box(labels(root, tmp_path).records[0]) == (-5, 15, 20, 20)
    assert box(labels(root, tmp_path, out_of_bounds="clip").records[0]) == (0, 15, 15, 20)


def test_names_of_the_same_stem_stay_apart_by_their_folders(tmp_path: Path) -> None:
    root = export(tmp_path, {"train/1": "0 0.5 0.5 0.2 0.4", "val/1": "1 0.5 0.5 0.2 0.4"})
    found = labels(root, tmp_path)
    assert {each.reference_id: each.label for each in found.records} == {
        "images/train/1.png": "cat",
        "images/val/1.png": "dog",
    }


def test_a_background_image_never_gets_another_folders_labels(tmp_path: Path) -> None:
    root = export(tmp_path, {"train/1": "", "val/2": "0 0.5 0.5 0.2 0.4"})
    (root / "labels/train/1.txt").rename(root / "labels/val/1.txt")
    (root / "labels/val/1.txt").write_text("0 0.5 0.5 0.1 0.1")
    found = labels(root, tmp_path)
    assert [each.reference_id for each in found.records] == ["images/val/2.png"]
    assert [each.detail for each in found.invalid] == ["no image 1.*; there is images/train/1.png"]


def test_a_case_difference_is_a_near_miss(tmp_path: Path) -> None:
    root = export(tmp_path, {"a": "", "b": "0 0.5 0.5 0.1 0.1"})
    (root / "labels/a.txt").rename(root / "labels/A.txt")
    found = labels(root, tmp_path)
    assert [each.detail for each in found.invalid] == ["no image A.*; there is images/a.png"]


def test_a_folder_without_names_says_where_they_can_be_given(tmp_path: Path) -> None:
    root = export(tmp_path, {"a": "0 0.5 0.5 0.2 0.4"})
    (root / "data.yaml").unlink()
    with pytest.raises(SourceError, match="nothing names the classes"):
        labels(root, tmp_path)
    assert [each.label for each in labels(root, tmp_path, names=["cat"]).records] == ["cat"]


def test_other_texts_in_the_folder_are_no_labels(tmp_path: Path) -> None:
    root = export(tmp_path, {"a": "0 0.5 0.5 0.2 0.4"})
    (root / "README.txt").write_text("Exported on Monday.")
    (root / "train.txt").write_text("images/a.png\n")
    assert not labels(root, tmp_path).problems


def test_lines_that_changed_since_the_scan_stop_the_run(tmp_path: Path) -> None:
    from nucleus_sync.sources.reader import Pick, Seen

    root = export(tmp_path, {"a": "0 0.5 0.5 0.2 0.4"})
    reader = folder("yolo", root, tmp_path)
    seen = [Seen(*each) for each in reader.scan(Kind.ANNOTATIONS, lambda _: None)]
    (root / "labels/a.txt").write_text("0 0.5 0.5 0.3 0.4")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(reader.read(Kind.ANNOTATIONS, [Pick(b"a\x00a0", seen[0].raw, seen[0].locator)], lambda _: None))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 nan 0.5 0.1 0.1", "holds a number that is not finite"),
        ("0 320 240 64 48", "centre 320 is outside 0..1"),
        ("0 0.1 0.1 640 0.1 0.4 0.4", "coordinate 640 is outside 0..1: pixels instead of shares?"),
        ("0 0.1 0.1 0.4 0.1 0.4 0.4 0.1", "7 coordinates: x and y are missing a partner"),
        ("1.5 0.5 0.5 0.1 0.1", "class 1.5 is not in names: there are 2"),
        ("-1 0.5 0.5 0.1 0.1", "class -1 is not in names: there are 2"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3", "3 points on one line: no area"),
    ],
)
def test_what_is_wrong_with_a_line(tmp_path: Path, line: str, said: str) -> None:
    found = labels(export(tmp_path, {"a": line}), tmp_path)
    assert not found.records
    assert said in found.text()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("names: " + "[" * 5000, "is nested too deeply"),
        ("names: [cat] # " + "x" * (1 << 20), "larger than 1 MiB"),
    ],
)
def test_names_that_are_no_names_are_refused(tmp_path: Path, names: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        labels(export(tmp_path, {"a": "0 0.5 0.5 0.5 0.5"}, names), tmp_path)
