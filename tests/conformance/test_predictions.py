"""Models, runs and predictions through the official SDK."""

from __future__ import annotations

from pathlib import Path

import nucleus
import pytest
from nucleus import (
    BoxPrediction,
    CategoryPrediction,
    Keypoint,
    KeypointsPrediction,
    LinePrediction,
    Point,
    PolygonPrediction,
    Segment,
    SegmentationPrediction,
)
from nucleus.errors import ModelCreationError, NucleusAPIError

REF = "street/0.jpg"


def every_kind() -> list[object]:
    return [
        BoxPrediction("car", 1, 2, 3, 4, REF, 0.9, "b1", {"a": 1}, {"car": 0.9, "bus": 0.1}),
        LinePrediction("kerb", [Point(1, 2), Point(3, 4)], REF, 0.5, "l1"),
        PolygonPrediction("bus", [Point(1, 1), Point(9, 1), Point(9, 9)], REF, 0.5, "p1"),
        KeypointsPrediction("face", [Keypoint(5, 6, True)], ["nose"], [], REF, 0.5, "k1"),
        CategoryPrediction("rain", REF, "weather", 0.5),
        SegmentationPrediction("s3://acme/m.png", [Segment("road", 1)], REF, "m1"),
    ]


def test_models_are_unique_by_reference_id(client, model) -> None:
    assert client.get_model(model.id) == model
    assert model.id in [each.id for each in client.models]
    with pytest.raises(ModelCreationError, match="already exists"):
        client.create_model("another", model.reference_id)


def test_model_tags_and_trained_slices(client, dataset, items, model) -> None:
    model.add_tags(["a", "b"])
    model.remove_tags(["a"])
    with pytest.raises(NucleusAPIError) as caught:
        model.remove_tags(["a"])
    assert caught.value.status_code == 400
    made = dataset.create_slice("train", [REF])
    model.add_trained_slice_ids([made.id])
    held = client.get_model(model.id)
    assert (held.tags, held.trained_slice_ids) == (["b"], [made.id])
    model.remove_trained_slice_ids([made.id])
    assert client.get_model(model.id).trained_slice_ids == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_kind_comes_back_as_it_went(dataset, items, model, finish, asynchronous) -> None:
    dataset.add_taxonomy("weather", "category", ["rain"])
    answer = dataset.upload_predictions(model, every_kind(), asynchronous=asynchronous)
    if asynchronous:
        assert answer.job_type == "uploadPredictions"
        assert finish(answer)["message"]["prediction_upload"]["processed"] == 5
    else:
        assert answer["predictions_processed"] == 6
        assert answer["model_run_id"] in dataset.model_runs
    (run,) = model.model_runs()
    assert dataset.model_runs == [run]
    for read in (dataset.export_predictions(model), dataset.predictions_iloc(model, 0)):
        held = [each for group in read.values() for each in group]
        assert sorted(map(repr, held)) == sorted(map(repr, every_kind()))
        assert read["box"][0].confidence == 0.9
        assert read["box"][0].class_pdf == {"car": 0.9, "bus": 0.1}
    assert dataset.evaluation_label_schema()["prediction_labels"]


def test_updates_and_unknown_items(dataset, items, model, finish) -> None:
    box = BoxPrediction("car", 1, 2, 3, 4, REF, 0.9, "b1")
    assert dataset.upload_predictions(model, [box])["predictions_processed"] == 1
    assert dataset.upload_predictions(model, [box])["predictions_ignored"] == 1
    box.confidence = 0.1
    assert dataset.upload_predictions(model, [box], update=True)["predictions_processed"] == 1
    assert dataset.prediction_loc(model, "street%2F0.jpg", "b1").confidence == 0.1
    answer = dataset.upload_predictions(model, [BoxPrediction("car", 1, 2, 3, 4, "bad", 0.9)])
    assert answer["predictions_processed"] == 0
    assert "bad" in answer["errors"][0]


def test_local_masks(dataset, items, model, picture: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(picture.read_bytes())
    answer = dataset.upload_predictions(model, [SegmentationPrediction(str(path), [Segment("a", 0)], REF)])
    assert answer["predictions_processed"] == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_explicit_runs(client, dataset, items, model, finish) -> None:
    run = model.create_run("first")
    box = BoxPrediction("car", 1, 2, 3, 4, REF, 0.9, "b1")
    assert client.get_model(model_run_id=run.model_run_id) == model
    finish(dataset.upload_predictions_for_model_run(run.model_run_id, [box], asynchronous=True))
    assert dataset.model_runs == [run.model_run_id]
    assert run.info() == {"model_id": model.id, "name": "first", "status": "Uncommitted", "metadata": {}}
    assert run.iloc(0)["box"][0].annotation_id == "b1"
    assert run.refloc("street%2F0.jpg")["box"][0].annotation_id == "b1"
    assert run.prediction_loc("street%2F0.jpg", "b1").label == "car"
    assert run.ungrouped_export()["box"][0].label == "car"
    run.commit()
    assert run.info()["status"] == "Committed"
    client.delete_model_run(run.model_run_id)
    assert model.model_runs() == dataset.model_runs == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_runs_of_a_dataset_and_deprecated_predict(client, dataset, items, model, finish) -> None:
    run = dataset.create_model_run("old", model.reference_id)
    box = BoxPrediction("car", 1, 2, 3, 4, REF, 0.9, "b1")
    assert run.predict([box])["predictions_processed"] == 1
    assert finish(run.predict([box], asynchronous=True))["message"]["prediction_upload"]["ignored"] == 1
    with pytest.raises(nucleus.errors.ModelRunCreationError):
        dataset.create_model_run("old", "no such model")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_runs_over_several_datasets(client, dataset, items, model, finish) -> None:
    other = client.create_dataset("other", is_scene=False)
    finish(other.append(items))
    run = model.create_run("wide")
    target = dataset.refloc(REF)["item"].dataset_item_id
    sent = [
        BoxPrediction("car", 1, 2, 3, 4, dataset_item_id=target, annotation_id="x1", confidence=0.5),
        BoxPrediction("car", 1, 2, 3, 4, REF, dataset_id=other.id, annotation_id="x2", confidence=0.5),
    ]
    assert run.add_predictions(sent)["predictions_processed"] == 2
    assert dataset.model_runs == other.model_runs == [run.model_run_id]
    assert run.loc(target)["box"][0].annotation_id == "x1"


def test_merging_runs(client, dataset, items, model, finish) -> None:
    runs = []
    for label in ("car", "bus"):
        run = model.create_run(label)
        box = BoxPrediction(label, 1, 2, 3, 4, REF, 0.9, "same")
        dataset.upload_predictions_for_model_run(run.model_run_id, [box])
        runs.append(run.model_run_id)
    merged = client.merge_model_runs(runs, name="both")
    finish(merged["job"])
    assert merged["dataset_ids"] == [dataset.id]
    held = client.get(f"modelRun/{merged['model_run_id']}/ungrouped")
    assert sorted(each["label"] for each in held["box"]) == ["bus", "car"]
    assert len({each["annotation_id"] for each in held["box"]}) == 2


def test_run_free_predictions(client, dataset, items, model) -> None:
    target = dataset.refloc(REF)["item"].dataset_item_id
    box = BoxPrediction("car", 1, 2, 3, 4, dataset_item_id=target, annotation_id="x1", confidence=0.5)
    answer = model.upload_predictions([box])
    assert answer == {"model_id": model.id, "predictions_processed": 1, "predictions_ignored": 0}
    assert model.upload_predictions([box])["predictions_ignored"] == 1
    assert model.predictions_loc(target)["box"][0].annotation_id == "x1"
    assert model.predictions_iloc(0)["box"][0].confidence == 0.5
    assert model.model_runs() == []
    refused = model.upload_predictions([LinePrediction("kerb", [Point(1, 2), Point(3, 4)], REF, 0.5, "l1")])
    assert refused["errors"]


def test_copying_a_run_to_the_model(client, dataset, items, model) -> None:
    dataset.add_taxonomy("weather", "category", ["rain"])
    dataset.upload_predictions(model, every_kind())
    (run,) = model.model_runs()
    answer = model.copy_predictions_from_run(run)
    assert (answer["predictions_copied"], answer["predictions_skipped_unsupported"]) == (2, 4)
    assert set(model.predictions_iloc(0)) == {"box", "polygon"}


def test_deleting_a_model_takes_its_predictions_along(client, dataset, items, model, eventually) -> None:
    dataset.upload_predictions(model, every_kind()[:1])
    assert client.delete_model(model.id) == {"msg": "Model deletion running in an async job"}
    eventually(lambda: model.id not in [each.id for each in client.models])
    assert dataset.model_runs == []
