"""A saved plan is done as it stands, or refused with what has moved since."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .project import Project, picture
from .tiny import edit, truth


def _save(project: Project) -> None:
    project.ok("plan", "--out", "my.plan")


def test_the_first_plan_of_all_is_done(tiny: Project) -> None:
    _save(tiny)
    assert tiny("apply", "my.plan").code == 0
    assert len(tiny.dataset()["annotations"]) == 6
    tiny.assert_settled()


def test_a_plan_is_done_once(tiny: Project) -> None:
    _save(tiny)
    tiny.ok("apply", "my.plan")
    sent = len(tiny.sent())
    again = tiny("apply", "my.plan")
    assert again.code == 4
    assert tiny.sent()[sent:] == []


def test_a_later_plan_is_done(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"][0].update(bbox=[1, 1, 5, 5]))
    _save(applied)
    answer = applied("apply", "my.plan")
    assert answer.code == 0
    assert "1 updated" in answer.out
    applied.assert_settled()


def test_planning_twice_gives_the_same_digest(applied: Project) -> None:
    edit(truth(applied), lambda coco: coco["annotations"][0].update(bbox=[1, 1, 5, 5]))
    first = applied.plan()["digest"]
    edit(truth(applied), lambda coco: coco["annotations"].reverse())
    assert applied.plan()["digest"] == first


def test_a_plan_without_steps_is_done_in_vain(applied: Project) -> None:
    _save(applied)
    assert json.loads((applied.folder / "my.plan").read_text("utf-8"))["steps"] == []
    assert applied("apply", "my.plan").code == 0


def _edit_the_spec(project: Project) -> None:
    sections = project.declared()
    sections["datasets"]["tiny"]["tags"] = ["new"]
    project.declare(**sections)


def _edit_a_source(project: Project) -> None:
    edit(truth(project), lambda coco: coco["annotations"][1].update(bbox=[2, 2, 7, 7]))


def _edit_a_picture(project: Project) -> None:
    picture(project.folder / "images" / "a.png", 64, 48, 99)


def _lose_the_ledger(project: Project) -> None:
    (project.folder / ".nucleus-sync" / "ledger.db").rename(project.folder / "old.db")


def _apply_something_else(project: Project) -> None:
    _edit_a_source(project)
    project.ok("apply", "-y")
    edit(truth(project), lambda coco: coco["annotations"][1].update(bbox=[3, 3, 7, 7]))


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (_edit_the_spec, "spec"),
        (_edit_a_source, "sources of dataset.tiny.annotations"),
        (_edit_a_picture, "dataset.tiny.items"),
        (_lose_the_ledger, "ledger"),
        (_apply_something_else, "ledger"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_stale_plan_says_what_moved(applied: Project, move: Callable[[Project], None], said: str) -> None:
    edit(truth(applied), lambda coco: coco["annotations"][0].update(bbox=[1, 1, 5, 5]))
    _save(applied)
    move(applied)
    sent = len(applied.sent())
    answer = applied("apply", "my.plan")
    assert answer.code == 4, answer.text
    assert any(said in line for line in answer.err.splitlines() if "moved:" in line), answer.err
    assert applied.sent()[sent:] == []
    stale = applied("apply", "my.plan", "--json").lines()[-1]
    assert (stale["exit_code"], stale["kind"]) == (4, "StalePlan")
    assert stale["moved"]


def test_another_endpoint_is_not_the_planned_one(tiny: Project) -> None:
    _save(tiny)
    answer = tiny("apply", "my.plan", NUCLEUS_ENDPOINT="embedded")
    assert answer.code == 4
    assert "endpoint" in answer.err


def test_a_plan_changed_by_hand_is_refused(tiny: Project) -> None:
    _save(tiny)
    edit(tiny.folder / "my.plan", lambda plan: plan["steps"].pop())
    answer = tiny("apply", "my.plan")
    assert answer.code == 64
    assert "changed since it was made" in answer.err
    assert tiny.sent() == []


def test_a_saved_plan_shows_itself(tiny: Project) -> None:
    shown = tiny.ok("plan", "--out", "my.plan").out
    assert tiny.ok("show", "my.plan").out == shown


def test_a_targeted_plan_keeps_its_targets(tiny: Project) -> None:
    tiny.ok("plan", "--target", "dataset.tiny.items", "--out", "my.plan")
    tiny.ok("apply", "my.plan")
    assert len(tiny.dataset()["items"]) == 3
    assert tiny.dataset()["annotations"] == []


def test_a_saved_plan_of_invalid_sources_is_6(tiny: Project) -> None:
    edit(truth(tiny), lambda coco: coco["annotations"][0].update(bbox=[1, 1, 0, 5]))
    assert tiny("plan", "--out", "my.plan").code == 6
    assert tiny("apply", "my.plan").code == 6
    assert tiny.sent() == []
