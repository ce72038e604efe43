"""Metrics, benchmarks and evaluations through the official SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nucleus
import pytest
import requests
from nucleus import BoxAnnotation, BoxPrediction, DatasetItem
from nucleus.data_transfer_object.evaluation_v2 import EvaluationV2FilterArgs
from nucleus.errors import NucleusAPIError
from nucleus.evaluation_v2 import RollupGroup
from nucleus.evaluation_v2_exclusions import (
    BoxAreaExclusionRule,
    LabelExclusionRule,
    MetadataExclusionRule,
)

COCO = Path(__file__).resolve().parents[3] / "shared" / "data" / "coco-val2014-eval"
REFS = [f"street/{n}.jpg" for n in range(5)]


@pytest.fixture
def judged(dataset, items, model) -> nucleus.Dataset:
    """Two cars and a bus on three items; the model finds one car, takes the bus for a car, and invents one."""
    dataset.annotate(
        [
            BoxAnnotation("car", 0, 0, 10, 10, REFS[0], "a"),
            BoxAnnotation("car", 0, 0, 50, 50, REFS[1], "a"),
            BoxAnnotation("bus", 0, 0, 100, 100, REFS[2], "a"),
        ]
    )
    dataset.upload_predictions(
        model,
        [
            BoxPrediction("car", 0, 0, 10, 10, REFS[0], 0.9, "a"),
            BoxPrediction("car", 0, 0, 100, 90, REFS[2], 0.8, "a"),
            BoxPrediction("bus", 200, 200, 10, 10, REFS[1], 0.3, "a"),
        ],
    )
    return dataset


@pytest.fixture
def evaluate(client, finish):
    def run(source: Any, model: Any, **options: Any) -> nucleus.EvaluationV2:
        benchmark = source
        if not isinstance(source, nucleus.Benchmark):
            benchmark = client.create_benchmark("b", dataset_id=source.id, verbose=False, wait_for_completion=False)
            while benchmark.refresh().status == "building":
                pass
        made = benchmark.create_evaluation_v2(model_id=model, **options)
        return made.wait_for_completion(timeout_sec=20, poll_interval=0.005)

    return run


def test_metrics_calls_are_remembered(emulator, judged, model) -> None:
    options = {
        "class_agnostic": False,
        "allowed_label_matches": [{"ground_truth_label": "car", "model_prediction_label": "bus"}],
    }
    judged.calculate_evaluation_metrics(model, options)
    held = requests.get(f"{emulator.address}/_emulator/world").json()
    assert {"dataset": "images", "model": model.reference_id, "options": options} in held["metric_calls"]
    options["class_agnostic"] = True
    with pytest.raises(NucleusAPIError):
        judged.calculate_evaluation_metrics(model, options)


def test_charts(judged, model, evaluate) -> None:
    charts = evaluate(judged, model).charts()
    assert charts.totalCounts.dict() == {"tp": 1, "fp": 2, "fn": 2, "predsWithConfidence": 3}
    confusion = {(each.gtLabel, each.predLabel): each.count for each in charts.confusionMatrix}
    assert confusion == {
        ("car", "car"): 1,
        ("bus", "car"): 1,
        ("background", "bus"): 1,
        ("car", "background"): 1,
        ("bus", "background"): 1,
    }
    assert charts.tideAttribution.dict() == {
        "truePositive": 1,
        "localization": 0,
        "classification": 1,
        "both": 0,
        "duplicate": 0,
        "background": 1,
        "missed": 1,
    }
    assert {each.classLabel: round(each.ap, 3) for each in charts.perClassAp} == {"bus": 0.0, "car": 0.505}
    assert sum(bucket.count for bucket in charts.scoreHistogram) == 3


def test_rollup_groups_make_one_class_of_several(judged, model, evaluate) -> None:
    found = evaluate(judged, model, rollup_groups=[RollupGroup("vehicle", ["car", "bus"])])
    assert found.rollup_groups == [RollupGroup("vehicle", ["car", "bus"])]
    counts = found.charts().totalCounts
    assert (counts.tp, counts.fp, counts.fn) == (2, 1, 1)
    assert (found.charts(iou_threshold=0.95).totalCounts.tp) == 1


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        (MetadataExclusionRule("n", "EQ", 2), (1, 1, 1)),
        (LabelExclusionRule("annotation", "prediction", ["bus"]), (1, 1, 2)),
        (LabelExclusionRule("item", "groundTruth", ["bus"]), (1, 1, 1)),
        (BoxAreaExclusionRule("annotation", "groundTruth", min=5000), (1, 2, 1)),
    ],
)
def test_exclusion_rules(judged, model, evaluate, rule, counts) -> None:
    found = evaluate(judged, model, exclusion_rules=[rule])
    total = found.charts().totalCounts
    assert (total.tp, total.fp, total.fn) == counts
    assert sum(found.exclusion_stats.values()) > 0


def test_examples(judged, model, evaluate) -> None:
    found = evaluate(judged, model)
    assert found.examples().total == 5
    (hit,) = found.examples(match_type="TP").rows
    assert (hit.true_positive, hit.pred_raw_label, hit.gt_raw_label, hit.iou) == (True, "car", "car", 1.0)
    objects = judged.create_slice_by_ids(
        "objects", annotation_ids=[hit.ground_truth_annotation_id], prediction_ids=[hit.model_prediction_id]
    )
    assert objects.type == "object"
    assert [type(each) for each in objects.items] == [BoxAnnotation, BoxPrediction]
    wrong = found.examples(match_type="FP", sort_by="confidence", sort_order="DESC").rows
    assert [row.confidence for row in wrong] == [0.8, 0.3]
    page = found.examples(match_type="FP", sort_by="confidence", sort_order="DESC", limit=1, offset=1)
    assert [row.confidence for row in page.rows] == [0.3]
    filters = EvaluationV2FilterArgs(item_metadata=[{"key": "n", "op": "EQ", "value": 2}])
    assert found.examples(filters=filters).total == 2
    assert found.charts(filters=filters).totalCounts.fn == 1
    confident = EvaluationV2FilterArgs(confidence_range={"min": 0.5})
    assert found.examples(filters=confident).total == 2
    schema = found.filter_schema()
    assert (schema.gt_labels, schema.pred_labels) == (["bus", "car"], ["bus", "car"])
    assert [field.key for field in schema.metadata_fields] == ["n"]


def test_results_do_not_change_with_later_uploads(judged, model, evaluate) -> None:
    found = evaluate(judged, model)
    judged.upload_predictions(model, [BoxPrediction("car", 0, 0, 50, 50, REFS[1], 0.9, "late")])
    assert found.charts(iou_threshold=0.55).totalCounts.tp == 1
    again = found.retry().wait_for_completion(timeout_sec=20, poll_interval=0.005)
    assert again.charts().totalCounts.tp == 2


def test_run_free_predictions_count(judged, model, evaluate) -> None:
    item_id = judged.refloc(REFS[1])["item"].dataset_item_id
    model.upload_predictions(
        [BoxPrediction("car", 0, 0, 50, 50, dataset_item_id=item_id, annotation_id="free", confidence=0.7)]
    )
    assert evaluate(judged, model).charts().totalCounts.tp == 2


def test_a_run_copied_to_its_model_does_not_count_twice(judged, model, evaluate) -> None:
    before = evaluate(judged, model).charts()
    assert model.copy_predictions_from_run(model.model_runs()[0])["predictions_copied"] == 3
    assert evaluate(judged, model).charts() == before


def test_class_agnostic_benchmarks(client, judged, model, evaluate, eventually) -> None:
    made = client.create_benchmark("b", dataset_id=judged.id, class_agnostic=True, wait_for_completion=False)
    eventually(lambda: made.refresh().status == "ready")
    charts = evaluate(made, model).charts()
    assert (charts.totalCounts.tp, [each.classLabel for each in charts.perClassAp]) == (2, ["object"])


def test_allowed_label_matches_are_not_emulated(client, judged, model, evaluate, eventually) -> None:
    made = client.create_benchmark(
        "b", dataset_id=judged.id, allowed_label_matches_id="alm_1", wait_for_completion=False
    )
    eventually(lambda: made.refresh().status == "ready")
    with pytest.raises(NucleusAPIError, match="not emulated"):
        evaluate(made, model)


def test_crowds_are_neither_right_nor_wrong(client, dataset, items, model, evaluate) -> None:
    dataset.annotate(
        [
            BoxAnnotation("car", 0, 0, 10, 10, REFS[0], "a"),
            BoxAnnotation("car", 100, 100, 200, 200, REFS[0], "crowd", metadata={"iscrowd": 1}),
        ]
    )
    boxes = [(0, 0, 10, 10), (110, 110, 20, 20), (150, 150, 20, 20)]
    dataset.upload_predictions(
        model, [BoxPrediction("car", *box, REFS[0], 0.9 - n / 10, str(n)) for n, box in enumerate(boxes)]
    )
    charts = evaluate(dataset, model).charts()
    assert charts.totalCounts.dict() == {"tp": 1, "fp": 0, "fn": 0, "predsWithConfidence": 3}
    assert round(charts.mapSummary.mapAt5095, 6) == 1


def test_evaluations_are_listed_and_deleted(client, judged, model, evaluate) -> None:
    first, second = evaluate(judged, model, name="one"), evaluate(judged, model, name="two")
    assert [each.id for each in client.list_evaluations_v2(model_id=model)] == [second.id, first.id]
    first.delete()
    assert [each.id for each in client.list_evaluations_v2(model_id=model)] == [second.id]
    assert second.cancel().status == "succeeded"


def test_leaderboard(client, judged, model, evaluate) -> None:
    found = evaluate(judged, model)
    (row,) = client.leaderboard_ranking("RECALL", [found.benchmark_id])
    assert (row.rank, row.model_id, round(row.score, 3)) == (1, model.id, 0.333)
    (curve,) = client.leaderboard_f1_curve([found.benchmark_id])
    scores = {point.confidence_threshold: round(point.score, 3) for point in curve.points}
    # One of three found: with two mistakes, with the confident one, with none, and nothing at all.
    assert [scores[each] for each in (0.3, 0.8, 0.85, 0.95)] == [0.333, 0.4, 0.5, 0.0]


def test_benchmarks_skip_items_without_ground_truth(client, judged) -> None:
    made = client.create_benchmark("b", dataset_id=judged.id, verbose=False)
    made.refresh()
    while made.status == "building":
        made.refresh()
    assert (made.status, made.item_count, made.skipped_items_without_ground_truth) == ("ready", 3, 2)
    assert (made.version_major, made.version_minor, made.dataset_count) == (1, 0, 1)
    page = made.items(limit=2, offset=2)
    assert (len(page.item_ids), page.total) == (1, 3)
    assert made.id in [each.id for each in client.list_benchmarks()]
    made.update(name="renamed", metadata={"a": 1})
    assert client.get_benchmark(made.id).name == "renamed"
    with pytest.raises(NucleusAPIError) as caught:
        made.remove_items([])
    assert caught.value.status_code == 409
    made.delete()
    assert made.id not in [each.id for each in client.list_benchmarks()]


def test_drafts_and_versions(client, judged, eventually) -> None:
    draft = client.create_benchmark("d", draft=True, class_agnostic=True, wait_for_completion=False)
    assert (draft.status, draft.item_count, draft.class_agnostic) == ("draft", 0, True)
    with pytest.raises(NucleusAPIError) as caught:
        draft.finalize()
    assert caught.value.status_code == 400
    draft.add_items(items=[{"dataset_id": judged.id, "ref_id": ref} for ref in REFS[:2]], wait_for_completion=False)
    eventually(lambda: draft.refresh().item_count == 2)
    member = judged.refloc(REFS[0])["item"].dataset_item_id
    draft.remove_items([member])
    assert draft.item_count == 1
    assert draft.finalize().status == "ready"
    child = client.create_benchmark("d", parent_benchmark_id=draft.id, item_ids=[member], wait_for_completion=False)
    eventually(lambda: child.refresh().status == "ready")
    assert (child.item_count, child.version_major, child.version_minor) == (2, 1, 1)
    assert child.class_agnostic


def test_presets(client, judged, model, evaluate) -> None:
    name = f"preset of {model.id}"
    rules = [MetadataExclusionRule("n", "EQ", 2)]
    made = client.create_evaluation_v2_preset(
        name, rollup_groups=[RollupGroup("v", ["car", "bus"])], exclusion_rules=rules
    )
    with pytest.raises(NucleusAPIError):
        client.create_evaluation_v2_preset(name)
    found = evaluate(judged, model, preset=made)
    assert [group.class_name for group in found.rollup_groups] == ["v"]
    made.update(rollup_groups=None)
    held = next(each for each in client.list_evaluation_v2_presets() if each.id == made.id)
    assert held.rollup_groups is None
    assert held.exclusion_rules == [rules[0].to_api_dict()]
    made.delete()
    assert made.id not in [each.id for each in client.list_evaluation_v2_presets()]


@pytest.fixture
def coco() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if not COCO.is_dir():
        pytest.skip(f"the COCO validation sample is not there: {COCO}")
    return tuple(json.loads((COCO / name).read_text()) for name in ("gt_bbox.json", "results_bbox.json"))


def test_coco_numbers(client, dataset, model, finish, evaluate, coco) -> None:
    truth, results = coco
    names = {each["id"]: each["name"] for each in truth["categories"]}
    files = {each["id"]: each["file_name"] for each in truth["images"]}
    items = [DatasetItem(f"s3://coco/{name}", reference_id=name) for name in files.values()]
    finish(dataset.append(items))
    boxes = [
        BoxAnnotation(names[each["category_id"]], *each["bbox"], files[each["image_id"]], str(each["id"]))
        for each in truth["annotations"]
    ]
    guesses = [
        BoxPrediction(names[each["category_id"]], *each["bbox"], files[each["image_id"]], each["score"], str(n))
        for n, each in enumerate(results)
    ]
    finish(dataset.annotate(boxes, asynchronous=True))
    finish(dataset.upload_predictions(model, guesses, asynchronous=True))
    charts = evaluate(dataset, model).charts()
    found = [charts.mapSummary.mapAt5095, charts.mapSummary.mapAt50, charts.mapSummary.mapAt75]
    found += [charts.apBySize.small, charts.apBySize.medium, charts.apBySize.large]
    assert [round(number, 4) for number in found] == [0.5036, 0.6970, 0.5717, 0.5933, 0.5580, 0.4894]
