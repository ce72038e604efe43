"""Sequences of rows on disk, plain or sorted, for streams that are larger than memory.

A row is a tuple of bytes and small integers. Files are marshal blocks: the fastest the standard library has, and they
never outlive the process that wrote them.
"""

from __future__ import annotations

import heapq
import itertools
import marshal
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

Row = tuple[Any, ...]

_BLOCK = 4096
_IN_MEMORY = 20_000
_RUN = 150_000


class Spool:
    """Rows in the order they were added; can be read several times, also while more are added later."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._file: IO[bytes] | None = None
        self._tail: list[Row] = []
        self._limit = _IN_MEMORY
        self._blocks = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, row: Row) -> None:
        """Append one row."""
        tail = self._tail
        tail.append(row)
        self._length += 1
        if len(tail) >= self._limit:
            self._flush()

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115  (lives as long as the spool)
            self._limit = _BLOCK
        self._file.seek(0, 2)
        for start in range(0, len(self._tail), _BLOCK):
            block = [tuple(row) for row in self._tail[start : start + _BLOCK]]
            marshal.dump(block, self._file)
            self._blocks += 1
        self._tail = []

    def __iter__(self) -> Iterator[Row]:
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[list[Row]]:
        """The rows in lists of a few thousand."""
        position = 0
        for _ in range(self._blocks):
            assert self._file is not None  # noqa: S101  (blocks are only counted once there is a file)
            self._file.seek(position)
            block = marshal.load(self._file)
            position = self._file.tell()
            yield block
        if self._tail:
            yield list(self._tail)

    def close(self) -> None:
        """Give the disk space back."""
        if self._file is not None:
            self._file.close()
        self._file, self._tail, self._blocks, self._length = None, [], 0, 0


class Sorter:
    """Collects rows and gives them back in ascending order, with flat memory.

    Input that is sorted already, run by run, is only chained; otherwise sorted runs are merged.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._runs: list[Spool] = []
        self._edges: list[tuple[Row, Row]] = []
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs) + len(self._rows)

    def extend(self, rows: Iterable[Row]) -> None:
        """Take rows in any order."""
        buffer = self._rows
        append = buffer.append
        for row in rows:
            append(row)
            if len(buffer) >= _RUN:
                self._close_run()
                buffer = self._rows
                append = buffer.append

    def _close_run(self) -> None:
        self._rows.sort()
        run = Spool(self._scratch)
        for row in self._rows:
            run.add(row)
        self._runs.append(run)
        self._edges.append((self._rows[0], self._rows[-1]))
        self._rows = []

    def sorted(self) -> Iterator[Row]:
        """All rows in ascending order; may be called again."""
        self._rows.sort()
        if not self._runs:
            return iter(self._rows)
        if self._rows:
            self._close_run()
        order = sorted(range(len(self._runs)), key=lambda number: self._edges[number])
        runs = [self._runs[number] for number in order]
        edges = [self._edges[number] for number in order]
        if all(before[1] <= after[0] for before, after in itertools.pairwise(edges)):
            return (row for run in runs for row in run)
        return heapq.merge(*runs)

    def close(self) -> None:
        """Give the disk space back."""
        for run in self._runs:
            run.close()
        self._runs, self._edges, self._rows = [], [], []
