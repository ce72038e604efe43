"""What differs between two sorted streams: the desired rows of the sources and the known rows of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

Desired = tuple[bytes, bytes, bytes]
"""A row that the sources yield: key, raw hash, and the place: the source's number and its locator."""


class Pair(NamedTuple):
    """One key on both sides; at least one of them is there."""

    key: bytes
    desired: Desired | None
    stamp: bytes | None


def outer_join(desired: Iterable[Desired], known: Iterable[tuple[bytes, bytes]]) -> Iterator[Pair]:
    """Both streams side by side, in ascending order of keys. Each must be sorted and free of repeated keys."""
    known_rows = iter(known)
    known_key, stamp = next(known_rows, (None, None))
    for row in desired:
        key = row[0]
        while known_key is not None and known_key < key:
            yield Pair(known_key, None, stamp)
            known_key, stamp = next(known_rows, (None, None))
        if known_key == key:
            yield Pair(key, row, stamp)
            known_key, stamp = next(known_rows, (None, None))
        else:
            yield Pair(key, row, None)
    while known_key is not None:
        yield Pair(known_key, None, stamp)
        known_key, stamp = next(known_rows, (None, None))


def union(*streams: Iterable[bytes]) -> Iterator[bytes]:
    """Sorted keys of several sorted streams, each once."""
    from heapq import merge

    last = None
    for key in merge(*streams):
        if key != last:
            yield key
            last = key


class Presence:
    """Asks a sorted stream of item keys, in ascending order of questions, whether an item is there."""

    def __init__(self, items: Iterable[bytes]) -> None:
        self._items = iter(items)
        self._current: bytes | None = next(self._items, None)

    def __contains__(self, item: object) -> bool:
        wanted: bytes = item  # type: ignore[assignment]
        current = self._current
        while current is not None and current < wanted:
            current = next(self._items, None)
        self._current = current
        return current == wanted
