"""The rows of a batch in few bytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Self

import msgspec
from msgspec import Struct

from nucleus_sync.records.fingerprint import STAMP_SIZE

BatchRow = tuple[bytes, bytes, bytes]
"""Key, stamp, locator."""

_LEVEL = 1
_ZSTD = b"\x28\xb5\x2f\xfd"
_pack = msgspec.msgpack.Encoder().encode
_outer = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode
_keys = msgspec.msgpack.Decoder(tuple[list[bytes], msgspec.Raw]).decode
_inner = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes]]).decode


class Manifest(Struct, frozen=True):
    """Rows as the ledger keeps them: keys and locators compressed by column, stamps as they are (hashes are random)."""

    contents: bytes
    count: int

    @classmethod
    def of(cls, rows: Sequence[BatchRow]) -> Self:
        """Rows of key, stamp and locator."""
        # Three passes: turning the rows around with zip(*rows) takes twice as long.
        return cls.of_columns([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])

    @classmethod
    def of_columns(cls, keys: list[bytes], stamps: list[bytes], locators: list[bytes]) -> Self:
        """The same by column."""
        from zstandard import ZstdCompressor  # takes 15 ms, and a plan doesn't need it

        joined = b"".join(stamps)
        if len(joined) != STAMP_SIZE * len(keys):
            raise ValueError(f"a stamp has {STAMP_SIZE} bytes")
        names = ZstdCompressor(level=_LEVEL).compress(_pack((keys, locators)))
        return cls(_pack((names, joined)), len(keys))


def unpack(contents: bytes) -> list[BatchRow]:
    """The rows again, in their order."""
    names, stamps = _outer(contents)
    keys, locators = _inner(_decompressed(names))
    return list(zip(keys, _each(stamps), locators, strict=True))


def unpack_known(contents: bytes) -> tuple[list[bytes], bytes]:
    """Keys and all stamps together, which is what becomes known."""
    names, stamps = _outer(contents)
    keys, _ = _keys(_decompressed(names))
    return keys, stamps


def _decompressed(names: bytes) -> bytes:
    if names.startswith(_ZSTD):
        from zstandard import ZstdDecompressor

        return ZstdDecompressor().decompress(names)
    return zlib.decompress(names)  # as the first ledgers have it


def _each(stamps: bytes) -> list[bytes]:
    return [stamps[start : start + STAMP_SIZE] for start in range(0, len(stamps), STAMP_SIZE)]
