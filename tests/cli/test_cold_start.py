"""Help and version wait for nothing that they don't need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .imported import imported_by

HEAVY = {"pydantic", "pydantic_settings", "httpx", "sqlite_utils", "watchdog", "yaml", "msgspec", "asyncio", "uvicorn"}


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--version"], HEAVY | {"rich"}),
        (["--help"], HEAVY),
        (["plan", "--help"], HEAVY),
        (["schema"], {"httpx", "sqlite_utils", "watchdog", "rich", "asyncio"}),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], spared: set[str]) -> None:
    code = f"from nucleus_sync.cli.main import main\nassert main({arguments!r}) == 0"
    assert {name.split(".")[0] for name in imported_by(code).modules} & spared == set()


SPEC = """\
version: 1
sources:
  labels: {format: coco, path: labels.json, image_url: "s3://acme/{file_name}"}
datasets:
  street: {name: Street, items: [labels], annotations: [labels]}
"""
LABELS = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}],
    "categories": [{"id": 1, "name": "car"}],
    "annotations": [{"id": n, "image_id": 1, "category_id": 1, "bbox": [n, 1, 9, 9]} for n in range(10)],
}


def test_a_small_plan_imports_no_client_no_second_process_and_nothing_that_shows_or_watches(tmp_path: Path) -> None:
    spared = {
        "httpx", "http.client", "rich", "rich_click", "watchdog", "sqlite_utils", "multiprocessing", "zstandard",
        "pyarrow", "imagesize", "uvicorn",
    }  # fmt: skip
    (tmp_path / "nucleus.yaml").write_text(SPEC)
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    assert "12 to create" in _planned(tmp_path, spared)


def test_a_plan_in_which_nothing_has_changed_checks_no_spec_and_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "nucleus.yaml").write_text(SPEC)
    (tmp_path / "labels.json").write_text(json.dumps(LABELS))
    os.utime(tmp_path / "labels.json", (1, 1))
    for command in (["apply", "-y", "-q", "--embedded"], ["plan", "--embedded"]):
        subprocess.run([sys.executable, "-m", "nucleus_sync", *command], cwd=tmp_path, check=True, timeout=60)
    spared = {
        "pydantic", "pydantic_settings", "yaml", "asyncio", "rich_click", "nucleus_sync.survey.stream",
        "nucleus_sync.survey.crew", "nucleus_sync.sources.coco_labels", "nucleus_sync.events",
    }  # fmt: skip
    assert "Nothing to do" in _planned(tmp_path, spared, "--embedded")


def test_the_client_brings_nothing_that_draws() -> None:
    assert imported_by("import nucleus_sync.api.client").modules & {"rich", "pygments"} == set()


def _planned(folder: Path, spared: set[str], *flags: str) -> str:
    """What a plan says that must not import certain modules."""
    code = f"sys.argv = ['nucleus-sync', 'plan', *{flags!r}]\nfrom nucleus_sync.cli.start import run\nrun()"
    done = imported_by(code, folder)
    assert done.modules & spared == set()
    return done.out
