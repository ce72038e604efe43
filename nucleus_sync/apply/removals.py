"""Deletes whole resources: evaluations with their benchmarks, taxonomies, models, datasets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from nucleus_sync.apply.presets import remove_presets
from nucleus_sync.apply.runtime import Runtime, StepFailed
from nucleus_sync.errors import NotFound
from nucleus_sync.events import Note
from nucleus_sync.plan.steps import Holds, Step
from nucleus_sync.records.key import taxonomy_of
from nucleus_sync.survey.declared import annotations_address

_FIRST_WAIT, _LONGEST_WAIT, _DEADLINE = 0.02, 5.0, 600.0
"""Seconds between two looks at what is being deleted, and after which it is left to the next run."""


async def remove_resource(runtime: Runtime, step: Step) -> None:
    """Delete it at Nucleus, then forget it. Every call may be repeated: what is gone already is as wanted."""
    match step.holds:
        case Holds.DATASET:
            dataset_id = runtime.nucleus_id(step.address)
            await _gone(runtime, step.address, runtime.api.datasets.delete(dataset_id))
            await _until_gone(runtime, step.address, lambda: runtime.api.datasets.details(dataset_id))
        case Holds.MODEL:
            model_id = runtime.nucleus_id(step.address)
            await _gone(runtime, step.address, runtime.api.models.delete(model_id))
            await _until_gone(runtime, step.address, lambda: runtime.api.models.get(model_id))
        case Holds.TAXONOMY:
            await _remove_taxonomy(runtime, step)
        case Holds.EVALUATION:
            await _remove_evaluation(runtime, step)
        case _:
            raise AssertionError(f"{step.holds} is deleted elsewhere")
    runtime.ledger.forget_resource(step.address)


async def _gone(runtime: Runtime, address: str, deletion: Awaitable[object]) -> None:
    try:
        await deletion
    except NotFound:
        runtime.emit(Note(address, "it was gone already"))


async def _until_gone(runtime: Runtime, address: str, look: Callable[[], Awaitable[object]]) -> None:
    """Nucleus deletes in the background and has no job for it: ask until it isn't there any more."""
    wait, deadline = _FIRST_WAIT, runtime.clock() + _DEADLINE
    while runtime.clock() < deadline:
        try:
            await look()
        except NotFound:
            return
        await runtime.sleep(wait)
        wait = min(_LONGEST_WAIT, wait * 1.6)
    raise StepFailed("Nucleus is still deleting it", where=address, fix="run the same command again later")


async def _remove_taxonomy(runtime: Runtime, step: Step) -> None:
    """Its categories go along, of ground truth as of predictions.

    They are put in doubt first: whatever happens from here on, the next plan sends what should be there.
    """
    dataset = step.address.split(".")[1]
    dataset_id = runtime.nucleus_id(f"dataset.{dataset}")
    lost = {address: _categories(runtime, address, step.wanted["name"]) for address in _streams(runtime, dataset)}
    for address, keys in lost.items():
        runtime.ledger.doubt(address, keys)
    removal = runtime.api.datasets.remove_taxonomy(dataset_id, step.wanted["name"])
    await _gone(runtime, step.address, removal)
    for address, keys in lost.items():
        runtime.ledger.forget(address, keys)


def _streams(runtime: Runtime, dataset: str) -> Iterable[str]:
    known = [stream.address for stream in runtime.ledger.streams()]
    return [one for one in known if one == annotations_address(dataset) or one.endswith(f".predictions.{dataset}")]


def _categories(runtime: Runtime, address: str, taxonomy: str) -> list[bytes]:
    return [key for key, _ in runtime.ledger.known(address) if taxonomy_of(key) == taxonomy]


async def _remove_evaluation(runtime: Runtime, step: Step) -> None:
    """The benchmarks that were made for it go with all evaluations on them, and its presets."""
    resource = runtime.ledger.resource(step.address)
    details = resource.details if resource else {}
    for benchmark_id in details.get("benchmarks") or filter(None, [details.get("benchmark_id")]):
        await _gone(runtime, step.address, runtime.api.benchmarks.delete(benchmark_id))
    if resource:
        await remove_presets(runtime, resource)
