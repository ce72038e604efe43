"""The streams that a spec declares, with their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nucleus_sync.errors import UsageError
from nucleus_sync.plan.steps import Holds
from nucleus_sync.records.record import Kind

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Dataset, Spec

HOLDS = {
    Kind.ITEMS: Holds.ITEMS,
    Kind.SCENES: Holds.SCENES,
    Kind.ANNOTATIONS: Holds.ANNOTATIONS,
    Kind.PREDICTIONS: Holds.PREDICTIONS,
}
STANDING_ALONE = frozenset({Kind.ITEMS, Kind.SCENES})
"""Streams that others hang on: annotations, predictions, slices."""


class DeclaredStream(Struct, frozen=True):
    """A set of records that is kept equal to its sources."""

    address: str
    kind: Kind
    sources: tuple[str, ...]
    dataset: str
    model: str | None = None

    def of_scenes(self) -> DeclaredStream:
        """The same stream, holding scenes."""
        return replace(self, kind=Kind.SCENES)

    @property
    def items_address(self) -> str:
        """The stream that holds the items which these records need."""
        return items_address(self.dataset)


def _items_or_scenes(dataset: Dataset) -> Kind:
    return Kind.ITEMS if dataset.kind == "images" else Kind.SCENES


def items_address(dataset: str) -> str:
    """Where a dataset's items are known, or its scenes where it is one of lidar or video."""
    return f"dataset.{dataset}.items"


def annotations_address(dataset: str) -> str:
    """Where a dataset's ground truth is known."""
    return f"dataset.{dataset}.annotations"


def predictions_address(model: str, dataset: str) -> str:
    """Where a model's predictions on a dataset are known."""
    return f"model.{model}.predictions.{dataset}"


def run_address(model: str) -> str:
    """Where a model's named run is known."""
    return f"model.{model}.run"


def declared_streams(spec: Spec) -> Iterator[DeclaredStream]:
    """All streams; those of items come first."""
    for name, dataset in spec.datasets.items():
        if dataset.items:
            yield DeclaredStream(items_address(name), _items_or_scenes(dataset), dataset.items, name)
    for name, dataset in spec.datasets.items():
        if dataset.annotations:
            yield DeclaredStream(annotations_address(name), Kind.ANNOTATIONS, dataset.annotations, name)
    for model_name, model in spec.models.items():
        for name, sources in model.predictions.items():
            yield DeclaredStream(predictions_address(model_name, name), Kind.PREDICTIONS, sources, name, model_name)


def undeclared_stream(address: str) -> DeclaredStream:
    """A stream that only the ledger knows."""
    first, name, *rest = address.split(".")
    if first == "model":
        return DeclaredStream(address, Kind.PREDICTIONS, (), rest[-1], name)
    return DeclaredStream(address, Kind.ITEMS if rest == ["items"] else Kind.ANNOTATIONS, (), name)


def declared_addresses(spec: Spec) -> list[str]:
    """Every address that `--target` may name."""
    addresses = [stream.address for stream in declared_streams(spec)]
    for name, dataset in spec.datasets.items():
        addresses.append(f"dataset.{name}")
        addresses += [f"dataset.{name}.taxonomy.{taxonomy}" for taxonomy in dataset.taxonomies]
        addresses += [f"dataset.{name}.slice.{slice_name}" for slice_name in dataset.slices]
        addresses += [f"dataset.{name}.track.{track}" for track in dataset.tracks]
    addresses += [f"model.{name}" for name in spec.models]
    addresses += [f"evaluation.{name}" for name in spec.evaluations]
    return sorted(addresses)


def known_addresses(ledger: Ledger | None) -> list[str]:
    """Every address that the ledger has something at, declared or not."""
    if ledger is None:
        return []
    return [one.address for one in ledger.resources()] + [one.address for one in ledger.streams()]


def check_targets(targets: Iterable[str], spec: Spec, known: Iterable[str] = ()) -> None:
    """Raises UsageError for a target that names nothing declared, nor anything that is `known` all the same."""
    addresses = sorted({*declared_addresses(spec), *known})
    for target in targets:
        if not any(is_under(address, target) for address in addresses):
            from difflib import get_close_matches

            near = get_close_matches(target, addresses, 1, 0.5)
            raise UsageError(
                f"nothing is declared at {target!r}",
                fix=f"did you mean {near[0]}?" if near else "declared: " + ", ".join(addresses),
            )


def is_under(address: str, target: str) -> bool:
    """Whether a target means this address: itself, or something that it belongs to."""
    return address == target or address.startswith(target + ".")
