"""Help and version wait for nothing that they don't need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    code = (
        "import sys\n"
        "from nucleus_sync.cli.main import main\n"
        f"assert main({arguments!r}) == 0\n"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert set(done.stderr.split()) & spared == set()


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
    code = "import sys, nucleus_sync.api.client; sys.exit(bool({'rich', 'pygments'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def _planned(folder: Path, spared: set[str], *flags: str) -> str:
    """What a plan says that must not import certain modules."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['nucleus-sync', 'plan', *{flags!r}]\n"
        "from nucleus_sync.cli.start import run\n"
        "run()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stderr.splitlines()[-1].split()) & spared == set()
    return done.stdout
