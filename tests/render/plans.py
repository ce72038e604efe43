"""Plans to show."""

from __future__ import annotations

from nucleus_sync.plan.plan import Failure, Plan, SourceCount
from nucleus_sync.plan.steps import Action, Holds, RecordCounts, Step
from nucleus_sync.records.problem import Problem, Where


def empty(**changes: object) -> Plan:
    """Nothing to do, 132 unchanged."""
    values: dict[str, object] = {
        "spec_path": "nucleus.yaml",
        "spec_sha256": "aa",
        "lineage": "feed",
        "serial": 7,
        "steps": (),
        "unchanged": {"dataset.street": 1, "dataset.street.items": 131},
        "resting": {},
        "orphaned": {},
    }
    return Plan(**(values | changes))  # type: ignore[arg-type]


def first() -> Plan:
    """A first plan of everything."""
    items, annotations = "dataset.street.items", "dataset.street.annotations"
    predictions = "model.cnn.predictions.street"
    return empty(
        unchanged={},
        contents={items: "1f", annotations: "2f", predictions: "3f"},
        steps=(
            Step(Action.CREATE, "dataset.street", Holds.DATASET, wanted={"name": "Street"}),
            Step(Action.CREATE, "model.cnn", Holds.MODEL),
            Step(Action.PROBE, items, Holds.ITEMS, ("dataset.street:create",), wanted={"sources": ["images"]}),
            Step(Action.INGEST, items, Holds.ITEMS, (f"{items}:probe",), RecordCounts(create=120), {"new": 120}),
            Step(
                Action.INGEST, annotations, Holds.ANNOTATIONS, (f"{items}:ingest",), RecordCounts(create=391),
                {"new": 391},
            ),
            Step(
                Action.INGEST, predictions, Holds.PREDICTIONS, ("model.cnn:create", f"{items}:ingest"),
                RecordCounts(create=98), {"new": 98},
            ),
            Step(
                Action.EVALUATE, "evaluation.nightly", Holds.EVALUATION,
                (f"{annotations}:ingest", f"{predictions}:ingest"), reasons={"never evaluated": 1},
            ),
        ),
    )  # fmt: skip


def edits() -> Plan:
    """Some of everything that can happen to a stream that is known."""
    annotations = "dataset.street.annotations"
    return empty(
        unchanged={"dataset.street.items": 1200, annotations: 5000},
        resting={annotations: 7},
        orphaned={"dataset.street.items": 3},
        contents={annotations: "4f"},
        steps=(
            Step(
                Action.DELETE, annotations, Holds.ANNOTATIONS, (), RecordCounts(delete=12), {"source gone": 12},
            ),
            Step(
                Action.INGEST, annotations, Holds.ANNOTATIONS, (f"{annotations}:delete",),
                RecordCounts(create=1204, update=318, resent=40),
                {"new": 1204, "geometry changed": 290, "label changed": 28, "sent again: a neighbour is deleted": 40},
            ),
            Step(Action.UPDATE, "dataset.street", Holds.DATASET, reasons={"tags": 1}),
        ),
    )  # fmt: skip


def invalid() -> Plan:
    """A stream with invalid records that blocks, and one whose source can't be read."""
    cause = "a box of zero or negative size"
    shown = tuple(
        Problem(
            "labels", Where("exports/a.json", f"annotations[{at}]"), f"annotation {at}", cause, f"width is -{at}",
            fix="on_invalid: skip leaves them out",
        )
        for at in (1, 2, 3)
    )  # fmt: skip
    return empty(
        sources=(
            SourceCount(
                "dataset.street.annotations", invalid=10, findings=1, duplicates=2, shown=shown,
                causes=(("invalid", cause, 10), ("finding", "an image without annotations", 1)), blocking=True,
            ),
        ),
        failures=(Failure("model.cnn.predictions.street", "exports/cnn.json: cut off at line 9"),),
    )  # fmt: skip
