"""Takes scenes away: Nucleus deletes them in the background, and only a read that answers 404 tells that it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nucleus_sync.api.scenes import item_references
from nucleus_sync.apply.deletes import hanging_streams, portions, prepare_deletion
from nucleus_sync.apply.runtime import Runtime, StepFailed, StepTally
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.ledger.batches import Batch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.key import item_key, reference_id

_SCENES_AT_ONCE = 50
_CALLS = 16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0
_DEADLINE = 900.0
"""Seconds to wait for one deletion."""


async def delete_scenes(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """One call a scene; its items go with it and all that hangs on them, at Nucleus as in the ledger."""
    dataset = step.address.split(".")[1]
    dataset_id = runtime.nucleus_id(f"dataset.{dataset}")
    streams = hanging_streams(runtime, dataset)
    for scenes in portions((row[0] for row in runtime.changes[step.address].gone), _SCENES_AT_ONCE):
        inside = await _inside(runtime, dataset_id, scenes)
        keys = sorted({*scenes, *(item for items in inside.values() for item in items)})
        references = [reference_id(scene) for scene in scenes]
        details: dict[str, object] = {"dataset_id": dataset_id, "streams": streams, "scenes": references}
        batch = prepare_deletion(runtime, step, keys, "delete", "", details)
        failed = await _delete_all(runtime, dataset_id, references, tally)
        tally.counts["delete"] += len(scenes) - len(failed)
        doubtful = {key for scene in failed for key in (scene, *inside[scene])}
        runtime.ledger.finish(batch, BatchState.PARTIAL if failed else BatchState.DONE, doubtful=doubtful)


async def finish_deletion(runtime: Runtime, batch: Batch) -> None:
    """End what an interrupted run began: it was wanted, and nothing may be sent while it goes on."""
    tally = StepTally()
    failed = await _delete_all(runtime, batch.details["dataset_id"], batch.details["scenes"], tally)
    if failed:
        raise StepFailed(tally.errors[0], where=batch.address, fix="run apply again: it goes on from there")
    runtime.ledger.finish(batch.id, BatchState.DONE)


async def _inside(runtime: Runtime, dataset_id: str, scenes: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Keys of the items that Nucleus holds in each scene, those that it cut from a video among them."""
    slots = asyncio.Semaphore(_CALLS)

    async def one(scene: bytes) -> list[bytes]:
        async with slots:
            try:
                found = await runtime.api.scenes.get(dataset_id, reference_id(scene))
            except NotFound:
                return []
        return [item_key(reference) for reference in item_references(found)]

    wanted = list(scenes)
    return dict(zip(wanted, await asyncio.gather(*map(one, wanted)), strict=True))


async def _delete_all(runtime: Runtime, dataset_id: str, references: Iterable[str], tally: StepTally) -> set[bytes]:
    """Ask for all deletions and wait until they show; keys of the scenes that are still there."""
    slots = asyncio.Semaphore(_CALLS)
    failed: set[bytes] = set()

    async def one(reference: str) -> None:
        async with slots:
            try:
                await runtime.api.scenes.delete(dataset_id, reference)
                await _until_gone(runtime, dataset_id, reference)
            except NotFound:
                return
            except ApiError as error:
                failed.add(item_key(reference))
                tally.errors.append(str(error))

    async with asyncio.TaskGroup() as group:
        for reference in references:
            group.create_task(one(reference))
    return failed


async def _until_gone(runtime: Runtime, dataset_id: str, reference: str) -> None:
    """Raises NotFound once the scene is gone, ApiError when that takes too long."""
    pause, deadline = _FIRST_PAUSE, runtime.clock() + _DEADLINE
    while runtime.clock() < deadline:
        await runtime.api.scenes.get(dataset_id, reference)
        await runtime.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    raise ApiError(f"scene {reference} is still there {_DEADLINE:.0f} seconds after its deletion was asked for")
