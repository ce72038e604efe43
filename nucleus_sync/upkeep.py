"""The ledger and Nucleus brought together by hand: refresh, import, resolve, destroy, wired to a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.apply.session import place_of, terminable
from nucleus_sync.apply.settle import settle
from nucleus_sync.errors import Exit, Interrupted, NucleusSyncError
from nucleus_sync.events import Note
from nucleus_sync.refresh.look import Look
from nucleus_sync.refresh.report import Report
from nucleus_sync.refresh.write import write
from nucleus_sync.survey.declared import check_targets

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.workspace import Emit, Workspace

T = TypeVar("T")


def look(space: Workspace, emit: Emit, *, targets: Sequence[str] = (), sample: int | None = None) -> Report:
    """Compare the ledger with Nucleus; no lock is taken and nothing is written."""
    found, ledger = space.credentials(), space.open_ledger(create=False)

    async def work() -> Report:
        async with space.make_api(found, emit) as api:
            return await looking(space, ledger, api, emit, targets, sample).run()

    return _run(work)


def looking(
    space: Workspace, ledger: Ledger, api: Api, emit: Emit, targets: Sequence[str] = (), sample: int | None = None
) -> Look:
    """One look, wired. Raises UsageError for a target that neither the spec nor the ledger has."""
    known = [one.address for one in ledger.resources()] + [one.address for one in ledger.streams()]
    check_targets(targets, space.loaded.spec, known)
    return Look(
        spec=space.loaded.spec,
        ledger=ledger,
        api=api,
        scratch=space.scratch,
        targets=targets,
        sample=sample,
        say=lambda address, text: emit(Note(address, text)),
    )


def refresh(space: Workspace, emit: Emit, *, targets: Sequence[str] = (), sample: int | None = None) -> Report:
    """Settle, compare, and write down what differs, so that the next plan repairs it. Raises Locked."""

    async def work(runtime: Runtime) -> Report:
        await settle(runtime, place_of)
        report = await looking(space, runtime.ledger, runtime.api, emit, targets, sample).run()
        write(runtime.ledger, report)
        return report

    return under_lock(space, "refresh --write", emit, work)


def under_lock(space: Workspace, command: str, emit: Emit, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do something with the ledger and Nucleus as the only one, and note it in the history."""
    found = space.credentials()
    with space.locked(emit) as ledger:
        ledger.assure_room()
        number = ledger.begin_run(command, "")

        async def alone() -> T:
            async with space.fenced_api(found, ledger, emit) as api:
                return await work(Runtime(space.loaded.spec, api, ledger, {}, space.scratch, emit))

        try:
            done = _run(alone)
        except NucleusSyncError as error:
            ledger.finish_run(number, error.exit_code, {})
            raise
        ledger.finish_run(number, Exit.DONE, {})
    return done


def _run(work: Callable[[], Awaitable[T]]) -> T:
    """Raises Interrupted when stopped from outside."""

    async def stoppable() -> T:
        with terminable():
            return await work()

    try:
        return asyncio.run(stoppable())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Interrupted("stopped", fix="start it again: it does what is left to do") from None
