"""Killed between deleting an item and ingesting it again, or around a merge of metadata: one more apply heals it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import nucleus
import pytest
from crash import driver

from .project import Project, picture, write_lines
from .test_image_change import KEEPS, WHOLE, _applied, _declare, _digests, _held, _uploaded
from .test_metadata_mode import THEIRS

DELETE, APPEND, MERGE = "DELETE dataset/*/refloc/*", "POST dataset/*/append", "POST dataset/*/metadata"

IS_SOAK = bool(os.environ.get("NUCLEUS_SYNC_SOAK"))
FEW_OF_ITEMS = [(f"after {DELETE}", 1), (f"after {APPEND}", 1)]
ALL_OF_ITEMS = [
    *FEW_OF_ITEMS,
    ("batch prepared", 1),
    (f"before {DELETE}", 2),
    (f"after {DELETE}", 2),
    ("batch finished", 2),
    ("batch prepared", 3),
    (f"before {APPEND}", 1),
    ("batch submitted", 1),
    ("batch finished", 3),
]
FEW_OF_METADATA = [f"after {MERGE}"]
ALL_OF_METADATA = [*FEW_OF_METADATA, "batch prepared", f"before {MERGE}", "batch submitted"]


def _killed_at(project: Project, point: str, nth: int) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")}
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, driver.__file__, str(project.folder), str(project.folder / "trace"), point, str(nth)],
        env=kept | project.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(("point", "nth"), ALL_OF_ITEMS if IS_SOAK else FEW_OF_ITEMS)
def test_an_item_made_anew(project: Project, client: nucleus.NucleusClient, point: str, nth: int) -> None:
    _uploaded(project, on_image_change="replace", prune=True)
    _applied(project)
    project.emulator.inject([KEEPS])  # so that an update alone would never do
    before = _digests(project)
    for name in ("a.png", "b.png"):
        picture(project.folder / "images" / name, 9, 8, 99)
    _killed_at(project, point, nth)
    _applied(project)
    after = _digests(project)
    assert [name for name in sorted(after) if after[name] != before[name]] == ["a.png", "b.png"]
    assert _held(client) == WHOLE


@pytest.mark.parametrize("point", ALL_OF_METADATA if IS_SOAK else FEW_OF_METADATA)
def test_a_merge_of_metadata(project: Project, client: nucleus.NucleusClient, point: str) -> None:
    def declare(number: int) -> None:
        line = {"reference_id": "a.png", "image_url": "s3://b/a.png", "metadata": {"n": number}}
        others = [{**line, "reference_id": name} for name in ("b.png", "c.png")]
        write_lines(project.folder / "items.jsonl", [line, *others])
        _declare(project, {"format": "records", "path": "items.jsonl"}, metadata_mode="merge")

    declare(1)
    _applied(project)
    (dataset,) = client.datasets
    dataset.update_item_metadata({"a.png": THEIRS})
    declare(2)
    _killed_at(project, point, 1)
    _applied(project)
    assert next(item.metadata for item in dataset.items if item.reference_id == "a.png") == {"n": 2, **THEIRS}
    assert _held(client) == WHOLE
