"""Takes records away, in the ways that Nucleus offers: items one by one, annotations by item, predictions by run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from nucleus_sync.api.states import Ending
from nucleus_sync.apply.lost import send_until_known
from nucleus_sync.apply.model_run import delete_named_run
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed, StepTally, Together
from nucleus_sync.errors import ApiError, NotFound, OutcomeUnknown
from nucleus_sync.ledger.batches import NewBatch
from nucleus_sync.ledger.journal import BatchState
from nucleus_sync.plan.steps import Step
from nucleus_sync.records.fingerprint import STAMP_SIZE
from nucleus_sync.records.key import reference_id
from nucleus_sync.survey.declared import annotations_address, run_address

_NO_STAMP = bytes(STAMP_SIZE)
_ITEMS_AT_ONCE = 200
_CLEARED_AT_ONCE = 5_000
_CALLS = 16
_CLEARING = "annotationDeletion"
_PASSING = frozenset({408, 429})


async def delete_items(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """One call an item; its annotations and predictions go with it, at Nucleus as in the ledger."""
    dataset = step.address.split(".")[1]
    dataset_id = runtime.nucleus_id(f"dataset.{dataset}")
    streams = hanging_streams(runtime, dataset)
    for keys in portions((row[0] for row in runtime.changes[step.address].gone), _ITEMS_AT_ONCE):
        batch = prepare_deletion(runtime, step, keys, "delete", "", {"dataset_id": dataset_id, "streams": streams})
        failed = await _delete_each(runtime, dataset_id, keys, tally)
        tally.counts["delete"] += len(keys) - len(failed)
        state = BatchState.PARTIAL if failed else BatchState.DONE
        runtime.ledger.finish(batch, state, doubtful=failed)


def hanging_streams(runtime: Runtime, dataset: str) -> list[str]:
    """The streams that lose what belongs to an item that is deleted."""
    hanging = [stream.address for stream in runtime.ledger.streams() if _hangs_on(stream.address, dataset)]
    return [annotations_address(dataset), *hanging]


def _hangs_on(address: str, dataset: str) -> bool:
    """Whether a stream loses what belongs to an item that is deleted."""
    return address.endswith(f".predictions.{dataset}") or address.startswith(f"dataset.{dataset}.slice.")


async def _delete_each(runtime: Runtime, dataset_id: str, keys: list[bytes], tally: StepTally) -> set[bytes]:
    slots = asyncio.Semaphore(_CALLS)
    failed: set[bytes] = set()

    async def one(key: bytes) -> None:
        async with slots:
            try:
                await runtime.api.items.delete(dataset_id, reference_id(key))
            except NotFound:
                return
            except ApiError as error:
                failed.add(key)
                tally.errors.append(str(error))

    async with Together() as group:
        for key in keys:
            group.create_task(one(key))
    return failed


async def clear_annotations(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """All annotations of an item go; those that stay are sent again by the step that waits for this one."""
    changes = runtime.changes[step.address]
    dataset_id = runtime.nucleus_id(step.address.rpartition(".")[0])
    for items in portions((row[0] for row in changes.cleared), _CLEARED_AT_ONCE):
        batch = prepare_deletion(runtime, step, items, "clear", _CLEARING, {"dataset_id": dataset_id})
        await _clear(runtime, batch, dataset_id, [item.decode() for item in items])
    tally.counts["delete"] += len(changes.gone)


async def _clear(runtime: Runtime, batch: int, dataset_id: str, references: list[str]) -> None:
    async def start() -> str:
        return (await runtime.api.annotations.delete(dataset_id, references)).job_id

    try:
        job_id = await send_until_known(runtime, dataset_id, _CLEARING, start)
    except OutcomeUnknown:
        runtime.ledger.unknown(batch)
        raise
    except ApiError:
        runtime.ledger.finish(batch, BatchState.FAILED, doubtful=())
        raise
    runtime.ledger.submitted(batch, job_id)
    outcome = await runtime.api.poller.outcome(job_id, JOB_DEADLINE)
    if outcome.ending is Ending.DONE:
        runtime.ledger.finish(batch, BatchState.DONE)
        return
    if outcome.ending in (Ending.STUCK, Ending.LOST):
        # It may still delete: nothing may be sent for these items before the next run has looked after it.
        runtime.ledger.unknown(batch)
    else:
        runtime.ledger.finish(batch, BatchState.FAILED)
    items = f"{len(references):,} item{'' if len(references) == 1 else 's'}"
    raise StepFailed(f"clearing the annotations of {items}: {outcome.ending}: {outcome.text}")


async def delete_predictions(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """The runs of this model on this dataset go as a whole; what stays is sent again into a new one.

    Everything is put in doubt first: whatever happens from here on, the next plan sends what should be there.
    """
    _, model, _, dataset = step.address.split(".")
    if runtime.ledger.resource(run_address(model)) is not None:
        await delete_named_run(runtime, model)
        tally.counts["delete"] += len(runtime.changes[step.address].gone)
        return
    model_id, dataset_id = runtime.nucleus_id(f"model.{model}"), runtime.nucleus_id(f"dataset.{dataset}")
    of_model = set(await runtime.api.models.runs(model_id))
    runs = [run for run in await runtime.api.datasets.model_runs(dataset_id) if run in of_model]
    keys = [key for key, _ in runtime.ledger.known(step.address)]
    runtime.ledger.doubt(step.address, keys)
    for run in runs:
        with suppress(NotFound):  # gone already, perhaps by a first attempt whose answer was lost
            await runtime.api.models.delete_run(run)
    runtime.ledger.forget(step.address, keys)
    tally.counts["delete"] += len(runtime.changes[step.address].gone)


def prepare_deletion(
    runtime: Runtime, step: Step, keys: list[bytes], operation: str, job_type: str, details: dict[str, object]
) -> int:
    """Write down what is about to be deleted; the batch's number."""
    return runtime.ledger.prepare(
        NewBatch(
            address=step.address,
            operation=operation,
            request_id=runtime.new_id(),
            job_type=job_type,
            rows=[(key, _NO_STAMP, b"") for key in keys],
            details=details,
        )
    )


def is_refusal(error: ApiError) -> bool:
    """Whether nothing has happened for sure."""
    return error.status is not None and 400 <= error.status < 500 and error.status not in _PASSING


def portions(keys: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    """The keys in lists of that size."""
    while portion := list(islice(keys, size)):
        yield portion
