"""The readers of a spec's sources, opened once, and what they yield where all of it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.records.complaint import Complaint
from nucleus_sync.records.facts import FactsCache
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import LidarScene, SceneItem, VideoScene, items_of_scene
from nucleus_sync.sources.reader import Patience, Pick, Reader, Surroundings
from nucleus_sync.spool import Sorter
from nucleus_sync.survey.declared import DeclaredStream, declared_streams, items_address
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.tally import Tally
from nucleus_sync.survey.touched import Touched

if TYPE_CHECKING:
    from nucleus_sync.spec.loaded import LoadedSpec


@dataclass
class Openings:
    """All sources of one look."""

    loaded: LoadedSpec
    facts: FactsCache
    scratch: Path
    trust_cache: bool
    patience: Patience | None
    touched: Touched | None
    refused: dict[str, dict[bytes, Complaint]] = field(default_factory=dict)
    """Scenes by dataset that can't stand beside the others."""
    _readers: dict[str, Reader] = field(default_factory=dict)

    def reader(self, name: str) -> Reader:
        """The reader of a source."""
        if name not in self._readers:
            from nucleus_sync.sources.open import open_reader

            only = self.touched.files.get(name, frozenset()) if self.touched else None
            around = Surroundings(
                name, self.loaded.folder, self.scratch, self.facts, self.trust_cache, self.patience, only
            )
            self._readers[name] = open_reader(self.loaded.spec.sources[name], around)
        return self._readers[name]

    def of(self, declared: DeclaredStream) -> list[tuple[str, Reader]]:
        """The readers of a stream by the names of their sources."""
        readers = [(name, self.reader(name)) for name in declared.sources]
        if declared.model is not None and self.loaded.spec.models[declared.model].run == "none":
            from nucleus_sync.sources.run_free import RunFreeReader

            return [(name, RunFreeReader(name, reader)) for name, reader in readers]
        if declared.kind is not Kind.SCENES:
            return readers
        from nucleus_sync.survey.scenes import SceneReader

        dataset = self.loaded.spec.datasets[declared.dataset]
        refused = self.refused.setdefault(declared.dataset, {})
        return [(name, SceneReader(name, reader, dataset, refused)) for name, reader in readers]

    def records_of(self, declared: DeclaredStream) -> Iterator[Record]:
        """Every record of a stream, read afresh; what is wrong with them is said elsewhere."""
        stream = DesiredStream(self.of(declared), declared.kind, self.scratch, Tally("", frozenset()))
        places = Sorter(self.scratch)
        places.extend((place, key, raw) for key, raw, place in stream.rows())
        picks = (Pick(key, raw, place) for place, key, raw in places.sorted())
        yield from (record for _, record in stream.read(picks, quietly=True))

    def items_of(self, dataset: str) -> Iterator[Record]:
        """Every item or scene of a dataset as its sources have it."""
        declared = next(each for each in declared_streams(self.loaded.spec) if each.address == items_address(dataset))
        yield from self.records_of(declared)

    def single_items_of(self, dataset: str) -> Iterator[Record | SceneItem]:
        """Every item of a dataset, also those inside scenes."""
        for record in self.items_of(dataset):
            if isinstance(record, LidarScene | VideoScene):
                yield from items_of_scene(record)
            else:
                yield record

    def labels_of(self, dataset: str) -> Iterator[Record]:
        """Every record of a dataset that hangs on an item or is a scene."""
        for declared in declared_streams(self.loaded.spec):
            if declared.dataset == dataset and declared.kind is not Kind.ITEMS:
                yield from self.records_of(declared)
