"""What this ledger has made is deleted after asking, in reverse order; what others have made stays."""

from __future__ import annotations

import nucleus
import pytest

from .project import Project

Client = nucleus.NucleusClient


def entries(project: Project) -> list[str]:
    return [one["address"] for one in project.ok("state", "list", "--json").json()["entries"]]


def deletions(project: Project, since: int) -> list[str]:
    words = [line.split("/") for line in project.sent()[since:] if line.startswith("DELETE")]
    return [parts[parts.index("nucleus") + 1] for parts in words]


@pytest.fixture
def sliced(applied: Project) -> Project:
    """The applied project with a slice and a benchmark."""
    sections = applied.declared()
    sections["datasets"]["tiny"]["slices"] = {"few": {"reference_ids": ["a.png"]}}
    sections["evaluations"]["quality"] = {"kind": "benchmark", "model": "cnn", "dataset": "tiny"}
    applied.declare(**sections)
    assert applied.apply()["exit_code"] == 0
    return applied


def test_all_of_it_goes_in_reverse_order_and_the_ledger_is_empty(sliced: Project) -> None:
    sent = len(sliced.sent())
    values = sliced.ok("destroy", "--auto-approve", "--json").json()
    assert [one["address"] for one in values["destroyed"]] == [
        "evaluation.dashboard",
        "evaluation.quality",
        "model.cnn",
        "dataset.tiny",
    ]
    assert values["destroyed"][3]["records"] == {
        "dataset.tiny.annotations": 6,
        "dataset.tiny.items": 3,
        "model.cnn.predictions.tiny": 5,
    }
    assert deletions(sliced, sent) == ["benchmarks", "model", "dataset"]
    assert (sliced.world()["datasets"], sliced.world()["models"]) == ([], [])
    assert entries(sliced) == []
    assert sliced.apply()["exit_code"] == 0
    assert len(sliced.dataset()["annotations"]) == 6


def test_off_a_terminal_it_needs_leave_and_shows_what_would_go(applied: Project) -> None:
    answer = applied("destroy")
    assert answer.code == 64
    assert "add --auto-approve" in answer.err
    assert "- dataset.tiny" in answer.out
    assert "with 6 records of dataset.tiny.annotations" in answer.out
    assert len(applied.dataset()["items"]) == 3


def test_a_target_takes_only_what_belongs_to_it(sliced: Project) -> None:
    sliced.ok("destroy", "--auto-approve", "--target", "dataset.tiny.slice.few")
    assert "dataset.tiny.slice.few" not in entries(sliced)
    sliced.ok("destroy", "--auto-approve", "--target", "model.cnn")
    assert entries(sliced) == ["dataset.tiny", "dataset.tiny.annotations", "dataset.tiny.items"]
    assert sliced.world()["models"] == []
    assert len(sliced.dataset()["annotations"]) == 6
    assert sliced.apply()["exit_code"] == 0
    sliced.assert_settled()


def test_records_alone_are_no_target(applied: Project) -> None:
    for target in ("dataset.tiny.items", "model.cnn.predictions.tiny", "dataset.none"):
        assert applied("destroy", "--auto-approve", "--target", target).code == 64
    assert len(applied.dataset()["items"]) == 3


def test_what_was_imported_is_left_alone(tiny: Project, client: Client) -> None:
    theirs = client.create_dataset("Tiny", is_scene=False)
    tiny.ok("import", "dataset.tiny", theirs.id)
    assert tiny.apply()["exit_code"] == 0
    values = tiny.ok("destroy", "--auto-approve", "--json").json()
    assert values["kept"] == ["dataset.tiny"]
    assert len(tiny.dataset()["items"]) == 3
    assert "is left alone: it was imported" in tiny.ok("destroy", "--auto-approve").out
    tiny.ok("destroy", "--auto-approve", "--include-imported")
    assert tiny.world()["datasets"] == []
    assert entries(tiny) == []


def test_a_model_that_was_there_before_the_apply_is_left_alone(tiny: Project, client: Client) -> None:
    client.create_model("CNN", "cnn", metadata={})
    assert tiny.apply()["exit_code"] == 0
    assert tiny.ok("destroy", "--auto-approve", "--json").json()["kept"] == ["model.cnn"]
    assert [one["reference_id"] for one in tiny.world()["models"]] == ["cnn"]


def test_a_slice_that_was_there_before_the_apply_is_left_alone(applied: Project, client: Client) -> None:
    client.datasets[0].create_slice("few", reference_ids=["b.png"])
    sections = applied.declared()
    sections["datasets"]["tiny"]["slices"] = {"few": {"reference_ids": ["a.png"]}}
    applied.declare(**sections)
    applied.apply()
    values = applied.ok("destroy", "--auto-approve", "--target", "dataset.tiny.slice.few", "--json").json()
    assert values["kept"] == ["dataset.tiny.slice.few"]


def test_items_of_somebody_else_hold_a_dataset_back(applied: Project, client: Client) -> None:
    client.datasets[0].append([nucleus.DatasetItem("s3://b/theirs.png", "theirs.png")])
    answer = applied("destroy", "--auto-approve")
    assert answer.code == 9
    assert "dataset.tiny holds 1 items that this ledger has not put there" in answer.err
    assert len(applied.dataset()["items"]) == 4
    assert "evaluation.dashboard" in entries(applied)
    applied.ok("destroy", "--auto-approve", "--allow-deletes")
    assert applied.world()["datasets"] == []


def test_what_is_gone_already_is_forgotten(applied: Project, client: Client) -> None:
    client.delete_dataset(client.datasets[0].id)
    client.delete_model(client.models[0].id)
    applied.ok("destroy", "--auto-approve")
    assert entries(applied) == []


def test_a_destroy_that_was_interrupted_is_finished_by_the_next_command(applied: Project) -> None:
    applied.emulator.inject([{"match": {"method": "DELETE", "path": "^dataset/"}, "effect": {"status": 400}}])
    assert applied("destroy", "--auto-approve").code == 1
    assert "dataset.tiny" in entries(applied)
    assert "model.cnn" not in entries(applied)
    applied.emulator.inject(None)
    assert applied.apply()["exit_code"] == 0
    assert applied.ok("refresh", "--json").json()["drift"] == 0
    assert len(applied.world()["datasets"]) == 1
    assert len(applied.dataset()["annotations"]) == 6
    applied.assert_settled()


def test_a_second_destroy_has_nothing_to_do(applied: Project) -> None:
    applied.ok("destroy", "--auto-approve")
    assert applied.ok("destroy", "--auto-approve").out == "There is nothing to destroy.\n"
    commands = [run["command"] for run in applied.ok("history", "--json").json()["runs"]]
    assert commands == ["destroy", "destroy", "apply"]


def test_only_the_whole_word_yes_is_leave(applied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.cli.screen.Screen.can_ask", True)
    said = applied.folder / "said"
    for word, code in (("y\n", 1), ("yes\n", 0)):
        said.write_text(word)
        with said.open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert applied("destroy").code == code
    assert entries(applied) == []
