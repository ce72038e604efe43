"""Rows on disk in sorted layers, so that any span of keys can be drawn out of all layers at once."""

from __future__ import annotations

import marshal
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from nucleus_sync.spool import WITHOUT_REFERENCES, Row
from nucleus_sync.survey.scratch_files import ScratchFiles

OWN = 0
"""The shelf of the first process; the others have theirs from 1 on."""
PART = 128
"""Rows of a layer that are read together: the fewer, the less is read that lies beside a span."""
_NAME = "shelf"
_BUFFER = 1 << 18
_first = itemgetter(0)


class Slot(NamedTuple):
    """A place on a shelf."""

    shelf: int
    start: int
    size: int


class Piece(NamedTuple):
    """Neighbouring parts of a layer."""

    shelf: int
    start: int
    sizes: list[int]


class Layer(NamedTuple):
    """Rows in ascending order, cut into parts."""

    shelf: int
    edges: list[int]
    """Where the parts begin, and where the last one ends."""
    firsts: list[bytes]
    """The first key of each part."""

    def piece(self, low: bytes, high: bytes | None) -> Piece | None:
        """The parts that may hold keys from `low` on and before `high`."""
        begin = max(bisect_left(self.firsts, low) - 1, 0)  # the part before may end with it
        end = len(self.firsts) if high is None else bisect_left(self.firsts, high)
        if begin >= end:
            return None
        edges = self.edges[begin : end + 1]
        return Piece(self.shelf, edges[0], [after - before for before, after in pairwise(edges)])


class Shelf:
    """One writer's file."""

    def __init__(self, folder: Path, number: int) -> None:
        self._file = ScratchFiles(folder, _NAME).path(number).open("ab", buffering=_BUFFER)
        self._number = number
        self._end = self._file.tell()

    def lay(self, parts: Iterable[list[Row]]) -> Layer:
        """Write rows that begin with their keys and come in ascending order."""
        edges, firsts = [self._end], []
        for part in parts:
            self._file.write(packed := marshal.dumps(part, WITHOUT_REFERENCES))
            edges.append(edges[-1] + len(packed))
            firsts.append(part[0][0])
        self._file.flush()
        self._end = edges[-1]
        return Layer(self._number, edges, firsts)

    def put(self, content: bytes) -> Slot:
        """Write something else."""
        slot = Slot(self._number, self._end, len(content))
        self._file.write(content)
        self._file.flush()
        self._end += len(content)
        return slot

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()


class Shelves:
    """All files of a stream, for reading."""

    def __init__(self, folder: Path) -> None:
        self._files = ScratchFiles(folder, _NAME)

    def at(self, slot: Slot) -> bytes:
        """What lies in a slot."""
        return self._files.at(slot.shelf, slot.start, slot.size)

    def drawn(self, pieces: Iterable[Piece], low: bytes, high: bytes | None) -> list[Row]:
        """The rows with keys from `low` on and before `high`, ascending."""
        found = self.as_laid(pieces, low, high)
        found.sort()  # of sorted pieces: that costs a few comparisons a row
        return found

    def as_laid(self, pieces: Iterable[Piece], low: bytes, high: bytes | None) -> list[Row]:
        """The same in the order of their layers: those of one layer follow each other, and are ascending."""
        found: list[Row] = []
        for piece in pieces:
            rows: list[Row] = []
            for part in self._parts(piece):
                rows += part
            begin = bisect_left(rows, low, key=_first)
            end = len(rows) if high is None else bisect_left(rows, high, key=_first)
            found += rows[begin:end]
        return found

    def layer(self, layer: Layer) -> Iterator[list[Row]]:
        """The parts of one layer."""
        for start, end in pairwise(layer.edges):
            yield marshal.loads(self._files.at(layer.shelf, start, end - start))

    def _parts(self, piece: Piece) -> Iterator[list[Row]]:
        with memoryview(self._files.at(piece.shelf, piece.start, sum(piece.sizes))) as content:
            start = 0
            for size in piece.sizes:
                yield marshal.loads(content[start : start + size])
                start += size

    def close(self) -> None:
        """Read nothing more."""
        self._files.close()

    def clear(self) -> None:
        """Give the disk space back."""
        self._files.clear()


def spans(layers: Sequence[Layer], rows: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Cuts all keys into spans of about so many rows, each with all records of its items."""
    firsts = sorted(first for layer in layers for first in layer.firsts)
    step = max(rows // PART, 1)
    edges = dict.fromkeys(first.partition(b"\x00")[0] for first in firsts[step::step])
    edges.pop(b"", None)
    low = b""
    for high in edges:
        yield low, high
        low = high
    yield low, None
