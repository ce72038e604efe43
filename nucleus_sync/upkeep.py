"""The ledger and Nucleus brought together by hand: refresh, import, resolve, destroy, a trial; wired to a workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from nucleus_sync.apply.destroy import Destruction, assure_nothing_else, choose
from nucleus_sync.apply.destroy import destroy as destroy_all
from nucleus_sync.apply.image_trial import try_images as try_each
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.apply.session import place_of, terminable
from nucleus_sync.apply.settle import settle
from nucleus_sync.apply.undecided import adopt_candidate, candidates, undecided
from nucleus_sync.errors import Candidate, Exit, Interrupted, NucleusSyncError
from nucleus_sync.events import Note
from nucleus_sync.refresh.adopt import adopt as adopt_resource
from nucleus_sync.refresh.look import Look
from nucleus_sync.refresh.report import Report
from nucleus_sync.refresh.write import write
from nucleus_sync.survey.declared import check_targets, declared_streams, known_addresses
from nucleus_sync.survey.first_images import first_images

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.workspace import Emit, Workspace

__all__ = [
    "Destruction",
    "adopt",
    "candidates_of",
    "destroy",
    "drop_creation",
    "look",
    "refresh",
    "resolve",
    "try_images",
]

T = TypeVar("T")


def look(space: Workspace, emit: Emit, *, targets: Sequence[str] = (), sample: int | None = None) -> Report:
    """Compare the ledger with Nucleus; no lock is taken and nothing is written."""
    found, ledger = space.credentials(), space.open_ledger(create=False)

    async def work() -> Report:
        async with space.make_api(found, emit) as api:
            return await looking(space, ledger, api, emit, targets, sample).run()

    return _run(work)


def try_images(space: Workspace) -> list[tuple[str, str | None]]:
    """Sources whose images lie elsewhere, each with what Nucleus says against its first image, None where it takes it.

    Makes a dataset for it and deletes that. Raises SourceError for a source that can't be read, ApiError.
    """
    found, images = space.credentials(), dict(first_images(space.loaded, space.scratch))

    async def work() -> dict[str, str | None]:
        async with space.make_api(found) as api:
            return await try_each(api, images, space.scratch)

    return list(_run(work).items()) if images else []


def looking(
    space: Workspace, ledger: Ledger, api: Api, emit: Emit, targets: Sequence[str] = (), sample: int | None = None
) -> Look:
    """One look, wired. Raises UsageError for a target that neither the spec nor the ledger has."""
    check_targets(targets, space.loaded.spec, known_addresses(ledger))
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


def under_lock(
    space: Workspace, command: str, emit: Emit, work: Callable[[Runtime], Awaitable[T]], *, create: bool = False
) -> T:
    """Do something with the ledger and Nucleus as the only one, and note it in the history."""
    found = space.credentials()
    with space.locked(emit, create=create) as ledger:
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


def adopt(space: Workspace, address: str, nucleus_id: str, emit: Emit, *, with_records: bool) -> Report | None:
    """Take over what exists, with what is in it. Raises UsageError, NotFound, Refused."""
    spec = space.loaded.spec

    async def work(runtime: Runtime) -> Report | None:
        await adopt_resource(spec, runtime.ledger, runtime.api, address, nucleus_id)
        if not with_records:
            return None
        await settle(runtime, place_of)
        dataset = address.partition(".")[2] if address.startswith("dataset.") else None
        on_it = [stream.address for stream in declared_streams(spec) if stream.model and stream.dataset == dataset]
        report = await looking(space, runtime.ledger, runtime.api, emit, [address, *on_it]).run()
        write(runtime.ledger, report)
        return report

    return under_lock(space, f"import {address} {nucleus_id}", emit, work, create=True)


def candidates_of(space: Workspace, address: str, emit: Emit) -> list[Candidate]:
    """What an undecided creation may have made. Raises UsageError where nothing is undecided."""
    found, ledger = space.credentials(), space.open_ledger(create=False)
    creation = undecided(ledger, address)

    async def work() -> list[Candidate]:
        async with space.make_api(found, emit) as api:
            runtime = Runtime(space.loaded.spec, api, ledger, {}, space.scratch, emit)
            return [one.candidate for one in await candidates(runtime, creation)]

    return _run(work)


def resolve(space: Workspace, address: str, nucleus_id: str, emit: Emit) -> None:
    """Take one of the candidates for what was created."""

    async def work(runtime: Runtime) -> None:
        await adopt_candidate(runtime, undecided(runtime.ledger, address), nucleus_id)

    under_lock(space, f"resolve {address} --adopt {nucleus_id}", emit, work)


def drop_creation(space: Workspace, address: str, *, forget: bool) -> None:
    """Say that it did not take place; `forget` drops all that the ledger has beneath the address, too."""
    with space.locked() as ledger:
        undecided(ledger, address)
        number = ledger.begin_run(f"resolve {address} {'--forget' if forget else '--retry'}", "")
        ledger.abandon_creation(address)
        if forget:
            ledger.forget_resource(address)
        ledger.finish_run(number, Exit.DONE, {})


def destroy(
    space: Workspace,
    emit: Emit,
    *,
    targets: Sequence[str],
    include_imported: bool,
    allow_deletes: bool,
    approve: Callable[[Destruction], None],
) -> Destruction:
    """Settle, show, ask `approve`, which raises where the answer is no, then delete. Raises Refused, UsageError."""

    async def work(runtime: Runtime) -> Destruction:
        await settle(runtime, place_of)
        destruction = choose(runtime.ledger, targets, include_imported=include_imported)
        if not allow_deletes:
            await assure_nothing_else(runtime, destruction)
        approve(destruction)
        await destroy_all(runtime, destruction, lambda one: emit(Note(one.address, "deleted")))
        return destruction

    return under_lock(space, " ".join(["destroy", *targets]), emit, work)
