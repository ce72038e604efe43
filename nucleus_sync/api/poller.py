"""Waits for many jobs at once with as few requests as that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nucleus_sync.api.exchange import RetryNote, Surroundings
from nucleus_sync.api.jobs import LISTING_LIMIT, Jobs
from nucleus_sync.api.retry import ONCE
from nucleus_sync.api.states import (
    ERRORS_LISTED,
    Counts,
    Ending,
    JobError,
    JobStatus,
    ending_of,
    needs_errors,
    state_of,
)
from nucleus_sync.errors import ApiError, NotFound, Unreachable

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0
GROWTH = 1.6
CROWD = 16
"""With more open jobs than this, one listing stands for many single calls."""
ASK_ANYWAY = 10
"""Every so many looks a job is asked itself: the listing's state is only the "last known" one."""
LISTING_AGE = 1.0
"""Seconds for which a listing is believed."""
AT_ONCE = 8
"""Single calls in flight, so that uploads find free connections."""
TOLD_FROM = 2.0
"""Seconds of a wait from which on it is worth a word: a single lost answer isn't."""
TOLD_EVERY = 60.0
GRACE_FOR_UNKNOWN = 10.0
"""Seconds for which a new job may be unknown to the replica that answers."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of a job. `counts` is None where the server told none.

    `errors` were read where they could matter; `errors_complete` is False where there may be more of them than told:
    the list is full, could not be read, or the counts say more.
    """

    job_id: str
    ending: Ending
    status: JobStatus | None
    counts: Counts | None
    errors: tuple[JobError, ...]
    errors_complete: bool

    @property
    def text(self) -> str:
        """What the job itself says, for people."""
        return self.status.text if self.status else ""


@dataclass(slots=True)
class _Watch:
    task: asyncio.Task[JobOutcome]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Listing:
    taken: float
    open_jobs: frozenset[str]


class Poller:
    """`api.poller`: one for all jobs of a client."""

    def __init__(self, jobs: Jobs, surroundings: Surroundings, on_retry: Callable[[RetryNote], None]) -> None:
        """`on_retry` is told, once a minute at most, that no answer comes."""
        self._jobs = jobs
        self._around = surroundings
        self._on_retry = on_retry
        self._told = float("-inf")
        self._watches: dict[str, _Watch] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._listing = _Listing(float("-inf"), frozenset())
        self._listing_lock = asyncio.Lock()
        self._listing_works = True

    @property
    def open_jobs(self) -> int:
        """How many jobs are waited for."""
        return len(self._watches)

    async def outcome(self, job_id: str, deadline: float) -> JobOutcome:
        """Wait until the job has ended, at most `deadline` seconds from now.

        Many may wait for the same job; the first one's deadline counts. Failures that pass are waited out; one that
        does not (such as a refused key) is raised.
        """
        watch = self._watches.get(job_id)
        if watch is None:
            watch = _Watch(asyncio.create_task(self._follow(job_id, deadline)))
            self._watches[job_id] = watch
            watch.task.add_done_callback(lambda _: self._watches.pop(job_id, None))
        watch.waiting += 1
        try:
            return await asyncio.shield(watch.task)
        finally:
            watch.waiting -= 1
            if not watch.waiting and not watch.task.done():
                self._watches.pop(job_id, None)
                watch.task.cancel()

    async def aclose(self) -> None:
        """Stop waiting for everything."""
        tasks = [watch.task for watch in self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, job_id: str, deadline: float) -> JobOutcome:
        begun = self._around.clock()
        status: JobStatus | None = None
        for number, wait in enumerate(_waits(), start=1):
            left = begun + deadline - self._around.clock()
            if left <= 0:
                return JobOutcome(
                    job_id, Ending.STUCK, status, status.counts if status else None, (), errors_complete=False
                )
            await self._around.sleep(min(left, self._spread(wait)))
            if number % ASK_ANYWAY and await self._is_listed_open(job_id, begun):
                continue
            try:
                status = await self._status(job_id, wait)
            except NotFound:
                if self._around.clock() - begun > GRACE_FOR_UNKNOWN:
                    return JobOutcome(job_id, Ending.LOST, status, None, (), errors_complete=False)
                continue
            if status is not None and status.ending is not None:
                return await self._ended(status, status.ending)
        raise AssertionError("waits never end")

    def _spread(self, wait: float) -> float:
        if len(self._watches) > CROWD and self._listing_works:
            wait = max(wait, LISTING_AGE)
        return wait * (0.75 + 0.5 * self._around.chance())

    async def _status(self, job_id: str, wait: float) -> JobStatus | None:
        """None where the answer did not come this time: polling is itself the repetition."""
        async with self._slots:
            try:
                return await self._jobs.status(job_id, policy=ONCE)
            except NotFound:
                raise
            except ApiError as error:
                is_passing = isinstance(error, Unreachable) or error.status is None or error.status >= 500
                if not is_passing:
                    raise
                self._tell(job_id, error, wait)
                return None

    def _tell(self, job_id: str, error: ApiError, wait: float) -> None:
        """That Nucleus can't say how a job is; not of each, nor each time."""
        now = self._around.clock()
        if wait >= TOLD_FROM and now - self._told >= TOLD_EVERY:
            self._told = now
            self._on_retry(RetryNote("GET", f"job/{job_id}", 1, wait, error.what))

    async def _ended(self, status: JobStatus, ending: Ending) -> JobOutcome:
        if not needs_errors(status):
            return JobOutcome(status.job_id, ending, status, status.counts, (), errors_complete=True)
        try:
            async with self._slots:
                errors = tuple(await self._jobs.errors(status.job_id))
        except ApiError:
            return JobOutcome(status.job_id, ending, status, status.counts, (), errors_complete=False)
        counted = (status.counts and status.counts.errored) or 0
        all_told = counted <= len(errors) < ERRORS_LISTED and (bool(errors) or ending is Ending.DONE)
        return JobOutcome(status.job_id, ending, status, status.counts, errors, errors_complete=all_told)

    async def _is_listed_open(self, job_id: str, begun: float) -> bool:
        """Whether a listing of this moment shows the job as going on; absence proves nothing."""
        if len(self._watches) <= CROWD or not self._listing_works:
            return False
        async with self._listing_lock:
            listing = self._listing
            is_old = listing.taken < begun or self._around.clock() - listing.taken > LISTING_AGE
            if is_old and self._listing_works:
                listing = await self._fresh_listing()
        return job_id in listing.open_jobs

    async def _fresh_listing(self) -> _Listing:
        taken = self._around.clock()
        try:
            found = await self._jobs.listing(show_completed=False, limit=LISTING_LIMIT, policy=ONCE)
            open_jobs = frozenset(job.job_id for job in found if ending_of(state_of(job.job_last_known_status)) is None)
        except Unreachable:
            # Nothing is known: believe for a moment that all go on, rather than asking for each.
            open_jobs = frozenset(self._watches)
        except ApiError:
            self._listing_works = False
            open_jobs = frozenset()
        self._listing = _Listing(taken, open_jobs)
        return self._listing


def _waits() -> Iterator[float]:
    wait = FIRST_WAIT
    while True:
        yield wait
        wait = min(LONGEST_WAIT, wait * GROWTH)
