"""The streams that a refresh looks at: those that are declared, and those that the ledger has records of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nucleus_sync.records.merged import KeySets, as_they_are
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.declared import annotations_address, declared_streams, is_under, items_address
from nucleus_sync.survey.metadata_names import key_sets

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec
    from nucleus_sync.spec.source import Source


@dataclass(frozen=True, slots=True)
class Looked:
    """A stream to look at, with the ids that Nucleus has for what it belongs to."""

    address: str
    kind: Kind
    dataset: str
    dataset_id: str
    model_id: str | None = None
    run_free: bool = False
    """Whether predictions belong to no run."""
    urls: bool = False
    """Whether all its images are read from URLs of ours."""
    keys: KeySets | None = field(default_factory=as_they_are)
    """What tells our metadata of items or scenes from that of others; None where that can't be told."""


def is_wanted(address: str, targets: Sequence[str]) -> bool:
    """Whether an address is among the targets; without targets everything is."""
    return not targets or any(is_under(address, target) for target in targets)


def streams_of(ledger: Ledger, spec: Spec, dataset: str, dataset_id: str) -> Iterator[Looked]:
    """All streams of a dataset. Its items are always one: annotations need to know which there are."""
    addresses = {stream.address for stream in declared_streams(spec) if stream.dataset == dataset}
    addresses |= {state.address for state in ledger.streams()}
    if holds_scenes(ledger, dataset):
        yield Looked(items_address(dataset), Kind.SCENES, dataset, dataset_id, keys=key_sets(spec, ledger, dataset))
    else:
        urls, keys = _only_urls(spec, dataset), key_sets(spec, ledger, dataset)
        yield Looked(items_address(dataset), Kind.ITEMS, dataset, dataset_id, urls=urls, keys=keys)
    if annotations_address(dataset) in addresses:
        yield Looked(annotations_address(dataset), Kind.ANNOTATIONS, dataset, dataset_id)
    for address in sorted(addresses):
        if address.startswith("model.") and address.endswith(f".predictions.{dataset}"):
            model = ledger.resource(".".join(address.split(".")[:2]))
            if model is not None and model.nucleus_id is not None:
                run_free = model.details.get("wanted", {}).get("run") == "none" or _is_run_free(spec, model.address)
                yield Looked(address, Kind.PREDICTIONS, dataset, dataset_id, model.nucleus_id, run_free)


def _is_run_free(spec: Spec, address: str) -> bool:
    declared = spec.models.get(address.partition(".")[2])
    return declared is not None and declared.run == "none"


def holds_scenes(ledger: Ledger, dataset: str) -> bool:
    """Whether a dataset is one of scenes."""
    resource = ledger.resource(f"dataset.{dataset}")
    return resource is not None and resource.details.get("wanted", {}).get("kind", "images") != "images"


def _only_urls(spec: Spec, dataset: str) -> bool:
    declared = spec.datasets.get(dataset)
    return declared is not None and all(_gives_urls(spec.sources[name]) for name in declared.items)


def _gives_urls(source: Source) -> bool:
    """A source of records or rows always has URLs; one of files has them where it says so."""
    return source.format in ("records", "table") or bool(getattr(source, "image_url", None))
