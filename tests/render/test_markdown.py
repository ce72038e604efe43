"""A plan as a comment on a pull request: whole when short, cut in the middle when long."""

from __future__ import annotations

from msgspec.structs import replace

from nucleus_sync.plan.plan import Failure
from nucleus_sync.plan.steps import Action, Holds, RecordCounts, Step
from nucleus_sync.render.markdown import LIMIT, cut_in_the_middle, plan_markdown

from . import plans


def test_the_comment_has_the_summary_a_table_and_the_order() -> None:
    text = plan_markdown(plans.edits())
    assert text.startswith("### nucleus-sync: Plan: 1,204 to create, 319 to update, 12 to delete, 6,200 unchanged.")
    assert "| `-` | `dataset.street.annotations` | 12 | source gone |" in text
    assert "| `~` | `dataset.street` |  | tags |" in text
    assert "<details><summary>Order of the steps</summary>" in text


def test_problems_are_open_and_nothing_in_them_ends_the_fence() -> None:
    plan = replace(plans.invalid(), failures=(Failure("dataset.a.items", "bad ```` name"),))
    text = plan_markdown(plan)
    assert "<details open><summary>Problems in the sources</summary>" in text
    assert text.count("\n```````text\n") == 1


def test_a_huge_plan_fits_and_keeps_its_summary() -> None:
    steps = tuple(
        Step(Action.INGEST, f"dataset.d{at}.items", Holds.ITEMS, (), RecordCounts(create=1), {"new": 1})
        for at in range(5000)
    )
    text = plan_markdown(plans.empty(steps=steps))
    assert len(text.encode()) < LIMIT
    assert "Plan: 5,000 to create" in text
    assert "dataset.d0.items" in text
    assert "dataset.d4999.items" in text
    assert "left out" in text


def test_mentions_and_markup_in_names_stay_text() -> None:
    step = Step(Action.UPDATE, "dataset.a", Holds.DATASET, reasons={"@team <b> | `x`": 1})
    text = plan_markdown(plans.empty(steps=(step,)))
    assert "@team" not in text
    assert "<b>" not in text


def test_short_lists_are_not_cut() -> None:
    assert cut_in_the_middle(["a", "b"], 100, "{n}") == ["a", "b"]
    cut = cut_in_the_middle([str(at) for at in range(100)], 40, "… {n} …")
    assert cut[0] == "0"
    assert cut[-1] == "99"
    assert f"… {100 - len(cut) + 1} …" in cut
