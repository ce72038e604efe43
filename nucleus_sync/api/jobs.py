"""Jobs: their status, their errors, and the listing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nucleus_sync.api.calls import get, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Policy
from nucleus_sync.api.states import JobError, JobStatus, StatusWire, parsed_error, parsed_status
from nucleus_sync.api.wire import Job

LISTING_LIMIT = 50_000
"""Most jobs that one listing holds."""


class Jobs:
    """`api.jobs`: see docs/wire.md §7."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def status(self, job_id: str, *, policy: Policy | None = None) -> JobStatus:
        """Where a job stands."""
        wire = await self._exchange.json(get("job", job_id), StatusWire, policy=policy)
        return parsed_status(job_id, wire)

    async def errors(self, job_id: str) -> list[JobError]:
        """Its most recent errors, at most 10,000, in no order."""
        return [parsed_error(raw) for raw in await self._exchange.json(get("job", job_id, "errors"), list[Any])]

    async def about(self, job_id: str) -> Job:
        """The job object, with type and time of creation."""
        return await self._exchange.json(get("job", job_id, "info"), Job)

    async def listing(
        self,
        dataset_id: str | None = None,
        types: Sequence[str] = (),
        since: datetime | None = None,
        *,
        until: datetime | None = None,
        show_completed: bool = True,
        limit: int = LISTING_LIMIT,
        policy: Policy | None = None,
    ) -> list[Job]:
        """Jobs of a dataset (of all, without one), of some types (of all, without any), made since a time.

        Whoever looks for a job whose trigger's answer was lost leaves `show_completed` true.
        """
        body = {
            "dataset_id": dataset_id,
            "job_types": list(types),
            "from_date": _date(since),
            "to_date": _date(until),
            "limit": limit,
            "show_completed": show_completed,
        }
        return await self._exchange.json(post("jobs", "", body=body), list[Job], policy=policy)


def _date(at: datetime | None) -> str | None:
    if at is None:
        return None
    return (at.astimezone(UTC) if at.tzinfo else at).strftime("%Y-%m-%d %H:%M:%S")
