"""The ledger's entries, its history and its lock, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nucleus_sync.render.text import PLAIN, Palette, Style, columns, rows_of, visible


def list_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """`values` is the document of `state list --json`."""
    if not values["entries"]:
        return "The ledger has nothing there.\n"
    rows = [
        (one["address"], one["kind"], one["nucleus_id"] or "–", "" if one["records"] is None else f"{one['records']:,}")
        for one in values["entries"]
    ]
    head, *others = columns(rows_of(("address", "kind", "id at Nucleus", "records"), rows), right=frozenset({3}))
    return "\n".join([palette.paint(Style.DIM, head), *others]) + "\n"


def show_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """`values` is the document of `state show --json`."""
    lines = [palette.paint(Style.BOLD, visible(values["address"]))]
    plain = {name: value for name, value in values.items() if name not in ("format_version", "address", "item")}
    for name, value in plain.items():
        shown = value if isinstance(value, dict) else {"": value}
        lines += [f"  {name:<14}  {visible(f'{inner}: {one}' if inner else str(one))}" for inner, one in shown.items()]
    for record in values.get("item", ()):
        key = ", ".join(record["key"].values())
        lines.append(f"  {visible(key)}  {record['stamp']}" + ("  in doubt" if record["in_doubt"] else ""))
    return "\n".join(lines) + "\n"


def history_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """`values` is the document of `history --json`."""
    if not values["runs"]:
        return "Nothing was changed yet.\n"
    rows = [
        (run["id"], run["started_at"], run["command"], _end(run), _counts(run["counts"]), run["plan_digest"][:12])
        for run in values["runs"]
    ]
    head, *others = columns(rows_of(("run", "started", "command", "exit", "counts", "plan"), rows))
    return "\n".join([palette.paint(Style.DIM, head), *others]) + "\n"


def _end(run: Mapping[str, Any]) -> str:
    return "never ended" if run["finished_at"] is None else str(run["exit_code"])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items() if number)


def lock_text(values: Mapping[str, Any]) -> str:
    """`values` is the document of `unlock --json`."""
    holder = values["held_by"]
    if holder is None:
        return "Nobody has the lock.\n"
    who = f"{holder['owner']}, pid {holder['pid']} on {holder['host']}, since {holder['since']}"
    how = "taken away from" if values["living"] else "cleared of"
    return f"The lock was {how} {visible(who)}.\n"
