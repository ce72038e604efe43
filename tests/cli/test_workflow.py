"""The whole way, as a user types it: validate, plan, apply, evaluate, and nothing left to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .typed import Answer, Typed, process


def applied(typed: Typed, *arguments: str) -> Answer:
    """An apply that went well."""
    answer = typed("--embedded", "apply", "--auto-approve", *arguments)
    assert answer.code == 0, answer.err
    return answer


def edit(path: Path, change: Any) -> None:
    """Change a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_a_first_apply_does_everything_and_a_second_one_nothing(quickstart: Typed) -> None:
    assert quickstart("--embedded", "plan", "--detailed-exitcode").code == 2
    first = applied(quickstart)
    assert "mAP50" in first.out
    assert first.out.splitlines()[-1].startswith("Done: ")
    second = applied(quickstart)
    assert second.out.startswith("Nothing to do: ")
    assert quickstart("--embedded", "plan", "--detailed-exitcode").code == 0


def test_the_plan_waits_for_items_before_annotations_and_for_both_before_evaluations(quickstart: Typed) -> None:
    document = quickstart("--embedded", "plan", "--json").json()
    at = {step["id"]: number for number, step in enumerate(document["steps"])}
    items, annotations = "dataset.street.items:ingest", "dataset.street.annotations:ingest"
    predictions, quality = "model.cnn.predictions.street:ingest", "evaluation.quality:evaluate"
    assert at["dataset.street:create"] < at[items] < at[annotations] < at[quality]
    assert at[items] < at[predictions] < at[quality]
    steps = {step["id"]: step for step in document["steps"]}
    assert items in steps[annotations]["depends_on"]
    assert set(steps[quality]["depends_on"]) >= {annotations, predictions}
    assert document["format_version"] == 1
    assert document["summary"]["steps"] == len(document["steps"])


def test_events_are_json_lines_and_the_summary_is_the_last(quickstart: Typed) -> None:
    events = applied(quickstart, "--json").lines()
    names = [event["event"] for event in events]
    assert names[-1] == "summary"
    assert names.count("summary") == 1
    assert {"step_started", "job_submitted", "job_finished", "step_finished", "evaluated"} <= set(names)
    summary = events[-1]
    assert (summary["rejected"], summary["failed_steps"], summary["exit_code"]) == (0, 0, 0)
    done = [event["step"] for event in events if event["event"] == "step_finished"]
    assert done.index("dataset.street.items:ingest") < done.index("dataset.street.annotations:ingest")


def test_one_edited_box_is_one_update(quickstart: Typed) -> None:
    applied(quickstart)
    edit(quickstart.folder / "ground-truth.json", lambda truth: truth["annotations"][0]["bbox"].__setitem__(0, 3))
    answer = quickstart("--embedded", "plan", "--records", "changes.jsonl", "--json")
    summary = answer.json()["summary"]
    assert (summary["create"], summary["update"], summary["delete"]) == (0, 1, 0)
    (change,) = [json.loads(line) for line in (quickstart.folder / "changes.jsonl").read_text().splitlines()]
    assert change["address"] == "dataset.street.annotations"
    assert change["action"] == "update"
    assert change["reason"] == "geometry changed"
    assert change["file"].endswith("ground-truth.json")


def test_a_saved_plan_is_done_and_a_stale_one_refused(quickstart: Typed) -> None:
    saved = quickstart("--embedded", "plan", "--out", "p.json")
    assert saved.code == 0
    assert "digest" in saved.err
    done = quickstart("--embedded", "apply", "p.json")
    assert done.code == 0, done.err
    again = quickstart("--embedded", "apply", "p.json")
    assert again.code == 4
    assert "ledger: " in again.err
    assert "nothing was done" in again.err
    document = quickstart("--embedded", "apply", "p.json", "--json").lines()[-1]
    assert document["exit_code"] == 4
    assert document["moved"]


def test_an_edited_source_makes_a_saved_plan_stale(quickstart: Typed) -> None:
    quickstart("--embedded", "plan", "--out", "p.json")
    edit(quickstart.folder / "ground-truth.json", lambda truth: truth["annotations"][0]["bbox"].__setitem__(0, 3))
    stale = quickstart("--embedded", "apply", "p.json")
    assert stale.code == 4
    assert "sources of dataset.street.annotations" in stale.err


def test_without_approval_nothing_is_done(quickstart: Typed) -> None:
    refused = process("--embedded", "apply", cwd=quickstart.folder)
    assert refused.code == 64
    assert "--auto-approve" in refused.err
    status = quickstart("--embedded", "status", "--json").json()
    assert status["resources"] == []
    assert sum(stream["confirmed"] for stream in status["streams"]) == 0


def test_the_question_takes_only_the_whole_word(quickstart: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.cli.screen.Screen.can_ask", True)
    said = quickstart.folder / "said"
    for word, code in (("y\n", 1), ("\n", 1), ("yes\n", 0)):
        said.write_text(word)
        with said.open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            answer = quickstart("--embedded", "apply")
        assert answer.code == code, answer.err
        assert ("nothing was done" in answer.err) is (code == 1)


@pytest.mark.parametrize("command", [["validate", "--sources"], ["--embedded", "plan"], ["--embedded", "apply", "-y"]])
def test_invalid_records_are_said_alike_and_nothing_of_their_stream_is_sent(
    quickstart: Typed, command: list[str]
) -> None:
    edit(quickstart.folder / "ground-truth.json", lambda truth: truth["annotations"][4]["bbox"].__setitem__(2, -1))
    answer = quickstart(*command)
    assert answer.code == 6
    assert "1 invalid record" in answer.out
    assert "ground-truth.json: annotations[4]" in answer.out
    assert "annotation 5" in answer.out


def test_status_and_errors_speak_from_the_ledger_alone(quickstart: Typed) -> None:
    applied(quickstart)
    status = quickstart("--embedded", "status", "--json").json()
    counts = {stream["address"]: stream["confirmed"] for stream in status["streams"]}
    assert counts["dataset.street.items"] == 12
    assert counts["dataset.street.annotations"] > 30
    assert status["running"] == []
    assert "dataset.street.items" in quickstart("--embedded", "status").out
    assert quickstart("--embedded", "errors").out == "No record was rejected, none is invalid.\n"


def test_targets_limit_a_plan(quickstart: Typed) -> None:
    document = quickstart("--embedded", "plan", "--target", "dataset.street.items", "--json").json()
    addresses = {step["address"] for step in document["steps"]}
    assert "dataset.street.items" in addresses
    assert not any(address.startswith(("model.", "evaluation.")) for address in addresses)


def test_a_gate_that_fails_is_5(quickstart: Typed) -> None:
    spec = quickstart.folder / "nucleus.yaml"
    spec.write_text(spec.read_text().replace(">= 0.60", ">= 0.999"))
    answer = quickstart("--embedded", "apply", "--auto-approve")
    assert answer.code == 5
    assert "✗ mAP50 >= 0.999" in answer.out


def test_the_demo_ends_with_nothing_left(typed: Typed) -> None:
    for _ in range(2):
        answer = typed("demo", "shown")
        assert answer.code == 0, answer.err
        assert "$ nucleus-sync -C " in answer.out
        assert "mAP50" in answer.out
        assert "Nothing to do: " in answer.out


def test_off_a_terminal_there_are_lines_and_no_bars(quickstart: Typed) -> None:
    answer = process("--embedded", "apply", "-y", cwd=quickstart.folder)
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out + answer.err
    assert "\r" not in answer.err
    assert "✓ ingest dataset.street.items" in answer.err
    assert process("--embedded", "--quiet", "apply", "-y", cwd=quickstart.folder).err == ""
