"""The numbers of an evaluation as tables: the whole, the gates, the labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nucleus_sync.events import Evaluated
from nucleus_sync.plan.gates import failure_of
from nucleus_sync.render.text import PLAIN, Palette, Style, columns, rows_of, visible

OVERALL = ("mAP", "mAP50", "mAP75", "AP_small", "AP_medium", "AP_large", "precision", "recall", "F1")
LABELS_SHOWN = 30


def metrics_text(event: Evaluated, palette: Palette = PLAIN) -> str:
    """The numbers of one evaluation, each with its difference to the run before."""
    lines = [palette.paint(Style.BOLD, visible(event.address))]
    lines += columns(overall_rows(event.metrics, event.previous), right=frozenset({1, 2}))
    lines += _label_lines(event.metrics)
    lines += [_gate_line(gate, palette) for gate in event.gates]
    return "\n".join(lines) + "\n"


def overall_rows(metrics: Mapping[str, Any], previous: Mapping[str, Any] | None) -> list[tuple[str, ...]]:
    """(name, number, difference to the run before) of the whole set's metrics; two columns without such a run."""
    names = _overall(metrics)
    if previous is None:
        return [(name, number(metrics[name])) for name in names]
    return [(name, number(metrics[name]), difference(metrics[name], previous.get(name))) for name in names]


def difference(value: Any, before: Any) -> str:
    """How a metric has moved, with its sign."""
    if number(value) == "–" or number(before) == "–":
        return ""
    return f"{value - before:+.4f}"


def metrics_markdown(address: str, metrics: Mapping[str, Any], previous: Mapping[str, Any] | None) -> str:
    """The same numbers as a table in Markdown."""
    head = ["metric", "value"] + (["difference"] if previous is not None else [])
    rows = [head, ["---", *["--:"] * (len(head) - 1)], *overall_rows(metrics, previous)]
    lines = [f"#### {visible(address)}", "", *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines) + "\n"


def number(value: Any) -> str:
    """A metric with four places; a dash where there is none (COCO writes -1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value) or value < 0:
        return "–"
    return f"{value:.4f}"


def _overall(metrics: Mapping[str, Any]) -> list[str]:
    known = [name for name in OVERALL if name in metrics]
    others = [name for name, value in metrics.items() if name not in OVERALL and isinstance(value, int | float)]
    return known + sorted(others)


def labels_of(metrics: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The numbers per label, wherever they stand."""
    for name in ("labels", "per_label", "by_label"):
        if isinstance(found := metrics.get(name), Mapping):
            return found
    return {}


def _label_lines(metrics: Mapping[str, Any]) -> list[str]:
    labels = labels_of(metrics)
    if not labels:
        return []
    names = list(dict.fromkeys(name for numbers in labels.values() for name in numbers))
    body = [
        (label, *(number(numbers.get(name)) for name in names))
        for label, numbers in sorted(labels.items())[:LABELS_SHOWN]
    ]
    lines = columns(rows_of(("label", *names), body), right=frozenset(range(1, len(names) + 1)))
    left = len(labels) - LABELS_SHOWN
    return [*lines, f"  … and {left:,} more labels"] if left > 0 else lines


def _gate_line(gate: Mapping[str, Any], palette: Palette) -> str:
    sign, style = ("✓", Style.CREATE) if gate["passed"] else ("✗", Style.BAD)
    said = f"{gate['gate']}: {number(gate['value'])}" if gate["passed"] else failure_of(gate)
    return palette.paint(style, f"  {sign} {visible(said)}")
