"""A recorder, a clock that runs as fast as it is asked to, and a client between the two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from nucleus_sync.api.client import Api, ApiKey
from nucleus_sync.api.exchange import RetryNote

from .recorder import Recorder

KEY = "live_canary_0123456789"


class FastTime:
    """Sleeping takes no time and moves the clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.fixture
def time() -> FastTime:
    return FastTime()


@pytest.fixture
def notes() -> list[RetryNote]:
    return []


@pytest.fixture
async def api(recorder: Recorder, time: FastTime, notes: list[RetryNote]) -> AsyncIterator[Api]:
    async with Api(
        recorder.url,
        ApiKey(KEY),
        clock=time.clock,
        wall=time.clock,
        sleep=time.sleep,
        chance=lambda: 0.5,
        on_retry=notes.append,
    ) as api:
        yield api
