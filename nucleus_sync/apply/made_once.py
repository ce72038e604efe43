"""What an evaluation makes at Nucleus, once, whatever becomes of the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from nucleus_sync.apply.runtime import JOB_DEADLINE, Runtime, StepFailed
from nucleus_sync.errors import ApiError, Candidate, OutcomeUnknown, Undecided
from nucleus_sync.events import Note
from nucleus_sync.ledger.resources import Creation
from nucleus_sync.plan.steps import Step

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


def so_far(runtime: Runtime, address: str) -> dict[str, Any]:
    """What was made for an evaluation until now; what its last result was made from is left out until it has ended."""
    before = runtime.ledger.resource(address)
    details = dict(before.details) if before else {}
    return {name: value for name, value in details.items() if name not in ("wanted", "versions")}


async def made_once(
    runtime: Runtime, address: str, request: dict[str, Any], create: Callable[[], Awaitable[str]]
) -> str:
    """Create once: with the intent written down before, and looked for where the answer is lost."""
    runtime.ledger.begin_creation(address, "evaluation", request)
    try:
        made = await create()
    except OutcomeUnknown:
        found = await _found(runtime, address, request)
        if found is None:
            raise  # the intent stays: the next run looks for it again
        made = found
    except ApiError:
        runtime.ledger.abandon_creation(address)
        raise
    _keep(runtime, address, request, made)
    return made


def _keep(runtime: Runtime, address: str, request: Mapping[str, Any], made: str) -> None:
    details = dict(request["details"])
    if "benchmark" in request:
        details["benchmark_id"] = made
        details["benchmarks"] = [*details.get("benchmarks", ()), made]
    else:
        details["running"] = {**details["running"], "evaluation_id": made}
    runtime.ledger.finish_creation(address, details.get("evaluation_id"), "", details)


async def settle_evaluation(runtime: Runtime, creation: Creation) -> None:
    """Find out what became of a benchmark or an evaluation whose run died."""
    found = await _found(runtime, creation.address, creation.request)
    if found is None:
        runtime.ledger.abandon_creation(creation.address)
        return
    runtime.emit(Note(creation.address, f"an interrupted run has made it: {found} is adopted"))
    _keep(runtime, creation.address, creation.request, found)


async def _found(runtime: Runtime, address: str, request: Mapping[str, Any]) -> str | None:
    """What a lost answer has made, if anything. Raises Undecided where it could be one of several."""
    if "benchmark" in request:
        name = request["benchmark"]
        found = [one.benchmark_id for one in await runtime.api.benchmarks.all() if one.name == name]
    else:
        sought = request["evaluation"]
        found = [
            one.id
            for one in await runtime.api.evaluations.of_model(sought["model_id"])
            if one.benchmark_id == sought["benchmark_id"] and one.name == address and one.id not in sought["before"]
        ]
    if len(found) > 1:
        raise Undecided(address, [Candidate(one, f"made for {address}") for one in found])
    return found[0] if found else None


async def awaited(runtime: Runtime, step: Step, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` finds once it finds something, which is no job that the poller could wait for."""
    begun = runtime.clock()
    wait = _FIRST_WAIT
    while runtime.clock() - begun < JOB_DEADLINE:
        found = await look()
        if found is not None:
            return found
        await runtime.sleep(wait)
        wait = min(_LONGEST_WAIT, wait * 1.6)
    raise StepFailed("it doesn't end", where=step.address, fix="run apply again: it looks after it first")
