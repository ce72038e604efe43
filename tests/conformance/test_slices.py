"""Slices through the official SDK."""

from __future__ import annotations

import pytest
from nucleus import BoxAnnotation, BoxPrediction
from nucleus.errors import NotFoundError, NucleusAPIError


def test_create_append_and_read(client, dataset, items) -> None:
    made = dataset.create_slice("night & day", ["street/0.jpg", "street/1.jpg"])
    answer = made.append(["street/1.jpg", "street/2.jpg"])
    assert len(answer["new_items"]) == 1
    names = ["street/0.jpg", "street/1.jpg", "street/2.jpg"]
    assert [each.reference_id for each in made.items_generator(page_size=2)] == names
    assert [each.reference_id for each in made.items] == names
    assert [each["ref_id"] for each in made.export_raw_items()["raw_dataset_items"]] == names
    info = made.info()
    assert (info["name"], info["dataset_id"], info["type"]) == ("night & day", dataset.id, "dataset_item")
    assert [each.id for each in dataset.slices] == dataset.info().slice_ids == [made.id]
    assert made.id in [each.id for each in client.slices]


def test_names_are_unique_and_can_be_looked_up(dataset, items) -> None:
    made = dataset.create_slice("night", ["street/0.jpg"])
    with pytest.raises(NucleusAPIError) as caught:
        dataset.create_slice("night", ["street/0.jpg"])
    assert caught.value.status_code == 400
    assert [each.id for each in dataset.get_slices("night", "dataset_item")] == [made.id]
    with pytest.raises(NotFoundError):
        dataset.get_slices("day")


def test_limits_and_unknown_members(dataset, items) -> None:
    with pytest.raises(NucleusAPIError, match="10000"):
        dataset.create_slice("big", [f"r{n}" for n in range(10_001)])
    with pytest.raises(NucleusAPIError, match="nobody"):
        dataset.create_slice("bad", ["nobody"])
    assert dataset.create_slice("empty").items == []


def test_slices_by_internal_ids(dataset, items) -> None:
    item_id = dataset.refloc("street/0.jpg")["item"].dataset_item_id
    made = dataset.create_slice_by_ids("by id", dataset_item_ids=[item_id])
    assert made.items[0].reference_id == "street/0.jpg"


def test_exports(dataset, items, model) -> None:
    dataset.annotate([BoxAnnotation("car", 1, 2, 3, 4, "street/0.jpg", "b1")])
    dataset.upload_predictions(model, [BoxPrediction("bus", 1, 2, 3, 4, "street/0.jpg", 0.5, "p1")])
    made = dataset.create_slice("two", ["street/0.jpg", "street/1.jpg"])
    for rows in (list(made.items_and_annotation_generator()), made.items_and_annotations()):
        assert [row["annotations"].get("box", [])[:1] != [] for row in rows] == [True, False]
    for rows in (list(made.export_predictions_generator(model)), made.export_predictions(model)):
        assert rows[0]["predictions"]["box"][0].label == "bus"
        assert rows[1]["predictions"] == {}
    assert made.export_class_labels() == ["car"]


def test_tags_and_deletion(client, dataset, items) -> None:
    made = dataset.create_slice("night", ["street/0.jpg"])
    made.add_tags(["a"])
    made.add_tags(["a", "b"])
    assert made.tags == ["a", "b"]
    dataset.delete_item("street/0.jpg")
    assert made.items == []
    assert client.delete_slice(made.id) == {}
    assert dataset.slices == []
    assert dataset.size == 4
