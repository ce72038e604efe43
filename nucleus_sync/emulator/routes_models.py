"""Calls about models and runs, slices, and jobs."""

from __future__ import annotations

from typing import Any

from . import models, reading, slices
from .calls import Answer, Call, Route
from .refusals import Refused
from .routes_datasets import dataset_pk, with_media
from .world import from_json, now_text, to_json


def _add(call: Call) -> Any:
    return models.add(call.world, call.body)


def _list(call: Call) -> Any:
    return models.listing(call.world)


def _read(call: Call) -> Any:
    return models.as_read(call.world, models.find(call.world, call.path["prj"]))


def _delete(call: Call) -> Any:
    pk = models.find(call.world, call.path["prj"])["pk"]
    call.jobs.submit("_modelDeletion", None, {"action": "delete_model", "model": pk})
    return {"msg": "Model deletion running in an async job"}


def _change(call: Call, key: str, column: str, *, remove: bool, strict: bool = False) -> Any:
    values = call.body.get(key)
    return models.change_list(call.world, call.path["prj"], column, values, remove=remove, strict=strict)


def _tag(call: Call) -> Any:
    return _change(call, "tags", "tags", remove=False)


def _untag(call: Call) -> Any:
    return _change(call, "tags", "tags", remove=True, strict=True)


def _add_trained(call: Call) -> Any:
    for slice_id in call.body.get("trained_slice_ids") or ():
        slices.find(call.world, slice_id)
    return _change(call, "trained_slice_ids", "trained_slices", remove=False)


def _remove_trained(call: Call) -> Any:
    return _change(call, "trained_slice_ids", "trained_slices", remove=True)


def _create_run(call: Call) -> Any:
    return models.add_run(call.world, models.find(call.world, call.path["prj"])["pk"], call.body)


def _create_run_of_dataset(call: Call) -> Any:
    """The legacy way, which names the model by its reference id and reports failure inside a 200 (1.4)."""
    pk = dataset_pk(call)
    reference_id = call.body.get("reference_id")
    query = "SELECT pk FROM models WHERE reference_id = ?"
    row = call.world.held.reader().execute(query, (reference_id,)).fetchone()
    if row is None:
        return {"status_code": 404, "error": f"Model with reference id {reference_id} does not exist."}
    return models.add_run(call.world, row[0], call.body | {"reference_id": None}, pk)


def _runs(call: Call) -> Any:
    pk = models.find(call.world, call.path["prj"])["pk"]
    return [call.world.ids.spell("run", run) for run in models.runs_of(call.world, pk)]


def _run_info(call: Call) -> Any:
    return models.run_description(call.world, call.path["run"])


def _commit(call: Call) -> Any:
    pk = models.find_run(call.world, call.path["run"])["pk"]
    with call.world.held.transaction() as c:
        c.execute("UPDATE runs SET committed = 1 WHERE pk = ?", (pk,))
    return {"model_run_id": call.path["run"]}


def _delete_run(call: Call) -> Any:
    return models.delete_run(call.world, call.path["run"])


def _merge(call: Call) -> Any:
    names = list(dict.fromkeys(call.body.get("modelRunIds") or call.body.get("model_run_ids") or ()))
    rows = [models.find_run(call.world, name) for name in names]
    if len(rows) < 2 or len({row["model"] for row in rows}) != 1:
        raise Refused(400, "A merge needs at least two runs of one model.")
    metadata = (call.body.get("metadata") or {}) | {"merged_from_model_run_ids": names}
    runs = [row["pk"] for row in rows]
    with call.world.held.transaction() as c:
        into = models.insert_run(c, rows[0]["model"], call.body.get("name") or "Merged run", None, metadata)
        query = "SELECT DISTINCT dataset FROM run_datasets WHERE run IN (SELECT value FROM json_each(?))"
        held = [row[0] for row in c.execute(query, (to_json(runs),))]
    job = call.jobs.submit("mergeModelRuns", None, {"action": "merge_runs", "runs": runs, "into": into})
    spell = call.world.ids.spell
    answer = {"job_id": job["job_id"], "model_run_id": spell("run", into)}
    return Answer(202, answer | {"dataset_ids": [spell("ds", pk) for pk in held]})


def _metrics(call: Call) -> Any:
    pk = dataset_pk(call)
    model = models.find(call.world, call.path["prj"])["pk"]
    if call.body.get("allowed_label_matches") and call.body.get("class_agnostic") is not False:
        raise Refused(400, "allowed_label_matches requires class_agnostic: false.")
    row = (pk, model, to_json(call.body), now_text())
    with call.world.held.transaction() as c:
        c.execute("INSERT INTO metric_calls (dataset, model, options, created) VALUES (?, ?, ?, ?)", row)
    return {}


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


def metric_calls(call: Call) -> list[dict[str, Any]]:
    """What was asked of calculateEvaluationMetrics, oldest first."""
    spell = call.world.ids.spell
    return [
        {
            "dataset_id": spell("ds", row["dataset"]),
            "model_id": spell("prj", row["model"]),
            "options": from_json(row["options"]),
            "time": row["created"],
        }
        for row in call.world.held.reader().execute("SELECT * FROM metric_calls ORDER BY pk")
    ]


ROUTES = [
    Route("POST", "models/add", _add),
    Route("GET", "models/", _list),
    Route("GET", "model/{prj}", _read),
    Route("DELETE", "model/{prj}", _delete),
    Route("POST", "model/{prj}/tag", _tag),
    Route("DELETE", "model/{prj}/tag", _untag),
    Route("POST", "model/{prj}/trainedSliceId", _add_trained),
    Route("DELETE", "model/{prj}/trainedSliceId", _remove_trained),
    Route("POST", "model/{prj}/modelRun/create", _create_run),
    Route("POST", "dataset/{ds}/modelRun/create", _create_run_of_dataset),
    Route("GET", "model/{prj}/modelRun", _runs),
    Route("GET", "modelRun/{run}/info", _run_info),
    Route("POST", "modelRun/{run}/commit", _commit),
    Route("DELETE", "modelRun/{run}", _delete_run),
    Route("POST", "modelRun/merge", _merge),
    Route("POST", "dataset/{ds}/model/{prj}/calculateEvaluationMetrics", _metrics),
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
