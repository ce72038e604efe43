"""Commands that need neither Nucleus nor an apply before them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .typed import Typed


def test_schema_is_a_json_schema(typed: Typed) -> None:
    schema = typed("schema").json()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["properties"]) >= {"version", "sources", "datasets", "models", "evaluations"}


def test_init_writes_a_spec_that_validates_and_never_overwrites(quickstart: Typed) -> None:
    (quickstart.folder / "nucleus.yaml").unlink()
    answer = quickstart("init")
    assert answer.code == 0
    assert answer.out.startswith(f"Wrote {quickstart.folder}/nucleus.yaml: ")
    before = (quickstart.folder / "nucleus.yaml").read_text()
    assert quickstart("validate").code == 0
    again = quickstart("init")
    assert again.code == 1
    assert "there is a spec already" in again.err
    assert (quickstart.folder / "nucleus.yaml").read_text() == before


def test_init_of_an_empty_folder_is_a_skeleton(typed: Typed) -> None:
    answer = typed("init", "--json")
    assert answer.json()["declares"] == {"sources": 0, "datasets": 0, "models": 0, "evaluations": 0}
    assert typed("validate").code == 0


def test_init_of_what_is_no_folder_is_a_usage_error(typed: Typed) -> None:
    assert typed("init", "nowhere").code == 64


def test_validate_counts_what_is_declared(quickstart: Typed) -> None:
    answer = quickstart("validate")
    assert answer.out == f"{quickstart.folder}/nucleus.yaml is valid: 2 sources, 1 dataset, 1 model, 2 evaluations.\n"


def test_validate_names_every_problem_with_its_line(typed: Typed) -> None:
    (typed.folder / "nucleus.yaml").write_text("version: 1\nsorces: {}\ndatasets:\n  a: {nam: x}\n")
    answer = typed("validate")
    assert answer.code == 6
    assert "nucleus.yaml:2:1" in answer.err
    assert "nucleus.yaml:4" in answer.err
    assert "^" in answer.err
    problems = json.loads(typed("validate", "--json").out)["problems"]
    assert problems[0]["line"] == 2


def test_before_the_first_apply_status_and_errors_say_so(quickstart: Typed) -> None:
    assert quickstart("status").out == "Nothing was applied yet: there is no ledger.\n"
    assert quickstart("status", "--json").json()["streams"] == []
    assert quickstart("errors").out == "No record was rejected, none is invalid.\n"
    assert quickstart("errors", "--json").out == ""
    assert not (quickstart.folder / ".nucleus-sync").exists()


def test_doctor_says_what_is_missing_and_what_to_do(quickstart: Typed) -> None:
    answer = quickstart("doctor")
    assert answer.code == 7
    assert "✗ endpoint  there is no API key" in answer.out
    assert "NUCLEUS_API_KEY" in answer.out
    assert quickstart("--embedded", "doctor").code == 0


def test_doctor_never_shows_the_key(quickstart: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", "live_planted_canary")
    monkeypatch.setenv("NUCLEUS_ENDPOINT", "http://127.0.0.1:9")
    for arguments in (["doctor"], ["doctor", "--json"], ["doctor", "--verbose"]):
        answer = quickstart(*arguments)
        assert answer.code != 0
        assert "canary" not in answer.out + answer.err


def test_demo_leaves_a_folder_of_somebody_else_alone(typed: Typed) -> None:
    (typed.folder / "thesis").mkdir()
    (typed.folder / "thesis" / "chapter.txt").write_text("mine")
    answer = typed("demo", "thesis")
    assert answer.code == 64
    assert [path.name for path in (typed.folder / "thesis").iterdir()] == ["chapter.txt"]


def test_the_quickstart_is_the_same_every_time(tmp_path: Path) -> None:
    from nucleus_sync.cli.quickstart import write_quickstart

    write_quickstart(tmp_path / "a")
    write_quickstart(tmp_path / "b")
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
