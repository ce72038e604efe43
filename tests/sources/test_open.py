"""Every format of the spec has a reader, imported only when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.imported import imported_by
from pydantic import TypeAdapter

from nucleus_sync.records.facts import Facts
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.open import open_reader, yields
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.spec.source import YIELDS, Source


class NoFacts:
    def recall(self, folder: str, path: str) -> Facts | None:
        return None

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        pass


SOURCES: dict[str, dict[str, Any]] = {
    "images": {"path": "photos"},
    "records": {"path": "a.jsonl"},
    "table": {"path": "a.csv"},
    "coco": {"path": "a.json"},
    "coco-results": {"path": "a.json", "ground_truth": "b.json"},
    "coco-panoptic": {"path": "a.json"},
    "yolo": {"path": "folder"},
    "voc": {"path": "folder"},
    "kitti": {"path": "folder"},
    "frames": {"path": "folder", "frame_rate": 10, "image_url": "s3://b/{path}"},
    "kitti-3d": {"path": "folder", "pointcloud_url": "s3://b/{path}.json"},
}
KINDS = {
    "images": {Kind.ITEMS},
    "records": set(Kind),
    "table": {Kind.ITEMS},
    "coco": {Kind.ITEMS, Kind.ANNOTATIONS},
    "coco-results": {Kind.PREDICTIONS},
    "coco-panoptic": {Kind.ITEMS, Kind.ANNOTATIONS, Kind.PREDICTIONS},
    "yolo": {Kind.ITEMS, Kind.ANNOTATIONS, Kind.PREDICTIONS},
    "voc": {Kind.ITEMS, Kind.ANNOTATIONS},
    "kitti": {Kind.ITEMS, Kind.ANNOTATIONS, Kind.PREDICTIONS},
    "frames": {Kind.SCENES},
    "kitti-3d": {Kind.SCENES, Kind.ANNOTATIONS, Kind.PREDICTIONS},
}


def source(name: str) -> Source:
    parsed: Source = TypeAdapter(Source).validate_python({"format": name, **SOURCES[name]})
    return parsed


def test_every_format_is_covered() -> None:
    assert set(YIELDS) == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_opening_reads_nothing(tmp_path: Path, name: str) -> None:
    reader = open_reader(source(name), Surroundings("it", tmp_path, tmp_path, NoFacts()))
    assert type(reader).__name__.endswith("Reader")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SOURCES)
def test_kinds(name: str) -> None:
    assert yields(source(name)) == KINDS[name]


def test_the_choice_imports_no_format() -> None:
    heavy = {"pyarrow", "imagesize", "zstandard", "nucleus_sync.sources.images", "nucleus_sync.sources.ndjson"}
    assert not heavy & imported_by("import nucleus_sync.sources.open").modules
