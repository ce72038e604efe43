"""Calls about benchmarks, evaluations and presets."""

from __future__ import annotations

from typing import Any

from . import benchmarks, evaluations, examples, leaderboard, metrics, models, presets
from .calls import Answer, Call, Route
from .queries import parse
from .refusals import Refused
from .world import from_json


def _create(call: Call) -> Any:
    pk, has_source = benchmarks.create(call.world, call.body)
    job_id = _build(call, pk, final=True) if has_source else None
    return Answer(202, {"benchmark_id": call.world.ids.spell("bm", pk), "job_id": job_id})


def _build(call: Call, pk: int, *, final: bool) -> str:
    work = {"action": "build_benchmark", "benchmark": pk, "body": call.body, "final": final}
    return str(call.jobs.submit("benchmarkBuild", None, work)["job_id"])


def _list(call: Call) -> Any:
    return benchmarks.listing(call.world)


def _read(call: Call) -> Any:
    return benchmarks.as_read(call.world, benchmarks.find(call.world, call.path["bm"]))


def _change(call: Call) -> Any:
    return benchmarks.change(call.world, call.path["bm"], call.body)


def _delete(call: Call) -> Any:
    return benchmarks.delete(call.world, call.path["bm"])


def _members(call: Call) -> Any:
    limit, offset = call.query.get("limit", "100000"), call.query.get("offset", "0")
    if not limit.isdigit() or not offset.isdigit():
        raise Refused(400, "limit and offset must be numbers.")
    return benchmarks.members(call.world, call.path["bm"], int(limit), int(offset))


def _add_members(call: Call) -> Any:
    pk = benchmarks.find_draft(call.world, call.path["bm"])["pk"]
    if not any(call.body.get(source) for source in benchmarks.SOURCES):
        raise Refused(400, "At least one source must be given.")
    benchmarks.note_build(call.world, pk)
    return Answer(202, {"job_id": _build(call, pk, final=False)})


def _remove_members(call: Call) -> Any:
    return benchmarks.remove_members(call.world, call.path["bm"], call.body.get("item_ids"))


def _finalize(call: Call) -> Any:
    return benchmarks.finalize(call.world, call.path["bm"])


def _evaluate(call: Call) -> Any:
    return _start(call, evaluations.create(call.world, call.path["bm"], call.body))


def _start(call: Call, pk: int) -> Any:
    call.jobs.submit("_evaluation", None, {"action": "evaluate", "evaluation": pk})
    evaluation_id = call.world.ids.spell("evalv2", pk)
    return {"evaluation_id": evaluation_id, "status": "pending", "workflow_id": f"emulated-{evaluation_id}"}


def _evaluation(call: Call) -> Any:
    return evaluations.as_read(call.world, evaluations.find(call.world, call.path["eval"]))


def _of_model(call: Call) -> Any:
    return evaluations.listing(call.world, "model", models.find(call.world, call.path["prj"])["pk"])


def _of_run(call: Call) -> Any:
    return evaluations.listing(call.world, "run", models.find_run(call.world, call.path["run"])["pk"])


def _cancel(call: Call) -> Any:
    return evaluations.cancel(call.world, call.path["eval"])


def _retry(call: Call) -> Any:
    return _start(call, evaluations.retry(call.world, call.path["eval"]))


def _delete_evaluation(call: Call) -> Any:
    evaluations.delete(call.world, call.path["eval"])
    return Answer(204)


def _charts(call: Call) -> Any:
    row = evaluations.find(call.world, call.path["eval"])
    threshold = call.body.get("iouThreshold", call.body.get("iou_threshold", 0.5))
    if not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise Refused(400, "iouThreshold must lie between 0 and 1.")
    filters, query = call.body.get("filters"), parse(call.body.get("query"), "POST evaluationsV2/{id}/charts")
    if not filters and not query and threshold == 0.5 and row["charts"]:
        return from_json(row["charts"])
    boxes = examples.queried_boxes(call.world, evaluations.boxes_of(row), query)
    boxes = examples.filtered_boxes(call.world, boxes, filters or {})
    return metrics.charts(boxes, threshold)


def _examples(call: Call) -> Any:
    row = evaluations.find(call.world, call.path["eval"])
    query = parse(call.body.get("query"), "POST evaluationsV2/{id}/examples")
    return examples.page(call.world, row, call.body, query)


def _filter_schema(call: Call) -> Any:
    return examples.filter_schema(evaluations.boxes_of(evaluations.find(call.world, call.path["eval"])))


def _presets(call: Call) -> Any:
    return presets.listing(call.world)


def _create_preset(call: Call) -> Any:
    return presets.create(call.world, call.body)


def _change_preset(call: Call) -> Any:
    return presets.change(call.world, call.path["preset"], call.body)


def _delete_preset(call: Call) -> Any:
    presets.delete(call.world, call.path["preset"])
    return Answer(204)


def _ranking(call: Call) -> Any:
    return leaderboard.ranking(call.world, call.body)


def _f1_curve(call: Call) -> Any:
    return leaderboard.f1_curve(call.world, call.body)


ROUTES = [
    Route("POST", "benchmarks", _create),
    Route("GET", "benchmarks", _list),
    Route("GET", "benchmarks/{bm}", _read),
    Route("PATCH", "benchmarks/{bm}", _change),
    Route("DELETE", "benchmarks/{bm}", _delete),
    Route("GET", "benchmarks/{bm}/items", _members),
    Route("POST", "benchmarks/{bm}/items", _add_members),
    Route("DELETE", "benchmarks/{bm}/items", _remove_members),
    Route("POST", "benchmarks/{bm}/finalize", _finalize),
    Route("POST", "benchmarks/{bm}/evaluationsV2", _evaluate),
    Route("GET", "evaluationsV2/{eval}", _evaluation),
    Route("GET", "model/{prj}/evaluationsV2", _of_model),
    Route("GET", "modelRun/{run}/evaluationsV2", _of_run),
    Route("POST", "evaluationsV2/{eval}/cancel", _cancel),
    Route("POST", "evaluationsV2/{eval}/retry", _retry),
    Route("DELETE", "evaluationsV2/{eval}", _delete_evaluation),
    Route("POST", "evaluationsV2/{eval}/charts", _charts),
    Route("POST", "evaluationsV2/{eval}/examples", _examples),
    Route("GET", "evaluationsV2/{eval}/filterSchema", _filter_schema),
    Route("GET", "evaluationV2Presets", _presets),
    Route("POST", "evaluationV2Presets", _create_preset),
    Route("PATCH", "evaluationV2Presets/{preset}", _change_preset),
    Route("DELETE", "evaluationV2Presets/{preset}", _delete_preset),
    Route("POST", "leaderboard/ranking", _ranking),
    Route("POST", "leaderboard/f1Curve", _f1_curve),
]
