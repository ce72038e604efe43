"""A workspace whose waits take no time: its clock goes on by what would have been slept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nucleus_sync.api.client import Api, ApiKey
from nucleus_sync.api.retry import Policy
from nucleus_sync.events import Event
from nucleus_sync.spec.access import Credentials
from nucleus_sync.workspace import Workspace

_NAP = 0.001
_LONG_NAP = 0.03
"""A job that really works for a second or two must not take hours of this time."""
_LEAP = 50.0
"""Of long waits many are skipped at once: a job that is stuck for hours would be asked for thousands of times."""


class Haste:
    """A clock and a sleep that belong together."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def clock(self) -> float:
        """Seconds, those included that nobody waited for."""
        return time.monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        """Give others a turn, and take the rest as slept."""
        nap = min(seconds, _LONG_NAP if seconds > 3.0 else _NAP)
        self._skipped += (seconds - nap) * (_LEAP if seconds > 3.0 else 1.0)
        await asyncio.sleep(nap)


class HastyWorkspace(Workspace):
    """Patient in virtual time only."""

    policy = Policy(attempts=4, outage_attempts=30, patience=300_000.0)

    def make_api(self, found: Credentials, emit: Callable[[Event], None] = lambda _: None, *more: Any) -> Api:
        """A client that doesn't wait."""
        haste = Haste()
        (checkpoint,) = more or (lambda _: None,)
        return Api(
            found.endpoint,
            ApiKey("live_haste_key"),
            policy=self.policy,
            clock=haste.clock,
            sleep=haste.sleep,
            checkpoint=checkpoint,
        )


def hasty(spec: Path, environ: dict[str, str], checkpoint: Callable[[str], None] | None = None) -> HastyWorkspace:
    """The workspace of a spec."""
    more = {"checkpoint": checkpoint} if checkpoint else {}
    return HastyWorkspace(spec, environ=environ, **more)
