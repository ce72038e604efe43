"""Calls about slices, and about jobs."""

from __future__ import annotations

from typing import Any

from . import models, reading, slices
from .calls import Call, Route
from .routes_datasets import dataset_pk, with_media
from .world import to_json


def _slices(call: Call) -> Any:
    return slices.listing(call.world, None, None, None)


def _slices_of_dataset(call: Call) -> Any:
    return slices.listing(call.world, dataset_pk(call), call.query.get("name"), call.query.get("type"))


def _create_slice(call: Call) -> Any:
    return slices.create(call.world, dataset_pk(call), call.body)


def _slice_pk(call: Call) -> int:
    return int(slices.find(call.world, call.path["slc"])["pk"])


def _slice_info(call: Call) -> Any:
    return slices.description(call.world, call.path["slc"])


def _slice_members(call: Call) -> Any:
    return slices.members(call.world, call.path["slc"])


def _append(call: Call) -> Any:
    return slices.append(call.world, call.path["slc"], call.body)


def _tag_slice(call: Call) -> Any:
    return slices.add_tags(call.world, call.path["slc"], call.body.get("slice_tags"))


def _delete_slice(call: Call) -> Any:
    return slices.delete(call.world, call.path["slc"])


def _slice_items(call: Call) -> Any:
    after, size = reading.page_bounds(call.body, 100_000)
    rows = slices.items_after(call.world, _slice_pk(call), after, size)
    read = [with_media(call, reading.item_as_read(call.world, row), row) for row in rows]
    return reading.page(read, size, rows[-1]["place"] if rows else None, "items")


def _slice_page(call: Call) -> Any:
    return _slice_rows(call, 10_000, None)


def _slice_predictions_page(call: Call) -> Any:
    return _slice_rows(call, 100_000, _runs_of_model(call))


def _slice_rows(call: Call, default: int, runs: list[int] | None) -> Any:
    after, size = reading.page_bounds(call.body, default)
    rows = slices.items_after(call.world, _slice_pk(call), after, size)
    read = reading.export_rows(call.world, rows, runs)
    return reading.page(read, size, rows[-1]["place"] if rows else None, "data")


def _runs_of_model(call: Call) -> list[int]:
    return models.runs_of(call.world, models.find(call.world, call.path["prj"])["pk"])


def _slice_export(call: Call) -> Any:
    rows = slices.items_after(call.world, _slice_pk(call), 0, -1)
    return {"exportedRows": reading.export_rows(call.world, rows)}


def _slice_predictions(call: Call) -> Any:
    rows = slices.items_after(call.world, _slice_pk(call), 0, -1)
    return {"exportedRows": reading.export_rows(call.world, rows, _runs_of_model(call))}


def _slice_raw(call: Call) -> Any:
    return slices.raw_items(call.world, call.path["slc"])


def _slice_labels(call: Call) -> Any:
    rows = slices.items_after(call.world, _slice_pk(call), 0, -1)
    c = call.world.held.reader()
    query = "SELECT DISTINCT label FROM annotations WHERE item IN (SELECT value FROM json_each(?))"
    found = c.execute(query, (to_json([row["pk"] for row in rows]),))
    return {"data": sorted(row[0] for row in found if row[0] is not None)}


def _job(call: Call) -> Any:
    return call.jobs.status_object(call.path["job"])


def _job_errors(call: Call) -> Any:
    return call.jobs.errors(call.path["job"])


def _job_info(call: Call) -> Any:
    return call.jobs.job_object(call.jobs.find(call.path["job"]))


def _jobs(call: Call) -> Any:
    return call.jobs.listing(call.body)


ROUTES = [
    Route("GET", "slice/", _slices),
    Route("GET", "dataset/{ds}/slices", _slices_of_dataset),
    Route("POST", "dataset/{ds}/create_slice", _create_slice),
    Route("GET", "slice/{slc}/info", _slice_info),
    Route("GET", "slice/{slc}", _slice_members),
    Route("POST", "slice/{slc}/append", _append),
    Route("POST", "slice/{slc}/tag", _tag_slice),
    Route("DELETE", "slice/{slc}", _delete_slice),
    Route("POST", "slice/{slc}/itemsPage", _slice_items),
    Route("POST", "slice/{slc}/exportForTrainingPage", _slice_page),
    Route("POST", "slice/{slc}/{prj}/exportForTrainingPage", _slice_predictions_page),
    Route("GET", "slice/{slc}/exportForTraining", _slice_export),
    Route("GET", "slice/{slc}/{prj}/exportForTraining", _slice_predictions),
    Route("GET", "slice/{slc}/exportRawItems", _slice_raw),
    Route("GET", "slice/{slc}/class_labels", _slice_labels),
    Route("GET", "job/{job}", _job),
    Route("GET", "job/{job}/errors", _job_errors),
    Route("GET", "job/{job}/info", _job_info),
    Route("POST", "jobs/", _jobs),
]
