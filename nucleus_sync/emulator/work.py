"""What the jobs do, each kind of work in one transaction together with the note that it is done."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import benchmarks, datasets, embeddings, evaluations, items, label_matches, models, records, scenes, slices
from .faults import Effect
from .jobs import Outcome
from .lines import batches_of_file, batches_of_values
from .refusals import Stopped
from .tally import ERRORS_KEPT, Sabotage, Tally
from .world import World, to_json

Note = Callable[[Outcome], None]


@dataclass(frozen=True)
class Task:
    """A piece of work with the transaction it is done in."""

    world: World
    c: sqlite3.Connection
    work: dict[str, Any]
    sabotage: Sabotage


def perform(world: World, work: dict[str, Any], effect: Effect, note: Note) -> Outcome:
    """Do one piece of work; what it did and its outcome become durable together."""
    action = _ACTIONS[work["action"]] if effect.does_work() else _UNDONE.get(work["action"], _do_nothing)
    with world.held.transaction() as c:
        outcome = action(Task(world, c, work, effect.sabotage()))
        note(outcome)
    return outcome


def _lines(world: World, work: dict[str, Any]) -> Iterator[list[bytes]]:
    """The uploaded file in batches, until the server stops."""
    for batch in batches_of_file(world.folder / "uploads" / work["file"]):
        if world.stopping.is_set():
            raise Stopped
        yield batch


def _take_items(task: Task) -> Outcome:
    images = task.work.get("images")
    if images is None:
        batches = _lines(task.world, task.work)
        tally = items.take_in(task.c, task.work["dataset"], batches, task.sabotage, update=task.work["update"])
    else:
        local = {name: items.LocalImage(**image) for name, image in images.items()}
        tally = Tally()
        for update in (False, True):
            batches = batches_of_values(each for each in task.work["items"] if bool(each.get("update")) is update)
            part = items.take_in(task.c, task.work["dataset"], batches, task.sabotage, update=update, images=local)
            tally = _sum(tally, part)
    return _outcome_of_items(task.world, task.work, tally)


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        total=one.total + other.total,
        processed=one.processed + other.processed,
        ignored=one.ignored + other.ignored,
        unreachable=one.unreachable + other.unreachable,
        errored=one.errored + other.errored,
        errors=deque([*one.errors, *other.errors], ERRORS_KEPT),
    )


def _outcome_of_items(world: World, work: dict[str, Any], tally: Tally) -> Outcome:
    dataset_id = world.ids.spell("ds", work["dataset"])
    done = tally.total - tally.errored
    message = {
        "PayloadUrl": "",
        "image_upload_step": {"errored": tally.errored, "pending": 0, "completed": done},
        "started_image_processing": f"Dataset: {dataset_id}",
        "ingest_to_reupload_queue": {
            "epoch": 1,
            "total": tally.total,
            "datasetId": dataset_id,
            "processed": tally.processed,
            "ignored": tally.ignored,
        },
    }
    if tally.unreachable:
        return Outcome("Errored_Partial", message, list(tally.errors), (4, 5))
    return Outcome("Completed", message, list(tally.errors), (5, 5))


def _take_scenes(task: Task) -> Outcome:
    batches = _lines(task.world, task.work)
    tally = scenes.take_in(
        task.c, task.work["dataset"], batches, task.sabotage, update=task.work["update"], video=task.work["video"]
    )
    progress = {
        "errors": list(tally.errors)[:100],
        "dataset_id": task.world.ids.spell("ds", task.work["dataset"]),
        "new_scenes": tally.created,
        "ignored_scenes": tally.ignored,
        "scenes_errored": tally.errored,
        "updated_scenes": tally.processed - tally.created,
    }
    state = "Errored_Partial" if tally.unreachable else "Completed"
    return Outcome(state, {"scene_upload_progress": progress}, list(tally.errors))


def _take_records(task: Task) -> Outcome:
    run = task.work.get("run")
    if task.work.get("model"):
        run = models.run_for_upload(task.c, task.work["model"], task.work["dataset"])
    types = records.ANNOTATIONS if run is None else records.PREDICTIONS
    target = records.Target(task.work["dataset"], run, types, task.work["update"])
    tally = records.take_in(task.c, task.world, target, _lines(task.world, task.work), task.sabotage)
    name = "annotation_upload" if run is None else "prediction_upload"
    message = {
        name: {
            "epoch": 1,
            "total": tally.total,
            "errored": tally.errored,
            "ignored": tally.ignored,
            "datasetId": task.world.ids.spell("ds", task.work["dataset"]),
            "processed": tally.processed,
        },
        "segmentation_upload": {
            "ignored": tally.masks_ignored,
            "n_errors": 0,
            "processed": tally.masks_processed,
        },
    }
    return Outcome("Completed", message, list(tally.errors))


def _delete_annotations(task: Task) -> Outcome:
    deleted = task.c.execute(
        "DELETE FROM annotations WHERE item IN (SELECT pk FROM items WHERE dataset = ?"
        " AND reference_id IN (SELECT value FROM json_each(?)))",
        (task.work["dataset"], to_json(task.work["reference_ids"])),
    ).rowcount
    deleted += task.c.execute(
        "DELETE FROM scene_categories WHERE run = 0 AND scene IN (SELECT pk FROM scenes WHERE dataset = ?"
        " AND reference_id IN (SELECT value FROM json_each(?)))",
        (task.work["dataset"], to_json(task.work["reference_ids"])),
    ).rowcount
    return Outcome("Completed", {"annotation_deletion": {"deleted": deleted}})


def _merge_metadata(task: Task) -> Outcome:
    changed, errors = items.merge_metadata(task.c, task.work["dataset"], task.work["body"])
    return Outcome("Completed", {"metadata_update": {"updated": changed, "errored": len(errors)}}, errors)


def _delete_dataset(task: Task) -> Outcome:
    datasets.delete(task.c, task.work["dataset"])
    return Outcome()


def _delete_scene(task: Task) -> Outcome:
    scenes.delete(task.c, task.work["scene"])
    return Outcome()


def _delete_model(task: Task) -> Outcome:
    models.delete(task.c, task.work["model"])
    return Outcome()


def _merge_runs(task: Task) -> Outcome:
    models.merge(task.c, task.work["runs"], task.work["into"])
    return Outcome("Completed", {"model_run_id": task.world.ids.spell("run", task.work["into"])})


def _build_benchmark(task: Task) -> Outcome:
    added, skipped = benchmarks.build(
        task.c, task.world, task.work["benchmark"], task.work["body"], final=task.work["final"]
    )
    return Outcome("Completed", {"benchmark": {"added": added, "skipped": skipped}})


def _match_labels(task: Task) -> Outcome:
    label_matches.compute(task.c, task.work["dataset"], task.work["model"], task.work["options"])
    return Outcome()


def _fill_slice(task: Task) -> Outcome:
    slices.fill(task.c, task.work["slice"], task.work["items"])
    return Outcome("Completed", {"slice_id": task.world.ids.spell("slc", task.work["slice"])})


def _export_embeddings(task: Task) -> Outcome:
    name = embeddings.export(task.world, task.work["dataset"])
    return Outcome("Completed", {"result": [f"{task.work['address']}/_emulator/media/{name}"]})


def _evaluate(task: Task) -> Outcome:
    evaluations.compute(task.c, task.work["evaluation"])
    return Outcome()


def _fail_evaluation(task: Task) -> Outcome:
    evaluations.fail(task.c, task.work["evaluation"], "Injected fault.")
    return Outcome("Errored_Server")


def _do_nothing(task: Task) -> Outcome:  # noqa: ARG001
    status_log = "No additional information can be provided at this time."
    return Outcome("Errored_Server", {"status_log": status_log}, [], (0, 1))


# What an injected failure leaves behind, where that is more than nothing.
_UNDONE: dict[str, Callable[[Task], Outcome]] = {"evaluate": _fail_evaluation}

_ACTIONS: dict[str, Callable[[Task], Outcome]] = {
    "take_items": _take_items,
    "take_scenes": _take_scenes,
    "take_records": _take_records,
    "delete_annotations": _delete_annotations,
    "merge_metadata": _merge_metadata,
    "delete_dataset": _delete_dataset,
    "delete_scene": _delete_scene,
    "delete_model": _delete_model,
    "merge_runs": _merge_runs,
    "build_benchmark": _build_benchmark,
    "evaluate": _evaluate,
    "match_labels": _match_labels,
    "fill_slice": _fill_slice,
    "export_embeddings": _export_embeddings,
}
