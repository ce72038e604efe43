"""Deletes items whose images have changed, just before they are ingested again with all that hangs on them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from nucleus_sync.apply.deletes import hanging_streams, is_refusal, prepare_deletion
from nucleus_sync.apply.runtime import Runtime, StepFailed, StepTally, Together
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.events import Note
from nucleus_sync.ledger.batches import Batch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.key import reference_id

_CALLS = 16


async def delete_first(runtime: Runtime, step: Step, tally: StepTally, keys: Collection[bytes]) -> frozenset[bytes]:
    """One call an item, each with an intent of its own; those that are still there, or may be.

    A deletion whose end isn't seen stays open in the ledger: the next run ends it before anything else.
    """
    dataset = step.address.split(".")[1]
    dataset_id, streams = runtime.nucleus_id(f"dataset.{dataset}"), hanging_streams(runtime, dataset)
    slots = asyncio.Semaphore(_CALLS)
    left: set[bytes] = set()

    async def one(key: bytes) -> None:
        async with slots:
            details: dict[str, object] = {"dataset_id": dataset_id, "streams": streams, "anew": reference_id(key)}
            batch = prepare_deletion(runtime, step, [key], "delete", "", details)
            try:
                await _delete(runtime, dataset_id, reference_id(key))
            except ApiError as error:
                left.add(key)
                tally.errors.append(str(error))
                if is_refusal(error):
                    runtime.ledger.finish(batch, BatchState.FAILED, doubtful=())
                return
            runtime.ledger.finish(batch, BatchState.DONE)
            tally.counts["delete"] += 1

    async with Together() as group:
        for key in keys:
            group.create_task(one(key))
    return frozenset(left)


async def finish_deletion_of_item(runtime: Runtime, batch: Batch) -> None:
    """End what an interrupted run began: it was wanted, and nothing may be sent before it is sure."""
    reference = batch.details["anew"]
    try:
        await _delete(runtime, batch.details["dataset_id"], reference)
    except ApiError as error:
        if not is_refusal(error):
            raise StepFailed(str(error), where=batch.address, fix="run apply again: it goes on from there") from None
        runtime.emit(Note(batch.address, f"Nucleus does not delete item {reference}: {error}"))
        runtime.ledger.finish(batch.id, BatchState.FAILED, doubtful=())
        return
    runtime.ledger.finish(batch.id, BatchState.DONE)


async def _delete(runtime: Runtime, dataset_id: str, reference: str) -> None:
    try:
        await runtime.api.items.delete(dataset_id, reference)
    except NotFound:
        return
