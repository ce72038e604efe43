"""Looking into the ledger and mending it, with nothing of Nucleus but what the ledger says."""

from __future__ import annotations

from pathlib import Path

from .project import Project
from .test_locks import holding


def addresses(project: Project) -> list[str]:
    return [one["address"] for one in project.ok("state", "list", "--json").json()["entries"]]


def test_reading_commands_take_the_ledger_as_it_is_whatever_the_endpoint(applied: Project) -> None:
    applied.environ["NUCLEUS_ENDPOINT"] = "https://elsewhere.example"
    del applied.environ["NUCLEUS_API_KEY"]
    for words in (["status"], ["errors"], ["state", "list"], ["state", "show", "dataset.tiny"], ["history"]):
        assert applied(*words).code == 0, words
        assert applied(*words, "--json").code == 0, words
    for words in (["plan"], ["state", "rm", "dataset.tiny"], ["state", "mv", "dataset.tiny", "dataset.x"], ["unlock"]):
        assert applied(*words).code == 12, words


def test_state_list_names_resources_and_streams(applied: Project) -> None:
    assert addresses(applied) == [
        "dataset.tiny",
        "dataset.tiny.annotations",
        "dataset.tiny.items",
        "evaluation.dashboard",
        "model.cnn",
        "model.cnn.predictions.tiny",
    ]
    assert applied.ok("state", "list", "model.cnn", "--json").json()["entries"][1]["records"] == 5
    lines = [line.split() for line in applied.ok("state", "list").out.splitlines()]
    assert ["dataset.tiny.items", "stream", "–", "3"] in lines


def test_state_show_tells_what_is_known_of_one_address(applied: Project) -> None:
    shown = applied.ok("state", "show", "dataset.tiny", "--json").json()
    assert shown["nucleus_id"].startswith("ds_")
    assert shown["details"]["wanted"]["name"] == "Tiny"
    stream = applied.ok("state", "show", "dataset.tiny.annotations", "--item", "a.png", "--json").json()
    assert stream["records"] == 6
    assert [one["key"]["annotation_id"] for one in stream["item"]] == ["10", "11"]
    missing = applied("state", "show", "dataset.tiny.annotation")
    assert missing.code == 64
    assert "did you mean dataset.tiny.annotations?" in missing.err


def test_a_copy_is_kept_before_anything_is_mended(applied: Project) -> None:
    before = addresses(applied)
    answer = applied("state", "rm", "dataset.tiny", "--json").json()
    copy = Path(answer["copy"])
    assert copy.stat().st_mode & 0o777 == 0o600
    assert "is kept as" in applied.ok("state", "mv", "model.cnn", "model.net").out
    copy.replace(applied.folder / ".nucleus-sync" / "ledger.db")
    for log in (applied.folder / ".nucleus-sync").glob("ledger.db-*"):
        log.unlink()
    assert addresses(applied) == before
    applied.assert_settled()


def test_a_forgotten_stream_is_planned_again_and_nucleus_keeps_it(applied: Project) -> None:
    applied.ok("state", "rm", "dataset.tiny.annotations")
    assert "dataset.tiny.annotations" not in addresses(applied)
    assert len(applied.dataset()["annotations"]) == 6
    assert applied.plan()["summary"]["create"] == 6
    assert applied.apply()["create"] == 6
    applied.assert_settled()
    assert len(applied.dataset()["annotations"]) == 6


def test_a_dataset_is_renamed_in_spec_and_ledger_and_nothing_is_sent(applied: Project) -> None:
    sections = applied.declared()
    sections["datasets"] = {"small": sections["datasets"]["tiny"]}
    sections["models"]["cnn"]["predictions"] = {"small": ["cnn"]}
    del sections["evaluations"]
    applied.declare(**sections)
    applied.ok("state", "mv", "dataset.tiny", "dataset.small")
    assert "model.cnn.predictions.small" in addresses(applied)
    applied.assert_settled()


def test_moves_that_no_spec_could_follow_are_refused(applied: Project) -> None:
    for old, new in [
        ("dataset.tiny", "model.tiny"),
        ("dataset.tiny.items", "dataset.tiny.things"),
        ("dataset.tiny", "dataset"),
    ]:
        assert applied("state", "mv", old, new).code == 64
    assert applied("state", "mv", "dataset.none", "dataset.other").code == 64
    assert applied("state", "mv", "dataset.tiny", "dataset.tiny").code == 64


def test_history_names_every_run_that_changed_something(applied: Project) -> None:
    applied.ok("state", "rm", "evaluation.dashboard")
    runs = applied.ok("history", "--json").json()["runs"]
    assert [(run["command"], run["exit_code"]) for run in runs] == [("state rm evaluation.dashboard", 0), ("apply", 0)]
    assert runs[1]["counts"]["create"] > 0
    assert len(applied.ok("history", "-n", "1", "--json").json()["runs"]) == 1
    assert "state rm evaluation.dashboard" in applied.ok("history").out


def test_writing_the_state_needs_the_lock(applied: Project) -> None:
    with holding(applied) as pid:
        for words in (["rm", "dataset.tiny"], ["mv", "dataset.tiny", "dataset.x"]):
            answer = applied("state", *words)
            assert answer.code == 11
            assert f"pid {pid}" in answer.err
    assert "dataset.tiny" in addresses(applied)


def test_there_is_nothing_to_mend_without_a_ledger(tiny: Project) -> None:
    assert tiny("state", "rm", "dataset.tiny").code == 12
    assert tiny.ok("state", "list", "--json").json()["entries"] == []
    assert tiny.ok("history").out == "Nothing was changed yet.\n"
    assert not (tiny.folder / ".nucleus-sync").exists()
