"""Sequences of rows on disk, plain or sorted, for streams that are larger than memory.

A row is a tuple of bytes and small integers. Files are marshal blocks: the fastest the standard library has, and they
never outlive the process that wrote them.
"""

from __future__ import annotations

import itertools
import marshal
import os
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

Row = tuple[Any, ...]

_BLOCK = 4096
_IN_MEMORY = 20_000
_RUN = 150_000
_MOST_RUNS = 64
"""A merge holds one block of every run in memory."""
WITHOUT_REFERENCES = 2
"""The version of marshal's format that looks for no repeated objects: rows hold none worth finding."""


class Block(NamedTuple):
    """Some thousand rows that another process has written, as marshal, into a file that stays as it is."""

    path: Path
    start: int
    size: int
    rows: int


class BlockFile:
    """Writes blocks for a spool in another process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._end = self._file.tell()

    def write(self, rows: list[Row]) -> list[Block]:
        """Rows in their order."""
        blocks = []
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            packed = marshal.dumps(part, WITHOUT_REFERENCES)
            size = self._file.write(packed)
            if size < len(packed):
                raise OSError(f"{self._path}: the disk is full")
            blocks.append(Block(self._path, self._end, size, len(part)))
            self._end += size
        return blocks

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()


class Spool:
    """Rows in the order they were added; can be read several times, also while more are added later."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._file: IO[bytes] | None = None
        self._tail: list[Row] = []
        self._limit = _IN_MEMORY
        self._blocks: list[tuple[IO[bytes], int, int]] = []
        self._end = 0
        self._others: dict[Path, IO[bytes]] = {}
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

    def extend(self, rows: list[Row]) -> None:
        """Append several rows."""
        self._tail += rows
        self._length += len(rows)
        if len(self._tail) >= self._limit:
            self._flush()

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._scratch)  # noqa: SIM115  (lives as long as the spool)
            self._limit = _BLOCK
        for start in range(0, len(self._tail), _BLOCK):
            block = list(map(tuple, self._tail[start : start + _BLOCK]))
            size = self._file.write(marshal.dumps(block, WITHOUT_REFERENCES))
            self._blocks.append((self._file, self._end, size))
            self._end += size
        self._file.flush()
        self._tail = []

    def adopt(self, blocks: Iterable[Block]) -> None:
        """Append rows that lie in other files already."""
        if self._tail:
            self._flush()
        for path, start, size, rows in blocks:
            if path not in self._others:
                self._others[path] = path.open("rb", buffering=0)
            self._blocks.append((self._others[path], start, size))
            self._length += rows

    def __iter__(self) -> Iterator[Row]:
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[list[Row]]:
        """The rows in lists of a few thousand."""
        for file, start, size in self._blocks:
            # Not marshal.load: it asks the file for every value by itself, which takes ten times as long.
            yield marshal.loads(os.pread(file.fileno(), size, start))
        if self._tail:
            yield list(self._tail)

    def close(self) -> None:
        """Give the disk space back."""
        for file in (self._file, *self._others.values()):
            if file is not None:
                file.close()
        self._file, self._others, self._tail, self._blocks, self._end, self._length = None, {}, [], [], 0, 0


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
        rows = iter(rows)
        while portion := list(itertools.islice(rows, _BLOCK)):
            self.extend_block(portion)

    def extend_block(self, rows: list[Row]) -> None:
        """Take a few thousand rows in any order."""
        self._rows += rows
        if len(self._rows) >= _RUN:
            self._close_run()

    def _close_run(self) -> None:
        if len(self._runs) == _MOST_RUNS:
            self._merge_runs()
        self._rows.sort()
        self._keep_run([self._rows])

    def _keep_run(self, blocks: Iterable[list[Row]]) -> None:
        run = Spool(self._scratch)
        first = last = None
        for block in blocks:
            run.extend(block)
            first, last = first or block[0], block[-1]
        assert first is not None  # noqa: S101  (a run has rows)
        assert last is not None  # noqa: S101
        self._runs.append(run)
        self._edges.append((first, last))
        self._rows = []

    def _merge_runs(self) -> None:
        """Make one run of all, so that merging stays within memory however many rows there are."""
        rows, before = self._rows, list(self._in_order())
        self._runs, self._edges = [], []
        self._keep_run(_merged(before))
        for run in before:
            run.close()
        self._rows = rows

    def sorted(self) -> Iterator[Row]:
        """All rows in ascending order; may be called again."""
        for block in self.sorted_blocks():
            yield from block

    def sorted_blocks(self) -> Iterator[list[Row]]:
        """All rows in ascending order, in lists of a few thousand; may be called again."""
        self._rows.sort()
        if not self._runs:
            for start in range(0, len(self._rows), _BLOCK):
                yield self._rows[start : start + _BLOCK]
            return
        if self._rows:
            self._close_run()
        edges = sorted(self._edges)
        if all(before[1] <= after[0] for before, after in itertools.pairwise(edges)):
            yield from itertools.chain.from_iterable(run.blocks() for run in self._in_order())
        else:
            yield from _merged(self._in_order())

    def _in_order(self) -> Iterator[Spool]:
        order = sorted(range(len(self._runs)), key=self._edges.__getitem__)
        return (self._runs[number] for number in order)

    def close(self) -> None:
        """Give the disk space back."""
        for run in self._runs:
            run.close()
        self._runs, self._edges, self._rows = [], [], []


def _merged(runs: Iterable[Spool]) -> Iterator[list[Row]]:
    """The rows of several sorted runs, in order, block by block.

    Of every run one block is at hand. Up to the smallest of their last rows nothing can be missing: these parts are
    joined and sorted, which costs a sort of runs no more than comparing neighbours.
    """
    heads = [(rows, blocks) for blocks in (run.blocks() for run in runs) if (rows := next(blocks, None))]
    while heads:
        bound = min(rows[-1] for rows, _ in heads)
        ready: list[Row] = []
        left = []
        for rows, blocks in heads:
            cut = bisect_right(rows, bound)
            ready += rows[:cut]
            rest: list[Row] | None = rows[cut:] or next(blocks, None)
            if rest:
                left.append((rest, blocks))
        ready.sort()
        yield ready
        heads = left
