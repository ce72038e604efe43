"""A stream as a crew has scanned it, on shelves: finished or compared span by span, or given back row by row."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from nucleus_sync.records.fingerprint import RAW_SIZE
from nucleus_sync.records.problem import Problem
from nucleus_sync.spool import Row
from nucleus_sync.survey.comparing import Against, Compared
from nucleus_sync.survey.crew import Crew
from nucleus_sync.survey.portion import Types
from nucleus_sync.survey.shelves import OWN, Layer, Piece, Shelf, Shelves, Slot, spans
from nucleus_sync.survey.shelving import Shelved
from nucleus_sync.survey.span import Finished, Span

_SPAN = 12_000
_ITEMS_TOGETHER = 1024
_MOST_LAYERS = 1500
"""Every span is drawn from all of them: of more records (about 25 million) the scan alone is of use."""
_MOST_RENAMED = 100_000


class Gathering:
    """Layers on the shelves, and what was found out beside."""

    def __init__(self, folder: Path, crew: Crew, *, has_lines: bool) -> None:
        self.has_lines = has_lines
        """Whether the lines of a new stream are kept."""
        self.is_plain = True
        """Whether a new stream can be taken as it is: nothing needs to be seen beside other records so far."""
        self.kept = 0
        """Bytes of the lines that were kept."""
        self.types: list[tuple[Types, bytes]] = []
        """Sorts of metadata in the order of the files, each with the place of a record that has it."""
        self.names: set[tuple[str, ...]] = set()
        self._crew = crew
        self._folder = folder
        self._shelves = Shelves(folder)
        self._layers: list[Layer] = []
        self._items: Layer | None = None
        self._said: list[Slot] = []
        self._numbers = False
        self._renamed: dict[bytes, bytes] = {}

    def add(self, found: Shelved) -> None:
        """Take the next stretch."""
        self._layers += (Layer(*layer) for layer in found.layers)
        self._numbers = self._numbers or found.numbers
        self.kept += found.kept
        self.names.update(found.names)
        known = {types for types, _ in self.types}
        self.types += (each for each in found.types if each[0] not in known)
        if found.said is not None:
            self._said.append(found.said)
        self.is_plain = self.is_plain and found.is_plain and len(self._layers) < _MOST_LAYERS

    def end(self) -> None:
        """All stretches were read."""
        self._layers += self._crew.rest()

    def note_items(self, items: Iterable[bytes]) -> None:
        """The keys of all items that exist or will, ascending."""
        shelf, keys = Shelf(self._folder, OWN), iter(items)
        parts = iter(lambda: [(key,) for key in islice(keys, _ITEMS_TOGETHER)], [])
        self._items = shelf.lay(parts)
        shelf.close()

    def items(self) -> Iterator[bytes]:
        """These keys again."""
        for rows in self._shelves.layer(self._items) if self._items else ():
            yield from (key for (key,) in rows)

    def finished(self, *, stand_alone: bool) -> list[Finished] | None:
        """All changes, if the records can be taken as they are; `stand_alone` where these are items themselves."""
        found: list[Finished] = []
        for each in self._crew.finished(self._spans(), stand_alone=stand_alone, has_lines=self.has_lines):
            if each is None or len(self._renamed) > _MOST_RENAMED:
                return None
            self._renamed.update(each.renamed)
            found.append(each)
        return found

    def compared(self, against: Against) -> Iterator[Compared]:
        """What differs from the ledger, span by span."""
        return self._crew.compared(self._spans(), against)

    def _spans(self) -> Iterator[Span]:
        for low, high in spans(self._layers, _SPAN):
            pieces = _pieces(self._layers, low, high)
            items = _pieces([self._items], low, high) if self._items else None
            yield Span(low, high, pieces, items, self._numbers)

    def said(self) -> Iterator[Problem]:
        """What the readings complain of, in the order of the files."""
        for slot in self._said:
            for place, problem in pickle.loads(self._shelves.at(Slot(*slot))):
                key = self._renamed.get(place)
                yield problem if key is None or problem.key is None else replace(problem, key=key)

    def rows(self) -> Iterator[list[Row]]:
        """(key, raw hash, place) of everything, in sorted lists."""
        for layer in self._layers:
            rows = (row for part in self._shelves.layer(layer) for row in part)
            yield [(row[0], row[1][:RAW_SIZE], row[2]) for row in rows]

    def close(self) -> None:
        """Give the disk space back."""
        self._shelves.clear()


def _pieces(layers: Iterable[Layer], low: bytes, high: bytes | None) -> list[Piece]:
    return [piece for layer in layers if (piece := layer.piece(low, high))]
