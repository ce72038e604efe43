"""Deletes at Nucleus what this ledger has made there, in reverse order, and forgets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nucleus_sync.apply.perform import perform
from nucleus_sync.apply.runtime import StepTally
from nucleus_sync.errors import NotFound, Refused, UsageError
from nucleus_sync.events import Note
from nucleus_sync.plan.steps import Action, Holds, Step
from nucleus_sync.survey.declared import is_under, items_address

if TYPE_CHECKING:
    from nucleus_sync.apply.runtime import Runtime
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.ledger.resources import Resource

ORDER = ("evaluation", "slice", "model", "dataset")
"""A dataset takes its slices, taxonomies, tracks and records along, a model its predictions."""
_MARK = "destroying"


@dataclass(frozen=True, slots=True)
class Doomed:
    """A resource that will be deleted, with how many records of each stream go with it."""

    address: str
    kind: str
    nucleus_id: str | None
    records: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Destruction:
    """What will be deleted, in that order, and what is left alone because somebody else made it."""

    doomed: tuple[Doomed, ...]
    kept: tuple[str, ...]


def choose(ledger: Ledger, targets: Sequence[str], *, include_imported: bool) -> Destruction:
    """What a destroy would delete. Raises UsageError for a target that can't be deleted by itself."""
    _check(ledger, targets)
    wanted = [one for one in ledger.resources() if one.kind in ORDER and _is_meant(one, targets)]
    kept = [one for one in wanted if one.details.get("imported") and not include_imported]
    whole = [one.address for one in wanted if one not in kept and one.kind in ("dataset", "model")]
    doomed = [one for one in wanted if one not in kept and not _goes_along(one, whole)]
    doomed.sort(key=lambda one: (ORDER.index(one.kind), one.address))
    return Destruction(tuple(_doomed(ledger, one) for one in doomed), tuple(one.address for one in kept))


def _check(ledger: Ledger, targets: Sequence[str]) -> None:
    for target in targets:
        resource = ledger.resource(target)
        if resource is None or resource.kind not in ORDER:
            raise UsageError(
                f"{target} is nothing that the ledger has and that can be deleted by itself",
                fix="name a dataset, model, slice or evaluation (nucleus-sync state list);"
                " records go by taking them out of the spec, with prune",
            )


def _is_meant(resource: Resource, targets: Sequence[str]) -> bool:
    """Named, part of what is named, or an evaluation of it."""
    if not targets or any(is_under(resource.address, target) for target in targets):
        return True
    about = resource.details.get("wanted", {}) if resource.kind == "evaluation" else {}
    return any(target in (f"dataset.{about.get('dataset')}", f"model.{about.get('model')}") for target in targets)


def _goes_along(resource: Resource, whole: Sequence[str]) -> bool:
    return resource.address not in whole and any(is_under(resource.address, one) for one in whole)


def _doomed(ledger: Ledger, resource: Resource) -> Doomed:
    return Doomed(resource.address, resource.kind, resource.nucleus_id, tuple(_records(ledger, resource)))


def _records(ledger: Ledger, resource: Resource) -> Iterator[tuple[str, int]]:
    if resource.kind not in ("dataset", "model"):
        return
    ending = f".predictions.{resource.address.partition('.')[2]}" if resource.kind == "dataset" else None
    for stream in ledger.streams():
        own = is_under(stream.address, resource.address) and ".slice." not in stream.address
        if stream.count and (own or (ending and stream.address.endswith(ending))):
            yield stream.address, stream.count


async def assure_nothing_else(runtime: Runtime, destruction: Destruction) -> None:
    """Raises Refused where a dataset holds items that the ledger doesn't know: somebody else put them there."""
    wrong = []
    for one in destruction.doomed:
        if one.kind == "dataset" and one.nucleus_id:
            strange = await _strangers(runtime, one)
            wrong += [f"{one.address} holds {strange:,} items that this ledger has not put there"] if strange else []
    if wrong:
        raise Refused("; ".join(wrong), fix="look at nucleus-sync refresh; if they may go as well, say --allow-deletes")


async def _strangers(runtime: Runtime, dataset: Doomed) -> int:
    try:
        size = await runtime.api.datasets.size(dataset.nucleus_id or "")
        if await runtime.api.datasets.is_scene(dataset.nucleus_id or ""):
            size = len(await runtime.api.scenes.all(dataset.nucleus_id or ""))
    except NotFound:
        return 0
    items = items_address(dataset.address.partition(".")[2])
    known = next((one.count + one.maybes for one in runtime.ledger.streams() if one.address == items), 0)
    return max(0, size - known)


async def destroy(runtime: Runtime, destruction: Destruction, done: Callable[[Doomed], None]) -> None:
    """Delete and forget, one after the other. Stopped in between, another destroy goes on from there."""
    for one in destruction.doomed:
        resource = runtime.ledger.resource(one.address)
        if resource is not None:
            await _destroy_one(runtime, resource)
        done(one)


async def _destroy_one(runtime: Runtime, resource: Resource) -> None:
    """The intent is durable first: whatever kills us, `resume` does it again, and a repetition changes nothing."""
    runtime.ledger.put_resource(replace(resource, details={**resource.details, _MARK: True}))
    step = Step(Action.DELETE, resource.address, Holds(resource.kind))
    await perform(runtime, step, StepTally())


async def resume(runtime: Runtime) -> None:
    """Finish the deletion that a destroy was killed in: its dataset may be half gone, and takes nothing more."""
    for resource in runtime.ledger.resources():
        if resource.details.get(_MARK):
            runtime.emit(Note(resource.address, "a destroy was interrupted; finishing it"))
            await _destroy_one(runtime, resource)
