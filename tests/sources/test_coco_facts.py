"""Real COCO exports yield what is known of them, to the digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.record import Kind

from .coco_cases.reading import SHARED, Reading, coco, read, results

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}")
EVAL = SHARED / "coco-val2014-eval"


def annotations(folder: Path, path: str, **options: object) -> Reading:
    return read(coco(folder, path, **options), Kind.ANNOTATIONS)


def shape(geometry: object) -> tuple[float, float, float, float]:
    return geometry.x, geometry.y, geometry.width, geometry.height  # type: ignore[attr-defined]


def test_coco8_rings_become_polygons_and_crowds_boxes() -> None:
    found = annotations(SHARED / "coco8", "instances.json", images="images")
    assert not found.invalid
    assert len(found.polygons) == 145
    assert len(found.boxes) == 5
    assert len([each for each in found.findings if each.cause == "RLE sent as its box"]) == 5
    assert len({each.annotation_id for each in found.records}) == 150


def test_coco8_records_to_the_digit() -> None:
    found = annotations(SHARED / "coco8", "instances.json", images="images")
    bird = found.by_id("37690")
    assert (bird.label, bird.reference_id, len(bird.geometry.vertices)) == ("bird", "000000147498.jpg", 11)
    rings = [found.by_id(each) for each in ("136541", "136541-1", "136541-2")]
    assert [len(ring.geometry.vertices) for ring in rings] == [11, 29, 23]
    crowd = found.by_id("900100184324")
    assert shape(crowd.geometry) == (3, 199, 594, 225)
    assert crowd.metadata == {"iscrowd": 1}


def test_coco8_boxes() -> None:
    found = annotations(SHARED / "coco8", "instances.json", images="images", geometry="box")
    assert len(found.boxes) == 139
    labels = [each.label for each in found.boxes]
    assert [labels.count(name) for name in ("person", "bird", "zebra", "car", "chair", "traffic light")] == [
        45, 23, 14, 12, 10, 6,
    ]  # fmt: skip
    assert shape(found.by_id("37690").geometry) == (308.81, 282.6, 7.38, 5.95)
    assert shape(found.by_id("136541").geometry) == (276.71, 237.19, 68.16, 33.19)


def test_coco8_polygons_only_refuses_masks_with_a_way_out() -> None:
    found = annotations(SHARED / "coco8", "instances.json", images="images", geometry="polygon")
    assert len(found.polygons) == 145
    assert len(found.invalid) == 5
    assert all(problem.fix and "geometry: mask" in problem.fix for problem in found.invalid)


def test_coco8_photos_are_uploaded_with_their_sizes() -> None:
    found = read(
        coco(SHARED / "coco8", "instances.json", images="images", metadata={"taken": "{date_captured}"}), Kind.ITEMS
    )
    assert not found.problems
    items = {each.reference_id: each for each in found.records}
    assert len(items) == 8
    photo = items["000000129054.jpg"]
    assert isinstance(photo, LocalItem)
    assert (photo.item.width, photo.item.height) == (500, 375)
    assert photo.item.metadata == {"taken": "2013-11-18 21:50:50"}
    assert photo.size == (SHARED / "coco8/images/000000129054.jpg").stat().st_size
    assert len(photo.digest) == 16


def test_val2014_ground_truth_at_its_addresses() -> None:
    reader = coco(EVAL, "gt_bbox.json", image_url="{coco_url}")
    items = read(reader, Kind.ITEMS)
    assert len(items.records) == 100
    assert all(isinstance(each, Item) for each in items.records)
    assert items.records[0].image_url == "http://images.cocodataset.org/val2014/COCO_val2014_000000001146.jpg"
    found = read(reader, Kind.ANNOTATIONS)
    assert len(found.boxes) == 830
    assert len({each.label for each in found.boxes}) == 70
    assert not found.invalid


def test_val2014_results_of_every_kind() -> None:
    boxes = read(results(EVAL, "results_bbox.json", "gt_bbox.json"), Kind.PREDICTIONS)
    assert len(boxes.boxes) == 734
    assert len({each.reference_id for each in boxes.boxes}) == 99
    assert boxes.boxes[0].confidence == 0.236
    keypoints = read(results(EVAL, "results_keypoints.json", "gt_bbox.json"), Kind.PREDICTIONS)
    assert len(keypoints.keypoints) == 125
    assert not keypoints.invalid
    masks = read(results(EVAL, "results_segm.json", "gt_bbox.json"), Kind.PREDICTIONS)
    assert len(masks.invalid) == 734
    assert "only a mask (RLE)" in masks.invalid[0].detail
    assert "geometry: mask" in (masks.invalid[0].fix or "")


def test_results_inside_a_coco_object_are_read_and_said() -> None:
    wrapped = read(results(EVAL, "results_bbox_wrapped.json", "gt_bbox.json"), Kind.PREDICTIONS)
    plain = read(results(EVAL, "results_bbox.json", "gt_bbox.json"), Kind.PREDICTIONS)
    assert sorted(map(repr, wrapped.records)) == sorted(map(repr, plain.records))
    assert [each for each in wrapped.findings if "COCO object" in each.detail][1:] == []


def test_results_for_a_file_without_results_say_what_is_there() -> None:
    with pytest.raises(SourceError, match="not a list of results"):
        read(results(SHARED / "messy/26-wrong-top-level", "other.json", "list.json"), Kind.PREDICTIONS)


@pytest.mark.parametrize(("part", "images", "objects"), [("train", 7, 44), ("valid", 2, 10), ("test", 1, 6)])
def test_sharks(part: str, images: int, objects: int) -> None:
    reader = coco(SHARED / "sharks/coco" / part, "_annotations.coco.json", images=".")
    assert len(read(reader, Kind.ITEMS).records) == images
    found = read(reader, Kind.ANNOTATIONS)
    assert len(found.records) == objects
    assert not found.invalid


def test_keypoints_points_are_counted_by_their_flag() -> None:
    reader = coco(SHARED / "coco-keypoints", "person_keypoints.json", image_url="{coco_url}")
    assert len(read(reader, Kind.ITEMS).records) == 4
    found = read(reader, Kind.ANNOTATIONS)
    assert not found.invalid
    assert len(found.keypoints) == 14
    points = [point for each in found.keypoints for point in each.geometry.keypoints]
    assert len(points) == 238
    assert sum(point.visible for point in points) == 164
    assert sum(point.x is not None and not point.visible for point in points) == 17
    assert sum(point.x is None for point in points) == 57
    assert len([each for each in found.findings if each.cause == "no labelled keypoint"]) == 2


def test_a_skeleton_counts_from_zero() -> None:
    found = annotations(SHARED / "coco-keypoints", "person_keypoints.json", image_url="{coco_url}")
    person = found.by_id("442619")
    assert len(person.geometry.names) == 17
    assert [(point.x, point.y) for point in person.geometry.keypoints[:2]] == [(367, 81), (374, 73)]
    assert all(point.visible for point in person.geometry.keypoints)
    assert person.geometry.skeleton[0] == [15, 13]


def test_scored_boxes_of_persons() -> None:
    folder = SHARED / "coco-keypoints"
    found = read(results(folder, "person_detections.json", "person_keypoints.json", geometry="box"), Kind.PREDICTIONS)
    assert len(found.boxes) + len(found.invalid) == 118


def test_instance_masks_as_polygons() -> None:
    folder = SHARED / "instance-seg/COCO"
    plain = coco(folder, "instances.json", images="../YOLOv8/images")
    assert len(read(plain, Kind.ITEMS).records) == 2
    assert len(read(plain, Kind.ANNOTATIONS).polygons) == 3
    masked = coco(folder, "instances_with_binary_mask.json", images="../YOLOv8/images")
    items, found = read(masked, Kind.ITEMS), read(masked, Kind.ANNOTATIONS)
    assert (len(items.records), len(items.invalid)) == (2, 1)
    assert len(found.polygons) == 3
    assert len(found.invalid) == 1, "the crowd is on the photo that is missing"
    anywhere = read(coco(folder, "instances_with_binary_mask.json", image_url="{coco_url}"), Kind.ANNOTATIONS)
    assert (len(anywhere.polygons), len(anywhere.boxes)) == (3, 1)


def test_names_with_blanks_and_dots() -> None:
    reader = coco(SHARED / "weird-names/COCO", "train.json", images="data")
    items, found = read(reader, Kind.ITEMS), read(reader, Kind.ANNOTATIONS)
    assert {each.reference_id for each in items.records} == {
        "a-weird Filename.asdf.jpg",
        "aNother-weird__ filename.with.many.characters.jpg",
    }
    assert not items.problems
    assert len(found.boxes) == 16
    assert found.boxes[0].label == "dog"
    assert shape(found.boxes[0].geometry) == (540, 295, 23, 18)
