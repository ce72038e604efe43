"""Finds what the ledger holds and the spec no longer declares: deleted where `prune` says so, left alone otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.steps import Action, Holds, Step
from nucleus_sync.survey.declared import declared_addresses, is_under

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.ledger.resources import Resource
    from nucleus_sync.spec.model import Spec

_HOLDS = {
    "dataset": Holds.DATASET,
    "taxonomy": Holds.TAXONOMY,
    "slice": Holds.SLICE,
    "track": Holds.TRACK,
    "model": Holds.MODEL,
    "evaluation": Holds.EVALUATION,
}


@dataclass
class Removed:
    """What is left over from an earlier spec."""

    placed: list[Placed] = field(default_factory=list)
    """Deletions of resources."""
    emptied: list[str] = field(default_factory=list)
    """Streams whose records are all to be deleted."""
    orphaned: dict[str, int] = field(default_factory=dict)
    """What stays at Nucleus, by address."""


def find_removed(spec: Spec, ledger: Ledger) -> Removed:
    """Looks at everything in the ledger, outermost first: what goes with a dataset or model isn't named again."""
    declared = set(declared_addresses(spec))
    counts = {stream.address: stream.count for stream in ledger.streams() if stream.count}
    removed = Removed()
    whole: list[str] = []
    for resource in ledger.resources():
        if resource.kind not in _HOLDS or resource.address in declared or _is_covered(resource.address, whole):
            continue
        if resource.kind in ("dataset", "model"):
            whole.append(resource.address)
        if _prunes(spec, resource.address) and not resource.details.get("imported"):
            removed.placed.append(_deletion(resource, counts))
        else:
            removed.orphaned[resource.address] = 1
    for address, count in counts.items():
        if address not in declared and ".slice." not in address and not _is_covered(address, whole):
            if _prunes(spec, address):
                removed.emptied.append(address)
            else:
                removed.orphaned[address] = count
    return removed


def _is_covered(address: str, whole: Iterable[str]) -> bool:
    """Whether it goes, or stays, with something larger."""
    return any(
        is_under(address, one) or address.endswith(f".predictions.{one.removeprefix('dataset.')}") for one in whole
    )


def _prunes(spec: Spec, address: str) -> bool:
    """As the dataset says that it is part of, or else the settings."""
    parts = address.split(".")
    dataset = parts[1] if parts[0] == "dataset" else parts[-1] if ".predictions." in address else ""
    return spec.prunes(dataset) if dataset in spec.datasets else spec.settings.prune


def _deletion(resource: Resource, counts: Mapping[str, int]) -> Placed:
    holds = _HOLDS[resource.kind]
    parts = resource.address.split(".")
    named = ".".join(parts[3:]) if len(parts) > 3 else None
    wanted: dict[str, Any] = {"records": _taken_along(resource.address, counts)}
    if holds in (Holds.TAXONOMY, Holds.SLICE):
        wanted = {"name": named}
    elif holds is Holds.EVALUATION:
        wanted = {}
    elif holds is Holds.TRACK:
        named = resource.details["wanted"]["reference_id"]
        wanted = {"reference_id": named}
    reasons = {"no longer declared": 1}
    if taken := wanted.get("records"):
        reasons["records go with it"] = taken
    step = Step(Action.DELETE, resource.address, holds, reasons=reasons, wanted=wanted)
    dataset = parts[1] if parts[0] == "dataset" else None
    return Placed(step, dataset, parts[1] if parts[0] == "model" else None, named)


def _taken_along(address: str, counts: Mapping[str, int]) -> int:
    return sum(count for stream, count in counts.items() if ".slice." not in stream and _is_covered(stream, [address]))
