"""How many requests may be in flight."""

from __future__ import annotations

import asyncio

from nucleus_sync.api.throttle import OPENS_AFTER, Throttle

from .conftest import FastTime


def _throttle(time: FastTime, most: int = 16) -> Throttle:
    return Throttle(most, clock=time.clock, sleep=time.sleep)


async def test_no_more_than_the_limit_are_in_flight(time: FastTime) -> None:
    throttle = _throttle(time, 3)
    busy = most = 0

    async def work() -> None:
        nonlocal busy, most
        async with throttle.turn():
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert (most, busy) == (3, 0)


async def test_being_told_to_slow_down_halves_once_for_requests_in_flight_together(time: FastTime) -> None:
    throttle = _throttle(time)
    started = time.now
    time.now += 1
    for _ in range(10):
        throttle.slow_down(started=started, rest=0)
    assert throttle.limit == 8
    throttle.slow_down(started=time.now, rest=0)
    assert throttle.limit == 4


async def test_success_lets_the_limit_grow_slowly_up_to_the_most(time: FastTime) -> None:
    throttle = _throttle(time, 4)
    throttle.slow_down(started=time.now, rest=0)
    limits = []
    for _ in range(12):
        throttle.worked()
        limits.append(throttle.limit)
    assert limits[0] == 2
    assert limits[-1] == 4


async def test_outages_open_the_circuit_and_one_success_closes_it(time: FastTime) -> None:
    throttle = _throttle(time)
    for _ in range(OPENS_AFTER):
        assert not throttle.is_open
        throttle.is_away(started=time.now)
    assert throttle.is_open
    assert throttle.limit == 1
    async with throttle.turn():
        pass
    assert time.slept == [1.0]
    throttle.worked()
    assert not throttle.is_open
    assert throttle.limit == 8


async def test_failures_of_requests_in_flight_together_count_as_one(time: FastTime) -> None:
    throttle = _throttle(time)
    started = time.now
    time.now += 5
    for _ in range(20):
        throttle.is_away(started=started)
    assert not throttle.is_open


async def test_a_cancelled_waiter_does_not_keep_its_place(time: FastTime) -> None:
    throttle = _throttle(time, 1)

    async def work() -> str:
        async with throttle.turn():
            return "done"

    async with throttle.turn():
        waiting = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
    waiting[1].cancel()
    assert await waiting[2] == "done"
    assert await work() == "done"
