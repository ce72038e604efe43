"""Compares declared datasets, taxonomies, tracks and models with what the ledger says was applied."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.plan import Failure
from nucleus_sync.plan.steps import Action, Holds, Step
from nucleus_sync.survey.weights import WeightsFile

if TYPE_CHECKING:
    from nucleus_sync.spec.model import Dataset, Model, Spec, Taxonomy, Track

Held = Mapping[str, Mapping[str, Any]]
"""What the ledger has at each address: `wanted` is what was applied there."""


@dataclass
class ResourceChanges:
    """What has to be done about resources, what stays, and what can't be done at all."""

    placed: list[Placed] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    replaced: dict[str, set[str]] = field(default_factory=dict)
    """By dataset, the taxonomies that are deleted and made anew: Nucleus takes their categories along."""


@dataclass(frozen=True)
class _Resource:
    address: str
    holds: Holds
    wanted: dict[str, Any]
    dataset: str | None = None
    model: str | None = None
    named: str | None = None
    after: frozenset[str] = frozenset()


def compare_datasets(spec: Spec, held: Held, changes: ResourceChanges) -> None:
    """Walks the spec's datasets with their taxonomies and tracks."""
    for name, dataset in spec.datasets.items():
        address = f"dataset.{name}"
        resource = _Resource(address, Holds.DATASET, dataset_wanted(dataset), dataset=name)
        _weigh(changes, resource, _applied(held, address), _DATASET_FIXED)
        for title, taxonomy in dataset.taxonomies.items():
            _weigh_taxonomy(changes, _taxonomy(name, title, taxonomy), held, prune=spec.prunes(name))
        for title, track in dataset.tracks.items():
            resource = _track(name, title, track)
            _weigh(changes, resource, _applied(held, resource.address), _TRACK_FIXED)


def compare_models(
    spec: Spec,
    held: Held,
    changes: ResourceChanges,
    *,
    new_slices: Collection[str],
    weights: Mapping[str, WeightsFile],
) -> None:
    """Walks the spec's models; those trained on one of `new_slices`, which get new ids, are told of them.

    `weights` are the files by the models' names.
    """
    for name, model in spec.models.items():
        address = f"model.{name}"
        trained = trained_on(model)
        before = _applied(held, address)
        wanted = model_wanted(model)
        if name in weights:
            wanted["weights"] = weights[name].sha256
        elif before and "weights" in before and not spec.settings.prune:
            wanted["weights"] = before["weights"]  # what is no longer declared stays
        resource = _Resource(address, Holds.MODEL, wanted, model=name, after=frozenset(trained))
        renewed = [one for one in trained if one in new_slices] if before else []
        _weigh(changes, resource, before, _MODEL_FIXED, {f"{one} made anew": 1 for one in renewed})


def _applied(held: Held, address: str) -> Mapping[str, Any] | None:
    found = held.get(address)
    return None if found is None else found.get("wanted", {})


def dataset_wanted(dataset: Dataset) -> dict[str, Any]:
    """What Nucleus is told of a dataset."""
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "privacy_mode": dataset.privacy_mode,
        "item_metadata_schema": _schema(dataset.item_metadata_schema),
        "annotation_metadata_schema": _schema(dataset.annotation_metadata_schema),
        "tags": sorted(dataset.tags),
    }


def _schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field.said() for key, field in fields.items()}


def _taxonomy(dataset: str, title: str, declared: Taxonomy) -> _Resource:
    wanted = {"name": title, "type": declared.type, "labels": list(declared.labels)}
    return _Resource(f"dataset.{dataset}.taxonomy.{title}", Holds.TAXONOMY, wanted, dataset=dataset, named=title)


def _track(dataset: str, title: str, declared: Track) -> _Resource:
    wanted = track_wanted(title, declared)
    address = f"dataset.{dataset}.track.{title}"
    return _Resource(address, Holds.TRACK, wanted, dataset=dataset, named=wanted["reference_id"])


def track_wanted(title: str, declared: Track) -> dict[str, Any]:
    """What Nucleus is told of a track."""
    return {"reference_id": declared.reference_id or title, "metadata": dict(declared.metadata)}


def trained_on(model: Model) -> list[str]:
    """Addresses of the slices that a model was trained on."""
    return [
        f"dataset.{dataset}.slice.{name}" for dataset, _, name in (one.partition(".") for one in model.trained_slices)
    ]


def model_wanted(model: Model) -> dict[str, Any]:
    """What Nucleus is told of a model; what is not declared is left out, so that older ledgers stay equal."""
    wanted: dict[str, Any] = {
        "name": model.name,
        "reference_id": model.reference_id,
        "metadata": dict(model.metadata),
        "tags": sorted(model.tags),
    }
    if model.bundle_name is not None:
        wanted["bundle_name"] = model.bundle_name
    if model.run is not None:
        wanted["run"] = "none" if model.run == "none" else {"name": model.run.name}
    if model.trained_slices:
        wanted["trained_slices"] = sorted(trained_on(model))
    return wanted


_DATASET_FIXED = {
    "name": "Nucleus has no call that renames a dataset",
    "kind": "a dataset is of one kind for good",
    "privacy_mode": "privacy mode is fixed when a dataset is made",
    "item_metadata_schema": "Nucleus has no call that changes a dataset's metadata schema",
    "annotation_metadata_schema": "Nucleus has no call that changes a dataset's metadata schema",
}
_TRACK_FIXED = {"reference_id": "a track's reference id is its identity; declare the other one under another name"}
_MODEL_FIXED = {
    "name": "Nucleus has no call that renames a model",
    "reference_id": "a model's reference id is its identity",
    "metadata": "Nucleus has no call that changes a model's metadata",
    "bundle_name": "Nucleus has no call that changes a model's bundle",
    "run": "predictions that were sent stay in the run that they are in",
}


def _weigh(
    changes: ResourceChanges,
    resource: _Resource,
    before: Mapping[str, Any] | None,
    fixed: Mapping[str, str],
    more: Mapping[str, int] | None = None,
) -> None:
    """Sorts one resource into created, updated, unchanged or impossible; `more` are reasons from elsewhere."""
    if before is None:
        changes.placed.append(_placed(resource, Action.CREATE, {"new": 1}))
        return
    different = _different(resource.wanted, before)
    impossible = [*_impossible(resource, before, different, fixed)]
    reasons = {f"{key} changed": 1 for key in different} | dict(more or {})
    if impossible:
        changes.failures.append(Failure(resource.address, "; ".join(impossible)))
    elif reasons:
        changes.placed.append(_placed(resource, Action.UPDATE, reasons))
    else:
        changes.unchanged.append(resource.address)


def _different(wanted: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys([*wanted, *before]) if before.get(key) != wanted.get(key)]


def _impossible(
    resource: _Resource, before: Mapping[str, Any], different: list[str], fixed: Mapping[str, str]
) -> Iterator[str]:
    for key in different:
        if key in fixed:
            yield f"{key} can't become {resource.wanted.get(key)!r}, it is {before.get(key)!r}: {fixed[key]}"


def _weigh_taxonomy(changes: ResourceChanges, resource: _Resource, held: Held, *, prune: bool) -> None:
    """Labels are appended; anything else needs a new taxonomy, and takes all of its categories along."""
    before = _applied(held, resource.address)
    reason = "" if before is None else _reason_to_replace(resource.wanted, before)
    if not reason:
        _weigh(changes, resource, before, {})
    elif prune:
        changes.placed.append(_placed(resource, Action.DELETE, {reason: 1}))
        changes.placed.append(_placed(resource, Action.CREATE, {"made anew, with its categories sent again": 1}))
        changes.replaced.setdefault(resource.dataset or "", set()).add(resource.wanted["name"])
    else:
        why = f"{reason}: Nucleus only ever adds labels to a taxonomy; with prune: true it is deleted and made anew"
        changes.failures.append(Failure(resource.address, why))


def _reason_to_replace(wanted: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    if wanted["type"] != before["type"]:
        return f"type can't become {wanted['type']!r}, it is {before['type']!r}"
    gone = [label for label in before["labels"] if label not in wanted["labels"]]
    return f"labels {gone} can't be taken out" if gone else ""


def _placed(resource: _Resource, action: Action, reasons: Mapping[str, int]) -> Placed:
    step = Step(action, resource.address, resource.holds, reasons=reasons, wanted=resource.wanted)
    return Placed(step, resource.dataset, resource.model, resource.named, resource.after)
