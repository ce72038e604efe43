"""Which items a dataset has, or will have after its changes: what annotations, predictions and slices need to know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.errors import SourceError
from nucleus_sync.plan.plan import Failure
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import STANDING_ALONE, DeclaredStream, items_address
from nucleus_sync.survey.openings import Openings

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec
    from nucleus_sync.survey.scenes import Census


@dataclass
class Inhabitants:
    """Of all datasets; `changes` and `failures` are those of the look that is under way."""

    spec: Spec
    ledger: Ledger | None
    openings: Openings
    scratch: Path
    changes: dict[str, ChangeSet]
    failures: list[Failure]
    _items: dict[str, Callable[[], Iterator[bytes]]] = field(default_factory=dict)
    _censuses: dict[str, Census] = field(default_factory=dict)

    def settle(self, dataset: str, items: Callable[[], Iterator[bytes]]) -> None:
        """Its items were compared: these keys are there, or will be."""
        self._items[dataset] = items

    def stay(self, dataset: str) -> None:
        """Its items stand as they are known."""
        self._items[dataset] = lambda: self._known(items_address(dataset))

    def of(self, dataset: str) -> Iterator[bytes]:
        """The keys of its items, ascending. Raises SourceError where they couldn't be looked at."""
        address = items_address(dataset)
        if any(failure.address == address for failure in self.failures):
            raise SourceError(f"{address} can't be read, and this is about its items")
        items = self._items.get(dataset)
        if items is None and self.has_scenes(dataset):
            return self.census(dataset).keys()
        return items() if items else self._known(address)

    def awaited_by(self, declared: DeclaredStream) -> Iterator[bytes] | None:
        """The items without which records are pointless; None where nobody here knows all of them."""
        if declared.kind in STANDING_ALONE:
            return None
        items = self.of(declared.dataset)
        return None if self.has_scenes(declared.dataset) and self._has_strangers(declared.dataset) else items

    def has_scenes(self, dataset: str) -> bool:
        """Whether its items come in scenes."""
        return self.spec.datasets[dataset].kind != "images"

    def census(self, dataset: str) -> Census:
        """Who is inside the scenes of a dataset's sources."""
        if dataset not in self._censuses:
            from nucleus_sync.survey.scenes import take_census

            scenes = self.openings.items_of(dataset) if self.spec.datasets[dataset].items else ()
            self._censuses[dataset] = take_census(scenes, self.scratch)  # type: ignore[arg-type]
        return self._censuses[dataset]

    def made_anew_for(self, declared: DeclaredStream) -> frozenset[bytes]:
        """What is deleted and sent again of that on which these records hang."""
        return frozenset() if declared.kind in STANDING_ALONE else self.made_anew(declared.dataset)

    def made_anew(self, dataset: str) -> frozenset[bytes]:
        """Items that are deleted and sent again, and scenes with the items inside."""
        changes = self.changes.get(items_address(dataset))
        if changes is None or not changes.made_anew:
            return frozenset()
        if changes.kind is Kind.SCENES:
            return self.census(dataset).with_items(changes.made_anew)
        return frozenset(changes.made_anew)

    def _has_strangers(self, dataset: str) -> bool:
        """Whether Nucleus holds scenes of which the sources don't say, or not yet, what is inside."""
        scenes = self.changes.get(items_address(dataset))
        if scenes is None or scenes.source.invalid or scenes.counts["orphaned"]:
            return True
        return bool(self.census(dataset).uncut)

    def _known(self, address: str) -> Iterator[bytes]:
        return (key for key, _ in self.ledger.known(address)) if self.ledger else iter(())
