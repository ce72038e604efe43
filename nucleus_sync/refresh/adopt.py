"""Takes over a dataset or model that exists already, once it is sure that it is what the spec declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nucleus_sync.errors import NotFound, Refused, UsageError
from nucleus_sync.ledger.resources import Resource
from nucleus_sync.survey.resources import dataset_wanted, model_wanted, track_wanted

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Dataset, Spec

_NOT_READ = ("trained_slices",)
"""What Nucleus is told apart from the rest; a plan tells it again."""


async def adopt(spec: Spec, ledger: Ledger, api: Api, address: str, nucleus_id: str) -> None:
    """Write it down as ours to keep equal, and as made by somebody else. Raises UsageError, NotFound, Refused."""
    kind, _, name = address.partition(".")
    check(spec, ledger, address, nucleus_id)
    if kind == "dataset":
        await _dataset(spec.datasets[name], ledger, api, address, nucleus_id)
    else:
        await _model(spec, ledger, api, address, nucleus_id)


def check(spec: Spec, ledger: Ledger, address: str, nucleus_id: str) -> None:
    """Whether the address is declared and free, and nothing else has that id. Raises UsageError."""
    kind, _, name = address.partition(".")
    declared = (kind == "dataset" and name in spec.datasets) or (kind == "model" and name in spec.models)
    if not declared:
        raise UsageError(
            f"{address} is no dataset or model that the spec declares",
            fix="declare it first; import takes dataset.NAME ds_… or model.NAME prj_…",
        )
    if any(creation.address == address for creation in ledger.creations()):
        raise UsageError(
            f"it is unknown whether {address} was created", fix=f"nucleus-sync resolve {address} --adopt {nucleus_id}"
        )
    for resource in ledger.resources():
        if (resource.address == address) != (resource.nucleus_id == nucleus_id):
            raise UsageError(
                f"the ledger has {resource.nucleus_id} at {resource.address}",
                fix=f"nucleus-sync state rm {resource.address}, if that is wrong",
            )


async def _dataset(declared: Dataset, ledger: Ledger, api: Api, address: str, dataset_id: str) -> None:
    try:
        details = await api.datasets.details(dataset_id)
    except NotFound:
        raise _nothing(address, dataset_id) from None
    there: dict[str, Any] = {
        "name": details.name,
        "kind": "scenes" if await api.datasets.is_scene(dataset_id) else "images",
        "privacy_mode": await api.datasets.privacy_mode(dataset_id),
    }
    wanted = dataset_wanted(declared)
    asked = {**wanted, "kind": "images" if declared.kind == "images" else "scenes"}
    _refuse_others(address, dataset_id, asked, there)
    tags = details.tags if details.tags is not None else await api.datasets.tags(dataset_id)
    schemas = {
        "item_metadata_schema": details.item_metadata_schema,
        "annotation_metadata_schema": details.annotation_metadata_schema,
    }
    told = {name: schema for name, schema in schemas.items() if schema is not None}
    _put(ledger, address, "dataset", dataset_id, {**wanted, **told, "tags": sorted(tags)})
    for name in declared.slices:
        await _slice(ledger, api, f"{address}.slice.{name}", dataset_id, name)
    await _tracks(declared, ledger, api, address, dataset_id)


async def _tracks(declared: Dataset, ledger: Ledger, api: Api, address: str, dataset_id: str) -> None:
    """Declared tracks that are there, with the metadata that they have: a plan says what differs."""
    there = await api.datasets.tracks(dataset_id) if declared.tracks else []
    metadata = {track.reference_id: track.metadata or {} for track in there}
    for title, track in declared.tracks.items():
        wanted = track_wanted(title, track)
        if wanted["reference_id"] in metadata and ledger.resource(f"{address}.track.{title}") is None:
            found = {**wanted, "metadata": metadata[wanted["reference_id"]]}
            _put(ledger, f"{address}.track.{title}", "track", None, found)


async def _slice(ledger: Ledger, api: Api, address: str, dataset_id: str, name: str) -> None:
    """A slice of a declared name is taken over, too, where there is just one; its members are read afterwards."""
    found = [one.key for one in await api.slices.of_dataset(dataset_id, name=name) if one.name == name]
    if len(found) == 1 and ledger.resource(address) is None:
        ledger.put_resource(Resource(address, "slice", found[0], "", {"wanted": {}, "imported": True}))


async def _model(spec: Spec, ledger: Ledger, api: Api, address: str, model_id: str) -> None:
    wanted = model_wanted(spec.models[address.partition(".")[2]])
    try:
        found = await api.models.get(model_id)
    except NotFound:
        raise _nothing(address, model_id) from None
    there = {"name": found.name, "reference_id": found.key, "metadata": found.metadata or {}}
    _refuse_others(address, model_id, wanted, there)
    kept = {name: value for name, value in wanted.items() if name not in _NOT_READ}
    _put(ledger, address, "model", model_id, {**kept, "tags": sorted(found.tags or ())})


def _put(ledger: Ledger, address: str, kind: str, nucleus_id: str | None, wanted: dict[str, Any]) -> None:
    """What is in the ledger already stays ours, or somebody else's, as it was."""
    before = ledger.resource(address)
    details = {**before.details, "wanted": wanted} if before else {"wanted": wanted, "imported": True}
    ledger.put_resource(Resource(address, kind, nucleus_id, "", details))


def _refuse_others(address: str, nucleus_id: str, wanted: dict[str, Any], there: dict[str, Any]) -> None:
    others = {name: value for name, value in there.items() if value != wanted[name]}
    different = [f"{name} is {value!r} there, {wanted[name]!r} here" for name, value in others.items()]
    if different:
        raise Refused(
            f"{nucleus_id} is not what the spec declares: {'; '.join(different)}",
            where=address,
            fix="none of this can be changed at Nucleus: change the declaration, or import another one",
        )


def _nothing(address: str, nucleus_id: str) -> NotFound:
    return NotFound(
        f"Nucleus has no {nucleus_id}, or this key may not see it", where=address, fix="look it up in the web interface"
    )
