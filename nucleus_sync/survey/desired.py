"""The desired stream: the records of all its sources, numbered, free of repeated keys, sorted by key."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

from xxhash import xxh3_128

from nucleus_sync.errors import SourceError
from nucleus_sync.plan.diff import Desired, whole_items
from nucleus_sync.records.fingerprint import LOOK_AGAIN, content_hash
from nucleus_sync.records.item import StagedFile
from nucleus_sync.records.key import (
    UNNUMBERED,
    as_words,
    reference_id,
)
from nucleus_sync.records.problem import Problem, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.reader import FileState, Pick, Reader, StretchedReader, Stretches
from nucleus_sync.spool import Sorter, Spool
from nucleus_sync.survey.numbering import numbered
from nucleus_sync.survey.tally import Tally

if TYPE_CHECKING:
    from nucleus_sync.survey.scanning import Scanning

_COMPARED_BY_CONTENT = 1000
_TOGETHER = 4096


class DesiredStream:
    """Several readers seen as one. A place is the number of the source in one byte, then the reader's locator."""

    def __init__(
        self, readers: Sequence[tuple[str, Reader]], kind: Kind, scratch: Path, tally: Tally, *, held: int = 0
    ) -> None:
        """`held` is how many records of the stream Nucleus may hold: then a source that yields nothing is an error."""
        self._readers = readers
        self._held = held
        self._kind = kind
        self._tally = tally
        self._sorter = Sorter(scratch)
        self._unnumbered = False
        self._compared = 0
        self._is_scanned = False

    @property
    def readers(self) -> list[Reader]:
        """The readers by the numbers of their sources."""
        return [reader for _, reader in self._readers]

    def portable(self, *, to_read: bool) -> bytes | None:
        """All readers as other processes can make them; None where one of them can't be made anew cheaply.

        `to_read` is for reading picks, which not every reader that can scan a stretch is able to.
        """
        found = [reader.portable(self._kind) if hasattr(reader, "portable") else None for reader in self.readers]
        if any(one is None or (to_read and one.scans_only) for one in found):
            return None
        return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)

    @property
    def may_be_parted(self) -> bool:
        """Whether all sources are of formats that several processes can scan."""
        return all(hasattr(reader, "stretches") for reader in self.readers)

    def stretches(self) -> list[Stretches] | None:
        """For each reader what can be scanned by itself; None where one of them must be scanned by one process."""
        found = [reader.stretches(self._kind) if hasattr(reader, "stretches") else [] for reader in self.readers]
        return found if all(found) else None

    def state(self) -> FileState:
        """What stat says of all files of all sources."""
        states = [reader.state() for _, reader in self._readers]
        digest = xxh3_128()
        for (name, _), state in zip(self._readers, states, strict=True):
            digest.update(name.encode() + b"\x00" + state.digest)
        return FileState(
            digest.digest(),
            max((state.newest_mtime_ns for state in states), default=0),
            sum(state.files for state in states),
            sum(state.bytes for state in states),
        )

    def rows(self) -> Iterator[Desired]:
        """One row for every key, ascending. Raises SourceError when a source is unusable or yields nothing."""
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[list[Desired]]:
        """The same in lists that hold all rows of an item together."""
        if not self._is_scanned:
            self.scan()
        for block in whole_items(self._sorter.sorted_blocks()):
            rows = self.settled(block) if self._unnumbered else self._unequal(block)
            if rows:
                yield rows

    def settled(self, rows: list[Desired]) -> list[Desired]:
        """Rows of whole items with their numbers, each key once; they come sorted."""
        return self._unequal(list(numbered(rows, self._identical)))

    def _unequal(self, rows: list[Desired]) -> list[Desired]:
        return rows if len({row[0] for row in rows}) == len(rows) else list(self._distinct(rows))

    def scan(self, order: Spool | None = None, scanning: Scanning | None = None) -> None:
        """See what the sources hold; `order` gets rows (place, key, raw, no stamp, False) as they come.

        Where `scanning` is given other processes do it, and its gathering has the rows: what is wanted is taken up.
        """
        self._is_scanned = True
        for number in range(len(self._readers)):
            self._scan(number, order, scanning)

    @property
    def is_renumbered(self) -> bool:
        """Whether keys are others than those that were scanned."""
        return self._unnumbered

    def _scan(self, number: int, order: Spool | None, scanning: Scanning | None) -> None:
        name, reader = self._readers[number]
        before, problems = self._seen(scanning), self._tally.invalid + self._tally.waiting
        if scanning is not None:
            scanning.scan(number, cast(StretchedReader, reader).hearing(self._kind, self._tally.report))
        for block in self._rows_of(number, reader) if scanning is None else ():
            self.take(block)
            if order is not None:
                order.extend([(place, key, raw, b"", False) for key, raw, place in block])
        if self._seen(scanning) == before and self._tally.invalid + self._tally.waiting == problems:
            self._yields_nothing(name)

    def _seen(self, scanning: Scanning | None) -> int:
        return len(self._sorter) if scanning is None else scanning.count

    def take(self, rows: list[Desired]) -> None:
        """Take up rows (key, raw hash, place) that were seen."""
        if not self._unnumbered:
            self._unnumbered = UNNUMBERED in b"\n".join([row[0] for row in rows])
        self._sorter.extend_block(rows)

    def _rows_of(self, number: int, reader: Reader) -> Iterator[list[Desired]]:
        prefix = bytes([number])
        rows = iter(reader.scan(self._kind, self._tally.report))
        while block := [(key, raw, prefix + locator) for key, raw, locator in islice(rows, _TOGETHER)]:
            yield block

    def _yields_nothing(self, name: str) -> None:
        """Suddenly empty is an error; a source that never held anything may be one that waits for its first file."""
        if self._held:
            raise SourceError(
                f"yields no {self._kind}",
                where=f"source {name}",
                fix="an empty source is never taken for a deletion; take it out of the spec if that is what you want",
            )
        self._tally.report(
            Problem(
                source=name,
                where=Where(f"source {name}"),
                record="",
                cause=f"yields no {self._kind}",
                detail="nothing was found in it",
                severity=Severity.FINDING,
                fix="if there should be something, look at its path and filters",
            )
        )

    def _distinct(self, rows: Iterable[Desired]) -> Iterator[Desired]:
        before: Desired | None = None
        repeated: list[Desired] = []
        for row in rows:
            if before is not None and before[0] == row[0]:
                repeated.append(row)
                continue
            if before is not None:
                yield from self._resolved(before, repeated) if repeated else (before,)
                repeated = []
            before = row
        if before is not None:
            yield from self._resolved(before, repeated) if repeated else (before,)

    def _resolved(self, first: Desired, others: list[Desired]) -> Iterator[Desired]:
        """One row where all rows of a key are one record; none, and a problem, where they differ."""
        different = [row for row in others if not self._same(first, row)]
        if not different:
            for row in others:
                self._identical(row, first)
            yield first
            return
        rows = sorted((first, *others), key=lambda row: row[2])
        places = [self.where(row[2]) for row in rows]
        words = ", ".join(f"{name} {value}" for name, value in as_words(first[0]).items())
        self._tally.report(
            Problem(
                source=self.source_of(rows[0][2]),
                where=places[0],
                record=words,
                cause="different records with one key",
                detail=f"{len(places)} different records share it: " + "; ".join(map(str, places)),
                key=first[0],
                count=len(places),
                fix="give each its own id; Nucleus would keep only one of them",
            )
        )

    def _same(self, one: Desired, other: Desired) -> bool:
        if one[1] == other[1] and one[1] != LOOK_AGAIN and one[2][0] == other[2][0]:
            return True
        self._compared += 1
        if self._compared > _COMPARED_BY_CONTENT:
            return False
        contents = [self._content(row) for row in (one, other)]
        return contents[0] is not None and contents[0] == contents[1]

    def _content(self, row: Desired) -> bytes | None:
        found = list(self.read([Pick(row[0], row[1], row[2])], quietly=True))
        return content_hash(found[0][1]) if found else None

    def _identical(self, row: Desired, first: Desired) -> None:
        self._tally.duplicates += 1
        self._tally.report(
            Problem(
                source=self.source_of(row[2]),
                where=self.where(row[2]),
                record=reference_id(row[0]),
                cause="identical records: one is kept",
                detail=f"the same record as {self.where(first[2])}",
                severity=Severity.FINDING,
            )
        )

    def read(self, picks: Iterable[Pick], *, quietly: bool = False) -> Iterator[tuple[Pick, Record]]:
        """The records at these places, given in ascending order; what is wrong with them goes to the tally."""
        report = (lambda _: None) if quietly else self._tally.report
        for number, group in groupby(picks, key=lambda pick: pick[2][0]):
            prefix = bytes([number])
            reader = self._readers[number][1]
            own = (Pick(key, raw, place[1:]) for key, raw, place in group)
            for pick, record in reader.read(self._kind, own, report):
                yield Pick(pick.key, pick.raw, prefix + pick.locator), record

    def where(self, place: bytes) -> Where:
        """The file and position behind a place."""
        return self._readers[place[0]][1].where(self._kind, place[1:])

    def files(self, place: bytes) -> list[StagedFile]:
        """The files behind a scene that Nucleus must find before it is told of it."""
        reader = self._readers[place[0]][1]
        return reader.files(self._kind, place[1:]) if hasattr(reader, "files") else []

    def position(self, place: bytes) -> str:
        """A place in half a sentence: `on line 12`."""
        return f"on {self.where(place).position}"

    def report(self, place: bytes, key: bytes, cause: str, detail: str, fix: str | None = None) -> None:
        """Say that a record can't be sent as it is."""
        self._tally.report(
            Problem(
                source=self.source_of(place),
                where=self.where(place),
                record=" ".join(as_words(key).values()),
                cause=cause,
                detail=detail,
                severity=Severity.INVALID,
                key=key,
                fix=fix,
            )
        )

    def source_of(self, place: bytes) -> str:
        """The name of the source behind a place."""
        return self._readers[place[0]][0]

    def close(self) -> None:
        """Give the disk space back."""
        self._sorter.close()
