"""What the emulator refuses about records, and how it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Api, box, item

POINTS = [{"x": 0, "y": 0}, {"x": 5, "y": 0}, {"x": 5, "y": 5}]


def shape(kind: str, geometry: dict[str, Any], **more: Any) -> dict[str, Any]:
    return box(annotation_id="s", **more) | {"type": kind, "geometry": geometry}


def mask(**more: Any) -> dict[str, Any]:
    record = {"type": "mask", "mask_url": "s3://acme/m.png", "annotations": [], "reference_id": "r0"}
    return record | {"annotation_id": None} | more


BAD = {
    "no height": shape("box", {"x": 1, "y": 2, "width": 3}),
    "a negative width": shape("box", {"x": 1, "y": 2, "width": -3, "height": 1}),
    "a size of zero": shape("box", {"x": 1, "y": 2, "width": 0, "height": 1}),
    "a text for a number": shape("box", {"x": "1", "y": 2, "width": 3, "height": 1}),
    "a true for a number": shape("box", {"x": True, "y": 2, "width": 3, "height": 1}),
    "no type": {key: value for key, value in box().items() if key != "type"},
    "an unknown type": shape("bbox", {}),
    "an empty label": box(label=""),
    "a label that is no text": box(label=3),
    "an empty reference id": box(""),
    "a number for an id": box(annotation_id=7),
    "two vertices": shape("polygon", {"vertices": POINTS[:2]}),
    "one vertex": shape("line", {"vertices": POINTS[:1]}),
    "names of another length": shape(
        "keypoints", {"keypoints": [{"x": 1, "y": 1, "visible": True}], "names": [], "skeleton": None}
    ),
    "a visible point without place": shape(
        "keypoints", {"keypoints": [{"x": None, "y": None, "visible": True}], "names": ["n"]}
    ),
    "a bone without end": shape(
        "keypoints",
        {"keypoints": [{"x": 1, "y": 1, "visible": True}], "names": ["n"], "skeleton": [[0, 1]]},
    ),
    "a flat cuboid": shape(
        "cuboid", {"position": {"x": 1, "y": 1, "z": 1}, "dimensions": {"x": 0, "y": 1, "z": 1}, "yaw": 0}
    ),
    "metadata that are a list": box(metadata=[1]),
    "a pixel value of 256": mask(annotations=[{"label": "a", "index": 256}]),
    "a pixel value twice": mask(annotations=[{"label": "a", "index": 1}, {"label": "b", "index": "1"}]),
    "no mask": mask(mask_url=""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_refused_and_the_others_go_through(api: Api, dataset: str, name: str) -> None:
    status = api.annotate(dataset, [BAD[name], box("r1")])
    assert status["status"] == "Completed"
    counts = status["message"]["annotation_upload"]
    assert (counts["total"], counts["errored"], counts["processed"]) == (2, 1, 1)
    (error,) = api.errors(status)
    told = json.loads(error)
    assert told["error"]
    assert told["annotation"].get("referenceId", "") == BAD[name]["reference_id"]
    assert api.annotations(dataset, "r0") == {}


@pytest.mark.parametrize("confidence", [-0.1, 1.5])
def test_confidence_lies_between_0_and_1(api: Api, dataset: str, confidence: float) -> None:
    model = api.ask("POST", "models/add", {"name": "m", "reference_id": dataset + str(confidence)})["model_id"]
    path = f"dataset/{dataset}/model/{model}/uploadPredictions?async=1"
    bad = [box(confidence=confidence), box("r1", class_pdf={"car": 0.5}), box("r2", confidence=0.5)]
    counts = api.upload(dataset, path, bad, trained_slice_id=None)["message"]["prediction_upload"]
    assert (counts["errored"], counts["processed"]) == (2, 1)


def test_pixel_values_may_be_texts(api: Api, dataset: str) -> None:
    status = api.annotate(dataset, [mask(annotations=[{"label": "a", "index": "255"}])])
    assert status["message"]["segmentation_upload"]["processed"] == 1


@pytest.mark.parametrize("line", [b'{"label": "car"', b"\xff\xfe", b'{"a": NaN}'])
def test_a_line_that_is_no_json_fails_the_job_with_nothing_kept(api: Api, dataset: str, line: bytes) -> None:
    good = json.dumps(box()).encode()
    status = api.annotate(dataset, good + b"\n" + line + b"\n")
    assert status["status"] == "Errored_User"
    assert "Line 2" in api.errors(status)[0]
    assert api.annotations(dataset, "r0") == {}


@pytest.mark.parametrize(
    "bad",
    [
        {"image_url": "s3://acme/1.jpg"},
        item(""),
        item("x") | {"reference_id": 5},
        item("x") | {"metadata": 3},
        item("x") | {"width": 0},
    ],
)
def test_a_bad_item_is_refused_and_the_others_go_through(api: Api, bad: dict[str, Any]) -> None:
    made = api.dataset()
    status = api.upload(made, f"dataset/{made}/append?async=1", [bad, item("good")])
    assert (status["status"], len(api.errors(status))) == ("Completed", 1)
    assert api.ask("GET", f"dataset/{made}/size") == {"count": 1}


def test_a_url_that_cannot_be_read_is_named(api: Api) -> None:
    made = api.dataset()
    bad = item("local") | {"image_url": "/home/me/1.jpg"}
    status = api.upload(made, f"dataset/{made}/append?async=1", [bad, item("good")])
    assert (status["status"], status["job_progress"]) == ("Errored_Partial", "0.80")
    assert "/home/me/1.jpg" in api.errors(status)[0]


def test_privacy_mode_wants_sizes(api: Api) -> None:
    made = api.dataset(use_privacy_mode=True)
    sizes = {"width": 4, "height": 3}
    status = api.upload(made, f"dataset/{made}/append?async=1", [item("a"), item("b", **sizes)])
    assert "width and height" in api.errors(status)[0]
    assert api.ask("GET", f"dataset/{made}/size") == {"count": 1}


def test_metadata_kinds_are_held_per_topic_and_across_uploads(api: Api, dataset: str) -> None:
    def errors(*values: Any) -> int:
        boxes = [box("r0", str(value), metadata={"k": value}) for value in values]
        return len(api.errors(api.annotate(dataset, boxes)))

    assert errors("text") == 0
    assert errors(1, 2.5, "more", True, None, [1], {"a": 1}) == 2
    path = f"dataset/{dataset}/append?async=1"
    assert api.errors(api.upload(dataset, path, [item("n", metadata={"k": 1})])) == []


@pytest.mark.parametrize("body", [{}, {"reference_ids": None}, {"reference_ids": "r0"}])
def test_annotation_delete_wants_names(api: Api, dataset: str, body: dict[str, Any]) -> None:
    api.annotate(dataset, [box()])
    assert api.call("DELETE", f"annotation/{dataset}", {"keep_history": True, **body}).status_code == 400
    assert api.annotations(dataset, "r0")


def test_refused_calls(api: Api, dataset: str) -> None:
    page = f"dataset/{dataset}/itemsPage"
    for method, path, body in (
        ("POST", "dataset/create", {}),
        ("POST", page, {"pageToken": "mine", "pageSize": 1}),
        ("POST", page, {"pageToken": None, "pageSize": 0}),
        ("POST", f"{dataset}/upload_scenes?async=1", {"requestId": "x"}),
        ("POST", f"dataset/{dataset}/create_slice", {"name": "n"}),
        ("POST", f"dataset/{dataset}/add_taxonomy", {"taxonomy_name": "n", "type": "category", "labels": []}),
        ("POST", f"dataset/{dataset}/metadata?async=0", {"level": "item", "metadata": {}}),
        ("POST", "benchmarks", {"name": "n"}),
        ("POST", "jobs/", {"limit": 50_001}),
    ):
        assert api.call(method, path, body).status_code == 400, path
