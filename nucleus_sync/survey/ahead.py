"""Records that were read along with the scan of a new stream, kept until it is known which of them are wanted."""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nucleus_sync.records.key import ANNOTATION, PROVISIONAL, UNNUMBERED
from nucleus_sync.records.problem import Problem
from nucleus_sync.spool import WITHOUT_REFERENCES, Row
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.portion import Portion

_ID = b'"annotation_id":"%b"'
# Nothing before it can hold these bytes: in a text the quotes would be escaped.
_PROVISIONAL_ID = _ID % PROVISIONAL
_PLACE, _KEY = 0, 1
_PLAIN = Portion._fields.index("problems")

Said = list[tuple[bytes, Problem]]
"""Problems with the places of the records that they are about."""


class Slot(NamedTuple):
    """Where a process has put what it read of one stretch."""

    member: int
    offset: int
    size: int


class AheadFile:
    """What one process has read ahead, in a file that it alone writes."""

    def __init__(self, folder: Path, member: int) -> None:
        self._file = (folder / f"ahead-{member}").open("ab", buffering=0)
        self._member = member

    def put(self, portion: Portion, said: Said) -> Slot:
        """Write one stretch. The portion's rows are candidates, its problems are in `said`."""
        offset = self._file.tell()
        # Marshal takes a third of the time, but knows plain values only; there is seldom much to say.
        sorts = {each: number for number, each in enumerate(dict.fromkeys(portion.types))}
        plain = portion._replace(types=list(map(sorts.__getitem__, portion.types)))[:_PLAIN]  # type: ignore[arg-type]
        packed = marshal.dumps((plain, list(sorts), pickle.dumps(said)), WITHOUT_REFERENCES)
        with memoryview(packed) as left:
            written = 0
            while written < len(packed):
                written += self._file.write(left[written:])
        return Slot(self._member, offset, len(packed))


class Ahead:
    """The stretches of a stream in reading order."""

    def __init__(self, folder: Path, lines: KeptLines | None, keep: Callable[[bytes], int | None]) -> None:
        self._folder = folder
        self._lines = lines
        self._keep = keep
        self._slots: list[Slot] = []
        self._files: dict[int, BinaryIO] = {}
        self.is_complete = True
        """Whether every record was read; one that depends on its number could not be."""

    def add(self, slot: Slot | None) -> None:
        """Take the next stretch, or note that it could not be read."""
        if slot is None:
            self.is_complete = False
        else:
            self._slots.append(slot)

    def portions(self, candidates: Iterator[list[Row]] | None) -> Iterator[Portion]:
        """Every stretch with the records that are candidates, which come in reading order; all where None is given."""
        wanted = None if candidates is None else _Wanted(candidates)
        for slot in self._slots:
            values, sorts, packed = marshal.loads(self._bytes_at(slot))
            portion, said = Portion(*(*values, [])), pickle.loads(packed)
            portion = portion._replace(types=list(map(sorts.__getitem__, portion.types)))
            if wanted is None:
                yield portion._replace(problems=[problem for _, problem in said])
            else:
                ends = [row[_PLACE] for row in portion.rows[-1:]] + [place for place, _ in said[-1:]]
                yield self._of(portion, said, wanted.up_to(max(ends, default=b"")))
        self.close()

    def _of(self, portion: Portion, said: Said, wanted: dict[bytes, Row]) -> Portion:
        rows = [wanted.get(row[_PLACE], row) for row in portion.rows]
        skipped = frozenset(number for number, row in enumerate(portion.rows) if row[_PLACE] not in wanted)
        problems = [_about(problem, wanted[place][_KEY]) for place, problem in said if place in wanted]
        start, sizes = self._numbered(portion, rows)
        return portion._replace(rows=rows, problems=problems, skipped=skipped, start=start, sizes=sizes)

    def _numbered(self, portion: Portion, rows: list[Row]) -> tuple[int, list[int]]:
        """The lines of a portion again, with the ids that its records have got since they were read."""
        if self._lines is None or not any(portion.sizes):
            return portion.start, portion.sizes
        if not any(UNNUMBERED in row[_KEY] for row in portion.rows):
            return portion.start, portion.sizes
        content = self._lines.bytes_at(portion.start, sum(portion.sizes))
        at, lines = 0, []
        for size, now, before in zip(portion.sizes, rows, portion.rows, strict=True):
            line = content[at : at + size]
            at += size
            if UNNUMBERED in before[_KEY]:
                line = line.replace(_PROVISIONAL_ID, _ID % now[_KEY].partition(ANNOTATION)[2], 1)
            lines.append(line)
        start = self._keep(b"".join(lines))
        return (0, [0] * len(lines)) if start is None else (start, list(map(len, lines)))

    def _bytes_at(self, slot: Slot) -> bytes:
        if slot.member not in self._files:
            self._files[slot.member] = (self._folder / f"ahead-{slot.member}").open("rb")
        file = self._files[slot.member]
        file.seek(slot.offset)
        return file.read(slot.size)

    def close(self) -> None:
        """Give the disk space back."""
        for file in self._files.values():
            file.close()
        self._files, self._slots = {}, []


def _about(problem: Problem, key: bytes) -> Problem:
    return problem if problem.key is None else replace(problem, key=key)


class _Wanted:
    """Candidates by place, handed out stretch by stretch."""

    def __init__(self, blocks: Iterator[list[Row]]) -> None:
        self._blocks = blocks
        self._waiting: dict[bytes, Row] = {}
        self._last = b""

    def up_to(self, last: bytes) -> dict[bytes, Row]:
        """Those that lie no further than `last`, and behind those that were asked for before."""
        while self._last <= last:
            block = next(self._blocks, None)
            if block is None:
                break
            self._waiting.update((row[_PLACE], row) for row in block)
            self._last = block[-1][_PLACE]
        found = {place: row for place, row in self._waiting.items() if place <= last}
        self._waiting = {place: row for place, row in self._waiting.items() if place > last}
        return found
