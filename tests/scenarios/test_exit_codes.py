"""Every exit code of the table, met as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.errors import Exit, LedgerError
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.lock import Lock

from .project import Project, typed
from .tiny import edit, truth, write_tiny


def test_0_done_and_nothing_to_do(tiny: Project) -> None:
    assert tiny("apply", "-y").code == Exit.DONE
    assert tiny("apply", "-y").code == Exit.DONE
    assert tiny("plan", "--detailed-exitcode").code == Exit.DONE


def test_1_a_plan_that_cannot_be_written(tiny: Project) -> None:
    answer = tiny("plan", "--out", "nowhere/my.plan")
    assert answer.code == Exit.ERROR
    assert "nowhere" in answer.err


def test_1_a_server_that_fails_for_good_is_part_or_error(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"path": "dataset/create"}, "effect": {"status": 400, "body": {"error": "no"}}}])
    answer = tiny("apply", "-y")
    assert answer.code == Exit.PARTIAL
    assert "skipped: it waits for dataset.tiny:create" in answer.err


def test_2_changes(tiny: Project) -> None:
    assert tiny("plan", "--detailed-exitcode").code == Exit.CHANGES
    assert tiny("plan").code == Exit.DONE


def test_3_applied_in_part(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"job": "uploadAnnotations"}, "effect": {"state": "Errored_Server"}}])
    answer = tiny("apply", "-y", "--json")
    assert answer.code == Exit.PARTIAL
    tiny.emulator.inject(None)
    assert tiny.apply()["exit_code"] == 0
    tiny.assert_settled()


def test_5_a_gate_that_fails(tiny: Project) -> None:
    sections = tiny.declared()
    sections["evaluations"] = {
        "gate": {
            "kind": "benchmark",
            "model": "cnn",
            "dataset": "tiny",
            "expect": {"mAP50": ">= 1.0", "recall": ">= 1.0"},
        }
    }
    tiny.declare(**sections)
    answer = tiny("apply", "-y")
    assert answer.code == Exit.GATE_FAILED
    assert "recall" in answer.out
    assert tiny("apply", "-y").code == Exit.GATE_FAILED


def test_6_an_invalid_spec(tiny: Project) -> None:
    sections = tiny.declared()
    sections["datasets"]["tiny"]["itmes"] = sections["datasets"]["tiny"].pop("items")
    tiny.declare(**sections)
    for words in (("validate",), ("plan",), ("apply", "-y")):
        answer = tiny(*words)
        assert answer.code == Exit.INVALID
        assert "nucleus.yaml:" in answer.err
        assert "items" in answer.err


def test_6_an_invalid_source(tiny: Project) -> None:
    edit(truth(tiny), lambda coco: coco["annotations"][0].update(bbox=[1, 1, 0, 5]))
    for words in (("validate", "--sources"), ("plan",), ("apply", "-y"), ("apply",), ("apply", "-y", "--json")):
        answer = tiny(*words)
        assert answer.code == Exit.INVALID, words
        assert "width 0" in answer.text
    assert tiny.sent() == []


def test_7_no_key(tiny: Project) -> None:
    del tiny.environ["NUCLEUS_API_KEY"]
    answer = tiny("apply", "-y")
    assert answer.code == Exit.CREDENTIALS
    assert "NUCLEUS_API_KEY" in answer.err
    assert tiny("plan").code == Exit.DONE


def test_7_a_refused_key(tiny: Project) -> None:
    tiny.emulator.inject([{"effect": {"status": 401, "body": {"error": "Unauthorized"}}}])
    answer = tiny("apply", "-y")
    assert answer.code == Exit.CREDENTIALS
    assert "key" in answer.text


def test_7_a_key_that_is_revoked_in_the_middle(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"path": "signedUrl"}, "effect": {"status": 403, "body": {"error": "Forbidden"}}}])
    answer = tiny("apply", "-y")
    assert answer.code == Exit.CREDENTIALS
    tiny.emulator.inject(None)
    assert tiny("apply", "-y").code == Exit.DONE
    tiny.assert_settled()


def test_7_two_keys(tiny: Project) -> None:
    assert tiny("apply", "-y", NUCLEUS_LIMITED_ACCESS_KEY="another").code == Exit.CREDENTIALS


def test_3_a_job_that_vanished(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.api.poller.GRACE_FOR_UNKNOWN", 0.1)
    tiny.emulator.inject([{"match": {"path": "^job/"}, "effect": {"status": 404}}])
    answer = tiny("apply", "-y")
    assert answer.code == Exit.PARTIAL, answer.text
    assert "skipped: it waits for dataset.tiny.items:ingest" in answer.err
    tiny.emulator.inject(None)
    assert tiny.apply()["exit_code"] == 0
    tiny.assert_settled()
    assert len(tiny.dataset()["items"]) == 3


def test_9_refused_by_a_guard(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"].__delitem__(slice(2, None)))
    assert applied("apply", "-y").code == Exit.REFUSED
    assert applied("apply", "-y", "--json").lines()[-1]["exit_code"] == Exit.REFUSED


def test_11_locked(applied: Project) -> None:
    with (
        Ledger.open(applied.folder / ".nucleus-sync" / "ledger.db", endpoint=applied.emulator.endpoint) as ledger,
        Lock(ledger),
    ):
        answer = applied("apply", "-y")
        assert answer.code == Exit.LOCKED
        assert str(os.getpid()) in answer.err
        assert applied("plan").code == Exit.DONE


def test_12_a_ledger_that_is_none(applied: Project) -> None:
    ledger = applied.folder / ".nucleus-sync" / "ledger.db"
    for beside in ledger.parent.glob("ledger.db-*"):
        beside.unlink()
    ledger.write_bytes(b"this is no database" * 100)
    for words in (("plan",), ("apply", "-y"), ("status",)):
        assert applied(*words).code == Exit.LEDGER


def test_12_a_ledger_of_another_endpoint(applied: Project) -> None:
    answer = applied("apply", "-y", NUCLEUS_ENDPOINT="http://127.0.0.1:9/v1/nucleus")
    assert answer.code == Exit.LEDGER
    assert applied.emulator.endpoint in answer.err


def test_12_a_ledger_that_fails_stops_everything(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Ledger, "submitted", full)
    answer = tiny("apply", "-y")
    assert answer.code == Exit.LEDGER
    assert "the disk is full" in answer.err
    monkeypatch.undo()
    assert tiny("apply", "-y").code == Exit.DONE
    tiny.assert_settled()


@pytest.mark.parametrize(
    "words",
    [
        ("paln",),
        ("plan", "--bogus"),
        ("plan", "--target", "dataset.tinny"),
        ("apply", "nowhere.plan"),
        ("apply",),
        ("plan", "--json", "--format", "text"),
    ],
)
def test_64_usage(tiny: Project, words: tuple[str, ...]) -> None:
    answer = tiny(*words)
    assert answer.code == Exit.USAGE
    assert answer.err.startswith("error: ") or "error: " in answer.err
    assert tiny.sent() == []


def test_130_interrupted(tiny: Project) -> None:
    tiny.emulator.inject([{"match": {"job": "uploadDatasetItems"}, "effect": {"stuck": True}}])
    env = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")} | tiny.environ
    words = [sys.executable, "-m", "nucleus_sync", "apply", "-y", "--json"]
    with subprocess.Popen(
        words, cwd=tiny.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if json.loads(line)["event"] == "job_submitted":
                running.terminate()
                break
        rest = running.stdout.read()
        assert running.wait(90) == Exit.INTERRUPTED, rest
    tiny.emulator.inject(None)


def test_the_secrets_directory_and_dotenv_are_read(tiny: Project, tmp_path: Path) -> None:
    key = tiny.environ.pop("NUCLEUS_API_KEY")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "NUCLEUS_API_KEY").write_text(key + "\n", "utf-8")
    assert tiny("apply", "-y", NUCLEUS_SYNC_SECRETS_DIR=str(folder)).code == Exit.DONE


def test_settings_come_from_the_environment(tiny: Project) -> None:
    elsewhere = tiny.folder / "other" / "my.db"
    assert tiny("apply", "-y", NUCLEUS_SYNC_LEDGER=str(elsewhere), NUCLEUS_SYNC_BATCH_MAX_RECORDS="2").code == 0
    assert elsewhere.is_file()
    assert not (tiny.folder / ".nucleus-sync" / "ledger.db").exists()
    assert sum(line.endswith("/annotate") for line in tiny.requests()) == 3


def test_the_embedded_endpoint_needs_no_key(tmp_path: Path, tiny: Project) -> None:
    for environ, flags in (({"NUCLEUS_ENDPOINT": "embedded"}, ()), ({}, ("--embedded",))):
        answer = typed(*flags, "-C", str(tiny.folder), "apply", "-y", environ=environ)
        assert answer.code == 0, answer.text
    assert (tiny.folder / ".nucleus-sync" / "emulator").is_dir()


def test_json_answers_end_with_a_document_even_on_errors(tiny: Project) -> None:
    del tiny.environ["NUCLEUS_API_KEY"]
    last: dict[str, Any] = tiny("apply", "-y", "--json").lines()[-1]
    assert (last["event"], last["kind"], last["exit_code"]) == ("error", "CredentialsError", 7)
    assert last["fix"]


def test_a_read_only_project_can_be_planned(project: Project) -> None:
    write_tiny(project)
    project.folder.chmod(0o500)
    try:
        assert project("plan").code == 0
        assert project("validate", "--sources").code == 0
    finally:
        project.folder.chmod(0o700)
