"""Refuses a plan that deletes more than a person would expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from nucleus_sync.errors import Refused
from nucleus_sync.plan.plan import Plan
from nucleus_sync.plan.steps import Action, Holds, Step


def known_of(plan: Plan, count: Callable[[str], int]) -> dict[str, int]:
    """How many records are known of every stream that a plan touches."""
    return {step.address: count(step.address) for step in plan.steps if step.records}


def _records(number: int) -> str:
    return f"{number:,} record{'' if number == 1 else 's'}"


def taken_along(step: Step) -> int:
    """How many records go with a dataset or model that a step deletes."""
    is_whole = step.action is Action.DELETE and step.holds in (Holds.DATASET, Holds.MODEL)
    return int(step.wanted.get("records", 0)) if is_whole else 0


def guard_deletes(plan: Plan, known: Mapping[str, int], *, records: int, fraction: float) -> None:
    """Raises Refused when a stream loses more than `records` records or more than `fraction` of what is known."""
    wrong = []
    losses: Counter[str] = Counter()
    for step in plan.steps:
        if taken := taken_along(step):
            wrong += [f"{step.address} would go with {_records(taken)}"] if taken > records or fraction < 1 else []
        elif step.records:
            losses[step.address] += step.records.delete
    for address, count in losses.items():
        before = known.get(address, 0)
        if count > records:
            wrong.append(f"{address} would lose {_records(count)}, the limit is {records:,}")
        elif before and count > fraction * before:
            wrong.append(
                f"{address} would lose {count:,} of {before:,} records "
                f"({count / before:.0%}), the limit is {fraction:.0%}"
            )
    if wrong:
        raise Refused(
            "; ".join(wrong),
            fix="look at `nucleus-sync plan`; if the deletions are right, say --allow-deletes, "
            "or raise settings.delete_limit in the spec",
        )
