"""One apply from settling to the last line: settle, survey, guard, ask, perform, judge."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.apply.evaluate import judge_gates
from nucleus_sync.apply.perform import perform
from nucleus_sync.apply.run import Outcome, run
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.apply.settle import settle
from nucleus_sync.apply.verify import perform_and_verify
from nucleus_sync.errors import CredentialsError, Exit, Interrupted
from nucleus_sync.events import Event, Finished, Note
from nucleus_sync.ledger.batches import Batch
from nucleus_sync.ledger.lock import Lock, beating
from nucleus_sync.plan.gates import failure_of
from nucleus_sync.plan.guard import guard_deletes, known_of
from nucleus_sync.plan.plan import Plan
from nucleus_sync.records.problem import Where
from nucleus_sync.survey.remember import remember, remember_applied
from nucleus_sync.survey.survey import Surveyed

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.loaded import LoadedSpec


@dataclass
class Session:
    """Everything that one apply needs; `run` it once, under the lock."""

    loaded: LoadedSpec
    ledger: Ledger
    lock: Lock
    scratch: Path
    survey: Callable[[], Surveyed]
    approve: Callable[[Plan], bool]
    emit: Callable[[Event], None]
    allow_deletes: bool
    make_api: Callable[[], Api]
    verify: bool = False
    """Whether what was sent is read back."""
    give_stop: Callable[[Callable[[], None]], None] | None = None
    """Told what stops this apply, as Ctrl-C does, from another thread."""

    def run(self) -> Finished:
        """Raises Interrupted when stopped from outside; everything in flight is in the ledger by then."""
        try:
            return asyncio.run(self._run())
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise Interrupted(
                "stopped; what was in flight is noted in the ledger", fix="the next apply goes on from there"
            ) from None

    async def _run(self) -> Finished:
        begun = time.monotonic()
        if self.give_stop is not None:
            self.give_stop(_stopper())
        with terminable(), beating(self.lock):
            async with self.make_api() as api:
                return await self._apply(api, begun)

    async def _apply(self, api: Api, begun: float) -> Finished:
        runtime = Runtime(self.loaded.spec, api, self.ledger, {}, self.scratch, self.emit)
        await settle(runtime, place_of)
        surveyed = await _left_when_stopped(self.survey)
        plan = surveyed.plan
        runtime.changes, runtime.slices, runtime.weights = surveyed.changes, surveyed.slices, surveyed.weights
        remember(self.loaded.spec, self.ledger, surveyed)
        if plan.invalid_streams:
            self.approve(plan)
            return self._finished(plan, runtime, Outcome(), begun, Exit.INVALID)
        if not self.allow_deletes:
            self._guard(plan)
        if not self.approve(plan):
            return self._finished(plan, runtime, Outcome(), begun, Exit.ERROR)
        number = self.ledger.begin_run("apply", plan.digest())
        outcome = await run(plan, runtime, perform_and_verify if self.verify else perform)
        remember_applied(self.loaded.spec, self.ledger, surveyed, outcome.steps)
        finished = self._finished(plan, runtime, outcome, begun, self._exit_code(runtime, outcome))
        self.ledger.finish_run(number, finished.exit_code, dict(runtime.done))
        return finished

    def _guard(self, plan: Plan) -> None:
        limit = self.loaded.spec.settings.delete_limit
        guard_deletes(plan, known_of(plan, self.ledger.held), records=limit.records, fraction=limit.fraction)

    def _exit_code(self, runtime: Runtime, outcome: Outcome) -> Exit:
        if any(error.exit_code is Exit.UNKNOWN for error in outcome.errors):
            return Exit.UNKNOWN
        if any(isinstance(error, CredentialsError) for error in outcome.errors):
            return Exit.CREDENTIALS
        if outcome.count("failed", "partial", "skipped"):
            return Exit.PARTIAL
        return Exit.DONE if self._gates_pass(runtime) else Exit.GATE_FAILED

    def _gates_pass(self, runtime: Runtime) -> bool:
        """All gates on all newest results, also of evaluations that did not have to run again."""
        passed = True
        for name, declared in self.loaded.spec.evaluations.items():
            address = f"evaluation.{name}"
            for gate in judge_gates(runtime, address, declared):
                if not gate["passed"]:
                    passed = False
                    self.emit(Note(address, f"gate failed: {failure_of(gate)}"))
        return passed

    def _finished(self, plan: Plan, runtime: Runtime, outcome: Outcome, begun: float, code: Exit) -> Finished:
        figures = plan.summary()
        done = runtime.done
        finished = Finished(
            create=done["create"],
            update=done["update"],
            delete=done["delete"],
            unchanged=figures.unchanged,
            rejected=done["rejected"],
            invalid=figures.invalid,
            failed_steps=outcome.count("failed", "skipped"),
            seconds=time.monotonic() - begun,
            exit_code=int(code),
            resent=done["resent"],
        )
        self.emit(finished)
        return finished


def place_of(batch: Batch, _place: bytes) -> Where:
    """An old batch knows the sources of its records; the survey that follows finds the positions (`remember`)."""
    return Where(", ".join(batch.sources), "")


def _stopper() -> Callable[[], None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        with suppress(RuntimeError):  # the loop is closed: the apply has ended
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

    return stop


async def _left_when_stopped(look: Callable[[], Surveyed]) -> Surveyed:
    """What `look` finds, in a thread that nobody waits for once the apply is stopped: it only reads, maybe for long."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Surveyed] = loop.create_future()

    def settle_with(settle_it: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(lambda: None if found.done() else settle_it())

    def work() -> None:
        try:
            result = look()
        except BaseException as error:
            failed = error
            settle_with(lambda: found.set_exception(failed))
        else:
            settle_with(lambda: found.set_result(result))

    threading.Thread(target=work, name="nucleus-sync-survey", daemon=True).start()
    return await found


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM stops what runs as Ctrl-C does."""
    task = asyncio.current_task()
    if task is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
