"""What the ledger knows, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nucleus_sync.render.metrics import difference, metrics_markdown, number
from nucleus_sync.render.text import PLAIN, Palette, Style, columns, rows_of

_JOBS_SHOWN = 10
_HEADLINE = ("mAP", "mAP50", "precision", "recall", "F1")


def status_text(values: Mapping[str, Any], palette: Palette = PLAIN) -> str:
    """`values` is the document of `status --json`."""
    if not values["ledger"]["lineage"]:
        return "Nothing was applied yet: there is no ledger.\n"
    lines = [
        *_section("Undecided", ("address", "begun"), _undecided(values), palette),
        *_section("Streams", _STREAM_HEAD, _streams(values), palette, right={1, 2, 3, 4}),
        *_section("Resources", ("address", "id at Nucleus"), _resources(values), palette),
        *_section("Jobs under way", _JOB_HEAD, _jobs(values["running"]), palette, right={3}),
        *_section("Jobs that ended badly", _JOB_HEAD, _jobs(values["failed"]), palette, right={3}),
        *_section("Evaluations", ("address", *_HEADLINE, "at"), _evaluations(values), palette, right={1, 2, 3, 4, 5}),
        *_section("Last runs", ("started", "command", "exit", "counts"), _runs(values), palette, right={2}),
    ]
    ledger = values["ledger"]
    lines.append(f"Ledger {ledger['lineage'][:8]}, serial {ledger['serial']}: {len(values['running'])} jobs under way.")
    return "\n".join(lines) + "\n"


def status_markdown(values: Mapping[str, Any]) -> str:
    """The streams and the evaluations as tables that fit a comment on a pull request."""
    if not values["ledger"]["lineage"]:
        return "Nothing was applied yet: there is no ledger.\n"
    rows = [_STREAM_HEAD, ("---", *["--:"] * 4), *_streams(values)]
    lines = ["### nucleus-sync: status", "", *("| " + " | ".join(map(str, row)) + " |" for row in rows)]
    tables = [metrics_markdown(one["address"], one["metrics"], one["previous"]) for one in values["evaluations"]]
    return "\n".join([*lines, "", *tables])


_STREAM_HEAD = ("address", "confirmed", "unsure", "rejected", "invalid")
_JOB_HEAD = ("address", "job", "state", "records", "since")


def _section(
    title: str,
    head: Sequence[str],
    body: Iterable[Sequence[object]],
    palette: Palette,
    right: Iterable[int] = (),
) -> list[str]:
    rows = list(body)
    if not rows:
        return []
    first, *others = columns(rows_of(head, rows), right=frozenset(right))
    return [palette.paint(Style.BOLD, title), palette.paint(Style.DIM, first), *others, ""]


def _undecided(values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [(one["address"], one["begun_at"]) for one in values["undecided"]]


def _streams(values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    names = ("confirmed", "unsure", "rejected", "invalid")
    return [(one["address"], *(f"{one[name]:,}" for name in names)) for one in values["streams"]]


def _resources(values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [(one["address"], one["nucleus_id"] or "–") for one in values["resources"]]


def _jobs(jobs: Sequence[Mapping[str, Any]]) -> list[tuple[object, ...]]:
    return [
        (one["address"], one["job_id"] or "no id yet", one["state"], f"{one['records']:,}", one["prepared_at"])
        for one in jobs[:_JOBS_SHOWN]
    ]


def _evaluations(values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [(one["address"], *(_moved(one, name) for name in _HEADLINE), one["at"]) for one in values["evaluations"]]


def _moved(evaluation: Mapping[str, Any], name: str) -> str:
    """A metric, followed by how far it is from the run before."""
    value, before = evaluation["metrics"].get(name), (evaluation["previous"] or {}).get(name)
    moved = difference(value, before)
    return f"{number(value)} ({moved})" if moved else number(value)


def _runs(values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [
        (
            run["started_at"],
            run["command"],
            "–" if run["exit_code"] is None else run["exit_code"],
            ", ".join(f"{name} {number:,}" for name, number in run["counts"].items() if number),
        )
        for run in values["runs"]
    ]
