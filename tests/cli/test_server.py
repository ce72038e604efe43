"""Against a server on a port, as against the real one: a key, rejected records, and the key nowhere to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus_sync.emulator.server import Emulator

from .typed import Typed

KEY = "live_planted_canary_key"
REJECT_THE_SECOND = {
    "match": {"job": "uploadDatasetItems", "nth": 2},  # the first one is the probe
    "effect": {"reject": {"indices": [1], "error": "Injected: this item was refused."}},
}


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator"), faults=[REJECT_THE_SECOND]) as running:
        yield running


@pytest.fixture
def served(quickstart: Typed, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Typed:
    (quickstart.folder / "nucleus.yaml").write_text(
        "version: 1\n"
        "sources:\n"
        '  table: {format: table, path: t.csv, reference_id: "{frame}", image_url: "https://example.com/{frame}"}\n'
        "datasets:\n"
        "  drive: {name: Drive, items: [table]}\n"
    )
    rows = "".join(f"{number}.jpg,{number}\n" for number in range(10))
    (quickstart.folder / "t.csv").write_text(f"frame,speed\n{rows}")
    monkeypatch.setenv("NUCLEUS_ENDPOINT", emulator.endpoint)
    monkeypatch.setenv("NUCLEUS_API_KEY", KEY)
    return quickstart


def test_a_rejected_record_is_3_is_listed_and_then_rests(served: Typed) -> None:
    answer = served("apply", "-y")
    assert answer.code == 3, answer.err
    assert "Injected: this item was refused." in answer.err
    assert answer.out.splitlines()[-1].startswith("Done in part: ")
    (refused,) = served("errors", "--json").lines()
    assert refused["kind"] == "rejected"
    assert refused["address"] == "dataset.drive.items"
    assert refused["file"].endswith("t.csv")
    assert "this item was refused" in refused["reason"]
    plan = served("plan", "--detailed-exitcode")
    assert plan.code == 0
    assert "(1 rejected record rests)" in plan.out.splitlines()[-1]
    assert served("apply", "-y", "--retry-rejected").code == 0
    assert served("errors").out.startswith("No record")


def test_the_key_is_nowhere(served: Typed) -> None:
    said = ""
    for arguments in (
        ["doctor"],
        ["plan", "--json", "--out", "p.json"],
        ["apply", "-y", "--json", "-v"],
        ["status", "-v"],
    ):
        answer = served(*arguments)
        said += answer.out + answer.err
    assert KEY not in said
    for path in sorted(Path(served.folder).rglob("*")):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_doctor_reaches_it(served: Typed) -> None:
    answer = served("doctor")
    assert answer.code == 0
    assert "takes the key" in answer.out
    assert "clock" in answer.out


def test_doctor_has_one_image_read_and_leaves_nothing_behind(served: Typed, emulator: Emulator) -> None:
    assert "✓ images    Nucleus reads the first image of source table" in served("doctor").out
    assert _deletes_what_it_made(emulator)


def test_doctor_says_what_nucleus_says_against_an_image(served: Typed, emulator: Emulator) -> None:
    refusal = {"match": {"job": "uploadDatasetItems"}, "effect": {"reject": {"indices": [0], "error": "No access."}}}
    emulator.inject([refusal])
    answer = served("doctor")
    assert answer.code == 1
    assert "✗ images    Nucleus can't read the first image of source table: Item 0.jpg: No access." in answer.out
    assert "let Nucleus read that bucket" in answer.out
    assert _deletes_what_it_made(emulator)


def _deletes_what_it_made(emulator: Emulator) -> bool:
    """Nucleus deletes datasets in its own time."""
    calls = [(one["method"], one["path"].rpartition("/")[2], one["status"]) for one in emulator.requests()]
    made = [call for call in calls if call[:2] == ("POST", "create")]
    deleted = [call for call in calls if call[0] == "DELETE" and call[1].startswith("ds_")]
    return len(made) == len(deleted) == 1 and deleted[0][2] == 200


def test_without_a_key_apply_is_7_and_plan_needs_none(served: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUCLEUS_API_KEY")
    assert served("plan").code == 0
    answer = served("apply", "-y")
    assert answer.code == 7
    assert "NUCLEUS_API_KEY" in answer.err


def test_a_ledger_of_another_endpoint_is_refused(served: Typed) -> None:
    served("apply", "-y")
    answer = served("--embedded", "plan")
    assert answer.code == 12
    assert "endpoint" in answer.err or "embedded" in answer.err
