"""Which prediction found which ground truth, at one IoU threshold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

from .boxes import Boxes, Guess, Truth

BACKGROUND_IOU = 0.1
"""Below this overlap with every ground truth, TIDE calls a prediction background."""


@dataclass(frozen=True)
class Row:
    """A prediction, a ground truth, or both.

    A false positive names the ground truth of another class that it overlaps by the threshold or more, where
    there is one; `best_iou` is its largest overlap with any ground truth.
    """

    kind: Literal["TP", "FP", "FN"]
    item: int
    guess: Guess | None
    truth: Truth | None
    iou: float | None
    best_iou: float = 0.0
    best_same: float = 0.0


def matches(boxes: Boxes, threshold: float) -> list[Row]:
    """Match as COCO does: by falling confidence, one to one within a class, the best overlap first.

    Predictions that only overlap a crowd region are neither right nor wrong and are left out.
    """
    truths: dict[int, list[Truth]] = defaultdict(list)
    guesses: dict[int, list[Guess]] = defaultdict(list)
    for truth in boxes.truths:
        truths[truth.item].append(truth)
    for guess in boxes.guesses:
        guesses[guess.item].append(guess)
    rows: list[Row] = []
    for item in boxes.items:
        ranked = sorted(guesses[item], key=lambda guess: -guess.score)
        rows += _match_item(item, truths[item], ranked, threshold)
    return rows


def _match_item(item: int, truths: list[Truth], guesses: list[Guess], threshold: float) -> list[Row]:
    overlaps = _overlaps(truths, guesses)
    found: set[int] = set()
    rows: list[Row] = []
    for guess, ious in zip(guesses, overlaps, strict=True):
        same = [
            (iou, index)
            for index, (truth, iou) in enumerate(zip(truths, ious, strict=True))
            if truth.label == guess.label
        ]
        free = [(iou, i) for iou, i in same if i not in found and not truths[i].crowd and iou >= threshold]
        if free:
            iou, index = max(free, key=lambda pair: pair[0])
            found.add(index)
            rows.append(Row("TP", item, guess, truths[index], iou, iou, iou))
        elif not any(truths[index].crowd and iou >= threshold for iou, index in same):
            rows.append(_false_positive(item, guess, truths, ious, threshold))
    for index, truth in enumerate(truths):
        if index not in found and not truth.crowd:
            rows.append(Row("FN", item, None, truth, None))
    return rows


def _false_positive(item: int, guess: Guess, truths: list[Truth], ious: list[float], threshold: float) -> Row:
    pairs = [(iou, truth) for iou, truth in zip(ious, truths, strict=True) if not truth.crowd]
    best = max((iou for iou, _ in pairs), default=0.0)
    best_same = max((iou for iou, truth in pairs if truth.label == guess.label), default=0.0)
    other = [pair for pair in pairs if pair[1].label != guess.label and pair[0] >= threshold]
    if not other:
        return Row("FP", item, guess, None, best or None, best, best_same)
    iou, truth = max(other, key=lambda pair: pair[0])
    return Row("FP", item, guess, truth, iou, best, best_same)


def _overlaps(truths: list[Truth], guesses: list[Guess]) -> list[list[float]]:
    """IoU of every prediction with every ground truth; with a crowd, the share of the prediction inside it."""
    if not truths or not guesses:
        return [[] for _ in guesses]
    import numpy as np
    from pycocotools import mask

    table = mask.iou(
        np.array([guess.box for guess in guesses], dtype=np.float64),
        np.array([truth.box for truth in truths], dtype=np.float64),
        [int(truth.crowd) for truth in truths],
    )
    return table.tolist()  # type: ignore[no-any-return]


def total_counts(rows: list[Row]) -> dict[str, int]:
    """True positives, false positives and false negatives, of which precision, recall and F1 are made."""
    return {kind.lower(): sum(row.kind == kind for row in rows) for kind in ("TP", "FP", "FN")}


def tide(rows: list[Row], threshold: float) -> dict[str, int]:
    """What kind of mistake each prediction is, after TIDE; `missed` are truths that no mistake came near."""
    counts: dict[str, Any] = dict.fromkeys(
        ("truePositive", "localization", "classification", "both", "duplicate", "background", "missed"), 0
    )
    excused: set[int] = set()
    for row in rows:
        if row.kind == "TP":
            counts["truePositive"] += 1
        elif row.kind == "FP":
            counts[_mistake(row, threshold)] += 1
            if row.truth is not None:
                excused.add(row.truth.pk)
    counts["missed"] = sum(row.kind == "FN" and row.truth is not None and row.truth.pk not in excused for row in rows)
    return counts


def _mistake(row: Row, threshold: float) -> str:
    if row.truth is not None:
        return "classification"
    if row.best_same >= threshold:
        return "duplicate"
    if row.best_same >= BACKGROUND_IOU:
        return "localization"
    return "both" if row.best_iou >= BACKGROUND_IOU else "background"
