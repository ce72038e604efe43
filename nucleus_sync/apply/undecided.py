"""Decides creations of which nobody can tell whether they took place: a person says which it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nucleus_sync.apply.resources import digest_of, found_model
from nucleus_sync.errors import Candidate, Refused, UsageError

if TYPE_CHECKING:
    from nucleus_sync.apply.runtime import Runtime
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.ledger.resources import Creation


@dataclass(frozen=True, slots=True)
class Found:
    """What may be it, with the tags that it has."""

    candidate: Candidate
    tags: tuple[str, ...] = ()


def undecided(ledger: Ledger, address: str) -> Creation:
    """The creation at an address. Raises UsageError when there is none."""
    for creation in ledger.creations():
        if creation.address == address:
            return creation
    others = ", ".join(creation.address for creation in ledger.creations())
    raise UsageError(
        f"nothing is undecided at {address}",
        fix=f"undecided: {others}" if others else "nothing at all is undecided; go on with nucleus-sync apply",
    )


async def candidates(runtime: Runtime, creation: Creation) -> list[Found]:
    """Everything at Nucleus that this creation may have made, and that nothing else in the ledger is."""
    taken = {resource.nucleus_id for resource in runtime.ledger.resources()}
    return [one for one in await _alike(runtime, creation) if one.candidate.nucleus_id not in taken]


async def _alike(runtime: Runtime, creation: Creation) -> Sequence[Found]:
    wanted = creation.request.get("wanted", {})
    match creation.kind:
        case "dataset":
            named = [one.id for one in await runtime.api.datasets.all() if one.name == wanted["name"]]
            return [await _dataset(runtime, creation, dataset_id) for dataset_id in named]
        case "model":
            model_id = await found_model(runtime, wanted["reference_id"])
            if model_id is None:
                return []
            model = await runtime.api.models.get(model_id)
            return [Found(Candidate(model_id, f"model {wanted['reference_id']!r}"), tuple(sorted(model.tags or ())))]
        case "slice":
            dataset_id = creation.request["dataset_id"]
            slices = await runtime.api.slices.of_dataset(dataset_id, name=wanted["name"])
            return [Found(Candidate(one.key, f"slice {one.name!r}, made {one.created_at}")) for one in slices]
        case _:
            return []


async def _dataset(runtime: Runtime, creation: Creation, dataset_id: str) -> Found:
    details = await runtime.api.datasets.details(dataset_id)
    tags = details.tags if details.tags is not None else await runtime.api.datasets.tags(dataset_id)
    before = ", there before" if dataset_id in creation.request.get("namesakes", ()) else ""
    said = f"dataset {details.name!r}, {details.length:,} items{before}"
    return Found(Candidate(dataset_id, said), tuple(sorted(tags)))


async def adopt_candidate(runtime: Runtime, creation: Creation, nucleus_id: str) -> None:
    """Take it for what was created. Raises Refused for one that can't be it."""
    found = await candidates(runtime, creation)
    chosen = next((one for one in found if one.candidate.nucleus_id == nucleus_id), None)
    if chosen is None:
        named = ", ".join(one.candidate.nucleus_id for one in found) or "none"
        raise Refused(
            f"{nucleus_id} can't be what the creation of {creation.address} has made; candidates: {named}",
            fix="nucleus-sync import takes over what somebody else has made",
        )
    wanted = _as_it_is(creation, chosen)
    # What was there before can't have been made by us: destroy leaves it alone.
    imported = {"imported": True} if nucleus_id in creation.request.get("namesakes", ()) else {}
    runtime.ledger.finish_creation(creation.address, nucleus_id, digest_of(wanted), {"wanted": wanted, **imported})


def _as_it_is(creation: Creation, chosen: Found) -> dict[str, Any]:
    """As it was asked for, with what is set apart from the creation as it is now: a plan does the rest."""
    if creation.kind == "slice":
        return {}
    asked = {name: value for name, value in creation.request["wanted"].items() if name != "trained_slices"}
    return {**asked, "tags": list(chosen.tags)}
