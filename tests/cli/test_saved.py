"""Saved plans: private, read back as the same value, and compared with what is true by then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from render import plans

from nucleus_sync.cli.saved import check_fresh, plan_values, read, save
from nucleus_sync.errors import StalePlan, UsageError
from nucleus_sync.plan.plan import Plan

from .typed import Typed


@pytest.mark.parametrize("plan", [plans.empty(), plans.first(), plans.edits(), plans.invalid()])
def test_a_plan_is_read_back_as_the_same_value(tmp_path: Path, plan: Plan) -> None:
    path = tmp_path / "p.json"
    save(plan, path)
    again = read(path)
    assert plan_values(again) == plan_values(plan)
    assert again.digest() == plan.digest()
    check_fresh(again, plan)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save(plans.first(), path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_plan_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    save(plans.first(), path)
    values = json.loads(path.read_text())
    values["contents"]["dataset.street.items"] = "other"
    path.write_text(json.dumps(values))
    with pytest.raises(UsageError, match="changed since it was made"):
        read(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": 1}', "nonsense", '{"format_version": 99}'])
def test_what_is_no_plan_is_named_as_such(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        read(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec_sha256": "bb"}, "spec: nucleus.yaml was edited"),
        ({"endpoint": "https://other"}, "endpoint: planned for none, now it is https://other"),
        ({"lineage": "dead"}, "ledger: it is another one"),
        (
            {"contents": {"dataset.street.items": "9f"}},
            "sources of dataset.street.items: still probe, ingest +120 ~0 -0, but other",
        ),
        ({"steps": ()}, "dataset.street.items: nothing is left to do there"),
    ],
)
def test_a_stale_plan_says_what_moved(changes: dict[str, object], said: str) -> None:
    now = replace(plans.first(), **changes)  # type: ignore[arg-type]
    with pytest.raises(StalePlan) as caught:
        check_fresh(plans.first(), now)
    assert any(said in one for one in caught.value.moved), caught.value.moved


def test_a_serial_that_moved_nothing_else_leaves_the_plan_good() -> None:
    check_fresh(plans.first(), replace(plans.first(), serial=99))


def test_show_prints_a_saved_plan_and_touches_nothing(typed: Typed) -> None:
    save(plans.first(), typed.folder / "p.json")
    text = typed("show", "p.json")
    assert text.code == 0
    assert text.out.endswith("Plan: 611 to create, 0 to update, 0 to delete, 0 unchanged.\n")
    assert typed("show", "p.json", "--json").json()["summary"]["create"] == 611
    assert typed("show", "p.json", "--format", "markdown").out.startswith("### nucleus-sync")
    assert [path.name for path in typed.folder.iterdir()] == ["p.json"]
