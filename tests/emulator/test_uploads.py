"""What uploads do to what is there."""

from __future__ import annotations

import pytest

from .conftest import Api, box, item


def test_twice_in_one_upload_the_last_wins_with_update_and_the_first_without(api: Api, dataset: str) -> None:
    twins = [box("r0", "t", label="one"), box("r0", "t", label="two")]
    counts = api.annotate(dataset, twins)["message"]["annotation_upload"]
    assert (counts["processed"], counts["ignored"]) == (1, 1)
    assert api.annotations(dataset, "r0")["box"][0]["label"] == "one"
    counts = api.annotate(dataset, twins, update=True)["message"]["annotation_upload"]
    assert (counts["processed"], counts["ignored"]) == (2, 0)
    assert api.annotations(dataset, "r0")["box"][0]["label"] == "two"


def test_a_key_has_no_type_in_it(api: Api, dataset: str) -> None:
    api.annotate(dataset, [box("r0", "same")])
    line = box("r0", "same") | {"type": "line", "geometry": {"vertices": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}}
    api.annotate(dataset, [line], update=True)
    assert list(api.annotations(dataset, "r0")) == ["line"]


def test_a_task_makes_another_key(api: Api, dataset: str) -> None:
    api.annotate(dataset, [box("r0", "a"), box("r0", "a", task_id="t1"), box("r0", "a", task_id="t2")])
    assert len(api.annotations(dataset, "r0")["box"]) == 3


def test_records_come_back_without_nulls_and_with_their_numbers(api: Api, dataset: str) -> None:
    geometry = {"x": 1.0, "y": 2, "width": 0.1, "height": 1e-3}
    metadata = {"big": 2**80, "nested": {"deep": [1, None]}, "snake_case": "ü"}
    api.annotate(dataset, [box("r0", "a", geometry=geometry, metadata=metadata)])
    (held,) = api.annotations(dataset, "r0")["box"]
    assert (held["geometry"], held["metadata"]) == (geometry, metadata)
    assert "track_reference_id" not in held
    assert "task_id" not in held


def test_replacing_items_keeps_their_annotations(api: Api, dataset: str) -> None:
    api.annotate(dataset, [box()])
    before = api.ask("GET", f"dataset/{dataset}/refloc/r0")["item"]
    new = item("r0", metadata={"a": 1}, width=7, height=8)
    api.upload(dataset, f"dataset/{dataset}/append?async=1", [new], update=True)
    after = api.ask("GET", f"dataset/{dataset}/refloc/r0")["item"]
    assert (after["metadata"], after["width"], after["height"]) == ({"a": 1}, 7.0, 8.0)
    assert after["dataset_item_id"] == before["dataset_item_id"]
    assert api.annotations(dataset, "r0")


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize(("page", "key"), [("itemsPage", "items"), ("exportForTrainingPage", "data")])
def test_pages(api: Api, size: int, page: str, key: str) -> None:
    made = api.dataset()
    api.add_items(made, 6)
    token, found, pages = None, [], 0
    while True:
        body = {"pageToken": token, "pageSize": size, "query": None, "chip": False}
        answer = api.ask("POST", f"dataset/{made}/{page}", body)
        found += [(row if key == "items" else row["item"])["reference_id"] for row in answer[key]]
        pages += 1
        token = answer["nextPageToken"]
        if not token:
            break
    assert found == [f"r{n}" for n in range(6)]
    # A full last page is followed by an empty one: the server has not looked further.
    assert pages == 6 // size + 1


def test_predictions_by_item_id_need_the_right_dataset(api: Api, dataset: str) -> None:
    other = api.dataset()
    model = api.ask("POST", "models/add", {"name": "m", "reference_id": dataset})["model_id"]
    item_id = api.ask("GET", f"dataset/{dataset}/refloc/r0")["item"]["dataset_item_id"]
    record = box("r0", "a", confidence=0.5) | {"reference_id": None, "item_id": item_id}
    for target, processed in ((dataset, 1), (other, 0)):
        path = f"dataset/{target}/model/{model}/uploadPredictions"
        answer = api.ask("POST", path, {"update": False, "annotations": [record]})
        assert answer["predictions_processed"] == processed


def test_a_trained_slice_is_noted_and_must_belong_to_the_dataset(api: Api, dataset: str) -> None:
    model = api.ask("POST", "models/add", {"name": "m", "reference_id": dataset})["model_id"]
    made = api.ask("POST", f"dataset/{dataset}/create_slice", {"name": "s", "reference_ids": ["r0"]})["slice_id"]
    body = {"update": False, "annotations": [box(confidence=0.5)], "trained_slice_id": made}
    api.ask("POST", f"dataset/{dataset}/model/{model}/uploadPredictions", body)
    assert api.ask("GET", f"model/{model}")["trained_slice_ids"] == [made]
    other = api.dataset()
    assert api.call("POST", f"dataset/{other}/model/{model}/uploadPredictions", body).status_code == 400


def test_many_records_in_one_job(api: Api) -> None:
    made = api.dataset()
    api.upload(made, f"dataset/{made}/append?async=1", [item(f"r{n}") for n in range(12_000)])
    boxes = [box(f"r{n}", "a") for n in range(12_500)]
    status = api.annotate(made, boxes)
    counts = status["message"]["annotation_upload"]
    assert (counts["total"], counts["processed"], counts["errored"]) == (12_500, 12_000, 500)
    assert len(api.errors(status)) == 500
