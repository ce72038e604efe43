"""The single matches of an evaluation: filtered, sorted, in pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .boxes import Boxes, Guess, Truth, holds, keep_items, within
from .evaluations import boxes_of
from .matching import BACKGROUND_IOU, Row, matches
from .queries import Query, Subject
from .refusals import Refused
from .world import World, to_json

_SORTS: dict[str, Callable[[Row], Any]] = {
    "confidence": lambda row: row.guess.confidence if row.guess else None,
    "iou": lambda row: row.iou,
    "dataset_item_id": lambda row: row.item,
    "gt_area": lambda row: row.truth.area if row.truth else None,
}
_KNOWN_FILTERS = {
    "confidenceRange",
    "iouRange",
    "predLabels",
    "gtLabels",
    "itemMetadata",
    "predictionMetadata",
    "gtAreaRange",
    "labelEquality",
    "hasGroundTruth",
    "tideBackground",
    "sliceIds",
}
_ON_MATCHES = {"iouRange", "labelEquality", "hasGroundTruth", "tideBackground"}


def page(world: World, evaluation: sqlite3.Row, body: Mapping[str, Any], query: Query) -> dict[str, Any]:
    """The answer of `evaluationsV2/{id}/examples`."""
    limit, offset = body.get("limit", 50), body.get("offset", 0)
    if not isinstance(limit, int) or not 0 < limit <= 100 or not isinstance(offset, int) or offset < 0:
        raise Refused(400, "limit must lie between 1 and 100, and offset must not be negative.")
    if body.get("match_type") not in (None, "TP", "FP", "FN"):
        raise Refused(400, "match_type must be TP, FP or FN.")
    filters = body.get("filters") or {}
    boxes = queried_boxes(world, boxes_of(evaluation), query)
    boxes = keep_items(boxes, _items(world, boxes, filters))
    rows = [row for row in matches(boxes, 0.5) if body.get("match_type") in (None, row.kind) and _passes(row, filters)]
    _sort(rows, body)
    shown = rows[offset : offset + limit]
    return {"rows": [_as_read(world, evaluation, boxes, row) for row in shown], "total": len(rows)}


def _sort(rows: list[Row], body: Mapping[str, Any]) -> None:
    if body.get("sort_by") is None:
        return
    value = _SORTS.get(body["sort_by"])
    if value is None:
        raise Refused(400, f"{body['sort_by']} is not a sort key.")
    falling = str(body.get("sort_order", "ASC")).upper() == "DESC"
    # Rows without the value come last, whichever way the others stand.
    rows.sort(key=lambda row: value(row) or 0, reverse=falling)
    rows.sort(key=lambda row: value(row) is None)


def queried_boxes(world: World, boxes: Boxes, query: Query) -> Boxes:
    """The boxes on items of which a query holds."""
    if not query:
        return boxes
    rows = world.held.reader().execute(
        "SELECT pk, reference_id FROM items WHERE pk IN (SELECT value FROM json_each(?))", (to_json([*boxes.items]),)
    )
    names = {row["pk"]: row["reference_id"] for row in rows}
    labels = {"annotations.label": _by_item(boxes.truths), "predictions.label": _by_item(boxes.guesses)}
    held = {
        item
        for item, metadata in boxes.items.items()
        if query.holds(
            Subject(
                names.get(item, ""),
                metadata,
                {field: frozenset(found.get(item, ())) for field, found in labels.items()},
            )
        )
    }
    return keep_items(boxes, held)


def _by_item(found: Iterable[Truth | Guess]) -> dict[int, set[str]]:
    labels: dict[int, set[str]] = {}
    for box in found:
        labels.setdefault(box.item, set()).add(box.raw)
    return labels


def filtered_boxes(world: World, boxes: Boxes, filters: Mapping[str, Any]) -> Boxes:
    """The boxes that charts are drawn from; where a filter is about matches, those of the matches that pass."""
    left = keep_items(boxes, _items(world, boxes, filters))
    if set(filters) & _ON_MATCHES:
        return _of_matches(left, [row for row in matches(left, 0.5) if _passes(row, filters)])
    return Boxes(
        left.items,
        [truth for truth in left.truths if _truth_passes(truth, filters)],
        [guess for guess in left.guesses if _guess_passes(guess, filters)],
    )


def _of_matches(boxes: Boxes, rows: list[Row]) -> Boxes:
    truths = {row.truth.pk for row in rows if row.truth}
    guesses = {row.guess.pk for row in rows if row.guess}
    return Boxes(
        boxes.items,
        [truth for truth in boxes.truths if truth.pk in truths],
        [guess for guess in boxes.guesses if guess.pk in guesses],
    )


def _items(world: World, boxes: Boxes, filters: Mapping[str, Any]) -> set[int]:
    unknown = set(filters) - _KNOWN_FILTERS
    if unknown:
        raise Refused(400, f"Unknown filters: {', '.join(sorted(unknown))}.")
    items = {
        item
        for item, metadata in boxes.items.items()
        if all(holds(predicate, metadata) for predicate in filters.get("itemMetadata") or ())
    }
    if filters.get("sliceIds") is not None:
        slices = [world.ids.read("slc", name) for name in filters["sliceIds"]]
        query = "SELECT member FROM slice_members WHERE kind = 'di' AND slice IN (SELECT value FROM json_each(?))"
        items &= {row[0] for row in world.held.reader().execute(query, (to_json(slices),))}
    return items


def _truth_passes(truth: Any, filters: Mapping[str, Any]) -> bool:
    labels, area = filters.get("gtLabels"), filters.get("gtAreaRange")
    return (not labels or truth.label in labels) and (not area or within(truth.area, area))


def _guess_passes(guess: Any, filters: Mapping[str, Any]) -> bool:
    labels, confidence = filters.get("predLabels"), filters.get("confidenceRange")
    if labels and guess.label not in labels:
        return False
    if confidence and not within(guess.confidence, confidence):
        return False
    return all(holds(predicate, guess.metadata) for predicate in filters.get("predictionMetadata") or ())


def _passes(row: Row, filters: Mapping[str, Any]) -> bool:
    about_truth = filters.get("gtLabels") or filters.get("gtAreaRange")
    if about_truth and (row.truth is None or not _truth_passes(row.truth, filters)):
        return False
    about_guess = any(filters.get(key) for key in ("predLabels", "confidenceRange", "predictionMetadata"))
    if about_guess and (row.guess is None or not _guess_passes(row.guess, filters)):
        return False
    if filters.get("iouRange") and not within(row.iou, filters["iouRange"]):
        return False
    has_truth = filters.get("hasGroundTruth")
    if has_truth is not None and (row.truth is not None) is not has_truth:
        return False
    background = row.kind == "FP" and row.best_iou < BACKGROUND_IOU
    if filters.get("tideBackground") is not None and background is not filters["tideBackground"]:
        return False
    return _equality_passes(row, filters.get("labelEquality"))


def _equality_passes(row: Row, wanted: str | None) -> bool:
    if wanted is None:
        return True
    if row.guess is None or row.truth is None:
        return False
    return (row.guess.label == row.truth.label) is (wanted == "EQ")


def _as_read(world: World, evaluation: sqlite3.Row, boxes: Boxes, row: Row) -> dict[str, Any]:
    spell = world.ids.spell
    guess, truth = row.guess, row.truth
    numbers = (row.item, guess.pk if guess else 0, truth.pk if truth else 0)
    return {
        "id": "match_" + "_".join(str(number) for number in (evaluation["pk"], *numbers)),
        "evaluation_id": spell("evalv2", evaluation["pk"]),
        "dataset_item_id": spell("di", row.item),
        "model_prediction_id": spell("pred", guess.pk) if guess else None,
        "ground_truth_annotation_id": spell("ann", truth.pk) if truth else None,
        "pred_canonical_label": guess.label if guess else None,
        "gt_canonical_label": truth.label if truth else None,
        "pred_raw_label": guess.raw if guess else None,
        "gt_raw_label": truth.raw if truth else None,
        "iou": row.iou,
        "confidence": guess.confidence if guess else None,
        "true_positive": row.kind == "TP",
        "match_type": row.kind,
        "gt_area": truth.area if truth else None,
        "item_metadata": boxes.items[row.item],
        "prediction_metadata": guess.metadata if guess else None,
        "prediction_row": _box_row(guess.raw, guess.box) if guess else None,
        "annotation_row": _box_row(truth.raw, truth.box) if truth else None,
    }


def _box_row(label: str, box: tuple[float, float, float, float]) -> dict[str, Any]:
    return {"label": label, "type": "box", "geometry": dict(zip(("x", "y", "width", "height"), box, strict=True))}


def filter_schema(boxes: Boxes) -> dict[str, Any]:
    """The answer of `evaluationsV2/{id}/filterSchema`."""
    values: dict[str, list[Any]] = {}
    for metadata in boxes.items.values():
        for key, value in metadata.items():
            if isinstance(value, str | int | float):
                values.setdefault(key, []).append(value)
    return {
        "gt_labels": sorted({truth.label for truth in boxes.truths}),
        "pred_labels": sorted({guess.label for guess in boxes.guesses}),
        "metadata_fields": [
            {
                "key": key,
                "value_type": "string" if all(isinstance(value, str) for value in held) else "number",
                "values": sorted({str(value) for value in held})[:250],
            }
            for key, held in sorted(values.items())
        ],
    }
