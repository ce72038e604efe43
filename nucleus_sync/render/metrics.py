"""The numbers of an evaluation as tables: the whole, the gates, the labels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nucleus_sync.events import Evaluated
from nucleus_sync.render.text import PLAIN, Palette, Style, columns, rows_of, visible

OVERALL = ("mAP", "mAP50", "mAP75", "AP_small", "AP_medium", "AP_large", "precision", "recall", "F1")
LABELS_SHOWN = 30


def metrics_text(event: Evaluated, palette: Palette = PLAIN) -> str:
    """The numbers of one evaluation."""
    lines = [palette.paint(Style.BOLD, visible(event.address))]
    lines += columns([(name, number(event.metrics[name])) for name in _overall(event.metrics)], right=frozenset({1}))
    lines += _label_lines(event.metrics)
    lines += [_gate_line(gate, palette) for gate in event.gates]
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
    return palette.paint(style, f"  {sign} {visible(gate['gate'])}: {number(gate['value'])}")
