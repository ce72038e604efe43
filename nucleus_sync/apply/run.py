"""The loop of an apply: start what is ready, wait for anything, unblock what waited for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from nucleus_sync.apply.runtime import Runtime, StepTally
from nucleus_sync.errors import CredentialsError, Interrupted, LedgerError, Locked, NucleusSyncError, Undecided
from nucleus_sync.events import StepFinished, StepStarted
from nucleus_sync.plan.plan import Plan
from nucleus_sync.plan.steps import Step

Perform = Callable[[Runtime, Step, StepTally], Awaitable[None]]


@dataclass
class Outcome:
    """How the steps ended, by id: done, partial, failed, skipped; and the errors that stop a run as a whole."""

    steps: dict[str, str] = field(default_factory=dict)
    errors: list[NucleusSyncError] = field(default_factory=list)

    def count(self, *endings: str) -> int:
        """How many steps ended so."""
        return sum(1 for ending in self.steps.values() if ending in endings)


async def run(plan: Plan, runtime: Runtime, perform: Perform) -> Outcome:
    """Perform all steps, each as soon as everything that it waits for is done."""
    outcome = Outcome()
    waiting = {step.id: step for step in plan.steps}
    running: dict[asyncio.Task[str], Step] = {}
    try:
        while waiting or running:
            _skip_hopeless(waiting, outcome, runtime)
            for step in _ready(waiting, outcome):
                del waiting[step.id]
                running[asyncio.create_task(_one(step, runtime, perform, outcome))] = step
            if running:
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    outcome.steps[running.pop(task).id] = task.result()
    finally:
        await _stop(running)
    return outcome


def _ready(waiting: dict[str, Step], outcome: Outcome) -> list[Step]:
    return [step for step in waiting.values() if all(_lets_go_on(outcome, needed) for needed in step.depends_on)]


def _lets_go_on(outcome: Outcome, step_id: str) -> bool:
    """A step with single rejected records is no reason to hold up those that follow."""
    return outcome.steps.get(step_id) in ("done", "partial")


def _skip_hopeless(waiting: dict[str, Step], outcome: Outcome, runtime: Runtime) -> None:
    """Steps come in order, so one pass carries a failure through to everything behind it."""
    for step in list(waiting.values()):
        cause = next((needed for needed in step.depends_on if outcome.steps.get(needed) in ("failed", "skipped")), None)
        if cause is not None:
            del waiting[step.id]
            outcome.steps[step.id] = "skipped"
            runtime.emit(StepFinished(step.address, step.id, str(step.action), "skipped", because_of=cause))


async def _one(step: Step, runtime: Runtime, perform: Perform, outcome: Outcome) -> str:
    tally = StepTally()
    records = step.records.sent + step.records.delete if step.records else 0
    runtime.emit(StepStarted(step.address, step.id, str(step.action), records))
    try:
        await perform(runtime, step, tally)
    except NucleusSyncError as error:
        if isinstance(error, Interrupted | Locked | LedgerError):
            raise  # without the ledger nothing more may be sent
        if isinstance(error, CredentialsError | Undecided):
            outcome.errors.append(error)
        tally.errors.append(str(error))
    runtime.done.update(tally.counts)
    runtime.emit(
        StepFinished(
            step.address,
            step.id,
            str(step.action),
            tally.outcome,
            dict(tally.counts),
            error="\n".join(tally.errors),
        )
    )
    return tally.outcome


async def _stop(running: dict[asyncio.Task[str], Step]) -> None:
    """What is in flight stays in the ledger as it is; the next run settles it."""
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
