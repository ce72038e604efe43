"""The named run of a model: made once, found again when an answer is lost, deleted with all that is in it."""

from __future__ import annotations

from collections.abc import Sequence

from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError, Candidate, NotFound, OutcomeUnknown, Undecided
from nucleus_sync.events import Note
from nucleus_sync.ledger.resources import Creation
from nucleus_sync.survey.declared import run_address


async def named_run(runtime: Runtime, model: str) -> str | None:
    """The id of the run that the spec names for a model, made if need be; None where it names none."""
    declared = runtime.spec.models[model].run
    if declared is None or declared == "none":
        return None
    async with runtime.one_run_at_a_time:
        address = run_address(model)
        known = runtime.ledger.resource(address)
        if known is not None and known.nucleus_id and await _is_there(runtime, known.nucleus_id):
            return known.nucleus_id
        return await _make(runtime, address, runtime.nucleus_id(f"model.{model}"), declared.name)


async def _is_there(runtime: Runtime, run_id: str) -> bool:
    try:
        await runtime.api.models.run(run_id)
    except NotFound:
        return False
    return True


async def _make(runtime: Runtime, address: str, model_id: str, name: str) -> str:
    """Runs have no key of their own, so those that were there before are noted with the intent."""
    before = await runtime.api.models.runs(model_id)
    request = {"model_id": model_id, "name": name, "before": before}
    runtime.ledger.begin_creation(address, "run", request)
    try:
        run_id = await runtime.api.models.create_run(model_id, name)
    except OutcomeUnknown:
        found = await _found(runtime, address, model_id, name, before)
        if found is None:
            raise  # the intent stays: the next run looks for it again
        run_id = found
    except ApiError:
        runtime.ledger.abandon_creation(address)
        raise
    runtime.ledger.finish_creation(address, run_id, "", {"wanted": {"name": name}})
    return run_id


async def settle_run(runtime: Runtime, creation: Creation) -> None:
    """Find out what became of a run whose maker died."""
    request = creation.request
    found = await _found(runtime, creation.address, request["model_id"], request["name"], request["before"])
    if found is None:
        runtime.ledger.abandon_creation(creation.address)
        return
    runtime.emit(Note(creation.address, f"an interrupted run has made it: {found} is adopted"))
    runtime.ledger.finish_creation(creation.address, found, "", {"wanted": {"name": request["name"]}})


async def _found(runtime: Runtime, address: str, model_id: str, name: str, before: Sequence[str]) -> str | None:
    made = [run for run in await runtime.api.models.runs(model_id) if run not in before]
    made = [run for run in made if (await runtime.api.models.run(run)).name == name]
    if len(made) > 1:
        raise Undecided(address, [Candidate(run, f"model run {name!r}") for run in made])
    return made[0] if made else None


async def delete_named_run(runtime: Runtime, model: str) -> None:
    """The run goes with all that is in it, on every dataset; what stays is sent again into a new one.

    Everything is put in doubt first: whatever happens from here on, the next plan sends what should be there.
    """
    streams = [one.address for one in runtime.ledger.streams() if one.address.startswith(f"model.{model}.predictions.")]
    keys = {address: [key for key, _ in runtime.ledger.known(address)] for address in streams}
    for address in streams:
        runtime.ledger.doubt(address, keys[address])
    run = runtime.ledger.resource(run_address(model))
    if run is not None and run.nucleus_id is not None:
        try:
            await runtime.api.models.delete_run(run.nucleus_id)
        except NotFound:
            runtime.emit(Note(run.address, f"{run.nucleus_id} was gone already"))
    for address in streams:
        runtime.ledger.forget(address, keys[address])
    runtime.ledger.forget_resource(run_address(model))
