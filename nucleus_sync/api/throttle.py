"""How many requests may be in flight: fewer when Nucleus is busy, one careful probe at a time when it is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

OPENS_AFTER = 3
FIRST_REST = 1.0
LONGEST_REST = 30.0


class Throttle:
    """Additive increase, multiplicative decrease; and a circuit.

    After `OPENS_AFTER` outages in a row the circuit is open: one request at a time goes out, with a growing rest
    before it, and everybody else waits for the first that works. Failures of requests that were in flight together
    count as one.
    """

    def __init__(self, most: int, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._most = most
        self._clock = clock
        self._sleep = sleep
        self._limit = float(most)
        self._busy = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._rest_until = float("-inf")
        self._slowed_at = float("-inf")
        self._failed_at = float("-inf")
        self._outages = 0

    @property
    def limit(self) -> int:
        """How many requests may be in flight now."""
        return int(self._limit)

    @property
    def is_open(self) -> bool:
        """Whether Nucleus is taken to be away."""
        return self._outages >= OPENS_AFTER

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a free place and for the end of a rest."""
        await self._enter()
        try:
            while (rest := self._rest_until - self._clock()) > 0:
                await self._sleep(rest)
            yield
        finally:
            self._busy -= 1
            self._wake()

    def worked(self) -> None:
        """A request got an answer that is no sign of trouble."""
        if self.is_open:
            self._limit = max(1.0, self._most / 2)
        self._outages = 0
        self._limit = min(float(self._most), self._limit + 1 / self._limit)
        self._wake()

    def slow_down(self, *, started: float, rest: float) -> None:
        """The server said that it is too much; `rest` is what it asked for, in seconds."""
        if started >= self._slowed_at:
            self._limit = max(1.0, self._limit / 2)
            self._slowed_at = self._clock()
        self._rest_until = max(self._rest_until, self._clock() + rest)

    def is_away(self, *, started: float) -> None:
        """No answer, or a proxy's: counts towards opening the circuit."""
        if started < self._failed_at:
            return
        self._failed_at = self._clock()
        self._outages += 1
        if self.is_open:
            self._limit = 1.0
            rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(self._outages - OPENS_AFTER, 10))
            self._rest_until = max(self._rest_until, self._clock() + rest)

    async def _enter(self) -> None:
        if not self._queue and self._busy < self.limit:
            self._busy += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._busy -= 1
            self._wake()
            raise

    def _wake(self) -> None:
        while self._queue and self._busy < self.limit:
            place = self._queue.popleft()
            if not place.done():
                self._busy += 1
                place.set_result(None)
