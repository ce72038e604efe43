"""Every example validates; those that bring their own data do so with every record."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path

import pytest

from nucleus_sync.cli.main import main
from nucleus_sync.cli.quickstart import write_quickstart
from nucleus_sync.spec.load import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/nucleus.yaml"))


def test_there_are_examples() -> None:
    assert set(NAMES) >= {"quickstart", "coco", "records", "table", "gitops", "scenes"}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_validates_without_a_warning(name: str) -> None:
    assert load(EXAMPLES / name / "nucleus.yaml", {}).warnings == ()


@pytest.mark.parametrize(("name", "streams"), [("quickstart", 3), ("records", 3), ("table", 1), ("scenes", 4)])
def test_an_example_with_data_has_only_sound_records(
    name: str, streams: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUCLEUS_SYNC_LEDGER", str(tmp_path / "ledger.db"))
    assert main(["-C", str(EXAMPLES / name), "validate", "--sources", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["summary"]["invalid"] == 0
    assert len(answer["streams"]) == streams


def test_the_scenes_can_be_applied_and_then_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("NUCLEUS")]:
        monkeypatch.delenv(name)
    folder = shutil.copytree(EXAMPLES / "scenes", tmp_path / "scenes")
    assert main(["-C", str(folder), "--embedded", "apply", "--auto-approve", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    # Datasets, a slice and a track; three scenes; two cuboids and five boxes.
    assert summary["create"] == 2 + 2 + 3 + 7
    assert main(["-C", str(folder), "--embedded", "plan", "--detailed-exitcode"]) == 0


def test_the_quickstart_is_what_the_demo_writes(tmp_path: Path) -> None:
    write_quickstart(tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    shipped = EXAMPLES / "quickstart"
    assert {path.relative_to(shipped) for path in shipped.rglob("*.*")} == written
    for path in written:
        assert contents(shipped / path) == contents(tmp_path / path)


def contents(path: Path) -> bytes:
    """A file's bytes; of a PNG its pixels, for zlib's versions differ in how they pack them."""
    raw = path.read_bytes()
    if path.suffix != ".png":
        return raw
    at = raw.index(b"IDAT")
    return zlib.decompress(raw[at + 4 : at + 4 + int.from_bytes(raw[at - 4 : at])])
