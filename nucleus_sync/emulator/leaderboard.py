"""The leaderboard: evaluations of some benchmarks, ranked by one metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import metrics
from .boxes import Boxes
from .evaluations import boxes_of
from .matching import Row, matches
from .refusals import Refused
from .world import World, from_json, to_json


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1(tp: int, fp: int, fn: int) -> float | None:
    return _ratio(2 * tp, 2 * tp + fp + fn)


_SCORES: dict[str, Callable[[dict[str, Any]], float | None]] = {
    "MAP_50": lambda charts: charts["mapSummary"]["mapAt50"],
    "MAP_50_95": lambda charts: charts["mapSummary"]["mapAt5095"],
    "AP_SMALL": lambda charts: charts["apBySize"]["small"],
    "AP_MEDIUM": lambda charts: charts["apBySize"]["medium"],
    "AP_LARGE": lambda charts: charts["apBySize"]["large"],
    "PRECISION": lambda charts: _ratio(
        charts["totalCounts"]["tp"], charts["totalCounts"]["tp"] + charts["totalCounts"]["fp"]
    ),
    "RECALL": lambda charts: _ratio(
        charts["totalCounts"]["tp"], charts["totalCounts"]["tp"] + charts["totalCounts"]["fn"]
    ),
    "F1": lambda charts: _f1(*(charts["totalCounts"][key] for key in ("tp", "fp", "fn"))),
}


def ranking(world: World, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer of `leaderboard/ranking`; evaluations without a score are left out."""
    score = _SCORES.get(str(body.get("metric_type")))
    if score is None:
        raise Refused(400, f"{body.get('metric_type')} is not a metric.")
    threshold = body.get("confidence_threshold")
    if threshold is not None and not isinstance(threshold, int | float):
        raise Refused(400, "confidence_threshold must be a number.")
    rows = _candidates(world, body)
    scored = [(score(_charts(row, threshold)), row) for row in rows]
    best = sorted(((value, row) for value, row in scored if value is not None), key=lambda pair: -pair[0])
    if body.get("collapse") != "allEvaluations":
        first: dict[int, Any] = {}
        for value, row in best:
            first.setdefault(row["model"], (value, row))
        best = list(first.values())
    return [_as_read(world, row, value, rank) for rank, (value, row) in enumerate(best, start=1)]


def _charts(row: Any, threshold: float | None) -> dict[str, Any]:
    """An evaluation's charts, or those of its predictions of some confidence alone."""
    if threshold is None:
        return from_json(row["charts"])  # type: ignore[no-any-return]
    boxes = boxes_of(row)
    confident = [guess for guess in boxes.guesses if guess.score >= threshold]
    return metrics.charts(Boxes(boxes.items, boxes.truths, confident), 0.5)


def _candidates(world: World, body: dict[str, Any]) -> list[Any]:
    read = world.ids.read
    wanted = [read("bm", name) for name in body.get("benchmark_ids") or ()]
    chosen = body.get("model_ids")
    rows = (
        world.held.reader()
        .execute(
            "SELECT e.*, m.name AS model_name, r.name AS run_name FROM evaluations e JOIN models m ON m.pk = e.model"
            " LEFT JOIN runs r ON r.pk = e.run WHERE e.status = 'succeeded'"
            " AND e.benchmark IN (SELECT value FROM json_each(?)) ORDER BY e.pk",
            (to_json(wanted),),
        )
        .fetchall()
    )
    return rows if chosen is None else [row for row in rows if world.ids.spell("prj", row["model"]) in chosen]


def f1_curve(world: World, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer of `leaderboard/f1Curve`: F1 at IoU 0.5 over confidence thresholds, the best curves first."""
    top = body.get("top_n", 5)
    if not isinstance(top, int) or top < 1:
        raise Refused(400, "top_n must be a positive number.")
    curves = [(_curve(matches(boxes_of(row), 0.5)), row) for row in _candidates(world, body)]
    best = [(max(point["score"] for point in points), points, row) for points, row in curves]
    best.sort(key=lambda entry: -entry[0])
    return [
        _names(world, row) | {"best_f1": score, "points": points, "rank": rank}
        for rank, (score, points, row) in enumerate(best[:top], start=1)
    ]


def _curve(rows: list[Row]) -> list[dict[str, float]]:
    """F1 when only predictions of at least some confidence count; what is dropped leaves its truth unfound."""
    hits = [row.guess.score for row in rows if row.kind == "TP" and row.guess]
    wrong = [row.guess.score for row in rows if row.kind == "FP" and row.guess]
    truths = len(hits) + sum(row.kind == "FN" for row in rows)
    points = []
    for step in range(0, 100, 5):
        threshold = step / 100
        tp = sum(score >= threshold for score in hits)
        fp = sum(score >= threshold for score in wrong)
        points.append({"confidence_threshold": threshold, "score": _f1(tp, fp, truths - tp) or 0.0})
    return points


def _as_read(world: World, row: Any, score: float, rank: int) -> dict[str, Any]:
    versions = dict.fromkeys(("model_version_major", "model_version_minor", "model_version_label"))
    return _names(world, row) | versions | {"parent_model_project_id": None, "score": score, "rank": rank}


def _names(world: World, row: Any) -> dict[str, Any]:
    spell = world.ids.spell
    return {
        "evaluation_id": spell("evalv2", row["pk"]),
        "evaluation_name": row["name"],
        "model_run_id": spell("run", row["run"]) if row["run"] else None,
        "model_run_name": row["run_name"],
        "model_id": spell("prj", row["model"]),
        "model_name": row["model_name"],
    }
