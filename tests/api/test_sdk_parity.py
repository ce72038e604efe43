"""The official SDK and this client say the same to the same server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nucleus
import pytest
from nucleus.evaluation_v2 import RollupGroup
from nucleus.track import Track

from nucleus_sync.api.benchmarks import BenchmarkLineage, BenchmarkSources, BenchmarkTaxonomy
from nucleus_sync.api.client import Api
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.records.annotation import (
    Box,
    BoxGeometry,
    Category,
    Cuboid,
    CuboidGeometry,
    Mask,
    MultiCategory,
    Point,
    Point3,
    Polygon,
    Segment,
    Vertices,
)
from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind, Record, wire_line
from nucleus_sync.sources.ndjson import RecordsReader
from nucleus_sync.sources.reader import Pick, Surroundings
from nucleus_sync.spec.resource import Dataset
from nucleus_sync.spec.source import RecordsSource
from nucleus_sync.survey.scenes import SceneReader

from .conftest import KEY
from .recorder import Recorder, Reply, Request

JOB = {"job_id": "job_1", "job_last_known_status": "Queued", "job_type": "x", "job_creation_time": "now"}
TAGS = {"tags": ["a"]}
BENCHMARK = {"benchmark_id": "bm_1", "name": "b", "status": "ready", "metadata": {}, "item_count": 1}
EVALUATION = {"id": "evalv2_1", "benchmark_id": "bm_1", "name": "e", "status": "succeeded", "created_at": "now"}
EVALUATION |= {"model_id": "prj_1", "slice_id": "slc_1", "error_message": None, "temporal_workflow_id": None}
PRESET = {"id": "prev_1", "name": "p", "rollup_groups": None, "exclusion_rules": None, "created_by_user_id": "u"}
PRESET |= {"created_at": "now", "updated_at": "now", "deleted_at": None}
CHARTS = {
    "mapSummary": {"mapAt50": 0.5, "mapAt75": None, "mapAt5095": 0.4},
    "perClassAp": [{"classLabel": "car", "ap": 0.5}],
    "confusionMatrix": [],
    "scoreHistogram": [],
    "computedIouRanges": [],
    "totalCounts": {"tp": 1, "fp": 2, "fn": 3, "predsWithConfidence": 3},
    "apBySize": {"small": None, "medium": None, "large": 0.1},
    "prCurve": [{"classLabel": "car", "recall": 0.1, "precision": 0.9}],
    "tideAttribution": dict.fromkeys(
        ("truePositive", "localization", "classification", "both", "duplicate", "background", "missed"), 1
    ),
}
SLICE = {"name": "s", "slice_id": "slc_1", "dataset_id": "ds_1", "type": "dataset_item", "pending_job_count": 0}
SLICE |= {"created_at": "2024-05-01T12:00:00.000Z", "description": None, "tags": []}
TALLY = {"dataset_id": "ds_1", "annotations_processed": 1, "annotations_ignored": 0}
TALLY |= {"model_run_id": "run_1", "predictions_processed": 1, "predictions_ignored": 0}
TAXONOMY = {"dataset_id": "ds_1", "taxonomy_name": "w", "status": "Taxonomy created"}

ROUTES: dict[str, Any] = {
    "PUT /storage": Reply(200, b""),
    "POST /dataset/create": {"dataset_id": "ds_1"},
    "GET /dataset/details": [{"id": "ds_1", "name": "a", "is_public": False}],
    "GET /dataset/ds_1/use_privacy_mode": {"use_privacy_mode": False},
    "GET /dataset/ds_1/is_scene": {"is_scene": False},
    "POST /dataset/ds_1/tags": TAGS,
    "DELETE /dataset/ds_1/tags": TAGS,
    "GET /dataset/ds_1/tags": TAGS,
    "POST /dataset/ds_1/add_taxonomy": TAXONOMY,
    "DELETE /dataset/ds_1/taxonomy": TAXONOMY,
    "GET /dataset/ds_1/tracks": {"tracks": [{"reference_id": "red car", "dataset_id": "ds_1", "metadata": {}}]},
    "POST /dataset/ds_1/tracks": {},
    "DELETE /dataset/ds_1/tracks": {},
    "POST /dataset/ds_1/create_slice": {"slice_id": "slc_1"},
    "POST /dataset/ds_1/append": JOB,
    "POST /ds_1/upload_scenes?async=1": JOB,
    "POST /ds_1/upload_video_scenes?async=1": JOB,
    "POST /dataset/ds_1/annotate?async=1": JOB,
    "POST /dataset/ds_1/annotate": TALLY,
    "POST /dataset/ds_1/model/prj_1/uploadPredictions?async=1": JOB,
    "POST /dataset/ds_1/model/prj_1/uploadPredictions": TALLY,
    "POST /dataset/ds_1/modelRun/run_1/uploadPredictions?async=1": JOB,
    "POST /dataset/ds_1/model/prj_1/calculateEvaluationMetrics": {},
    "POST /dataset/ds_1/metadata?async=1": JOB,
    "POST /dataset/ds_1/metadata?async=0": {},
    "POST /dataset/ds_1/itemsPage": {"items": [], "nextPageToken": None},
    "POST /dataset/ds_1/queryItemsPage": {"items": [], "nextPageToken": None},
    "POST /dataset/ds_1/exportForTrainingPage": {"data": [], "nextPageToken": None},
    "POST /slice/slc_1/itemsPage": {"items": [], "nextPageToken": None},
    "POST /slice/slc_1/exportForTrainingPage": {"data": [], "nextPageToken": None},
    "GET /dataset/ds_1/refloc": {"item": {"reference_id": "a/b", "image_url": "s3://a.jpg"}, "annotations": {}},
    "GET /dataset/ds_1/model_runs": ["run_1"],
    "DELETE /dataset/ds_1": {"message": "Beginning dataset deletion..."},
    "DELETE /annotation/ds_1": JOB,
    "POST /models/add": {"model_id": "prj_1"},
    "POST /model/prj_1": {},
    "DELETE /model/prj_1": {},
    "GET /model/prj_1/modelRun": ["run_1"],
    "DELETE /modelRun/run_1": {},
    "POST /modelRun/merge": Reply(202, {"job_id": "job_1", "model_run_id": "run_2", "dataset_ids": ["ds_1"]}),
    "POST /slice/slc_1/append": {"slice_id": "slc_1", "new_items": []},
    "POST /slice/slc_1/tag": {},
    "GET /slice/slc_1/info": SLICE,
    "DELETE /slice/slc_1": {},
    "POST /jobs/": [JOB],
    "GET /job/job_1/info": JOB,
    "POST /benchmarks/bm_1/evaluationsV2": {"evaluation_id": "evalv2_1", "status": "pending", "workflow_id": "w"},
    "POST /benchmarks/bm_1/finalize": BENCHMARK,
    "POST /benchmarks": Reply(202, {"benchmark_id": "bm_1", "job_id": None}),
    "GET /benchmarks/bm_1": BENCHMARK,
    "GET /benchmarks": [BENCHMARK],
    "PATCH /benchmarks/bm_1": BENCHMARK,
    "DELETE /benchmarks/bm_1": {},
    "GET /evaluationsV2/evalv2_1": EVALUATION,
    "POST /evaluationsV2/evalv2_1/charts": CHARTS,
    "POST /evaluationsV2/evalv2_1/examples": {"rows": [], "total": 0},
    "POST /evaluationsV2/evalv2_1/cancel": {},
    "DELETE /evaluationsV2/evalv2_1": Reply(204, b""),
    "GET /evaluationV2Presets": [PRESET],
    "POST /evaluationV2Presets": PRESET,
    "DELETE /evaluationV2Presets/prev_1": {},
    "POST /leaderboard": [],
}
GROUP = {"class_name": "vehicle", "labels": ["car", "bus"]}
MATCH = {"ground_truth_label": "car", "model_prediction_label": "bus"}

Sdk = Callable[[nucleus.NucleusClient], Any]
Ours = Callable[[Api], Awaitable[Any]]


def _dataset(client: nucleus.NucleusClient) -> nucleus.Dataset:
    return nucleus.Dataset("ds_1", client)


def _track(client: nucleus.NucleusClient) -> Track:
    return Track(client.connection, "ds_1", "red car")


class _SceneDataset(nucleus.Dataset):
    is_scene = True


def _slice(client: nucleus.NucleusClient) -> nucleus.Slice:
    return nucleus.Slice("slc_1", client)


def _model(client: nucleus.NucleusClient) -> Any:
    return nucleus.Model("prj_1", "m", "m", {}, client)


def _evaluation(client: nucleus.NucleusClient) -> Any:
    return client.get_evaluation_v2("evalv2_1")


async def _listed(rows: Any) -> list[Any]:
    return [row async for row in rows]


async def _after_get(api: Api, call: Awaitable[Any]) -> None:
    await api.evaluations.get("evalv2_1")
    await call


CASES: dict[str, tuple[Sdk, Ours]] = {
    "create a dataset": (
        lambda c: c.create_dataset("a", is_scene=False, use_privacy_mode=True, item_metadata_schema={"k": {}}),
        lambda a: a.datasets.create("a", privacy_mode=True, item_metadata_schema={"k": {}}),
    ),
    "list datasets": (lambda c: c.datasets, lambda a: a.datasets.all()),
    "delete a dataset": (lambda c: c.delete_dataset("ds_1"), lambda a: a.datasets.delete("ds_1")),
    "read tags": (lambda c: _dataset(c).get_tags(), lambda a: a.datasets.tags("ds_1")),
    "add tags": (lambda c: _dataset(c).add_tags(["a"]), lambda a: a.datasets.add_tags("ds_1", ["a"])),
    "remove tags": (lambda c: _dataset(c).remove_tags(["a"]), lambda a: a.datasets.remove_tags("ds_1", ["a"])),
    "add a taxonomy": (
        lambda c: _dataset(c).add_taxonomy("w", "category", ["rain"], update=True),
        lambda a: a.datasets.add_taxonomy("ds_1", "w", ["rain"], update=True),
    ),
    "change a track": (
        lambda c: _track(c).update({"color": "red"}, overwrite_metadata=True),
        lambda a: a.datasets.set_track_metadata("ds_1", "red car", {"color": "red"}, overwrite=True),
    ),
    "remove tracks": (
        lambda c: _dataset(c).delete_tracks(["red car"]),
        lambda a: a.datasets.remove_tracks("ds_1", ["red car"]),
    ),
    "list tracks": (lambda c: _dataset(c).tracks, lambda a: a.datasets.tracks("ds_1")),
    "remove a taxonomy": (
        lambda c: _dataset(c).delete_taxonomy("w"),
        lambda a: a.datasets.remove_taxonomy("ds_1", "w"),
    ),
    "runs of a dataset": (lambda c: _dataset(c).model_runs, lambda a: a.datasets.model_runs("ds_1")),
    "read an item": (lambda c: _dataset(c).refloc("a/b ü"), lambda a: a.items.get("ds_1", "a/b ü")),
    "delete an item": (lambda c: _dataset(c).delete_item("a/b ü"), lambda a: a.items.delete("ds_1", "a/b ü")),
    "delete a scene": (lambda c: _dataset(c).delete_scene("a/b"), lambda a: a.scenes.delete("ds_1", "a/b")),
    "page items": (
        lambda c: list(_dataset(c).items_generator(page_size=7)),
        lambda a: _listed(a.items.all("ds_1", page_size=7)),
    ),
    "query items": (
        lambda c: list(_dataset(c).query_items('metadata.a = "b"')),
        lambda a: _listed(a.items.query("ds_1", 'metadata.a = "b"')),
    ),
    "export": (
        lambda c: list(_dataset(c).items_and_annotation_generator(page_size=7)),
        lambda a: _listed(a.items.export("ds_1", page_size=7)),
    ),
    "merge metadata at once": (
        lambda c: _dataset(c).update_item_metadata({"a": {"n": 1}}),
        lambda a: a.items.merge_metadata("ds_1", {"a": {"n": 1}}),
    ),
    "merge metadata in a job": (
        lambda c: _dataset(c).update_item_metadata({"a": {"n": 1}}, asynchronous=True),
        lambda a: a.items.start_metadata_merge("ds_1", {"a": {"n": 1}}),
    ),
    "delete annotations": (
        lambda c: _dataset(c).delete_annotations(["a", "b"], keep_history=False),
        lambda a: a.annotations.delete("ds_1", ["a", "b"], keep_history=False),
    ),
    "add a model": (
        lambda c: c.create_model("m", "ref", {"e": 1}, tags=["t"], trained_slice_ids=["slc_1"]),
        lambda a: a.models.add("m", "ref", metadata={"e": 1}, tags=["t"], trained_slice_ids=["slc_1"]),
    ),
    "add a bare model": (lambda c: c.create_model("m", "ref"), lambda a: a.models.add("m", "ref")),
    "delete a model": (lambda c: c.delete_model("prj_1"), lambda a: a.models.delete("prj_1")),
    "tag a model": (lambda c: _model(c).add_tags(["t"]), lambda a: a.models.add_tags("prj_1", ["t"])),
    "untag a model": (lambda c: _model(c).remove_tags(["t"]), lambda a: a.models.remove_tags("prj_1", ["t"])),
    "record trained slices": (
        lambda c: _model(c).add_trained_slice_ids(["slc_1"]),
        lambda a: a.models.add_trained_slices("prj_1", ["slc_1"]),
    ),
    "take back trained slices": (
        lambda c: _model(c).remove_trained_slice_ids(["slc_1"]),
        lambda a: a.models.remove_trained_slices("prj_1", ["slc_1"]),
    ),
    "runs of a model": (
        lambda c: _model(c).model_runs(include_versions=True),
        lambda a: a.models.runs("prj_1", family=True),
    ),
    "delete a run": (lambda c: c.delete_model_run("run_1"), lambda a: a.models.delete_run("run_1")),
    "merge runs": (
        lambda c: c.merge_model_runs(["run_1", "run_2"], name="u"),
        lambda a: _then(a.models.merge_runs(["run_1", "run_2"], name="u"), a.jobs.about("job_1")),
    ),
    "create a slice": (
        lambda c: _dataset(c).create_slice("s", ["a", "b"]),
        lambda a: a.slices.create("ds_1", "s", ["a", "b"]),
    ),
    "create a slice by ids": (
        lambda c: _dataset(c).create_slice_by_ids("s", dataset_item_ids=["di_1"]),
        lambda a: a.slices.create_of("ds_1", "s", item_ids=["di_1"]),
    ),
    "append to a slice": (
        lambda c: nucleus.Slice("slc_1", c).append(reference_ids=["a"]),
        lambda a: _sliced(a),
    ),
    "tag a slice": (lambda c: _slice(c).add_tags(["t"]), lambda a: a.slices.add_tags("slc_1", ["t"])),
    "describe a slice": (lambda c: _slice(c).info(), lambda a: a.slices.get("slc_1")),
    "page a slice": (
        lambda c: list(_slice(c).items_generator(page_size=7)),
        lambda a: _listed(a.slices.items("slc_1", page_size=7)),
    ),
    "delete a slice": (lambda c: c.delete_slice("slc_1"), lambda a: a.slices.delete("slc_1")),
    "metrics": (
        lambda c: _dataset(c).calculate_evaluation_metrics(
            _model(c), options={"class_agnostic": False, "allowed_label_matches": [MATCH]}
        ),
        lambda a: a.evaluations.metrics("ds_1", "prj_1", class_agnostic=False, allowed_label_matches=[MATCH]),
    ),
    "list jobs": (
        lambda c: c.list_jobs(dataset_id="ds_1", job_types=[], show_completed=True, limit=50_000),
        lambda a: a.jobs.listing("ds_1"),
    ),
    "describe a job": (lambda c: c.get_job("job_1"), lambda a: a.jobs.about("job_1")),
    "create a benchmark": (
        lambda c: c.create_benchmark(
            "b",
            dataset_ids=["ds_1"],
            description="d",
            parent_benchmark_id="bm_0",
            bump_type="major",
            rollup_groups=[RollupGroup(**GROUP)],
            wait_for_completion=False,
        ),
        lambda a: _then(
            a.benchmarks.create(
                "b",
                BenchmarkSources(dataset_ids=["ds_1"]),
                description="d",
                lineage=BenchmarkLineage(parent_benchmark_id="bm_0", bump_type="major"),
                taxonomy=BenchmarkTaxonomy(rollup_groups=[GROUP]),
            ),
            a.benchmarks.get("bm_1"),
        ),
    ),
    "create an empty draft": (
        lambda c: c.create_benchmark("b", draft=True, wait_for_completion=False),
        lambda a: _then(a.benchmarks.create("b", draft=True), a.benchmarks.get("bm_1")),
    ),
    "list benchmarks": (lambda c: c.list_benchmarks(), lambda a: a.benchmarks.all()),
    "finalize a benchmark": (lambda c: c.finalize_benchmark("bm_1"), lambda a: a.benchmarks.finalize("bm_1")),
    "delete a benchmark": (lambda c: c.delete_benchmark("bm_1"), lambda a: a.benchmarks.delete("bm_1")),
    "take items out of a draft": (
        lambda c: c.remove_benchmark_items("bm_1", ["di_1"]),
        lambda a: a.benchmarks.remove_items("bm_1", ["di_1"]),
    ),
    "evaluate a model": (
        lambda c: c.create_benchmark_evaluation_v2(
            "bm_1", model_id="prj_1", name="e", rollup_groups=[RollupGroup(**GROUP)]
        ),
        lambda a: _then(
            a.evaluations.start("bm_1", model_id="prj_1", name="e", rollup_groups=[GROUP]),
            a.evaluations.get("evalv2_1"),
        ),
    ),
    "read charts": (
        lambda c: _evaluation(c).charts(iou_threshold=0.75, query="x"),
        lambda a: _after_get(a, a.evaluations.charts("evalv2_1", iou_threshold=0.75, query="x")),
    ),
    "read examples": (
        lambda c: _evaluation(c).examples(limit=10, offset=5, match_type="FP"),
        lambda a: _after_get(a, a.evaluations.examples("evalv2_1", limit=10, offset=5, match_type="FP")),
    ),
    "cancel an evaluation": (
        lambda c: _evaluation(c).cancel(),
        lambda a: _then(_after_get(a, a.evaluations.cancel("evalv2_1")), a.evaluations.get("evalv2_1")),
    ),
    "delete an evaluation": (
        lambda c: _evaluation(c).delete(),
        lambda a: _after_get(a, a.evaluations.delete("evalv2_1")),
    ),
    "list presets": (lambda c: c.list_evaluation_v2_presets(), lambda a: a.evaluations.presets()),
    "create a preset": (
        lambda c: c.create_evaluation_v2_preset("p", rollup_groups=[RollupGroup(**GROUP)]),
        lambda a: a.evaluations.create_preset("p", rollup_groups=[GROUP]),
    ),
    "delete a preset": (
        lambda c: c.delete_evaluation_v2_preset("prev_1"),
        lambda a: a.evaluations.delete_preset("prev_1"),
    ),
    "rank models": (
        lambda c: c.leaderboard_ranking("MAP_50", ["bm_1"]),
        lambda a: a.evaluations.ranking("MAP_50", ["bm_1"]),
    ),
    "F1 curves": (
        lambda c: c.leaderboard_f1_curve(["bm_1"]),
        lambda a: a.evaluations.f1_curves(["bm_1"]),
    ),
}


async def _sliced(api: Api) -> None:
    """The SDK looks up the slice's dataset first."""
    await api.slices.get("slc_1")
    await api.slices.append("slc_1", "ds_1", ["a"])


async def _then(*calls: Awaitable[Any]) -> None:
    """The SDK reads some things again that it has just made."""
    for call in calls:
        await call


@pytest.fixture
def routes(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    for name in ("NUCLEUS_API_KEY", "NUCLEUS_ENDPOINT", "S3_ENDPOINT", "NUCLEUS_SKIP_SSL_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    recorder.routes({"GET /dataset/ds_1/signedUrl": {"signed_url": f"{recorder.url}/storage?sig=1"}, **ROUTES})
    return recorder


_LOOKS = ("/use_privacy_mode", "/is_scene")
"""What the SDK asks before it checks items, and the plan knows."""


async def _sdk_says(recorder: Recorder, call: Sdk) -> list[Request]:
    client = nucleus.NucleusClient(api_key=KEY, endpoint=recorder.url, use_notebook=False)
    # In a thread of its own: the SDK runs an event loop inside.
    await asyncio.to_thread(call, client)
    said, recorder.requests[:] = list(recorder.requests), []
    return [request for request in said if not request.target.endswith(_LOOKS)]


async def _ours_says(recorder: Recorder, call: Awaitable[Any]) -> list[Request]:
    await call
    return recorder.requests


@pytest.mark.parametrize("name", CASES)
async def test_a_call_says_what_the_sdk_says(api: Api, routes: Recorder, name: str) -> None:
    sdk, ours = CASES[name]
    expected = await _sdk_says(routes, sdk)
    said = await _ours_says(routes, ours(api))
    assert [request.said for request in said] == [request.said for request in expected]
    assert [request.headers["content-type"] for request in said] == [r.headers["content-type"] for r in expected]
    assert {request.headers["authorization"] for request in said} == {r.headers["authorization"] for r in expected}


BOX = {"x": 1, "y": 2, "width": 3, "height": 4}
SDK_ITEMS = [nucleus.DatasetItem("s3://b/a.jpg", "ü/a.jpg", metadata={"n": 1}, width=4, height=3)]
OUR_ITEMS: list[Record] = [Item(reference_id="ü/a.jpg", image_url="s3://b/a.jpg", metadata={"n": 1}, width=4, height=3)]
SDK_ANNOTATIONS = [
    nucleus.BoxAnnotation("car", **BOX, reference_id="a", annotation_id="b", metadata={"o": 0}),
    nucleus.PolygonAnnotation("car", [nucleus.Point(1, 1), nucleus.Point(2, 3)], "a", annotation_id="p"),
    nucleus.CategoryAnnotation("rain", reference_id="a", taxonomy_name="weather"),
    nucleus.MultiCategoryAnnotation(["rain"], reference_id="a", taxonomy_name="w2"),
    nucleus.SegmentationAnnotation("s3://m.png", [nucleus.Segment("road", 1)], "a", annotation_id="m"),
]
OUR_ANNOTATIONS: list[Any] = [
    Box(
        label="car",
        geometry=BoxGeometry(**BOX),
        reference_id="a",
        annotation_id="b",
        metadata={"o": 0},
    ),
    Polygon(label="car", geometry=Vertices(vertices=[Point(1, 1), Point(2, 3)]), reference_id="a", annotation_id="p"),
    Category(label="rain", reference_id="a", taxonomy_name="weather"),
    MultiCategory(labels=["rain"], reference_id="a", taxonomy_name="w2"),
    Mask(mask_url="s3://m.png", annotations=[Segment(label="road", index=1)], reference_id="a", annotation_id="m"),
]
SDK_PREDICTIONS = [nucleus.BoxPrediction("car", **BOX, reference_id="a", annotation_id="b", confidence=0.5)]
OUR_PREDICTIONS: list[Any] = [
    Box(label="car", geometry=BoxGeometry(**BOX), reference_id="a", annotation_id="b", confidence=0.5)
]
CAMERA = {"position": {"x": 0, "y": 0, "z": 1.5}, "heading": {"x": 0, "y": 0, "z": 0, "w": 1}}
CAMERA |= {"fx": 1000, "fy": 1000, "cx": 960, "cy": 540, "camera_model": "fisheye", "k1": 0.5}
SDK_LIDAR = [
    nucleus.LidarScene(
        "drive",
        frames=[
            nucleus.Frame(
                lidar=nucleus.DatasetItem(pointcloud_location="s3://b/0.json", reference_id="pc", metadata={"n": 1}),
                cam=nucleus.DatasetItem(
                    "s3://b/0.jpg", reference_id="cam", metadata={"camera_params": CAMERA}, width=4, height=3
                ),
            )
        ],
        metadata={"rain": "no"},
    ),
    nucleus.LidarScene(
        "bare", frames=[nucleus.Frame(l=nucleus.DatasetItem(pointcloud_location="s3://b/1.json", reference_id="p"))]
    ),
]
POINT_CLOUD = {"metadata": {"n": 1}, "reference_id": "pc", "url": "s3://b/0.json", "type": "pointcloud"}
PHOTO = {"metadata": {"camera_params": CAMERA}, "reference_id": "cam", "url": "s3://b/0.jpg", "type": "image"}
OUR_LIDAR = [
    {
        "reference_id": "drive",
        "frames": [{"lidar": POINT_CLOUD, "cam": {**PHOTO, "width": 4, "height": 3}}],
        "metadata": {"rain": "no"},
    },
    {"reference_id": "bare", "frames": [{"l": {"reference_id": "p", "url": "s3://b/1.json", "type": "pointcloud"}}]},
]
SDK_VIDEO = [
    nucleus.VideoScene(
        "clip",
        frame_rate=15,
        items=[nucleus.DatasetItem(f"s3://b/{n}.jpg", reference_id=f"f{n}", metadata={"n": n}) for n in range(2)],
        metadata={"cam": "front"},
    ),
    nucleus.VideoScene("film", video_location="s3://b/film.mp4"),
]
OUR_VIDEO = [
    {
        "reference_id": "clip",
        "frame_rate": 15,
        "frames": [
            {"reference_id": f"f{n}", "url": f"s3://b/{n}.jpg", "type": "image", "metadata": {"n": n}} for n in range(2)
        ],
        "metadata": {"cam": "front"},
    },
    {"reference_id": "film", "video_url": "s3://b/film.mp4"},
]
SDK_CUBOIDS = [
    nucleus.CuboidAnnotation(
        "car", nucleus.Point3D(1, 2, 0.5), nucleus.Point3D(4.5, 2, 1.5), 0.25, "pc", "c", {"n": 1}, "track"
    ),
    nucleus.CuboidAnnotation("car", nucleus.Point3D(1, 2, 0.5), nucleus.Point3D(4.5, 2, 1.5), 0.25, "pc", "d"),
]
PLACE = CuboidGeometry(position=Point3(1, 2, 0.5), dimensions=Point3(4.5, 2, 1.5), yaw=0.25)
OUR_CUBOIDS: list[Record] = [
    Cuboid(
        label="car",
        geometry=PLACE,
        reference_id="pc",
        annotation_id="c",
        metadata={"n": 1},
        track_reference_id="track",
    ),
    Cuboid(label="car", geometry=PLACE, reference_id="pc", annotation_id="d"),
]


def _scenes(lines: list[dict[str, Any]], kind: str) -> list[Record]:
    """Scenes as a dataset of that kind takes them from a file of records."""
    dataset = Dataset(name="d", kind=kind)  # type: ignore[arg-type]
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "scenes.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        around = Surroundings("scenes", Path(scratch), Path(scratch), NoFacts())
        reader = SceneReader("scenes", RecordsReader(RecordsSource(format="records", path=str(path)), around), dataset)
        problems: list[Problem] = []
        seen = [Pick(*each) for each in reader.scan(Kind.SCENES, problems.append)]
        found = [record for _, record in reader.read(Kind.SCENES, seen, problems.append)]
        assert problems == []
    return found


UPLOADS: dict[str, tuple[Sdk, list[Record], Callable[[Api, str], Awaitable[Any]]]] = {
    "items": (
        lambda c: _dataset(c).append(SDK_ITEMS, update=True),
        OUR_ITEMS,
        lambda a, r: a.uploads.trigger_items("ds_1", r, True),
    ),
    "annotations": (
        lambda c: _dataset(c).annotate(SDK_ANNOTATIONS, update=True, asynchronous=True),
        OUR_ANNOTATIONS,
        lambda a, r: a.uploads.trigger_annotations("ds_1", r, True),
    ),
    "lidar scenes": (
        lambda c: _SceneDataset("ds_1", c).append(SDK_LIDAR, update=True, asynchronous=True),
        _scenes(OUR_LIDAR, "lidar"),
        lambda a, r: a.uploads.trigger_lidar_scenes("ds_1", r, True),
    ),
    "video scenes": (
        lambda c: _SceneDataset("ds_1", c).append(SDK_VIDEO, update=True, asynchronous=True),
        _scenes(OUR_VIDEO, "video"),
        lambda a, r: a.uploads.trigger_video_scenes("ds_1", r, True),
    ),
    "cuboids": (
        lambda c: _dataset(c).annotate(SDK_CUBOIDS, update=True, asynchronous=True),
        OUR_CUBOIDS,
        lambda a, r: a.uploads.trigger_annotations("ds_1", r, True),
    ),
    "predictions": (
        lambda c: _dataset(c).upload_predictions(_model(c), SDK_PREDICTIONS, update=False, asynchronous=True),
        OUR_PREDICTIONS,
        lambda a, r: a.uploads.trigger_predictions("ds_1", "prj_1", r, False),
    ),
    "predictions of a run": (
        lambda c: _dataset(c).upload_predictions_for_model_run(
            "run_1", SDK_PREDICTIONS, update=True, asynchronous=True, trained_slice_id="slc_1"
        ),
        OUR_PREDICTIONS,
        lambda a, r: a.uploads.trigger_run_predictions("ds_1", "run_1", r, True, trained_slice_id="slc_1"),
    ),
}


def _uploaded(requests: list[Request]) -> list[Any]:
    """Method, target and body as values, with the random request id by a name."""
    said: list[Any] = []
    for request in requests:
        lines = [json.loads(line) for line in request.body.splitlines()]
        text = json.dumps([request.method, request.target, lines], sort_keys=True)
        said.append(json.loads(re.sub(r"[0-9a-f]{32}", "REQUEST", text)))
    return said


@pytest.mark.parametrize("name", UPLOADS)
async def test_an_upload_says_what_the_sdk_says(api: Api, routes: Recorder, tmp_path: Path, name: str) -> None:
    sdk, records, trigger = UPLOADS[name]
    expected = await _sdk_says(routes, sdk)
    spool = tmp_path / "spool"
    spool.write_bytes(b"".join(wire_line(record) + b"\n" for record in records))
    request_id = "0123456789abcdef" * 2

    async def upload() -> None:
        await api.uploads.ndjson("ds_1", [FilePiece(spool, spool.stat().st_size)], request_id)
        await trigger(api, request_id)

    said = await _ours_says(routes, upload())
    assert _uploaded(said) == _uploaded(expected)
    ours, theirs = (next(r for r in requests if r.method == "PUT").headers for requests in (said, expected))
    assert {"content-type", "authorization", "transfer-encoding"} & (set(ours) | set(theirs)) == set()
    assert "content-length" in ours


async def test_a_small_upload_says_what_the_sdk_says(api: Api, routes: Recorder) -> None:
    expected = await _sdk_says(routes, lambda c: _dataset(c).annotate(SDK_ANNOTATIONS[:4], update=True))
    said = await _ours_says(routes, api.annotations.upload("ds_1", OUR_ANNOTATIONS[:4], update=True))
    assert [request.said for request in said] == [request.said for request in expected]


async def test_local_images_say_what_the_sdk_says_except_for_paths(api: Api, routes: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"p" * 20)
    expected = await _sdk_says(
        routes, lambda c: _dataset(c).append([nucleus.DatasetItem(str(path), "a", metadata={"n": 1})], update=True)
    )
    item = Item(reference_id="a", image_url="a.png", metadata={"n": 1})
    local = LocalItem(item=item, path=str(path), size=28, digest=b"")
    said = await _ours_says(routes, api.uploads.images("ds_1", [local], update=True))
    sdk_parts, our_parts = _parts(expected[0]), _parts(said[0])
    assert [(part["name"], part["type"]) for part in our_parts] == [(part["name"], part["type"]) for part in sdk_parts]
    assert our_parts[1]["body"] == sdk_parts[1]["body"]
    sdk_item, our_item = (json.loads(parts[0]["body"])[0] for parts in (sdk_parts, our_parts))
    assert our_item == {**sdk_item, "image_url": "a.png"}
    assert our_parts[1]["filename"] == our_item["image_url"]
    assert said[0].target == expected[0].target


def _parts(request: Request) -> list[dict[str, Any]]:
    boundary = request.headers["content-type"].partition("boundary=")[2].strip('"').encode()
    parts = []
    for piece in request.body.split(b"--" + boundary)[1:-1]:
        head, _, body = piece.strip(b"\r\n").partition(b"\r\n\r\n")
        said = head.decode()
        parts.append(
            {
                "name": re.findall(r' name="([^"]*)"', said)[0],
                "filename": (re.findall(r'filename="([^"]*)"', said) or [None])[0],
                "type": re.findall(r"(?i)content-type: (\S+)", said)[0],
                "body": body,
            }
        )
    return parts
