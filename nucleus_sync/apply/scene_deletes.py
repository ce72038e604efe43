"""Takes scenes away: Nucleus deletes them in the background, and only a read that answers 404 tells that it is done."""

from __future__ import annotations

import asyncio

from nucleus_sync.api.scenes import item_references
from nucleus_sync.apply.deletes import hanging_streams, is_refusal, portions, prepare_deletion
from nucleus_sync.apply.runtime import Runtime, StepFailed, StepTally
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.events import Note
from nucleus_sync.ledger.batches import Batch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.key import item_key, reference_id

_CALLS = 16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_DEADLINE = 900.0
"""Seconds to wait for one deletion."""


async def delete_scenes(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """One call a scene; its items go with it and all that hangs on them, at Nucleus as in the ledger.

    A deletion whose end isn't seen stays open in the ledger, so that nothing is sent into it: the next run ends it.
    """
    dataset = step.address.split(".")[1]
    dataset_id = runtime.nucleus_id(f"dataset.{dataset}")
    streams = hanging_streams(runtime, dataset)
    for scenes in portions((row[0] for row in runtime.changes[step.address].gone), _CALLS):
        async with asyncio.TaskGroup() as group:
            for scene in scenes:
                details: dict[str, object] = {
                    "dataset_id": dataset_id,
                    "streams": streams,
                    "scene": reference_id(scene),
                }
                group.create_task(_delete(runtime, step, tally, details))


async def finish_deletion(runtime: Runtime, batch: Batch) -> None:
    """End what an interrupted run began: it was wanted, and nothing may be sent while it goes on."""
    try:
        await _until_gone(runtime, batch.details["dataset_id"], batch.details["scene"])
    except NotFound:
        runtime.ledger.finish(batch.id, BatchState.DONE)
    except ApiError as error:
        if not is_refusal(error):
            raise StepFailed(str(error), where=batch.address, fix="run apply again: it goes on from there") from None
        runtime.emit(Note(batch.address, f"Nucleus does not delete scene {batch.details['scene']}: {error}"))
        runtime.ledger.finish(batch.id, BatchState.FAILED, doubtful=())


async def _delete(runtime: Runtime, step: Step, tally: StepTally, details: dict[str, object]) -> None:
    dataset_id, scene = str(details["dataset_id"]), str(details["scene"])
    try:
        keys = {item_key(scene), *await _inside(runtime, dataset_id, scene)}
        batch = prepare_deletion(runtime, step, sorted(keys), "delete", "", details)
    except ApiError as error:
        tally.errors.append(str(error))
        return
    try:
        await _until_gone(runtime, dataset_id, scene)
    except NotFound:
        runtime.ledger.finish(batch, BatchState.DONE)
        tally.counts["delete"] += 1
    except ApiError as error:
        tally.errors.append(str(error))
        if is_refusal(error):
            runtime.ledger.finish(batch, BatchState.FAILED, doubtful=())


async def _inside(runtime: Runtime, dataset_id: str, scene: str) -> list[bytes]:
    """Keys of the items that Nucleus holds in a scene, those that it cut from a video among them."""
    try:
        found = await runtime.api.scenes.get(dataset_id, scene)
    except NotFound:
        return []
    return [item_key(reference) for reference in item_references(found)]


async def _until_gone(runtime: Runtime, dataset_id: str, scene: str) -> None:
    """Delete and look until the scene is gone: raises NotFound then, and ApiError where that can't be."""
    await runtime.api.scenes.delete(dataset_id, scene)
    pause, deadline = _FIRST_PAUSE, runtime.clock() + _DEADLINE
    while runtime.clock() < deadline:
        await runtime.api.scenes.get(dataset_id, scene)
        await runtime.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise ApiError(f"scene {scene} is still there {_DEADLINE:.0f} seconds after its deletion was asked for")
