"""Compares declared datasets, taxonomies and models with what the ledger says was applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.plan import Failure
from nucleus_sync.plan.steps import Action, Holds, Step

if TYPE_CHECKING:
    from nucleus_sync.spec.model import Dataset, Model, Spec

Applied = Mapping[str, Mapping[str, Any]]
"""What was applied at each address, as it was wanted then."""


@dataclass
class ResourceChanges:
    """What has to be done about resources, what stays, and what can't be done at all."""

    placed: list[Placed] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def compare_resources(spec: Spec, applied: Applied) -> ResourceChanges:
    """Walks the spec's datasets and models."""
    changes = ResourceChanges()
    for name, dataset in spec.datasets.items():
        address = f"dataset.{name}"
        wanted = dataset_wanted(dataset)
        _weigh(changes, _Resource(address, Holds.DATASET, wanted, name, None), applied.get(address), _DATASET_FIXED)
        for taxonomy, declared in dataset.taxonomies.items():
            place = _Resource(
                f"{address}.taxonomy.{taxonomy}",
                Holds.TAXONOMY,
                {"name": taxonomy, "type": declared.type, "labels": list(declared.labels)},
                name,
                None,
                taxonomy,
            )
            _weigh(changes, place, applied.get(place.address), _TAXONOMY_FIXED)
    for name, model in spec.models.items():
        address = f"model.{name}"
        wanted = model_wanted(model)
        _weigh(changes, _Resource(address, Holds.MODEL, wanted, None, name), applied.get(address), _MODEL_FIXED)
    return changes


@dataclass(frozen=True)
class _Resource:
    address: str
    holds: Holds
    wanted: dict[str, Any]
    dataset: str | None
    model: str | None
    named: str | None = None


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
    return {key: field.model_dump(mode="json", exclude_defaults=True) for key, field in fields.items()}


def model_wanted(model: Model) -> dict[str, Any]:
    """What Nucleus is told of a model."""
    return {
        "name": model.name,
        "reference_id": model.reference_id,
        "metadata": dict(model.metadata),
        "tags": sorted(model.tags),
    }


_DATASET_FIXED = {
    "name": "Nucleus has no call that renames a dataset",
    "kind": "a dataset is of one kind for good",
    "privacy_mode": "privacy mode is fixed when a dataset is made",
    "item_metadata_schema": "Nucleus has no call that changes a dataset's metadata schema",
    "annotation_metadata_schema": "Nucleus has no call that changes a dataset's metadata schema",
}
_TAXONOMY_FIXED = {"type": "Nucleus has no call that changes a taxonomy's type"}
_MODEL_FIXED = {
    "name": "Nucleus has no call that renames a model",
    "reference_id": "a model's reference id is its identity",
    "metadata": "Nucleus has no call that changes a model's metadata",
}


def _weigh(
    changes: ResourceChanges, resource: _Resource, before: Mapping[str, Any] | None, fixed: Mapping[str, str]
) -> None:
    """Sorts one resource into created, updated, unchanged or impossible."""
    if before is None:
        changes.placed.append(_placed(resource, Action.CREATE, {"new": 1}))
        return
    different = [key for key, value in resource.wanted.items() if before.get(key) != value]
    impossible = [*_impossible(resource, before, different, fixed)]
    if impossible:
        changes.failures.append(Failure(resource.address, "; ".join(impossible)))
    elif different:
        changes.placed.append(_placed(resource, Action.UPDATE, {f"{key} changed": 1 for key in different}))
    else:
        changes.unchanged.append(resource.address)


def _impossible(
    resource: _Resource, before: Mapping[str, Any], different: list[str], fixed: Mapping[str, str]
) -> Iterator[str]:
    for key in different:
        if key in fixed:
            yield f"{key} can't become {resource.wanted[key]!r}, it is {before.get(key)!r}: {fixed[key]}"
        elif key == "labels":
            gone = [label for label in before["labels"] if label not in resource.wanted["labels"]]
            if gone:
                yield f"labels {gone} can't be taken out: Nucleus only ever adds labels to a taxonomy"


def _placed(resource: _Resource, action: Action, reasons: Mapping[str, int]) -> Placed:
    step = Step(action, resource.address, resource.holds, reasons=reasons, wanted=resource.wanted)
    return Placed(step, resource.dataset, resource.model, resource.named)
