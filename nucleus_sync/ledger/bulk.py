"""Keys and stamps that are handed to SQLite at once, so that a statement works through thousands without Python.

A statement that takes row after row from Python asks for the interpreter's lock after each. While another thread
computes, it waits up to 5 ms for it every time: inserting a million records, 64 to a statement, takes 1.3 s alone, and
took 66 s beside a thread that did nothing but count. So keys and stamps come as one value each, with the places of the
keys as JSON, and `json_each` makes rows of them again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate, compress
from operator import add
from typing import Self

import msgspec
from msgspec import Struct

from nucleus_sync.records.fingerprint import STAMP_SIZE

_LENGTH = 24
"""Bits of a place that say how long the key is; those above say where it begins."""
_TOGETHER = 1 << 14

EACH = "json_each(?3) AS each"
KEY = f"substr(?1, (each.value >> {_LENGTH}) + 1, each.value & {(1 << _LENGTH) - 1})"
STAMP = f"substr(?2, each.key * {STAMP_SIZE} + 1, {STAMP_SIZE})"
"""What a statement selects from, and a row's key and stamp in it; its values are those of `Stamped.bound`."""


class Stamped(Struct, frozen=True):
    """Keys, best in ascending order, and their stamps one behind the other."""

    keys: Sequence[bytes]
    stamps: bytes

    def __post_init__(self) -> None:
        if len(self.stamps) != STAMP_SIZE * len(self.keys):
            raise ValueError(f"a stamp has {STAMP_SIZE} bytes")

    @classmethod
    def of(cls, rows: Iterable[tuple[bytes, bytes]]) -> Self:
        """Rows of key and stamp."""
        rows = list(rows)
        return cls([row[0] for row in rows], b"".join([row[1] for row in rows]))

    def __len__(self) -> int:
        return len(self.keys)

    def without(self, keys: Collection[bytes]) -> Stamped:
        """The same less some keys."""
        stays = [key not in keys for key in self.keys]
        each = (self.stamps[start : start + STAMP_SIZE] for start in range(0, len(self.stamps), STAMP_SIZE))
        return Stamped(list(compress(self.keys, stays)), b"".join(compress(each, stays)))

    def bound(self) -> Iterator[tuple[bytes, bytes, str]]:
        """The values ?1, ?2 and ?3 of a statement, in portions: of a whole batch their making would take 20 MB."""
        for start in range(0, len(self.keys), _TOGETHER):
            keys = self.keys[start : start + _TOGETHER]
            stamps = self.stamps[start * STAMP_SIZE : (start + _TOGETHER) * STAMP_SIZE]
            yield b"".join(keys), stamps, msgspec.json.encode(_places(keys)).decode()


def _places(keys: Sequence[bytes]) -> list[int]:
    lengths = list(map(len, keys))
    if max(lengths) >> _LENGTH:
        raise ValueError(f"a key has less than {1 << _LENGTH} bytes")
    starts = [start << _LENGTH for start in accumulate(lengths[:-1], initial=0)]
    return list(map(add, starts, lengths))
