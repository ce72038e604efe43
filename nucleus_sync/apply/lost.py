"""What follows when the answer to a request that starts a job is lost: wait for whatever it may have started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime
from nucleus_sync.errors import ApiError, CredentialsError, NotFound, OutcomeUnknown
from nucleus_sync.events import Note

_CLOCKS_APART = 120.0
_ATTEMPTS = 3


async def send_until_known(runtime: Runtime, dataset_id: str, job_type: str, send: Callable[[], Awaitable[str]]) -> str:
    """The id of the job that `send` starts; sent again where an answer is lost, once nothing that it began still runs.

    A job that turned up meanwhile is waited for and never taken for ours: nothing in it tells whose it is
    (docs/wire.md §7.3), and one of somebody else's, or of a batch sent beside this one, would confirm records that
    never arrived. The same records once more, under the same keys, change nothing.
    """
    begun = runtime.wall()
    lost: OutcomeUnknown | None = None
    for _ in range(_ATTEMPTS):
        try:
            return await send()
        except OutcomeUnknown as error:
            lost = error
        except ApiError as error:
            if lost is None:
                raise
            # This one was refused; the one before it may have been done.
            raise lost from error
        try:
            await outwait(runtime, dataset_id, job_type, begun)
        except (ApiError, CredentialsError) as error:
            raise lost from error
        runtime.emit(Note("", "an answer was lost; it is sent again, now that nothing it may have started still runs"))
    assert lost is not None  # noqa: S101  (the loop ends only after lost answers)
    raise lost


async def outwait(runtime: Runtime, dataset_id: str, job_type: str, since: float) -> None:
    """Wait for all jobs of that type and dataset, made since then, of which no answer told us."""
    moment = datetime.fromtimestamp(since - _CLOCKS_APART, UTC)
    try:
        jobs = await runtime.api.jobs.listing(dataset_id, [job_type], moment)
    except NotFound:
        return  # the dataset is gone, and with it whatever could come of them
    ours = runtime.ledger.job_ids()
    for job in jobs:
        if job.job_id not in ours:
            runtime.emit(Note("", f"waiting for job {job.job_id}, which may be one whose answer was lost"))
            await runtime.api.poller.outcome(job.job_id, JOB_DEADLINE)
