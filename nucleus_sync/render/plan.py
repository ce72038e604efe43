"""A plan as text for people: what is at risk first, the summary last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nucleus_sync.plan.plan import Plan
from nucleus_sync.plan.steps import Action, Holds, RecordCounts, Step
from nucleus_sync.render.problems import problems_text
from nucleus_sync.render.text import PLAIN, Palette, Style, columns, count, visible

_STYLES = {"+": Style.CREATE, "~": Style.UPDATE, "-": Style.DELETE, "=": Style.DIM, "*": Style.BOLD, ".": Style.DIM}
_RISK = "-~+=*."
_SIGN_OF = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.EVALUATE: "*"}
_RESTS = "rest: Nucleus refused them, and they have not changed since"
_STAY = "stay at Nucleus: no source yields them any more and prune is off, or they are invalid now"


@dataclass(frozen=True, slots=True)
class Row:
    """One change to one thing: `sign` is `+ ~ -`, `=` sent again, `*` evaluated, `.` left as it is."""

    group: str
    thing: str
    sign: str
    number: int | None
    why: str


def plan_text(plan: Plan, palette: Palette = PLAIN) -> str:
    """The whole plan; its last line is the summary."""
    lines = problems_text(plan, palette)
    for group, rows in grouped(plan):
        lines += [palette.paint(Style.BOLD, visible(group)), *_row_lines(rows, palette), ""]
    if plan.steps:
        lines += [palette.paint(Style.BOLD, "Order"), *order_lines(plan.steps), ""]
    lines.append(palette.paint(Style.BOLD, summary_line(plan)))
    return "\n".join(lines) + "\n"


def summary_line(plan: Plan) -> str:
    """The last line, for people and for grep."""
    figures = plan.summary()
    aside = [
        f"{count(figures.rejected, 'rejected record')} rest{'s' if figures.rejected == 1 else ''}",
        f"{count(figures.invalid, 'invalid record')}",
        f"{figures.orphaned:,} orphaned",
    ]
    said = [
        text
        for text, number in zip(aside, (figures.rejected, figures.invalid, figures.orphaned), strict=True)
        if number
    ]
    if plan.invalid_streams:
        said.append(f"{count(len(plan.invalid_streams), 'stream')} can't be applied")
    tail = f" ({'; '.join(said)})" if said else ""
    if plan.is_empty:
        return f"Nothing to do: {figures.unchanged:,} unchanged.{tail}"
    return (
        f"Plan: {figures.create:,} to create, {figures.update:,} to update, {figures.delete:,} to delete, "
        f"{figures.unchanged:,} unchanged.{tail}"
    )


def grouped(plan: Plan) -> list[tuple[str, list[Row]]]:
    """The rows by dataset, model or evaluation, those that delete something first."""
    groups: dict[str, list[Row]] = {}
    for row in _rows(plan):
        groups.setdefault(row.group, []).append(row)
    for rows in groups.values():
        rows.sort(key=lambda row: _RISK.index(row.sign))
    return sorted(groups.items(), key=lambda one: all(row.sign != "-" for row in one[1]))


def _rows(plan: Plan) -> Iterable[Row]:
    for step in plan.steps:
        if step.records is not None and step.action is not Action.PROBE:
            yield from _record_rows(step, step.records)
        elif step.action in _SIGN_OF:
            yield Row(*_placed(step.address), _SIGN_OF[step.action], None, _reasons(step.reasons, 1))
    for left, why in ((plan.resting, _RESTS), (plan.orphaned, _STAY)):
        for address, number in left.items():
            if number:
                yield Row(*_placed(address), ".", number, why)


def _placed(address: str) -> tuple[str, str]:
    parts = address.split(".")
    return ".".join(parts[:2]), ".".join(parts[2:]) or parts[0]


def _record_rows(step: Step, counts: RecordCounts) -> Iterable[Row]:
    reasons = _reasons_by_sign(step.reasons, counts)
    for sign, number in (("-", counts.delete), ("~", counts.update), ("+", counts.create)):
        if number:
            yield Row(*_placed(step.address), sign, number, _reasons(reasons[sign], number))
    if counts.resent:
        yield Row(*_placed(step.address), "=", counts.resent, _why_resent(step.holds))


def _why_resent(holds: Holds) -> str:
    cleared = "all predictions of a model at once" if holds is Holds.PREDICTIONS else "the annotations of a whole item"
    return f"unchanged, sent again: Nucleus clears {cleared}"


def _reasons_by_sign(reasons: Mapping[str, int], counts: RecordCounts) -> dict[str, dict[str, int]]:
    """A step counts its reasons together; with only one kind of change they are all of that kind."""
    only = [sign for sign, number in (("-", counts.delete), ("~", counts.update), ("+", counts.create)) if number]
    split: dict[str, dict[str, int]] = {"-": {}, "~": {}, "+": {}, "=": {}}
    for reason, number in reasons.items():
        sign = _sign_of(reason)
        split[only[0] if len(only) == 1 and sign != "=" else sign][reason] = number
    return split


def _sign_of(reason: str) -> str:
    if reason.startswith("sent again"):
        return "="
    if "gone" in reason:
        return "-"
    if "made anew" in reason:
        return "+"
    return "~" if "changed" in reason else "+"


def _reasons(reasons: Mapping[str, int], total: int) -> str:
    """Why, the most frequent first; a number that stands beside it already is not repeated."""
    ordered = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    return " · ".join(
        visible(name) if number in (1, total) else f"{number:,} {visible(name)}" for name, number in ordered
    )


def _row_lines(rows: Sequence[Row], palette: Palette) -> list[str]:
    cells = [
        (row.sign, visible(row.thing), f"{row.number:,}" if row.number is not None else "", row.why) for row in rows
    ]
    lines = columns(cells, right=frozenset({2}))
    return [palette.paint(_STYLES[row.sign], line) for row, line in zip(rows, lines, strict=True)]


def order_lines(steps: Sequence[Step]) -> list[str]:
    """The steps in order, each with the numbers of those that it waits for; jobs in between are named as waits."""
    numbers = {step.id: at for at, step in enumerate(steps, 1)}
    waits_for = _without_the_implied(steps)
    rows = [
        (f"{at}.", step.action, visible(step.address), _size(step), _after(waits_for[step.id], numbers))
        for at, step in enumerate(steps, 1)
    ]
    lines = columns(rows, right=frozenset({0, 3}))
    waits = _first_waits(steps)
    shown: list[str] = []
    for step, line in zip(steps, lines, strict=True):
        if step.id in waits:
            names = ", ".join(str(numbers[one]) for one in waits[step.id])
            shown.append(f"      wait until the jobs of {names} have finished")
        shown.append(line)
    return shown


def _size(step: Step) -> str:
    if step.action is Action.PROBE:
        return count(len(step.wanted.get("sources", (None,))), "record")
    if step.records is None:
        return ""
    return count(step.records.sent + step.records.delete, "record")


def _without_the_implied(steps: Sequence[Step]) -> dict[str, set[str]]:
    """What each step waits for, without what those wait for themselves: 1, 2, 3 after one another reads as after 3."""
    behind: dict[str, set[str]] = {}
    shown: dict[str, set[str]] = {}
    for step in steps:
        implied = set().union(*(behind.get(one, set()) for one in step.depends_on))
        behind[step.id] = implied | set(step.depends_on)
        shown[step.id] = set(step.depends_on) - implied
    return shown


def _after(waits_for: Iterable[str], numbers: Mapping[str, int]) -> str:
    known = sorted(numbers[one] for one in waits_for if one in numbers)
    return f"after {', '.join(map(str, known))}" if known else ""


def _first_waits(steps: Sequence[Step]) -> dict[str, list[str]]:
    """Where in the list a wait for asynchronous jobs begins: step id to the ingests it is the first to wait for."""
    asynchronous = {step.id for step in steps if step.action is Action.INGEST or step.holds is Holds.EVALUATION}
    waited: set[str] = set()
    waits: dict[str, list[str]] = {}
    for step in steps:
        news = [one for one in step.depends_on if one in asynchronous and one not in waited]
        if news:
            waits[step.id] = news
            waited.update(news)
    return waits
