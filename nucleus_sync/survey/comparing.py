"""One span of keys of a stream that is known, compared with the ledger by one process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.plan.diff import differing, join_stretch
from nucleus_sync.records.key import item_of
from nucleus_sync.spool import Block, BlockFile, Row
from nucleus_sync.survey.numbering import numbered
from nucleus_sync.survey.shelves import Shelves
from nucleus_sync.survey.span import Span, no_twins, repeats

_CACHE_KB = 1024
"""Every page of the ledger is read once."""


class Against(NamedTuple):
    """What a stream is compared with, and what must be known of it."""

    ledger: str
    address: str
    stands_alone: bool
    """Whether these are the items that other records ask for."""
    with_neighbours: bool
    """Whether all rows of an item are wanted of which a record is gone."""


class Compared(NamedTuple):
    """What of a span must be looked at."""

    same: int
    """Records that the ledger knows by their bytes; they are left out of what follows."""
    present: list[Block]
    """Rows (key, True) of those, where they are items."""
    rows: list[Row]
    """(key, raw hash, place)"""
    stamps: list[bytes | None]
    """For each row what is known of it."""
    lost: list[tuple[bytes, bytes]]
    """What else is known: keys and stamps."""
    is_open: bool = False
    """Nothing was compared: these are all rows, as they were scanned, and all that is known."""


class Comparer:
    """Compares spans of one stream."""

    def __init__(self, folder: Path, number: int, against: Against) -> None:
        self._against = against
        self._shelves = Shelves(folder)
        self._file = BlockFile(folder / f"present-{number}")
        self._ledger = Ledger.read(Path(against.ledger), cache_kb=_CACHE_KB)

    def compared(self, span: Span) -> Compared:
        """Where keys repeat, somebody has to look at all records one by one."""
        rows = seen = self._shelves.drawn(span.pieces, span.low, span.high)
        known = self._ledger.known_between(self._against.address, span.low, span.high)
        if span.numbers and not repeats(rows):
            rows = list(numbered(rows, no_twins))
        if repeats(rows):
            return Compared(0, [], seen, [], known, is_open=True)
        joined = join_stretch(rows, known)
        differs = differing(joined)
        items = span.lost_items(rows, self._shelves)
        if self._against.with_neighbours:
            items.update(item_of(key) for key, _ in joined.lost)
        if items:
            differs = [each or item_of(row[0]) in items for each, row in zip(differs, rows, strict=True)]
        found = list(compress(rows, differs))
        stamps = list(compress(joined.stamps, differs))
        return Compared(len(rows) - len(found), self._present(rows, differs), found, stamps, joined.lost)

    def _present(self, rows: Sequence[Row], differs: Collection[bool]) -> list[Block]:
        if not self._against.stands_alone:
            return []
        return self._file.write([(row[0], True) for row, each in zip(rows, differs, strict=True) if not each])

    def close(self) -> None:
        """Read nothing more."""
        self._ledger.close()
        self._file.close()
        self._shelves.close()
