"""What is wrong with the sources, as text: by cause, with a count and the first examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nucleus_sync.plan.plan import Failure, Plan, SourceCount
from nucleus_sync.records.problem import Problem, Where
from nucleus_sync.render.text import PLAIN, Palette, Style, count, visible, visible_lines

EXAMPLES = 3


def problems_text(plan: Plan, palette: Palette = PLAIN) -> list[str]:
    """Unusable sources first, then invalid records, then what is only worth knowing."""
    lines: list[str] = []
    for failure in plan.failures:
        lines += [*failure_lines(failure, palette), ""]
    for source in sorted(plan.sources, key=lambda one: (not one.blocking, not one.invalid, one.address)):
        if source.causes or source.duplicates:
            lines += [*source_lines(source, palette), ""]
    return lines


def failure_lines(failure: Failure, palette: Palette = PLAIN) -> list[str]:
    """A stream that couldn't be read at all."""
    head = palette.paint(Style.BAD, f"! {visible(failure.address)}  can't be read: nothing of it is sent")
    return [head, *(f"    {line}" for line in visible_lines(failure.error))]


def source_lines(source: SourceCount, palette: Palette = PLAIN) -> list[str]:
    """What was found in the sources of one stream, the most frequent cause first."""
    lines = [_heading(source, palette)]
    for severity, cause, number in source.causes:
        sign = "!" if severity == "invalid" else "·"
        shown = [p for p in source.shown if p.cause == cause and p.severity == severity]
        size = f"{number:,}" if number else ""  # a complaint about a file takes no record out by itself
        lines.append(f"  {sign} {size:>6}  {visible(cause)}")
        lines += _examples(shown, number)
    if source.duplicates and not any(cause.startswith("identical records") for _, cause, _ in source.causes):
        lines.append(f"  · {source.duplicates:>6,}  identical records, of which one is kept")
    return lines


def _heading(source: SourceCount, palette: Palette) -> str:
    name = visible(source.address)
    if source.blocking:
        what = count(source.invalid, "invalid record") if source.invalid else "invalid"
        said = f"! {name}  {what}: nothing of this stream is sent"
        return palette.paint(Style.BAD, said)
    if source.invalid:
        return palette.paint(Style.UPDATE, f"! {name}  {count(source.invalid, 'invalid record')}, skipped as asked")
    return palette.paint(Style.BOLD, f"· {name}  worth knowing, sent all the same")


def _examples(shown: Sequence[Problem], number: int) -> Iterable[str]:
    fixes: list[str] = []
    named = 0
    for problem in shown[:EXAMPLES]:
        named += problem.count
        yield f"              {problem_line(problem)}"
        if problem.fix and problem.fix not in fixes:
            fixes.append(problem.fix)
    if shown and number > named:
        yield f"              … and {number - named:,} more"
    for fix in fixes:
        yield f"              → {visible(fix)}"


def problem_line(problem: Problem) -> str:
    """One problem on one line: file, position, record, detail."""
    return placed_line(problem.where, problem.record, problem.detail)


def placed_line(where: Where, record: str, said: str) -> str:
    """Something said of a record; the record is not named again where its place has its name."""
    place = str(where)
    parts = (place, "" if place.endswith((f" {record}", f"/{record}")) else record, said)
    return ": ".join(visible(part) for part in parts if part)


def blocked_text(plan: Plan) -> str:
    """Which streams keep an apply from doing anything, and the way out."""
    streams = ", ".join(map(visible, plan.invalid_streams))
    skip = ", or let it say on_invalid: skip" if any(source.blocking for source in plan.sources) else ""
    return f"error: invalid: {streams}\n  → mend the source{skip}; nothing is sent before"
