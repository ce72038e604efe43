"""Makes slices, adds members to them, and makes those anew that must shrink."""

from __future__ import annotations

from itertools import islice

from nucleus_sync.apply.resources import finish, put
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError, Candidate, NotFound, OutcomeUnknown, Undecided
from nucleus_sync.events import Note
from nucleus_sync.plan.steps import Action, Step
from nucleus_sync.records.fingerprint import CONTENT_UNKNOWN
from nucleus_sync.survey.slices import MEMBER

_MEMBERS_AT_ONCE = 10_000


async def keep_slice(runtime: Runtime, step: Step) -> None:
    """Every call is repeatable: a name is looked up before it is made, known members are passed over."""
    dataset_id = runtime.nucleus_id(step.address.partition(".slice.")[0])
    if step.action is Action.DELETE:
        await _delete(runtime, step)
        return
    if step.action is Action.CREATE:
        await _create(runtime, step, dataset_id)
    await _fill(runtime, step, dataset_id)
    put(runtime, step, runtime.nucleus_id(step.address))


async def _delete(runtime: Runtime, step: Step) -> None:
    slice_id = runtime.nucleus_id(step.address)
    # Not `doubt`: a member that was perhaps never added would be added once more, to a slice that is perhaps gone.
    runtime.ledger.adopt(step.address, [(key, CONTENT_UNKNOWN) for key, _ in runtime.ledger.known(step.address)])
    try:
        await runtime.api.slices.delete(slice_id)
    except NotFound:
        runtime.emit(Note(step.address, f"{slice_id} was gone already"))
    runtime.ledger.forget_resource(step.address)


async def _create(runtime: Runtime, step: Step, dataset_id: str) -> None:
    name = step.wanted["name"]
    before = await _slices_named(runtime, dataset_id, name)
    request = {"wanted": dict(step.wanted), "dataset_id": dataset_id, "namesakes": before}
    runtime.ledger.begin_creation(step.address, "slice", request)
    slice_id = _only(step.address, before, name)
    if slice_id is not None:
        runtime.emit(Note(step.address, f"a slice named {name!r} exists; it is used"))
    else:
        try:
            slice_id = await runtime.api.slices.create(dataset_id, name)
        except OutcomeUnknown:
            slice_id = await found_slice(runtime, step.address, dataset_id, name)
            if slice_id is None:
                raise
        except ApiError:
            runtime.ledger.abandon_creation(step.address)
            raise
    # Nothing is wanted of it yet: only when its members are in does the ledger say so.
    finish(runtime, step.address, slice_id, {}, imported=slice_id in before)


async def found_slice(runtime: Runtime, address: str, dataset_id: str, name: str) -> str | None:
    """The dataset's slice of that name. Raises Undecided where there are several."""
    return _only(address, await _slices_named(runtime, dataset_id, name), name)


async def _slices_named(runtime: Runtime, dataset_id: str, name: str) -> list[str]:
    return [one.key for one in await runtime.api.slices.of_dataset(dataset_id, name=name) if one.name == name]


def _only(address: str, found: list[str], name: str) -> str | None:
    if len(found) > 1:
        raise Undecided(address, [Candidate(key, f"slice {name!r}") for key in found])
    return found[0] if found else None


async def _fill(runtime: Runtime, step: Step, dataset_id: str) -> None:
    slice_id = runtime.nucleus_id(step.address)
    members = (key for (key,) in runtime.slices[step.address].added)
    while keys := list(islice(members, _MEMBERS_AT_ONCE)):
        # A member that is in without our knowing would stay when the spec drops it: the answer may be lost, or we.
        runtime.ledger.doubt(step.address, keys)
        await runtime.api.slices.append(slice_id, dataset_id, [key.decode() for key in keys])
        runtime.ledger.adopt(step.address, [(key, MEMBER) for key in keys])
