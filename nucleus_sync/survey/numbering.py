"""Gives the records without an id their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from nucleus_sync.records.fingerprint import LOOK_AGAIN
from nucleus_sync.records.key import annotation_id, annotation_key, is_unnumbered, item_of

Row = tuple[Any, ...]
"""Key, something that begins with the raw hash, and what else goes along."""
Twins = Callable[[Row, Row], None]
"""Told of a record that is left out, and of the one that it is identical to."""


def numbered(rows: Iterable[Row], twins: Twins) -> Iterator[Row]:
    """Rows whose records have no id get their position among their item's, in the order of content.

    Rows come sorted, those of an item together. Own ids are never given twice; identical records without an id are one.
    """
    for item, group in groupby(rows, key=lambda row: item_of(row[0])):
        members = list(group)
        if is_unnumbered(members[0][0]):  # own ids sort before, so there are none
            yield from _all_numbered(item, members, twins)
            continue
        fresh = [row for row in members if is_unnumbered(row[0])]
        if not fresh:
            yield from members
            continue
        named = [row for row in members if not is_unnumbered(row[0])]
        taken = {annotation_id(row[0]) for row in named}
        named.extend(_numbered_beside(item.decode(), fresh, taken, twins))
        named.sort()
        yield from named


def _all_numbered(item: bytes, members: list[Row], twins: Twins) -> list[Row]:
    """The same as `_numbered_beside` where no record of the item has an id, in a third of the time."""
    numbered: list[Row] = []
    before: Row | None = None
    for row in members:
        if before is not None and before[:2] == row[:2] and row[1] != LOOK_AGAIN:
            twins(row, before)
            continue
        before = row
        numbered.append((b"%b\x00a%d" % (item, len(numbered)), *row[1:]))
    numbered.sort()
    return numbered


def _numbered_beside(item: str, rows: list[Row], taken: set[str | None], twins: Twins) -> Iterator[Row]:
    position = 0
    before: Row | None = None
    for row in rows:
        if before is not None and before[:2] == row[:2] and row[1] != LOOK_AGAIN:
            twins(row, before)
            continue
        before = row
        while str(position) in taken:
            position += 1
        yield annotation_key(item, str(position)), *row[1:]
        position += 1
