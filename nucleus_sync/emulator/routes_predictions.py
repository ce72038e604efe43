"""Calls that read predictions back, by model on a dataset or by run (10.4)."""

from __future__ import annotations

import sqlite3
from typing import Any

from . import items, models, reading
from .calls import Call, Route
from .refusals import Refused, missing
from .routes_datasets import dataset_pk


def _runs_on_dataset(call: Call) -> list[int]:
    """The runs that stand for a model on a dataset."""
    held = set(models.runs_of(call.world, models.find(call.world, call.path["prj"])["pk"]))
    query = "SELECT run FROM run_datasets WHERE dataset = ? ORDER BY run"
    rows = call.world.held.reader().execute(query, (dataset_pk(call),))
    return [row[0] for row in rows if row[0] in held]


def _export(call: Call) -> Any:
    return models.all_predictions(call.world, _runs_on_dataset(call), dataset_pk(call))


def _model_iloc(call: Call) -> Any:
    item = items.find_by_position(call.world, dataset_pk(call), call.path["i"])
    return _of_item(call, item, _runs_on_dataset(call))


def _model_refloc(call: Call) -> Any:
    item = items.find(call.world, dataset_pk(call), call.path["ref"])
    return _of_item(call, item, _runs_on_dataset(call))


def _model_loc(call: Call) -> Any:
    item = items.find(call.world, dataset_pk(call), call.path["ref"])
    return _one(call, item, _runs_on_dataset(call))


def _of_item(call: Call, item: sqlite3.Row, runs: list[int]) -> dict[str, Any]:
    rows = models.predictions_of_item(call.world, item, runs)
    return {"annotations": reading.records_of_item(call.world, item, rows)}


def _one(call: Call, item: sqlite3.Row, runs: list[int]) -> dict[str, Any]:
    rows = models.predictions_of_item(call.world, item, runs)
    found = reading.pick(call.world, item, rows, call.path["annotation"])
    if found is None:
        raise missing("Prediction", call.path["annotation"])
    return found


def _run_pk(call: Call) -> int:
    return int(models.find_run(call.world, call.path["run"])["pk"])


def _run_item(call: Call, where: str, *values: Any) -> sqlite3.Row:
    """An item of the datasets that a run covers."""
    row = (
        call.world.held.reader()
        .execute(
            "SELECT i.* FROM items i JOIN run_datasets d ON d.dataset = i.dataset"
            f" WHERE d.run = ? {where} ORDER BY i.pk LIMIT 1",
            (_run_pk(call), *values),
        )
        .fetchone()
    )
    if row is None:
        raise missing("Item", str(values[0]) if values else call.path["i"])
    return row  # type: ignore[no-any-return]


def _run_iloc(call: Call) -> Any:
    if not call.path["i"].isdigit():
        raise Refused(400, f"{call.path['i']} is not a position.")
    rows = (
        call.world.held.reader()
        .execute(
            "SELECT i.* FROM items i JOIN run_datasets d ON d.dataset = i.dataset WHERE d.run = ?"
            " ORDER BY i.pk LIMIT 1 OFFSET ?",
            (_run_pk(call), int(call.path["i"])),
        )
        .fetchall()
    )
    if not rows:
        raise missing("Item at position", call.path["i"])
    return _of_item(call, rows[0], [_run_pk(call)])


def _run_loc(call: Call) -> Any:
    pk = call.world.ids.read("di", call.path["di"])
    return _of_item(call, _run_item(call, "AND i.pk = ?", pk), [_run_pk(call)])


def _run_refloc(call: Call) -> Any:
    item = _run_item(call, "AND i.reference_id = ?", call.path["ref"])
    return _of_item(call, item, [_run_pk(call)])


def _run_prediction(call: Call) -> Any:
    item = _run_item(call, "AND i.reference_id = ?", call.path["ref"])
    return _one(call, item, [_run_pk(call)])


def _run_all(call: Call) -> Any:
    return models.all_predictions(call.world, [_run_pk(call)], None)


ROUTES = [
    Route("GET", "dataset/{ds}/model/{prj}/export", _export),
    Route("GET", "dataset/{ds}/model/{prj}/iloc/{i}", _model_iloc),
    Route("GET", "dataset/{ds}/model/{prj}/referenceId/{ref}", _model_refloc),
    Route("GET", "dataset/{ds}/model/{prj}/loc/{ref}/{annotation}", _model_loc),
    Route("GET", "modelRun/{run}/iloc/{i}", _run_iloc),
    Route("GET", "modelRun/{run}/loc/{di}", _run_loc),
    Route("GET", "modelRun/{run}/refloc/{ref}", _run_refloc),
    Route("GET", "modelRun/{run}/prediction/loc/{ref}/{annotation}", _run_prediction),
    Route("GET", "modelRun/{run}/ungrouped", _run_all),
]
