"""Calls about models, their runs and their metrics."""

from __future__ import annotations

from typing import Any

from . import models, slices
from .calls import Answer, Call, Route
from .refusals import Refused
from .routes_datasets import dataset_pk
from .world import now_text, to_json


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
    for pair in call.body.get("allowed_label_matches") or ():
        if not isinstance(pair, dict) or {"ground_truth_label", "model_prediction_label"} - set(pair):
            raise Refused(400, "allowed_label_matches takes pairs of ground_truth_label and model_prediction_label.")
    row = (pk, model, to_json(call.body), now_text())
    with call.world.held.transaction() as c:
        c.execute("INSERT INTO metric_calls (dataset, model, options, created) VALUES (?, ?, ?, ?)", row)
    work = {"action": "match_labels", "dataset": pk, "model": model, "options": call.body}
    call.jobs.submit("_metrics", call.path["ds"], work)
    return {}


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
]
