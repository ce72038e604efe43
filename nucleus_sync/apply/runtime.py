"""What the steps of one apply share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.events import Event
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.slices import SliceChanges
from nucleus_sync.survey.weights import WeightsFile

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec

T = TypeVar("T")

JOB_DEADLINE = 6 * 3600.0
"""Seconds after which a job that doesn't end is left to the next run."""


class StepFailed(NucleusSyncError):
    """A step can't go on; what depends on it is skipped, the rest goes on."""


class Together(asyncio.TaskGroup):
    """A task group out of which the first error comes as itself: the loop of the apply knows what each means."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


@dataclass
class Runtime:
    """Handles for performing steps; `done` counts what was really done."""

    spec: Spec
    api: Api
    ledger: Ledger
    changes: Mapping[str, ChangeSet]
    scratch: Path
    emit: Callable[[Event], None]
    slices: Mapping[str, SliceChanges] = field(default_factory=dict)
    weights: Mapping[str, WeightsFile] = field(default_factory=dict)
    new_id: Callable[[], str] = lambda: uuid4().hex
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    done: Counter[str] = field(default_factory=Counter)
    one_run_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Streams that share a named run must not make it twice."""
    stages: dict[str, Any] = field(default_factory=dict)
    """Places of staged files that were opened, by address."""
    images_taken: dict[tuple[str, bytes], Any] = field(default_factory=dict)
    """By dataset and source, whether Nucleus took a new image under a known reference id in this run."""
    confirmed_early: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """By stream, keys of probes: these few records are in already when it is ingested."""

    def nucleus_id(self, address: str) -> str:
        """What Nucleus calls a resource that an earlier step, or an earlier run, has made."""
        resource = self.ledger.resource(address)
        if resource is None or resource.nucleus_id is None:
            raise StepFailed(
                f"{address} is not there", where=address, fix="run nucleus-sync plan to see what is missing"
            )
        return resource.nucleus_id


@dataclass
class StepTally:
    """What one step has done so far."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """`done`, `partial` or `failed`."""
        if self.errors:
            confirmed = self.counts["create"] + self.counts["update"] + self.counts["resent"] + self.counts["delete"]
            return "partial" if confirmed else "failed"
        return "partial" if self.counts["rejected"] else "done"


async def noted(write: Callable[..., T], *values: Any) -> T:
    """What a write to the ledger gives, done in a thread: others go on sending while it takes its time, or waits.

    It ends before this does, also when the apply is stopped meanwhile: what happened is written down.
    """
    writing = asyncio.ensure_future(asyncio.to_thread(write, *values))
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


def records(number: int) -> str:
    """`1 record`, `2,000 records`."""
    return f"{number:,} record{'' if number == 1 else 's'}"
