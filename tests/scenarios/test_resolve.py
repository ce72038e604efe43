"""A creation of which nobody can tell whether it took place is decided by a person, or by a script."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from nucleus_sync.ledger.ledger import Ledger

from .project import Project

Client = nucleus.NucleusClient
WANTED = {
    "name": "Tiny",
    "kind": "images",
    "privacy_mode": False,
    "item_metadata_schema": {},
    "annotation_metadata_schema": {},
    "tags": [],
}


def entries(project: Project) -> list[str]:
    return [one["address"] for one in project.ok("state", "list", "--json").json()["entries"]]


def begun(project: Project, **request: Any) -> None:
    """What a process leaves that was killed while it waited for the answer to a creation."""
    path = project.folder / ".nucleus-sync" / "ledger.db"
    with Ledger.open(path, endpoint=project.environ["NUCLEUS_ENDPOINT"]) as ledger:
        ledger.begin_creation("dataset.tiny", "dataset", {"wanted": WANTED, "namesakes": [], **request})


@pytest.fixture
def two(tiny: Project, client: Client) -> list[str]:
    """Two datasets that the lost creation may have made."""
    ids = [client.create_dataset("Tiny", is_scene=False).id for _ in range(2)]
    begun(tiny)
    return ids


def test_apply_stops_and_names_the_candidates(tiny: Project, two: list[str]) -> None:
    answer = tiny("apply", "--auto-approve")
    assert answer.code == 8
    assert all(one in answer.err for one in two)
    assert "nucleus-sync resolve dataset.tiny --adopt ID | --retry | --forget" in answer.err
    assert [one["address"] for one in tiny.ok("status", "--json").json()["undecided"]] == ["dataset.tiny"]


def test_resolve_shows_the_candidates_to_a_script(tiny: Project, two: list[str]) -> None:
    answer = tiny("resolve", "dataset.tiny", "--json")
    assert answer.code == 8
    assert [one["nucleus_id"] for one in answer.lines()[-1]["candidates"]] == two
    assert all("0 items" in one["description"] for one in answer.lines()[-1]["candidates"])


def test_one_of_them_is_adopted_and_the_apply_goes_on(tiny: Project, two: list[str]) -> None:
    values = tiny.ok("resolve", "dataset.tiny", "--adopt", two[1], "--json").json()
    assert values == {"format_version": 1, "address": "dataset.tiny", "decision": "adopted", "nucleus_id": two[1]}
    assert not tiny.ok("state", "show", "dataset.tiny", "--json").json()["imported"]
    assert tiny.apply()["exit_code"] == 0
    tiny.assert_settled()
    assert [len(one["items"]) for one in tiny.world()["datasets"]] == [0, 3]


def test_what_was_there_before_the_creation_counts_as_imported(tiny: Project, client: Client) -> None:
    before = client.create_dataset("Tiny", is_scene=False).id
    begun(tiny, namesakes=[before])
    assert "there before" in tiny("resolve", "dataset.tiny").err
    tiny.ok("resolve", "dataset.tiny", "--adopt", before)
    assert tiny.ok("state", "show", "dataset.tiny", "--json").json()["imported"]


def test_a_retry_makes_another_one(tiny: Project, two: list[str]) -> None:
    assert "was not created" in tiny.ok("resolve", "dataset.tiny", "--retry").out
    assert tiny.apply()["exit_code"] == 0
    assert [len(one["items"]) for one in tiny.world()["datasets"]] == [0, 0, 3]


def test_a_forgotten_one_leaves_nothing_in_the_ledger(tiny: Project, two: list[str]) -> None:
    tiny.ok("resolve", "dataset.tiny", "--forget")
    assert entries(tiny) == []
    assert [run["command"] for run in tiny.ok("history", "--json").json()["runs"]] == ["resolve dataset.tiny --forget"]


def test_what_can_not_be_it_is_refused(tiny: Project, two: list[str], client: Client) -> None:
    other = client.create_dataset("Other", is_scene=False).id
    answer = tiny("resolve", "dataset.tiny", "--adopt", other)
    assert answer.code == 9
    assert two[0] in answer.err
    assert tiny("resolve", "dataset.tiny", "--adopt", two[0], "--retry").code == 64


def test_where_nothing_is_undecided_there_is_nothing_to_resolve(applied: Project) -> None:
    for words in (["--retry"], ["--forget"], ["--adopt", "ds_1"], []):
        assert applied("resolve", "dataset.tiny", *words).code == 64
    assert "dataset.tiny" in entries(applied)


def test_an_undecided_address_is_not_imported(tiny: Project, two: list[str]) -> None:
    answer = tiny("import", "dataset.tiny", two[0])
    assert answer.code == 64
    assert f"resolve dataset.tiny --adopt {two[0]}" in answer.err
