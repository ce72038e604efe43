"""A plan as Markdown that fits a comment on a pull request."""

from __future__ import annotations

from nucleus_sync.plan.plan import Plan
from nucleus_sync.render.plan import grouped, order_lines, summary_line
from nucleus_sync.render.problems import problems_text
from nucleus_sync.render.text import visible

LIMIT = 60_000
"""Most bytes: GitHub refuses comments of more than 65,536 characters, and the poster adds words of its own."""

_SHARE = {"problems": 20_000, "changes": 25_000, "order": 10_000}


def plan_markdown(plan: Plan) -> str:
    """Headline, problems, a table of changes, the order; each part is cut in its middle when it is too long."""
    parts = [f"### nucleus-sync: {_escaped(summary_line(plan))}", ""]
    if problems := problems_text(plan):
        parts += _folded("Problems in the sources", problems, _SHARE["problems"], is_open=True)
    if changes := _change_rows(plan):
        head = ["| | address | records | why |", "|---|---|--:|---|"]
        parts += [*head, *cut_in_the_middle(changes, _SHARE["changes"], "| … | {n} rows left out | | |"), ""]
    if plan.steps:
        parts += _folded("Order of the steps", order_lines(plan.steps), _SHARE["order"], is_open=False)
    parts.append(f"<sub>digest `{plan.digest()}` · ledger serial {plan.serial}</sub>")
    return "\n".join(parts) + "\n"


def _change_rows(plan: Plan) -> list[str]:
    rows = []
    for group, changes in grouped(plan):
        for row in changes:
            address = group if "." not in row.thing and group.startswith(f"{row.thing}.") else f"{group}.{row.thing}"
            number = "" if row.number is None else f"{row.number:,}"
            rows.append(f"| `{row.sign}` | `{_in_a_cell(address)}` | {number} | {_escaped(_in_a_cell(row.why))} |")
    return rows


def _folded(title: str, lines: list[str], most: int, *, is_open: bool) -> list[str]:
    # The fence is longer than any run of backquotes inside, or a file name could end it.
    fence = "`" * (3 + max((line.count("`") for line in lines), default=0))
    body = cut_in_the_middle(lines, most, "… {n} lines left out …")
    opened = " open" if is_open else ""
    return [f"<details{opened}><summary>{title}</summary>", "", f"{fence}text", *body, fence, "", "</details>", ""]


def cut_in_the_middle(lines: list[str], most: int, mark: str) -> list[str]:
    """The first and the last lines within `most` bytes; `mark` says with `{n}` how many are left out between."""
    if sum(len(line.encode()) + 1 for line in lines) <= most:
        return lines
    head = _within(lines, most // 2)
    tail = _within(lines[::-1][: len(lines) - len(head)], most // 2)[::-1]
    left_out = len(lines) - len(head) - len(tail)
    return [*head, mark.format(n=f"{left_out:,}"), *tail]


def _within(lines: list[str], most: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        most -= len(line.encode()) + 1
        if most < 0:
            break
        kept.append(line)
    return kept


def _in_a_cell(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("`", "'")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
