"""One span of keys of a new stream, finished by one process: numbers, doubles, items, lines and changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from nucleus_sync.records.fingerprint import LOOK_AGAIN, RAW_SIZE
from nucleus_sync.records.key import ANNOTATION, PROVISIONAL, SEPARATOR, UNNUMBERED
from nucleus_sync.spool import Block, BlockFile, Row
from nucleus_sync.survey.change import CREATE, digest_of_new
from nucleus_sync.survey.numbering import numbered
from nucleus_sync.survey.portion import KeepLines, put_away
from nucleus_sync.survey.shelves import Piece, Shelves

REMARK, UNSENT, REMOTE = 1, 2, 4
"""Marks of a row: there is a finding; it is not sent; Nucleus reads an image from a URL for it."""
_KEY, _STAMP, _PLACE, _MARKS, _AT, SIZE = range(6)
"""A row on a shelf: key, stamp, place, marks, where its line is kept, and how many bytes it has: 0 if it isn't kept.

In a stretch with records that wait for their numbers, the line itself stands in place of where it is kept.
"""
_PLACE_OF_LINE = itemgetter(_AT)
_ID = b'"annotation_id":"%b"'
# Nothing before it can hold these bytes: in a text the quotes would be escaped.
_PROVISIONAL_ID = _ID % PROVISIONAL
_NO_ID = UNNUMBERED.removeprefix(SEPARATOR)
_ONE_DIGIT = 10


class Span(NamedTuple):
    """All keys from `low` on and before `high`."""

    low: bytes
    high: bytes | None
    pieces: list[Piece]
    items: list[Piece] | None
    """Where the keys of items lie that exist or will; None where every item will do."""
    numbers: bool
    """Whether there may be records without an id."""

    def lost_items(self, rows: Iterable[Row], shelves: Shelves) -> set[bytes]:
        """The items of these rows that aren't there."""
        if self.items is None:
            return set()
        there = {key for (key,) in shelves.as_laid(self.items, self.low, self.high)}
        return {row[0].partition(b"\x00")[0] for row in rows} - there


class Finished(NamedTuple):
    """The changes of a span, on disk."""

    records: int
    kept: int
    """Bytes of lines that were written anew."""
    digest: int
    changes: list[Block]
    """Rows in the shape of Change, ascending by key; as their lines lie where these are kept."""
    present: list[Block]
    """Rows (key, False) of all items."""
    remote: list[Row]
    """The first change of every source that has images for Nucleus to read."""
    renamed: list[tuple[bytes, bytes]]
    """Place and key of the records with remarks that have got a number."""


class Finisher:
    """Finishes spans; what it writes goes to a file of changes, and to that of its lines."""

    def __init__(self, folder: Path, number: int, keep: KeepLines) -> None:
        self._file = BlockFile(folder / f"changes-{number}")
        self._keep = keep
        self._shelves = Shelves(folder)

    def finished(self, span: Span, *, stand_alone: bool, has_lines: bool) -> Finished | None:
        """None where somebody has to look at the records one by one: keys that repeat, items that aren't there.

        `stand_alone` where these are items that others ask for; `has_lines` where they are to be sent.
        """
        rows = self._shelves.as_laid(span.pieces, span.low, span.high)
        if repeats(rows) or span.lost_items(rows, self._shelves):
            return None
        renamed: list[tuple[bytes, bytes]] = []
        kept = 0
        if span.numbers:
            rows = _with_numbers(sorted(rows))
            if repeats(rows):
                return None
            rows, kept = _with_places(rows, self._keep)
            renamed = [(row[_PLACE], row[_KEY]) for row in rows if row[_MARKS] & (REMARK | UNSENT)]
        elif has_lines:
            rows.sort(key=_PLACE_OF_LINE)  # lines that lie together are sent together
        sent = _sound(rows) if any(row[_MARKS] & (REMARK | UNSENT) for row in rows) else rows
        if not has_lines:
            sent = sorted(sent)
        elif not all(row[SIZE] for row in sent):
            return None
        changes: list[Row] = [(place, key, stamp, CREATE, b"", at, size) for key, stamp, place, _, at, size in sent]
        return Finished(
            len(changes),
            kept,
            digest_of_new(changes),
            self._file.write(changes),
            self._file.write(sorted((row[_KEY], False) for row in rows) if stand_alone else []),
            _first_remote(sent, changes),
            renamed,
        )

    def close(self) -> None:
        """Write and read nothing more."""
        self._file.close()
        self._shelves.close()


def _with_places(rows: list[Row], keep: KeepLines) -> tuple[list[Row], int]:
    """The rows with the lines that came along put where lines are kept, and how many bytes these have."""
    lines = [row[_AT] for row in rows if row[_AT].__class__ is bytes]
    if not lines:
        return rows, 0
    kept = put_away(lines, keep)
    if kept is None:
        return [(*row[:_AT], 0, 0) for row in rows], 0
    start, sizes = kept
    places = zip(accumulate(sizes, initial=start), sizes, strict=False)
    return [(*row[:_AT], *next(places)) if row[_AT].__class__ is bytes else row for row in rows], sum(sizes)


def _with_numbers(rows: Sequence[Row]) -> list[Row]:
    """Keys and lines with the numbers that records without an id get. No two rows have one key.

    The same as `_numbered_beside` in a third of the time, where no record has an id, as in a file of results.
    """
    found: list[Row] = []
    before, number = b"", 0
    for key, stamp, place, marks, line, size in rows:
        item, _, rest = key.partition(SEPARATOR)
        if rest[:1] != _NO_ID:
            return _numbered_beside(rows)
        if item != before:
            _sort_last(found, number)
            before, number = item, 0
        own = b"%d" % number
        found.append((item + ANNOTATION + own, stamp, place, marks, line.replace(_PROVISIONAL_ID, _ID % own, 1), size))
        number += 1
    _sort_last(found, number)
    return found


def _sort_last(rows: list[Row], count: int) -> None:
    """Ten sorts before two: as texts they do."""
    if count > _ONE_DIGIT:
        rows[-count:] = sorted(rows[-count:])


def _numbered_beside(rows: Sequence[Row]) -> list[Row]:
    found = []
    for key, stamp, place, marks, line, size, before in numbered([(*row, row[_KEY]) for row in rows], no_twins):
        own = line
        if before is not key:
            own = line.replace(_PROVISIONAL_ID, _ID % key.partition(ANNOTATION)[2], 1)
        found.append((key, stamp, place, marks, own, size))
    return found


def repeats(rows: Sequence[Row]) -> bool:
    """Whether a key comes twice."""
    return len({row[_KEY] for row in rows}) < len(rows)


def no_twins(row: Row, other: Row) -> None:
    """For numbering where every row has its own key."""
    raise AssertionError(f"two rows have one key: {row[0]!r}, {other[0]!r}")


def _sound(rows: Sequence[Row]) -> list[Row]:
    """Those that are sent. One with a finding is looked at again every time."""
    found = []
    for row in rows:
        key, stamp, *others = row
        marks = row[_MARKS]
        if marks & REMARK and not marks & UNSENT:
            found.append((key, LOOK_AGAIN + stamp[RAW_SIZE:], *others))
        elif not marks & UNSENT:
            found.append(row)
    return found


def _first_remote(rows: Sequence[Row], changes: Sequence[Row]) -> list[Row]:
    sources: Collection[int] = set()
    found = []
    for row, change in zip(rows, changes, strict=True):
        if row[_MARKS] & REMOTE and row[_PLACE][0] not in sources:
            sources = {*sources, row[_PLACE][0]}
            found.append(change)
    return found
