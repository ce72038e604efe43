"""An error as text: what, where, and the way out."""

from __future__ import annotations

from nucleus_sync.errors import NucleusSyncError, Refused, SpecError, SpecProblem, StalePlan, Undecided
from nucleus_sync.render.text import PLAIN, Palette, Style, visible, visible_lines

PROBLEMS_SHOWN = 50


def error_text(error: NucleusSyncError, palette: Palette = PLAIN) -> str:
    """Everything that the user needs to go on; the first line is the sentence."""
    first, *more = visible_lines(error.what)
    lines = [f"{palette.paint(Style.BAD, 'error:')} {first}", *(f"  {line}" for line in more)]
    if error.where:
        lines.append(f"  at {visible(error.where)}")
    match error:
        case SpecError():
            lines += spec_problem_lines(error.problems, palette)
        case StalePlan():
            lines += [f"  moved: {visible(one)}" for one in error.moved]
        case Undecided():
            lines += [f"  {visible(one.nucleus_id)}: {visible(one.description)}" for one in error.candidates]
    if error.fix:
        lines += [f"  → {line}" for line in visible_lines(error.fix)]
    return "\n".join(lines) + "\n"


def refusal_text(refusal: Refused) -> str:
    """What an apply of a plan will be refused for, said before it is tried."""
    return f"warning: apply will refuse this: {visible(refusal.what)}\n  → {visible(refusal.fix or '')}\n"


def spec_problem_lines(problems: list[SpecProblem], palette: Palette = PLAIN) -> list[str]:
    """Each complaint with its place, the line with a caret, and what is allowed."""
    lines: list[str] = []
    for problem in problems[:PROBLEMS_SHOWN]:
        lines += ["", *_spec_problem(problem, palette)]
    if len(problems) > PROBLEMS_SHOWN:
        lines += ["", f"  … and {len(problems) - PROBLEMS_SHOWN:,} more"]
    return lines


def _spec_problem(problem: SpecProblem, palette: Palette) -> list[str]:
    place = visible(problem.file)
    if problem.line is not None:
        place += f":{problem.line}:{problem.column or 1}"
    named = f"{visible(problem.path)}: " if problem.path else ""
    lines = [f"{palette.paint(Style.BOLD, place)}: {named}{visible(problem.message)}"]
    lines += [f"    {line}" for line in visible_lines(problem.excerpt)] if problem.excerpt else []
    lines += [f"    {line}" for line in visible_lines(problem.hint)] if problem.hint else []
    return lines
