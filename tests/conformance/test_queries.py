"""Queries, matches of evaluation V1, scenes by track, embeddings and slices by chance, through the official SDK."""

from __future__ import annotations

import httpx
import nucleus
import pytest
from nucleus import BoxAnnotation, BoxPrediction, DatasetItem, VideoScene
from nucleus.data_transfer_object.evaluation_v2 import EvaluationV2FilterArgs
from nucleus.dataset import ObjectQueryType
from nucleus.dataset_item import DatasetItemEmbeddingInfo
from nucleus.embedding_index import IndexLevel
from nucleus.errors import NucleusAPIError
from nucleus.evaluation_match import ConfusionCategory
from nucleus.slice import SliceBuilderFilters, SliceBuilderMethods
from nucleus.track import Track

from .test_scenes import lidar_scene

REFS = [f"street/{n}.jpg" for n in range(5)]


@pytest.fixture
def judged(dataset, items, model) -> nucleus.Dataset:
    """A car that is found, one that is taken for a bus, and a bus that nothing finds."""
    dataset.annotate(
        [
            BoxAnnotation("car", 0, 0, 10, 10, REFS[0], "a"),
            BoxAnnotation("car", 0, 0, 10, 10, REFS[1], "a"),
            BoxAnnotation("bus", 50, 50, 10, 10, REFS[1], "b"),
        ]
    )
    dataset.upload_predictions(
        model,
        [BoxPrediction("car", 0, 0, 10, 8, REFS[0], 0.9, "a"), BoxPrediction("bus", 0, 0, 10, 10, REFS[1], 0.8, "a")],
    )
    return dataset


def test_items_and_rows_that_a_query_finds(dataset, items) -> None:
    assert [each.reference_id for each in dataset.query_items("metadata.n >= 3")] == REFS[3:]
    assert [each.reference_id for each in dataset.query_items('reference_id = "street/1.jpg"')] == [REFS[1]]
    rows = dataset.items_and_annotation_generator(query="metadata.n < 2 AND metadata.n != 0", page_size=1)
    assert [row["item"].reference_id for row in rows] == [REFS[1]]


def test_items_by_the_labels_on_them(judged) -> None:
    found = judged.query_items('annotations.label = "bus"')
    assert [each.reference_id for each in found] == [REFS[1]]


@pytest.mark.parametrize(
    ("query", "status"),
    [("metadata.n >", 400), ("!!", 400), ("metadata.n = 1 OR metadata.n = 2", 501), ("autotag.x > 0", 501)],
)
def test_a_query_that_is_none_is_refused(dataset, query, status) -> None:
    with pytest.raises(NucleusAPIError) as caught:
        list(dataset.query_items(query))
    assert caught.value.status_code == status


def test_scenes_that_a_query_finds(client, finish) -> None:
    scenes = client.create_dataset("clips", is_scene=True)
    finish(scenes.append([VideoScene(f"clip-{n}", video_location=f"s3://b/{n}.mp4", metadata={"n": n}) for n in "ab"]))
    assert [each.reference_id for each in scenes.query_scenes("metadata.n = 'b'")] == ["clip-b"]


def test_ground_truth_and_predictions_that_a_query_finds(judged, model) -> None:
    truths = judged.query_objects('annotations.label = "car"', ObjectQueryType.GROUND_TRUTH_ONLY)
    assert [(each.reference_id, each.label) for each in truths] == [(REFS[0], "car"), (REFS[1], "car")]
    (run,) = judged.model_runs
    guesses = judged.query_objects("metadata.n = 1", ObjectQueryType.PREDICTIONS_ONLY, run)
    assert [(each.label, each.confidence) for each in guesses] == [("bus", 0.8)]


def _matches(judged, eventually, mode: ObjectQueryType) -> list:
    (run,) = judged.model_runs
    eventually(lambda: any(True for _ in judged.query_objects("", ObjectQueryType.FALSE_NEGATIVE, run)))
    return list(judged.query_objects("", mode, run))


def test_matches_of_the_metrics(judged, model, eventually) -> None:
    judged.calculate_evaluation_metrics(model, {"class_agnostic": False})
    (match,) = _matches(judged, eventually, ObjectQueryType.IOU)
    assert (match.iou, match.confusion_category) == (0.8, ConfusionCategory.TRUE_POSITIVE)
    (wrong,) = _matches(judged, eventually, ObjectQueryType.FALSE_POSITIVE)
    assert (wrong.model_prediction_label, wrong.ground_truth_annotation_id) == ("bus", None)
    missed = _matches(judged, eventually, ObjectQueryType.FALSE_NEGATIVE)
    assert [each.ground_truth_annotation_label for each in missed] == ["car", "bus"]


def test_labels_that_may_match_one_another(judged, model, eventually) -> None:
    allowed = [{"ground_truth_label": "car", "model_prediction_label": "bus"}]
    judged.calculate_evaluation_metrics(model, {"class_agnostic": False, "allowed_label_matches": allowed})
    found = _matches(judged, eventually, ObjectQueryType.IOU)
    pairs = {(each.ground_truth_annotation_label, each.model_prediction_label) for each in found}
    assert pairs == {("car", "car"), ("car", "bus")}
    assert all(each.confusion_category is ConfusionCategory.TRUE_POSITIVE for each in found)
    with pytest.raises(NucleusAPIError):
        judged.calculate_evaluation_metrics(model, {"class_agnostic": False, "allowed_label_matches": [{"a": "b"}]})


def test_scenes_come_with_their_tracks(client, finish) -> None:
    scenes = client.create_dataset("clips", is_scene=True)
    track = Track(scenes._client.connection, scenes.id, "red car", {"color": "red"})
    frames = [DatasetItem(f"s3://b/{n}.jpg", reference_id=f"clip-{n}") for n in range(2)]
    finish(scenes.append([VideoScene("clip", frame_rate=2, items=frames, metadata={"n": 1}, tracks=[track])]))
    boxes = [
        BoxAnnotation("car", n, 1, 2, 3, f"clip-{n}", f"b{n}", {"k": n}, track_reference_id="red car") for n in range(2)
    ]
    scenes.annotate(boxes)
    (row,) = scenes.scene_and_annotation_generator(page_size=1)
    assert (row["scene"]["reference_id"], row["scene"]["type"]) == ("clip", "video")
    found = row["annotations"]["red car"]
    assert found["label"] == "car"
    assert [(each["left"], each["width"], each["metadata"]) for each in found["frames"]] == [
        (0, 2, {"k": 0}),
        (1, 2, {"k": 1}),
    ]
    assert scenes.get_scene("clip").tracks == [track]
    empty = scenes.create_slice("none of them")
    assert list(scenes.scene_and_annotation_generator(slice_id=empty.id)) == []


def test_boxes_that_nothing_ties_together_are_refused(client, finish) -> None:
    scenes = client.create_dataset("clips", is_scene=True)
    frames = [DatasetItem(f"s3://b/{n}.jpg", reference_id=f"clip-{n}") for n in range(2)]
    finish(scenes.append([VideoScene("clip", frame_rate=2, items=frames)]))
    scenes.annotate([BoxAnnotation("car", 0, 1, 2, 3, f"clip-{n}", f"b{n}") for n in range(2)])
    with pytest.raises(NucleusAPIError, match="can't be grouped into tracks"):
        list(scenes.scene_and_annotation_generator())


def test_embeddings_of_items_come_back(dataset, finish) -> None:
    info = DatasetItemEmbeddingInfo("idx_own", [0.5, 0.25])
    item = DatasetItem("s3://b/a.jpg", reference_id="a", embedding_info=info)
    finish(dataset.append([item]))
    wanted = [{"reference_id": "a", "embedding_vector": [0.5, 0.25]}]
    assert dataset.export_embeddings(asynchronous=False) == wanted
    (index,) = dataset.embedding_indexes
    assert (index.id, index.embedding_dimension, index.index_level) == ("idx_own", 2, IndexLevel.IMAGE)
    assert dataset.create_slice("all", ["a"]).export_embeddings(asynchronous=False) == wanted
    job = dataset.export_embeddings()
    finish(job)
    (url,) = job.result_urls(wait_for_completion=False)
    assert httpx.get(url).json() == wanted


def test_a_slice_by_chance(dataset, items, finish) -> None:
    job, slice_id = dataset.build_slice("some", 3, SliceBuilderMethods.RANDOM)
    finish(job)
    made = dataset._client.get_slice(slice_id)
    assert len({each.reference_id for each in made.items}) == 3
    filters = SliceBuilderFilters(slice_id=slice_id)
    job, second = dataset.build_slice("of these", 99, SliceBuilderMethods.RANDOM, filters)
    finish(job)
    held = {each.reference_id for each in dataset._client.get_slice(second).items}
    assert held == {each.reference_id for each in made.items}


def test_a_slice_of_objects_as_raw_json(judged, model, eventually) -> None:
    judged.calculate_evaluation_metrics(model, {"class_agnostic": False})
    (match,) = _matches(judged, eventually, ObjectQueryType.IOU)
    (truth,) = judged.create_slice_by_ids("a", annotation_ids=[match.ground_truth_annotation_id]).export_raw_json()
    (guess,) = judged.create_slice_by_ids("b", prediction_ids=[match.model_prediction_id]).export_raw_json()
    assert truth["item"]["reference_id"] == guess["item"]["reference_id"] == REFS[0]
    assert (truth["annotation"]["label"], guess["prediction"]["confidence"]) == ("car", 0.9)
    with pytest.raises(NucleusAPIError, match="Only slices of objects"):
        judged.create_slice("items", [REFS[0]]).export_raw_json()


def test_charts_of_some_matches(client, judged, model) -> None:
    benchmark = client.create_benchmark("b", dataset_id=judged.id, verbose=False)
    made = benchmark.create_evaluation_v2(model_id=model)
    made.wait_for_completion(timeout_sec=20, poll_interval=0.005)
    counts = made.charts(filters=EvaluationV2FilterArgs(label_equality="NEQ")).totalCounts
    assert (counts.tp, counts.fp, counts.fn) == (0, 1, 1)
    counts = made.charts(query='annotations.label = "bus"').totalCounts
    assert (counts.tp, counts.fp, counts.fn) == (0, 1, 2)
    (row,) = client.leaderboard_ranking("PRECISION", [benchmark.id], confidence_threshold=0.85)
    assert row.score == 1


def test_a_segmented_point_cloud(client, finish, model) -> None:
    scenes = client.create_dataset("drives", is_scene=True)
    finish(scenes.append([lidar_scene()]))
    answer = scenes.upload_lidar_semseg_predictions(model, "drive-0-pc", "s3://b/points.json")
    assert answer["model_run_id"] in scenes.model_runs
    with pytest.raises(NucleusAPIError, match="no point cloud"):
        scenes.upload_lidar_semseg_predictions(model, "drive-0-cam", "s3://b/points.json")
