"""Finishes what an earlier run left in flight, so that planning starts from what is really there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nucleus_sync.api.states import Ending
from nucleus_sync.apply.anew import finish_deletion_of_item
from nucleus_sync.apply.conclude import JOB_TYPES, Sent, judge
from nucleus_sync.apply.destroy import resume
from nucleus_sync.apply.image_check import suspect
from nucleus_sync.apply.lost import outwait
from nucleus_sync.apply.made_once import settle_evaluation
from nucleus_sync.apply.model_run import settle_run
from nucleus_sync.apply.resources import settle_creation
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, records
from nucleus_sync.apply.scene_deletes import finish_deletion
from nucleus_sync.errors import NotFound
from nucleus_sync.events import Note
from nucleus_sync.ledger.batches import Batch, Operation
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.records.problem import Where
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.change import UPDATE

Places = Callable[[Batch, bytes], Where]
"""Where a record of an old batch came from, as well as that can still be said."""


async def settle(runtime: Runtime, places: Places) -> None:
    """Look up creations and jobs of runs that died. Raises Undecided where only a person can tell."""
    for creation in runtime.ledger.creations():
        if creation.kind == "evaluation":
            await settle_evaluation(runtime, creation)
        elif creation.kind == "run":
            await settle_run(runtime, creation)
        else:
            await settle_creation(runtime, creation)
    for batch in runtime.ledger.open_batches():
        await _settle_batch(runtime, batch, places)
    await resume(runtime)


async def _settle_batch(runtime: Runtime, batch: Batch, places: Places) -> None:
    runtime.emit(Note(batch.address, f"an interrupted run left a batch of {records(batch.records)}; looking after it"))
    if batch.details.get("scene"):
        await finish_deletion(runtime, batch)
        return
    if batch.details.get("anew"):
        await finish_deletion_of_item(runtime, batch)
        return
    if batch.job_id is None:
        if batch.job_type:
            await outwait(runtime, batch.details["dataset_id"], batch.job_type, batch.prepared_at)
        _leave_to_the_plan(runtime, batch)
        return
    if batch.state is BatchState.UNKNOWN:
        runtime.ledger.submitted(batch.id, batch.job_id)
    await _conclude(runtime, batch, batch.job_id, places)


def _leave_to_the_plan(runtime: Runtime, batch: Batch) -> None:
    """Nobody can say what was taken: the records are in doubt, and an upsert under the same keys repairs it."""
    if batch.state is not BatchState.UNKNOWN:
        runtime.ledger.unknown(batch.id)
    runtime.ledger.finish(batch.id, BatchState.SETTLED)


def _model_id(runtime: Runtime, batch: Batch) -> str | None:
    holder = batch.address.partition(".predictions.")[0]
    return runtime.nucleus_id(holder) if holder != batch.address else None


async def _conclude(runtime: Runtime, batch: Batch, job_id: str, places: Places) -> None:
    try:
        outcome = await runtime.api.poller.outcome(job_id, JOB_DEADLINE)
    except NotFound:
        runtime.ledger.unknown(batch.id)
        _leave_to_the_plan(runtime, runtime.ledger.batch(batch.id))
        return
    if batch.operation in (Operation.CLEAR, Operation.DELETE):
        state = BatchState.DONE if outcome.ending is Ending.DONE else BatchState.FAILED
        runtime.ledger.finish(batch.id, state)
        return
    rows = runtime.ledger.rows(batch.id) if batch.job_type == JOB_TYPES[Kind.ITEMS] else []
    suspects = (suspect(key, place, stamp, runtime.ledger.stamp(batch.address, key)) for key, stamp, place in rows)
    sent = Sent(
        batch.id,
        batch.request_id,
        batch.job_type,
        batch.details["dataset_id"],
        bytes([UPDATE]) * batch.records,
        partial(runtime.ledger.rows, batch.id),
        lambda place: places(batch, place),
        _model_id(runtime, batch),
        tuple(filter(None, suspects)),
        uploaded=bool(batch.details.get("uploaded")),
    )
    verdict = await judge(runtime, sent, outcome)
    if verdict.state is BatchState.UNKNOWN:
        runtime.ledger.unknown(batch.id)
        runtime.ledger.finish(batch.id, BatchState.SETTLED)
    else:
        runtime.ledger.finish(
            batch.id,
            verdict.state,
            rejections=verdict.rejections,
            doubtful=verdict.doubtful,
            instead=verdict.instead,
        )
