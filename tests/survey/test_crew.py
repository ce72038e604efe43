"""Several processes read what one reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.survey import crew, reading
from nucleus_sync.workspace import Choices, Workspace

SPEC = """version: 1
sources:
  labels:
    format: coco
    path: labels.json
    image_url: "s3://bucket/{file_name}"
    on_invalid: skip
datasets:
  street:
    name: Street
    items: [labels]
    annotations: [labels]
"""


def _annotation(number: int) -> dict[str, Any]:
    width = 0 if number % 97 == 0 else 5
    over = 30 if number % 50 == 0 else 0
    return {"id": number, "image_id": number % 40, "category_id": 1, "bbox": [1 + over, 2, width, 4], "iscrowd": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nucleus.yaml").write_text(SPEC)
    coco = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 32, "height": 24} for n in range(40)],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [_annotation(number) for number in range(9_000)],
    }
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    return tmp_path


def _plan(folder: Path) -> tuple[dict[str, str], list[Any]]:
    """What would be sent, and what was found wrong."""
    with Workspace(folder / "nucleus.yaml", environ=os.environ, embedded=True) as space:
        plan = space.prepare(Choices(), with_ledger=False).plan
    return dict(plan.contents), [(source.causes, source.shown) for source in plan.sources]


def test_a_crew_finds_what_one_process_finds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = _plan(folder)
    monkeypatch.setattr(reading, "WORTH_A_CREW", 1)
    monkeypatch.setattr(crew, "_processors", lambda: 3)
    assert _plan(folder) == alone


def test_where_no_process_can_be_started_one_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = _plan(folder)
    monkeypatch.setattr(reading, "WORTH_A_CREW", 1)

    def refuse(*_: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(crew, "_start", refuse)
    assert _plan(folder) == alone
