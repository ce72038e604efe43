"""Keeps the metadata of tracks, which Nucleus has once a record names them."""

from __future__ import annotations

from nucleus_sync.apply.resources import put
from nucleus_sync.apply.runtime import Runtime, StepFailed
from nucleus_sync.errors import NotFound
from nucleus_sync.events import Note
from nucleus_sync.plan.steps import Action, Step


async def keep_track(runtime: Runtime, step: Step) -> None:
    """Every call may be repeated: metadata are replaced as a whole, and what is gone already is as wanted."""
    dataset_id = runtime.nucleus_id(step.address.partition(".track.")[0])
    if step.action is Action.DELETE:
        await _remove(runtime, step, dataset_id)
        return
    await _assure_there(runtime, step, dataset_id)
    name, metadata = step.wanted["reference_id"], dict(step.wanted["metadata"])
    await runtime.api.datasets.set_track_metadata(dataset_id, name, metadata, overwrite=True)
    put(runtime, step, None)


async def _assure_there(runtime: Runtime, step: Step, dataset_id: str) -> None:
    """No call makes a track: what Nucleus would do with metadata of one that it hasn't got is not known."""
    name = step.wanted["reference_id"]
    if all(track.reference_id != name for track in await runtime.api.datasets.tracks(dataset_id)):
        raise StepFailed(
            f"Nucleus has no track {name!r} in this dataset: it has one once a record names it",
            where=step.address,
            fix=f"give the track's records track_reference_id: {name}, or take the track out of the spec",
        )


async def _remove(runtime: Runtime, step: Step, dataset_id: str) -> None:
    """What records still name keeps its members; its metadata were ours and go."""
    name = step.wanted["reference_id"]
    try:
        if step.wanted.get("still_named"):
            await runtime.api.datasets.set_track_metadata(dataset_id, name, {}, overwrite=True)
        else:
            await runtime.api.datasets.remove_tracks(dataset_id, [name])
    except NotFound:
        runtime.emit(Note(step.address, f"the track {name!r} was gone already"))
    runtime.ledger.forget_resource(step.address)
