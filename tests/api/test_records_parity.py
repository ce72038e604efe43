"""What the official SDK sends of a record, and what a `records` source makes of the same lines, are equal values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nucleus
import pytest
from nucleus import (
    BoxAnnotation,
    BoxPrediction,
    CategoryAnnotation,
    CategoryPrediction,
    CuboidAnnotation,
    CuboidPrediction,
    DatasetItem,
    Keypoint,
    KeypointsAnnotation,
    KeypointsPrediction,
    LineAnnotation,
    LinePrediction,
    MultiCategoryAnnotation,
    Point,
    Point3D,
    PolygonAnnotation,
    PolygonPrediction,
    Segment,
    SegmentationAnnotation,
    SegmentationPrediction,
)
from nucleus.dataset_item import DatasetItemEmbeddingInfo

from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind, wire_line
from nucleus_sync.sources.ndjson import RecordsReader
from nucleus_sync.sources.reader import Pick, Surroundings
from nucleus_sync.spec.model import RecordsSource

from .conftest import KEY
from .recorder import Recorder
from .test_sdk_parity import ROUTES

POINTS = [Point(1, 2), Point(30.5, 2), Point(30, 40)]
KEYPOINTS = [Keypoint(x=5, y=6, visible=True), Keypoint(x=None, y=None, visible=False)]
NAMES = ["nose", "chin"]
SPACE = (Point3D(10, 2, 0.5), Point3D(4.5, 1.9, 1.6), 0.3)
SEGMENTS = [Segment("road", 1), Segment("car", 2, metadata={"n": 3})]
MASK = "s3://acme/masks/a.png"

ITEMS = [
    DatasetItem("s3://acme/a.jpg", "a/b ü.jpg", metadata={"site": "berlin", "n": 1, "deep": {"list": [1, 2.5, None]}}),
    DatasetItem("https://example.com/b.jpg", "b", width=640, height=480),
    DatasetItem("https://example.com/c.jpg", "c", metadata={"lat": 52.5, "lon": 13.3}),
    DatasetItem("https://example.com/d.jpg", "d", embedding_info=DatasetItemEmbeddingInfo("emb_1", [0.5, 1.0])),
    DatasetItem(
        "https://example.com/e.jpg",
        "e",
        metadata={"context_attachments": [{"attachment": "https://example.com/e.txt"}]},
    ),
]
ANNOTATIONS = [
    BoxAnnotation("car", 1, 2, 3.5, 4, "a", "b-1", metadata={"crowd": 0}, embedding_vector=[0.5, 1.0]),
    BoxAnnotation("car", 1, 2, 3, 4, "a", "b-2", track_reference_id="t-1"),
    LineAnnotation("kerb", POINTS[:2], "a", "l-1", metadata={"k": "v"}),
    PolygonAnnotation("bus", POINTS, "a", "p-1", embedding_vector=[0.25]),
    KeypointsAnnotation("face", KEYPOINTS, NAMES, skeleton=[[0, 1]], reference_id="a", annotation_id="k-1"),
    CuboidAnnotation("car", *SPACE, "pc", "c-1"),
    CuboidAnnotation("car", *SPACE, "pc", "c-2", metadata={"n": 1}, track_reference_id="t-1"),
    SegmentationAnnotation(MASK, SEGMENTS, "a", "m-1"),
    CategoryAnnotation("rain", "a", taxonomy_name="weather", metadata={"sure": 1}),
    MultiCategoryAnnotation(["rain", "fog"], "a", taxonomy_name="conditions"),
]
PREDICTIONS = [
    BoxPrediction("car", 1, 2, 3, 4, "a", 0.9, "b-1", class_pdf={"car": 0.9, "bus": 0.1}),
    LinePrediction("kerb", POINTS[:2], "a", 0.5, "l-1"),
    PolygonPrediction("bus", POINTS, "a", 0.25, "p-1"),
    KeypointsPrediction("face", KEYPOINTS, NAMES, [[0, 1]], reference_id="a", confidence=0.5, annotation_id="k-1"),
    CuboidPrediction("car", *SPACE, "pc", 0.75, "c-1", metadata={"n": 1}),
    SegmentationPrediction(MASK, SEGMENTS, "a", "m-1"),
    CategoryPrediction("rain", "a", taxonomy_name="weather", confidence=0.5),
]

Upload = Callable[[nucleus.Dataset, Sequence[Any]], object]


def _predict(dataset: nucleus.Dataset, records: Sequence[Any]) -> object:
    model = nucleus.Model("prj_1", "m", "m", {}, dataset._client)
    return dataset.upload_predictions(model, records, asynchronous=True)


UPLOADS: dict[Kind, tuple[Upload, Sequence[Any]]] = {
    Kind.ITEMS: (lambda dataset, records: dataset.append(records), ITEMS),
    Kind.ANNOTATIONS: (lambda dataset, records: dataset.annotate(records, asynchronous=True), ANNOTATIONS),
    Kind.PREDICTIONS: (_predict, PREDICTIONS),
}
CASES = [
    pytest.param(kind, number, id=f"{kind}-{type(record).__name__}-{number}")
    for kind, (_, records) in UPLOADS.items()
    for number, record in enumerate(records)
]


def _sent_by_the_sdk(recorder: Recorder, kind: Kind, number: int) -> bytes:
    """The one line that the SDK puts to the signed URL."""
    upload, records = UPLOADS[kind]
    routes = {"GET /dataset/ds_1/signedUrl": {"signed_url": f"{recorder.url}/storage/x"}, **ROUTES}
    recorder.routes({"GET /dataset/ds_1/is_scene": {"is_scene": False}, **routes})
    upload(nucleus.Dataset("ds_1", nucleus.NucleusClient(KEY, endpoint=recorder.url)), [records[number]])
    (put,) = [request for request in recorder.requests if request.method == "PUT"]
    return put.body


def _sent_by_us(line: bytes, kind: Kind, folder: Path) -> tuple[list[Any], list[Problem]]:
    """What a `records` source makes of that line."""
    path = folder / "lines.jsonl"
    path.write_bytes(line)
    source = RecordsSource(format="records", path=str(path))
    reader = RecordsReader(source, Surroundings("lines", folder, folder, NoFacts()))
    problems: list[Problem] = []
    picks = [Pick(*seen) for seen in reader.scan(kind, problems.append)]
    return [json.loads(wire_line(record)) for _, record in reader.read(kind, picks, problems.append)], problems


@pytest.mark.parametrize(("kind", "number"), CASES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_lines_are_equal(recorder: Recorder, tmp_path: Path, kind: Kind, number: int) -> None:
    line = _sent_by_the_sdk(recorder, kind, number)
    sent, problems = _sent_by_us(line, kind, tmp_path)
    assert problems == []
    assert sent == [json.loads(line)]
