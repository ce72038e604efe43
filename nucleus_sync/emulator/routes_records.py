"""Calls that bring in annotations and predictions, and that remove annotations."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from . import items, models, reading, records, slices
from .calls import Call, Part, Route
from .lines import batches_of_values
from .refusals import Refused, UserFault, missing
from .routes_datasets import dataset_pk, uploaded
from .tally import Sabotage, Tally
from .world import World

SYNCHRONOUS_LIMIT = 10_000


def _sent(call: Call) -> tuple[list[Any], bool]:
    """The records of a synchronous upload, as JSON (3.4) or with mask files (3.3), and its `update`."""
    body = call.body
    if call.form:
        try:
            body = msgspec.json.decode(call.form.get("serialized_request", "").encode())
        except msgspec.DecodeError as error:
            raise Refused(400, f"serialized_request is not valid JSON: {error}") from error
        masks = [part for part in call.parts if part.name == "mask"]
        if len(masks) != len(body.get("segmentations") or ()) or len(masks) > 10:
            raise Refused(400, "Each segmentation needs its mask file, at most 10 in one request.")
        body |= {"segmentations": _with_files(call, body.get("segmentations") or (), masks)}
    sent = [*(body.get("annotations") or ()), *(body.get("segmentations") or ())]
    if len(sent) > SYNCHRONOUS_LIMIT:
        raise Refused(400, f"At most {SYNCHRONOUS_LIMIT} records may be sent synchronously.")
    for record in body.get("annotations") or ():
        if isinstance(record, dict) and record.get("type") == "mask":
            raise Refused(400, "Masks stand under segmentations.")
    return sent, bool(body.get("update"))


def _with_files(call: Call, segmentations: Sequence[Any], masks: Sequence[Part]) -> list[Any]:
    """Masks that came with their bytes, under the address at which these are kept."""
    return [
        one | {"mask_url": f"{call.address}/_emulator/media/{mask.sha256}"} if isinstance(one, dict) else one
        for one, mask in zip(segmentations, masks, strict=True)
    ]


def _take_in(
    call: Call, dataset: int, types: frozenset[str], run: Callable[[sqlite3.Connection], int | None]
) -> tuple[Tally, int | None]:
    sent, update = _sent(call)
    if not all(isinstance(record, dict) for record in sent):
        raise Refused(400, "A record must be an object.")
    number: int | None = None
    try:
        with call.world.held.transaction() as c:
            number = run(c)
            target = records.Target(dataset, number, types, update)
            return records.take_in(c, call.world, target, batches_of_values(sent), Sabotage()), number
    except UserFault as fault:
        # A bad taxonomy refuses the whole call, politely (6.4).
        refused = Tally()
        refused.refuse(str(fault))
        return refused, number


def _counts(tally: Tally, kind: str) -> dict[str, Any]:
    counts: dict[str, Any] = {
        f"{kind}_processed": tally.processed + tally.masks_processed,
        f"{kind}_ignored": tally.ignored + tally.masks_ignored,
    }
    return counts | ({"errors": list(tally.errors)} if tally.errors else {})


def _annotate(call: Call) -> Any:
    pk = dataset_pk(call)
    if call.is_async:
        work = {"action": "take_records", "dataset": pk} | uploaded(call, call.path["ds"])
        return call.jobs.submit("uploadAnnotations", call.path["ds"], work)
    tally, _ = _take_in(call, pk, records.ANNOTATIONS, lambda _: None)
    return {"dataset_id": call.path["ds"]} | _counts(tally, "annotations")


def _delete_annotations(call: Call) -> Any:
    pk = dataset_pk(call)
    names = call.body.get("reference_ids")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        # Where the key was missing, older servers deleted every annotation of the dataset.
        raise Refused(400, "reference_ids must be a list of strings.")
    work = {"action": "delete_annotations", "dataset": pk, "reference_ids": names}
    return call.jobs.submit("annotationDeletion", call.path["ds"], work)


def _predict_by_model(call: Call) -> Any:
    pk = dataset_pk(call)
    model = models.find(call.world, call.path["prj"])["pk"]
    _note_trained_slice(call, pk, call.path["prj"])
    if call.is_async:
        work = {"action": "take_records", "dataset": pk, "model": model} | uploaded(call, call.path["ds"])
        return call.jobs.submit("uploadPredictions", call.path["ds"], work)
    tally, run = _take_in(call, pk, records.PREDICTIONS, lambda c: models.run_for_upload(c, model, pk))
    return {"dataset_id": call.path["ds"]} | _predicted(call.world, tally, run)


def _predict_by_run(call: Call) -> Any:
    return _predict_into(call, dataset_pk(call), call.path["ds"])


def _predict_unbound(call: Call) -> Any:
    if call.is_async:
        raise Refused(400, "This route is synchronous only.")
    return _predict_into(call, 0, None)


def _predict_deprecated(call: Call) -> Any:
    """A run's own dataset is meant; one that covers several needs records that name theirs."""
    run = models.find_run(call.world, call.path["run"])["pk"]
    query = "SELECT dataset FROM run_datasets WHERE run = ?"
    held = [row[0] for row in call.world.held.reader().execute(query, (run,))]
    if len(held) == 1:
        return _predict_into(call, held[0], call.world.ids.spell("ds", held[0]))
    if call.is_async:
        raise Refused(400, "The model run has no single dataset.")
    return _predict_into(call, 0, None)


def _predict_into(call: Call, dataset: int, dataset_id: str | None) -> Any:
    row = models.find_run(call.world, call.path["run"])
    run = int(row["pk"])
    _note_trained_slice(call, dataset, call.world.ids.spell("prj", row["model"]))
    if call.is_async and dataset_id is not None:
        work = {"action": "take_records", "dataset": dataset, "run": run} | uploaded(call, dataset_id)
        return call.jobs.submit("uploadPredictions", dataset_id, work)
    tally, _ = _take_in(call, dataset, records.PREDICTIONS, lambda _: run)
    answer = _predicted(call.world, tally, run)
    return answer if dataset_id is None else {"dataset_id": dataset_id} | answer


def _predicted(world: World, tally: Tally, run: int | None) -> dict[str, Any]:
    return {"model_run_id": world.ids.spell("run", run or 0)} | _counts(tally, "predictions")


def _note_trained_slice(call: Call, dataset: int, model_id: str) -> None:
    slice_id = call.body.get("trained_slice_id")
    if slice_id is None:
        return
    if dataset and slices.find(call.world, slice_id)["dataset"] != dataset:
        raise Refused(400, f"Slice {slice_id} does not belong to the dataset.")
    models.change_list(call.world, model_id, "trained_slices", [slice_id], remove=False, strict=False)


def _predict_free(call: Call) -> Any:
    model = models.find(call.world, call.path["prj"])["pk"]
    tally, _ = _take_in(call, 0, records.RUN_FREE, lambda c: models.free_run(c, model))
    return {"model_id": call.path["prj"]} | _counts(tally, "predictions")


def _free_by_id(call: Call) -> Any:
    return _free(call, items.find_by_id(call.world, call.path["di"]))


def _free_by_reference(call: Call) -> Any:
    query = "SELECT * FROM items WHERE reference_id = ? ORDER BY pk"
    rows = call.world.held.reader().execute(query, (call.path["ref"],)).fetchall()
    found = [_free(call, row)["predictions"] for row in rows]
    if not rows:
        raise missing("Item", call.path["ref"])
    return {"predictions": [each for group in found for each in group]}


def _free_by_position(call: Call) -> Any:
    """The position counts the items that the model has run-free predictions on."""
    query = (
        "SELECT DISTINCT i.* FROM items i JOIN predictions p ON p.item = i.pk WHERE p.run = ?"
        " ORDER BY i.pk LIMIT 1 OFFSET ?"
    )
    if not call.path["i"].isdigit():
        raise Refused(400, f"{call.path['i']} is not a position.")
    run = _free_run(call)
    row = call.world.held.reader().execute(query, (run, int(call.path["i"]))).fetchone()
    if row is None:
        raise missing("Item at position", call.path["i"])
    return _free(call, row)


def _free_run(call: Call) -> int:
    model = models.find(call.world, call.path["prj"])["pk"]
    query = "SELECT pk FROM runs WHERE model = ? AND free"
    row = call.world.held.reader().execute(query, (model,)).fetchone()
    return int(row[0]) if row else 0


def _free(call: Call, item: sqlite3.Row) -> dict[str, Any]:
    rows = models.predictions_of_item(call.world, item, [_free_run(call)])
    grouped = reading.records_of_item(call.world, item, rows)
    return {"predictions": [record for group in grouped.values() for record in group]}


def _copy_from_run(call: Call) -> Any:
    model = models.find(call.world, call.path["prj"])["pk"]
    run = models.find_run(call.world, call.text("model_run_id"))
    if run["model"] != model:
        raise Refused(400, "The model run belongs to another model.")
    copied, skipped = models.copy_from_run(call.world, model, run["pk"])
    return {
        "model_id": call.path["prj"],
        "model_run_ids": [call.body["model_run_id"]],
        "predictions_copied": copied,
        "predictions_skipped_unsupported": skipped,
    }


ROUTES = [
    Route("POST", "dataset/{ds}/annotate", _annotate),
    Route("DELETE", "annotation/{ds}", _delete_annotations),
    Route("POST", "dataset/{ds}/model/{prj}/uploadPredictions", _predict_by_model),
    Route("POST", "dataset/{ds}/modelRun/{run}/uploadPredictions", _predict_by_run),
    Route("POST", "modelRun/{run}/uploadPredictions", _predict_unbound),
    Route("POST", "modelRun/{run}/predict", _predict_deprecated),
    Route("POST", "model/{prj}/predictions", _predict_free),
    Route("GET", "model/{prj}/predictions/loc/{di}", _free_by_id),
    Route("GET", "model/{prj}/predictions/refloc/{ref}", _free_by_reference),
    Route("GET", "model/{prj}/predictions/iloc/{i}", _free_by_position),
    Route("POST", "model/{prj}/predictions/copyFromRun", _copy_from_run),
]
