"""The boxes that an evaluation compares, as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Truth(msgspec.Struct, frozen=True):
    """One ground-truth box; `label` is its class after rollup, `raw` the label as uploaded."""

    pk: int
    item: int
    raw: str
    label: str
    box: tuple[float, float, float, float]
    crowd: bool
    metadata: dict[str, Any]

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.box[2] * self.box[3]


class Guess(msgspec.Struct, frozen=True):
    """One predicted box; without a confidence it scores 1."""

    pk: int
    item: int
    raw: str
    label: str
    box: tuple[float, float, float, float]
    confidence: float | None
    metadata: dict[str, Any]

    @property
    def score(self) -> float:
        """What predictions are ranked by."""
        return 1.0 if self.confidence is None else self.confidence

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.box[2] * self.box[3]


class Boxes(msgspec.Struct, frozen=True):
    """Everything that one evaluation looks at. `items` maps each item to its metadata, in ranking order."""

    items: dict[int, dict[str, Any]]
    truths: list[Truth]
    guesses: list[Guess]


def canonical(label: str, groups: Iterable[Mapping[str, Any]] | None, *, class_agnostic: bool) -> str:
    """The class that a label counts as: that of the group it is in, or else itself."""
    if class_agnostic:
        return "object"
    for group in groups or ():
        if label in group.get("labels", ()):
            return str(group.get("class_name") or group.get("className"))
    return label


def exclude(boxes: Boxes, rules: Iterable[Mapping[str, Any]]) -> tuple[Boxes, dict[str, int]]:
    """Apply exclusion rules (14): what is left, and how much of each kind went."""
    left = boxes
    for rule in rules:
        left = _exclude(left, rule)
    return left, {
        "excluded_items": len(boxes.items) - len(left.items),
        "excluded_annotations": len(boxes.truths) - len(left.truths),
        "excluded_predictions": len(boxes.guesses) - len(left.guesses),
    }


def _exclude(boxes: Boxes, rule: Mapping[str, Any]) -> Boxes:
    kind, scope = rule.get("type"), rule.get("scope")
    if kind == "metadata" and scope == "item":
        return keep_items(boxes, {i for i, metadata in boxes.items.items() if not holds(rule, metadata)})
    both: list[Truth | Guess] = [*boxes.truths, *boxes.guesses]
    gone = [box for box in both if _is_excluded(box, rule)]
    if scope == "item":
        return keep_items(boxes, set(boxes.items) - {box.item for box in gone})
    numbers = {(type(box), box.pk) for box in gone}
    return Boxes(
        boxes.items,
        [truth for truth in boxes.truths if (Truth, truth.pk) not in numbers],
        [guess for guess in boxes.guesses if (Guess, guess.pk) not in numbers],
    )


def _is_excluded(box: Truth | Guess, rule: Mapping[str, Any]) -> bool:
    if rule["type"] == "metadata":
        return holds(rule, box.metadata)
    if (rule.get("target") == "groundTruth") != isinstance(box, Truth):
        return False
    if rule["type"] == "labels":
        return box.raw in rule.get("labels", ()) or box.label in rule.get("labels", ())
    return within(box.area, rule)


def keep_items(boxes: Boxes, items: set[int]) -> Boxes:
    """Only what is on these items."""
    return Boxes(
        {item: metadata for item, metadata in boxes.items.items() if item in items},
        [truth for truth in boxes.truths if truth.item in items],
        [guess for guess in boxes.guesses if guess.item in items],
    )


def within(value: float | None, bounds: Mapping[str, Any]) -> bool:
    """Whether a number lies in `{min, max}`, ends included, either of which may be missing."""
    if value is None:
        return False
    low, high = bounds.get("min"), bounds.get("max")
    return (low is None or value >= low) and (high is None or value <= high)


def holds(predicate: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> bool:
    """Whether `{key, op, value}` is true of some metadata; of a key that is not there it never is."""
    if metadata is None or predicate["key"] not in metadata:
        return False
    held, value = metadata[predicate["key"]], predicate.get("value")
    try:
        match predicate["op"]:
            case "EQ":
                return bool(held == value)
            case "IN":
                return held in (value or ())
            case "GT":
                return bool(held > value)
            case "LT":
                return bool(held < value)
    except TypeError:
        return False
    return False
