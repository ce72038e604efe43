"""A ledger that was lost costs time, never correctness: it is made anew from what Nucleus holds."""

from __future__ import annotations

import shutil
from typing import Any

import nucleus

from .project import Project, write_lines
from .tiny import edit, truth

Client = nucleus.NucleusClient


def lose_the_ledger(project: Project) -> None:
    shutil.rmtree(project.folder / ".nucleus-sync")


def imported(project: Project, client: Client, dataset: str = "tiny") -> list[dict[str, Any]]:
    """Import the only dataset and the only model; what became known, stream by stream."""
    model = project.ok("import", "model.cnn", client.models[0].id, "--json").json()
    held = project.ok("import", f"dataset.{dataset}", client.datasets[0].id, "--json").json()
    streams: list[dict[str, Any]] = model["streams"] + held["streams"]
    return streams


def test_a_lost_ledger_is_rebuilt_and_nothing_is_sent_again(applied: Project, client: Client) -> None:
    sections = applied.declared()
    del sections["evaluations"]
    applied.declare(**sections)
    before = applied.world()
    lose_the_ledger(applied)
    assert applied.plan()["summary"]["create"] == 2 + 14
    known = {one["address"]: one["added"] for one in imported(applied, client)}
    assert known == {"dataset.tiny.items": 3, "dataset.tiny.annotations": 6, "model.cnn.predictions.tiny": 5}
    assert applied.plan()["summary"]["steps"] == 0
    applied.assert_settled()
    assert applied.world() == before
    assert applied.ok("refresh", "--json").json()["drift"] == 0


def test_only_the_evaluation_has_to_run_again_after_a_rebuild(applied: Project, client: Client) -> None:
    lose_the_ledger(applied)
    imported(applied, client)
    assert [step["id"] for step in applied.plan()["steps"]] == ["evaluation.dashboard:evaluate"]


def test_images_behind_urls_and_slices_are_known_again_too(project: Project, client: Client) -> None:
    items = [
        {"reference_id": f"{n}", "image_url": f"s3://b/{n}", "metadata": {"n": n}, "width": 8, "height": 9}
        for n in range(5)
    ]
    items[4].pop("width")
    items[4].pop("height")
    write_lines(project.folder / "items.jsonl", items)
    project.declare(
        sources={"items": {"format": "records", "path": "items.jsonl"}},
        datasets={"set": {"name": "Set", "items": ["items"], "slices": {"few": {"reference_ids": ["1", "3"]}}}},
    )
    assert project.apply()["exit_code"] == 0
    lose_the_ledger(project)
    project.ok("import", "dataset.set", client.datasets[0].id)
    project.assert_settled()
    write_lines(project.folder / "items.jsonl", [{**item, "image_url": "s3://c"} for item in items])
    assert project.plan()["summary"]["update"] == 5


def test_what_changed_since_is_sent_and_only_that(applied: Project, client: Client) -> None:
    lose_the_ledger(applied)
    edit(truth(applied), lambda found: found["images"][1].update(site="oslo"))
    edit(truth(applied), lambda found: found["annotations"][0].update(bbox=[0, 0, 5, 5]))
    edit(truth(applied), lambda found: found["annotations"].pop())
    imported(applied, client)
    changes = {(one["address"], one["action"], one["reason"]) for one in applied.changes()}
    assert changes == {
        ("dataset.tiny.items", "update", "metadata changed"),
        ("dataset.tiny.annotations", "update", "geometry changed"),
        ("dataset.tiny.annotations", "delete", "source gone"),
        ("dataset.tiny.annotations", "resend", "sent again: a neighbour is deleted"),
    }
    applied.apply("--allow-deletes")
    applied.assert_settled()
    assert len(applied.dataset()["annotations"]) == 5


def test_what_others_put_into_an_imported_dataset_stays_without_prune(tiny: Project, client: Client) -> None:
    sections = tiny.declared()
    sections["datasets"]["tiny"]["prune"] = False
    tiny.declare(**sections)
    theirs = client.create_dataset("Tiny", is_scene=False)
    theirs.append([nucleus.DatasetItem("s3://b/theirs.png", "theirs.png")])
    tiny.ok("import", "dataset.tiny", theirs.id)
    plan = tiny.plan()
    assert plan["summary"]["orphaned"] == 1
    assert plan["summary"]["delete"] == 0
    assert tiny.apply()["exit_code"] == 0
    assert len(tiny.dataset()["items"]) == 4


def test_what_was_imported_stays_when_it_leaves_the_spec(tiny: Project, client: Client) -> None:
    theirs = client.create_dataset("Tiny", is_scene=False)
    tiny.ok("import", "dataset.tiny", theirs.id)
    assert tiny.apply()["exit_code"] == 0
    sections = tiny.declared()
    tiny.declare(settings={"prune": True}, sources=sections["sources"])
    plan = tiny.plan()
    assert [step["id"] for step in plan["steps"] if step["address"].startswith("dataset")] == []
    assert "model.cnn:delete" in [step["id"] for step in plan["steps"]]


def test_a_dataset_that_is_not_what_is_declared_is_refused(tiny: Project, client: Client) -> None:
    other = client.create_dataset("Other", is_scene=True)
    answer = tiny("import", "dataset.tiny", other.id)
    assert answer.code == 9
    assert "name is 'Other' there, 'Tiny' here" in answer.err
    assert "kind is 'scenes' there, 'images' here" in answer.err
    assert tiny("import", "dataset.tiny", "ds_00000000000000000000").code == 1
    assert tiny("import", "dataset.tinny", other.id).code == 64
    assert tiny("import", "evaluation.dashboard", other.id).code == 64
    assert tiny.ok("state", "list", "--json").json()["entries"] == []


def test_an_address_or_id_that_the_ledger_has_is_not_imported_twice(applied: Project, client: Client) -> None:
    second = client.create_dataset("Tiny", is_scene=False)
    (first,) = [one.id for one in client.datasets if one.id != second.id]
    answer = applied("import", "dataset.tiny", second.id)
    assert answer.code == 64
    assert first in answer.err
    again = applied.ok("import", "dataset.tiny", first, "--json").json()
    assert again["streams"][0]["verified"] == 3
    applied.assert_settled()
    assert not applied.ok("state", "show", "dataset.tiny", "--json").json()["imported"]


def test_a_model_is_imported_with_its_tags(tiny: Project, client: Client) -> None:
    model = client.create_model("CNN", "cnn", metadata={})
    model.add_tags(["theirs"])
    tiny.ok("import", "model.cnn", model.id)
    assert tiny.ok("state", "show", "model.cnn", "--json").json()["imported"]
    assert "model.cnn:update" in [step["id"] for step in tiny.plan()["steps"]]
    assert tiny.apply()["exit_code"] == 0
    tiny.assert_settled()
    assert client.models[0].tags == []
