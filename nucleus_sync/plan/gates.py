"""Judges the numbers of an evaluation against what was expected of them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

_HOLDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "==": operator.eq}
_COMPARED = ("mAP", "mAP50", "mAP75", "precision", "recall", "F1")

Bound = tuple[str, str | None, str, float]
"""Metric, label or None for the whole, operator, number."""


def judged(
    metrics: Mapping[str, Any], bounds: Iterable[Bound], previous: Mapping[str, Any] | None, worse_by: float | None
) -> list[dict[str, Any]]:
    """One entry a gate: what was expected, what came, whether it passed. A number that is missing passes nothing.

    `worse_by` is how far the whole set's metrics may fall below the previous result; None doesn't look back.
    """
    gates = [_bounded(metrics, *bound) for bound in bounds]
    if worse_by is not None and previous is not None:
        gates += [_no_worse(name, metrics.get(name), previous.get(name), worse_by) for name in _COMPARED]
    return gates


def failure_of(gate: Mapping[str, Any]) -> str:
    """Which gate, what came, by how much it failed, against what."""
    if gate["value"] is None:
        return f"{gate['gate']}: there is no such number"
    before = gate.get("previous")
    against = "" if before is None else f" against {before:.4f} of the previous run"
    return f"{gate['gate']}: {gate['value']:.4f}, short by {gate['short_by']:.4f}{against}"


def _bounded(metrics: Mapping[str, Any], metric: str, label: str | None, op: str, number: float) -> dict[str, Any]:
    value = metrics.get(metric) if label is None else metrics.get("labels", {}).get(label, {}).get(metric)
    name = metric if label is None else f"{label} {metric}"
    return {
        "gate": f"{name} {op} {number:g}",
        "metric": name,
        "value": value,
        "expected": f"{op} {number:g}",
        "short_by": None if value is None else abs(value - number),
        "passed": value is not None and bool(_HOLDS[op](value, number)),
    }


def _no_worse(name: str, value: float | None, before: float | None, by: float) -> dict[str, Any]:
    passed = before is None or (value is not None and value >= before - by)
    return {
        "gate": f"{name} no worse than previous" + (f" by {by:g}" if by else ""),
        "metric": name,
        "value": value,
        "expected": None if before is None else f">= {before - by:g}",
        "previous": before,
        "short_by": None if value is None or before is None else max(0.0, before - by - value),
        "passed": passed,
    }
