"""The rows of a batch in few bytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from nucleus_sync.records.fingerprint import STAMP_SIZE

BatchRow = tuple[bytes, bytes, bytes]
"""Key, stamp, locator."""

_pack = msgspec.msgpack.Encoder().encode
_outer = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode
_keys = msgspec.msgpack.Decoder(tuple[list[bytes], msgspec.Raw]).decode
_inner = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes]]).decode


def pack(rows: Sequence[BatchRow]) -> bytes:
    """Keys and locators compressed by column; stamps as they are, because hashes do not shrink."""
    # Three passes: turning the rows around with zip(*rows) takes twice as long.
    keys, stamps, locators = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    names = zlib.compress(_pack((keys, locators)), 1)
    joined = b"".join(stamps)
    if len(joined) != STAMP_SIZE * len(keys):
        raise ValueError(f"a stamp has {STAMP_SIZE} bytes")
    return _pack((names, joined))


def unpack(contents: bytes) -> list[BatchRow]:
    """The rows again, in their order."""
    names, stamps = _outer(contents)
    keys, locators = _inner(zlib.decompress(names))
    return list(zip(keys, _each(stamps), locators, strict=True))


def unpack_known(contents: bytes) -> list[tuple[bytes, bytes]]:
    """Keys and stamps alone, which is all that becomes known."""
    names, stamps = _outer(contents)
    keys, _ = _keys(zlib.decompress(names))
    return list(zip(keys, _each(stamps), strict=True))


def _each(stamps: bytes) -> list[bytes]:
    return [stamps[start : start + STAMP_SIZE] for start in range(0, len(stamps), STAMP_SIZE)]
