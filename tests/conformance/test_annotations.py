"""Annotations through the official SDK."""

from __future__ import annotations

import json
from pathlib import Path

import nucleus
import pytest
from nucleus import (
    BoxAnnotation,
    CategoryAnnotation,
    Keypoint,
    KeypointsAnnotation,
    LineAnnotation,
    MultiCategoryAnnotation,
    Point,
    PolygonAnnotation,
    Segment,
    SegmentationAnnotation,
)
from nucleus.errors import NucleusAPIError

REF = "street/0.jpg"


def every_kind() -> list[nucleus.Annotation]:
    return [
        BoxAnnotation(
            "car", 1, 2.5, 3, 4, REF, "b1", metadata={"occluded": 0}, embedding_vector=[0.5], track_reference_id="t1"
        ),
        LineAnnotation("kerb", [Point(1, 2), Point(3, 4)], REF, "l1", metadata={"occluded": 1}),
        PolygonAnnotation("bus", [Point(1, 1), Point(9, 1), Point(9, 9)], REF, "p1"),
        KeypointsAnnotation(
            "face", [Keypoint(5, 6, True), Keypoint(None, None, False)], ["nose", "chin"], REF, [[0, 1]], "k1"
        ),
        SegmentationAnnotation("s3://acme/m.png", [Segment("road", 1), Segment("car", 2, {"n": 3})], REF, "m1"),
        CategoryAnnotation("rain", REF, "weather"),
        MultiCategoryAnnotation(["wet", "dark"], REF, "conditions"),
        CategoryAnnotation("street", REF),
    ]


@pytest.fixture
def taxonomies(dataset) -> None:
    dataset.add_taxonomy("weather", "category", ["rain", "sun"])
    dataset.add_taxonomy("conditions", "multicategory", ["wet", "dark", "dry"])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_kind_comes_back_as_it_went(dataset, items, taxonomies, finish, asynchronous) -> None:
    sent = every_kind()
    answer = dataset.annotate(sent, asynchronous=asynchronous)
    if asynchronous:
        message = finish(answer)["message"]
        assert message["annotation_upload"]["processed"] == 7
        assert message["segmentation_upload"] == {"ignored": 0, "n_errors": 0, "processed": 1}
        assert answer.errors() == []
    else:
        assert answer == {"dataset_id": dataset.id, "annotations_processed": 8, "annotations_ignored": 0}
    grouped = dataset.refloc(REF)["annotations"]
    read = [each for group in grouped.values() for each in group]
    assert sorted(map(repr, read)) == sorted(map(repr, sent))
    assert set(grouped) == {
        "box",
        "line",
        "polygon",
        "keypoints",
        "segmentation",
        "category",
        "multicategory",
    }


def test_export_pages_hold_every_item_with_its_annotations(dataset, items, taxonomies, finish) -> None:
    finish(dataset.annotate(every_kind(), asynchronous=True))
    for rows in (list(dataset.items_and_annotation_generator(page_size=2)), dataset.items_and_annotations()):
        assert [row["item"].reference_id for row in rows] == [each.reference_id for each in items]
        first = rows[0]["annotations"]
        assert first["segmentation"] == every_kind()[4]
        assert first["box"] == [every_kind()[0]]
        assert len(first["category"]) == 2
        assert first["multicategory"][0].labels == ["wet", "dark"]
        assert rows[1]["annotations"] == {}


def test_ground_truth_loc(dataset, items, finish) -> None:
    finish(dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, REF, "b1")], asynchronous=True))
    # The SDK does not encode the reference id here, so one with a slash cannot be asked for.
    with pytest.raises(NucleusAPIError):
        dataset.ground_truth_loc(REF, "b1")
    assert dataset.ground_truth_loc("street%2F0.jpg", "b1") == BoxAnnotation("car", 1, 2, 3, 4, REF, "b1")


@pytest.mark.parametrize("update", [False, True])
def test_update_overwrites_the_same_key(dataset, items, update) -> None:
    dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, REF, "b1", metadata={"a": 1})])
    answer = dataset.annotate([BoxAnnotation("bus", 5, 6, 7, 8, REF, "b1")], update=update)
    assert answer["annotations_processed"] == int(update)
    assert answer["annotations_ignored"] == int(not update)
    held = dataset.refloc(REF)["annotations"]["box"][0]
    assert (held.label, held.metadata) == (("bus", {}) if update else ("car", {"a": 1}))


def test_a_second_mask_of_an_item_replaces_the_first_only_with_update(dataset, items) -> None:
    first, second = (SegmentationAnnotation(f"s3://acme/{n}.png", [Segment("road", n)], REF, f"m{n}") for n in (1, 2))
    assert dataset.annotate([first])["annotations_processed"] == 1
    assert dataset.annotate([second])["annotations_ignored"] == 1
    assert dataset.refloc(REF)["annotations"]["segmentation"] == [first]
    assert dataset.annotate([second], update=True)["annotations_processed"] == 1
    assert dataset.refloc(REF)["annotations"]["segmentation"] == [second]


def test_a_second_category_of_a_taxonomy_replaces_the_first_only_with_update(dataset, items, taxonomies) -> None:
    dataset.annotate([CategoryAnnotation("rain", REF, "weather")])
    assert dataset.annotate([CategoryAnnotation("sun", REF, "weather")])["annotations_ignored"] == 1
    assert dataset.annotate([CategoryAnnotation("sun", REF, "weather")], update=True)["annotations_processed"] == 1
    assert [each.label for each in dataset.refloc(REF)["annotations"]["category"]] == ["sun"]


def test_without_an_id_a_record_is_doubled(dataset, items) -> None:
    line = LineAnnotation("kerb", [Point(1, 2), Point(3, 4)], REF)
    dataset.annotate([line], update=True)
    dataset.annotate([line], update=True)
    held = dataset.refloc(REF)["annotations"]["line"]
    assert len(held) == 2
    assert held[0].annotation_id != held[1].annotation_id


def test_an_unknown_item_is_an_error_in_a_completed_job(dataset, items, finish) -> None:
    boxes = [BoxAnnotation("car", 1, 2, 3, 4, name, "b1") for name in (REF, "bad")]
    answer = dataset.annotate(boxes)
    assert answer["annotations_processed"] == 1
    assert "bad" in answer["errors"][0]
    job = dataset.annotate(boxes, asynchronous=True, update=True)
    assert finish(job)["status"] == "Completed"
    (error,) = job.errors()
    told = json.loads(error)
    assert told["error"] == "Item with id bad does not exist."
    assert told["annotation"]["referenceId"] == "bad"
    assert told["annotation"]["annotationId"] == "b1"


@pytest.mark.parametrize(("taxonomy", "label"), [("nobody", "rain"), ("weather", "hail")])
def test_a_bad_taxonomy_fails_the_whole_upload(dataset, items, taxonomies, finish, taxonomy, label) -> None:
    records = [BoxAnnotation("car", 1, 2, 3, 4, REF, "b1"), CategoryAnnotation(label, REF, taxonomy)]
    text = (
        f"Input validation failed: Taxonomy {taxonomy} does not exist in dataset {dataset.id}, "
        f"or label {label} does not exist in the taxonomy {taxonomy}."
    )
    answer = dataset.annotate(records)
    assert (answer["annotations_processed"], answer["annotations_ignored"]) == (0, 0)
    assert answer["errors"] == [text]
    job = dataset.annotate(records, asynchronous=True)
    status = finish(job)
    assert status["status"] == "Errored_User"
    assert job.errors() == [text]
    assert dataset.refloc(REF)["annotations"] == {}
    with pytest.raises(nucleus.async_job.JobError):
        job.sleep_until_complete(False)


def test_taxonomies_are_created_once_and_grow(dataset, items) -> None:
    def add(labels: list[str], update: bool = False) -> str:
        answer = dataset.add_taxonomy("w", "category", labels, update=update)
        assert (answer["dataset_id"], answer["taxonomy_name"]) == (dataset.id, "w")
        return str(answer["status"])

    assert add(["rain"]) == "Taxonomy created"
    assert add(["sun"]) == "Taxonomy already exists"
    assert dataset.annotate([CategoryAnnotation("sun", REF, "w")])["errors"]
    assert add(["sun"], update=True) == "Taxonomy updated"
    assert dataset.annotate([CategoryAnnotation("sun", REF, "w")])["annotations_processed"] == 1
    assert dataset.delete_taxonomy("w")["status"] == "Taxonomy successfully deleted"
    assert dataset.refloc(REF)["annotations"] == {}


def test_delete_annotations_of_items(dataset, items, finish) -> None:
    dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, f"street/{n}.jpg", "b") for n in range(3)])
    job = dataset.delete_annotations(["street/0.jpg", "street/1.jpg"])
    assert job.job_type == "annotationDeletion"
    finish(job)
    left = [row["item"].reference_id for row in dataset.items_and_annotations() if row["annotations"]]
    assert left == ["street/2.jpg"]
    finish(dataset.delete_annotations())
    assert dataset.refloc("street/2.jpg")["annotations"]["box"]


def test_local_masks(dataset, items, picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(picture.read_bytes())
    sent = [SegmentationAnnotation(str(path), [Segment("road", 0)], f"street/{n}.jpg", "m") for n in range(5)]
    answer = dataset.annotate(sent, local_files_per_upload_request=2)
    assert answer == {"dataset_id": dataset.id, "annotations_processed": 5, "annotations_ignored": 0}
    assert dataset.refloc(REF)["annotations"]["segmentation"][0].annotations == [Segment("road", 0)]


def test_labels(dataset, items, taxonomies) -> None:
    dataset.annotate(every_kind())
    labels = ["bus", "car", "dark", "face", "kerb", "rain", "road", "street", "wet"]
    assert dataset.export_class_labels() == labels
    assert dataset.evaluation_label_schema() == {"gt_labels": labels, "prediction_labels": []}


def test_tracks_come_from_annotations(dataset, items) -> None:
    dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, REF, "b1", track_reference_id="t1")])
    (track,) = dataset.tracks
    track.update({"colour": "red"})
    track.update({"make": "x"})
    assert dataset.tracks[0].metadata == {"colour": "red", "make": "x"}
    track.update({"only": 1}, overwrite_metadata=True)
    assert dataset.tracks[0].metadata == {"only": 1}
    dataset.delete_tracks(["t1"])
    assert dataset.tracks == []
    assert dataset.refloc(REF)["annotations"]["box"][0].track_reference_id is None
