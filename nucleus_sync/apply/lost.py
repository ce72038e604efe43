"""Looks for the job of a request whose answer was lost, before anything is sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nucleus_sync.apply.conclude import Sent
from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime
from nucleus_sync.errors import OutcomeUnknown
from nucleus_sync.events import Note

_CLOCKS_APART = 120.0
_ATTEMPTS = 3


async def send_or_find(runtime: Runtime, sent: Sent, send: Callable[[], Awaitable[str]]) -> str:
    """The job id of a batch: from the answer, or from the listing of jobs when the answer was lost.

    A single new job of the right type is ours. With several, all are waited for and the batch is sent again: as an
    upsert under the same keys it changes nothing that they did.
    """
    begun = runtime.wall()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await send()
        except OutcomeUnknown:
            if attempt == _ATTEMPTS:
                raise
            found = await strange_jobs(runtime, sent.dataset_id, sent.job_type, begun)
            if len(found) == 1:
                runtime.emit(Note("", f"an answer was lost; its job was found: {found[0]}"))
                return found[0]
            for job_id in found:
                await runtime.api.poller.outcome(job_id, JOB_DEADLINE)
            runtime.emit(Note("", "an answer was lost and no job can be told to be its; it is sent again"))
    raise AssertionError("the last attempt returns or raises")


async def strange_jobs(runtime: Runtime, dataset_id: str, job_type: str, since: float) -> list[str]:
    """Jobs of that type and dataset, made since then, that no batch of ours has claimed."""
    moment = datetime.fromtimestamp(since - _CLOCKS_APART, UTC)
    ours = runtime.ledger.job_ids()
    jobs = await runtime.api.jobs.listing(dataset_id, [job_type], moment)
    return [job.job_id for job in jobs if job.job_id not in ours]
