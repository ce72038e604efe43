"""Evaluation V1: which box of a run found which ground truth, as it was when the metrics were called for."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .world import World, from_json

MODES = {
    "iou": "prediction IS NOT NULL AND annotation IS NOT NULL",
    "false_positive": "annotation IS NULL",
    "false_negative": "prediction IS NULL",
}


class _Box(NamedTuple):
    pk: int
    label: str
    x: float
    y: float
    width: float
    height: float


class _Match(NamedTuple):
    prediction: _Box | None
    annotation: _Box | None
    iou: float


def compute(c: sqlite3.Connection, dataset: int, model: int, options: Mapping[str, Any]) -> None:
    """Match the boxes of all of a model's runs on a dataset anew; earlier matches go."""
    query = "SELECT r.pk FROM runs r JOIN run_datasets d ON d.run = r.pk WHERE r.model = ? AND d.dataset = ?"
    runs = [row[0] for row in c.execute(query, (model, dataset)).fetchall()]
    truths = _boxes(c, "SELECT a.* FROM annotations a JOIN items i ON i.pk = a.item WHERE i.dataset = ?", dataset)
    allowed = {
        (pair["ground_truth_label"], pair["model_prediction_label"])
        for pair in options.get("allowed_label_matches") or ()
    }
    agnostic = bool(options.get("class_agnostic", True))
    for run in runs:
        query = "SELECT p.* FROM predictions p JOIN items i ON i.pk = p.item WHERE i.dataset = ? AND p.run = ?"
        guesses = _boxes(c, query, dataset, run)
        c.execute("DELETE FROM metric_matches WHERE dataset = ? AND run = ?", (dataset, run))
        for item in sorted({*truths, *guesses}):
            found = _matched(truths.get(item, []), guesses.get(item, []), allowed, agnostic=agnostic)
            c.executemany(
                "INSERT INTO metric_matches (dataset, run, item, prediction, annotation, prediction_label,"
                " annotation_label, iou) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(dataset, run, item, match) for match in found],
            )


def _boxes(c: sqlite3.Connection, query: str, *values: int) -> dict[int, list[_Box]]:
    found: dict[int, list[_Box]] = defaultdict(list)
    for row in c.execute(f"SELECT * FROM ({query}) WHERE type = 'box' ORDER BY pk", values):
        shape = from_json(row["record"])["geometry"]
        box = _Box(row["pk"], row["label"], shape["x"], shape["y"], shape["width"], shape["height"])
        found[row["item"]].append(box)
    return found


def _matched(
    truths: list[_Box], guesses: list[_Box], allowed: set[tuple[str, str]], *, agnostic: bool
) -> Iterator[_Match]:
    """By highest IoU, one to one, without a threshold (12)."""
    pairs = [
        (iou, guess, truth)
        for guess in guesses
        for truth in truths
        if (agnostic or guess.label == truth.label or (truth.label, guess.label) in allowed)
        and (iou := _iou(guess, truth)) > 0
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1].pk, pair[2].pk))
    taken_guesses: set[int] = set()
    taken_truths: set[int] = set()
    for iou, guess, truth in pairs:
        if guess.pk not in taken_guesses and truth.pk not in taken_truths:
            taken_guesses.add(guess.pk)
            taken_truths.add(truth.pk)
            yield _Match(guess, truth, iou)
    yield from (_Match(guess, None, 0.0) for guess in guesses if guess.pk not in taken_guesses)
    yield from (_Match(None, truth, 0.0) for truth in truths if truth.pk not in taken_truths)


def _iou(one: _Box, other: _Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)


def _row(dataset: int, run: int, item: int, match: _Match) -> tuple[Any, ...]:
    guess, truth = match.prediction, match.annotation
    numbers = (guess.pk if guess else None, truth.pk if truth else None)
    return (dataset, run, item, *numbers, guess.label if guess else None, truth.label if truth else None, match.iou)


def as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """A match as `queryObjectsPage` gives it."""
    spell = world.ids.spell
    return {
        "model_run_id": spell("run", row["run"]),
        "model_prediction_id": None if row["prediction"] is None else spell("pred", row["prediction"]),
        "ground_truth_annotation_id": None if row["annotation"] is None else spell("ann", row["annotation"]),
        "iou": row["iou"],
        "dataset_item_id": spell("di", row["item"]),
        "true_positive": row["prediction"] is not None and row["annotation"] is not None,
        "model_prediction_label": row["prediction_label"],
        "ground_truth_annotation_label": row["annotation_label"],
    }
