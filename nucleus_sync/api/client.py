"""The client: one connection pool, one policy, and the calls by topic."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from nucleus_sync.api.annotations import Annotations
from nucleus_sync.api.benchmarks import Benchmarks
from nucleus_sync.api.calls import get
from nucleus_sync.api.credentials import ApiKey, Credentials, LimitedKey
from nucleus_sync.api.datasets import Datasets
from nucleus_sync.api.evaluations import Evaluations
from nucleus_sync.api.exchange import Checkpoint, Exchange, RetryNote, Surroundings, no_checkpoint
from nucleus_sync.api.http import Transport
from nucleus_sync.api.items import Items
from nucleus_sync.api.jobs import Jobs
from nucleus_sync.api.models import Models
from nucleus_sync.api.poller import Poller
from nucleus_sync.api.predictions import Predictions
from nucleus_sync.api.retry import Policy, http_date
from nucleus_sync.api.scenes import Scenes
from nucleus_sync.api.slices import Slices
from nucleus_sync.api.uploads import Uploads
from nucleus_sync.api.weights import Weights
from nucleus_sync.api.wire import DatasetSummary

__all__ = ["Api", "ApiKey", "Checked", "Credentials", "LimitedKey", "RetryNote"]

ENDPOINT = "https://api.scale.com/v1/nucleus"
_QUICK = Policy(attempts=2, outage_attempts=3, patience=20.0)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at the endpoint shows: seconds that our clock is behind (negative: ahead) and one call's seconds."""

    clock_skew_seconds: float | None
    latency_seconds: float
    datasets: int


class Api:
    """The Nucleus API.

    `async with Api(endpoint, ApiKey("…")) as api: await api.datasets.create("Street")`. Without credentials no key is
    sent. `verify=False` turns certificate checks off. All errors are those of `nucleus_sync.errors`. Clocks, sleep and
    chance are parameters for tests; `policy` says how long failures that pass are waited out; `checkpoint` is told of
    every sending before and after it, and may stop it.
    """

    def __init__(
        self,
        endpoint: str,
        credentials: Credentials | None,
        *,
        verify: bool = True,
        connections: int = 16,
        policy: Policy | None = None,
        storage_endpoint: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        on_retry: Callable[[RetryNote], None] | None = None,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._around = Surroundings(clock, wall, sleep, chance)
        self._transport = Transport(endpoint, credentials, verify=verify, connections=connections)
        self._exchange = exchange = Exchange(
            self._transport,
            credentials,
            connections=connections,
            surroundings=self._around,
            policy=policy or Policy(),
            on_retry=on_retry,
            checkpoint=checkpoint,
        )
        self.datasets = Datasets(exchange)
        self.items = Items(exchange)
        self.scenes = Scenes(exchange)
        self.annotations = Annotations(exchange)
        self.models = Models(exchange)
        self.predictions = Predictions(exchange)
        self.slices = Slices(exchange)
        self.evaluations = Evaluations(exchange)
        self.benchmarks = Benchmarks(exchange)
        self.jobs = Jobs(exchange)
        self.weights = Weights(exchange)
        self.uploads = Uploads(exchange, storage_endpoint)
        self.poller = Poller(self.jobs, self._around, on_retry or (lambda _: None))

    def __repr__(self) -> str:
        return f"Api({self._transport!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop polling and close all connections."""
        await self.poller.aclose()
        await self._transport.aclose()

    async def check(self) -> Checked:
        """Whether endpoint and key work, and how far the clocks are apart; gives up within seconds."""
        call = get("dataset", "details")
        wall, begun = self._around.wall(), self._around.clock()
        answer = await self._exchange.answer(call, policy=_QUICK)
        latency = self._around.clock() - begun
        datasets = self._exchange.parsed(answer.content, list[DatasetSummary], call)
        said = http_date(answer.headers.get("date"))
        # The header has whole seconds: on average half a second is cut off.
        skew = said + 0.5 - (wall + latency / 2) if said is not None else None
        return Checked(clock_skew_seconds=skew, latency_seconds=latency, datasets=len(datasets))
