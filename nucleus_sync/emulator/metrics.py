"""COCO detection metrics of an evaluation, computed with pycocotools."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from .boxes import Boxes
from .matching import matches, tide, total_counts

IOU_RANGES = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def charts(boxes: Boxes, iou_threshold: float) -> dict[str, Any]:
    """The answer of `evaluationsV2/{id}/charts`; counts, confusion and TIDE are at `iou_threshold`."""
    rows = matches(boxes, iou_threshold)
    return _coco(boxes) | {
        "confusionMatrix": _confusion(rows),
        "scoreHistogram": _histogram(boxes),
        "computedIouRanges": IOU_RANGES,
        "totalCounts": total_counts(rows)
        | {"predsWithConfidence": sum(guess.confidence is not None for guess in boxes.guesses)},
        "tideAttribution": tide(rows, iou_threshold),
    }


def _coco(boxes: Boxes) -> dict[str, Any]:
    labels = sorted({truth.label for truth in boxes.truths} | {guess.label for guess in boxes.guesses})
    if not boxes.truths:
        return {
            "mapSummary": {"mapAt50": None, "mapAt75": None, "mapAt5095": None},
            "perClassAp": [],
            "apBySize": {"small": None, "medium": None, "large": None},
            "prCurve": [],
        }
    evaluation = _evaluate(boxes, labels)
    stats = [None if value < 0 else float(value) for value in evaluation.stats[:6]]
    return {
        "mapSummary": {"mapAt50": stats[1], "mapAt75": stats[2], "mapAt5095": stats[0]},
        "perClassAp": _per_class(evaluation, labels),
        "apBySize": {"small": stats[3], "medium": stats[4], "large": stats[5]},
        "prCurve": _pr_curve(evaluation, labels),
    }


def _evaluate(boxes: Boxes, labels: list[str]) -> Any:
    # Heavy, and needed by evaluations only.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    number = {label: index + 1 for index, label in enumerate(labels)}
    place = {item: index for index, item in enumerate(boxes.items)}
    images = [{"id": index} for index in place.values()]
    truths = [
        {
            "id": index + 1,
            "image_id": place[truth.item],
            "category_id": number[truth.label],
            "bbox": list(truth.box),
            "area": truth.area,
            "iscrowd": int(truth.crowd),
        }
        for index, truth in enumerate(boxes.truths)
    ]
    guesses = [
        {
            "id": index + 1,
            "image_id": place[guess.item],
            "category_id": number[guess.label],
            "bbox": list(guess.box),
            "area": guess.area,
            "iscrowd": 0,
            "score": guess.score,
        }
        for index, guess in enumerate(boxes.guesses)
    ]
    categories = [{"id": index, "name": label} for label, index in number.items()]
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (truths, guesses):
            side = COCO()
            side.dataset = {"images": images, "categories": categories, "annotations": annotations}
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _per_class(evaluation: Any, labels: list[str]) -> list[dict[str, Any]]:
    """AP over the ten thresholds of each class that has ground truth."""
    answer = []
    for index, label in enumerate(labels):
        precision = evaluation.eval["precision"][:, :, index, 0, -1]
        if (valid := precision[precision > -1]).size:
            answer.append({"classLabel": label, "ap": float(valid.mean())})
    return answer


def _pr_curve(evaluation: Any, labels: list[str]) -> list[dict[str, Any]]:
    """Precision at every tenth of COCO's 101 recall points, at IoU 0.5."""
    points = []
    for index, label in enumerate(labels):
        precision = evaluation.eval["precision"][0, :, index, 0, -1]
        for recall, value in list(zip(evaluation.params.recThrs, precision, strict=True))[::10]:
            if value > -1:
                points.append({"classLabel": label, "recall": float(recall), "precision": float(value)})
    return points


def _confusion(rows: list[Any]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        pair = (row.truth.label if row.truth else "background", row.guess.label if row.guess else "background")
        counts[pair] = counts.get(pair, 0) + 1
    return [{"gtLabel": gt, "predLabel": pred, "count": n} for (gt, pred), n in sorted(counts.items())]


def _histogram(boxes: Boxes) -> list[dict[str, Any]]:
    counts = [0] * 10
    for guess in boxes.guesses:
        if guess.confidence is not None:
            counts[min(int(guess.confidence * 10), 9)] += 1
    return [{"bucketMin": index / 10, "bucketMax": (index + 1) / 10, "count": n} for index, n in enumerate(counts)]
