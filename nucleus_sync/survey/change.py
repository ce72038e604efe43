"""The change of one record: what it looks like in a change set, why it is made, what it adds to the digest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from xxhash import xxh3_128_intdigest

from nucleus_sync.records.fingerprint import RAW_SIZE, changed_parts
from nucleus_sync.records.record import Kind

CREATE, UPDATE, RESEND = 0, 1, 2
_CREATED = bytes([CREATE])


class Change(NamedTuple):
    """A record to send: where it lies, its key, the stamp it will have, what is done, the content known before."""

    place: bytes
    key: bytes
    stamp: bytes
    does: int
    before: bytes
    at: int = 0
    """Where its line is kept, if its size isn't 0."""
    size: int = 0


def digest_of(change: Change) -> int:
    """What a change adds to the digest of its stream."""
    return xxh3_128_intdigest(change.key + change.stamp[RAW_SIZE:] + bytes([change.does]))


def digest_of_new(rows: Iterable[tuple[Any, ...]]) -> int:
    """The sum for records that nobody knows, in the shape of Change."""
    return sum([xxh3_128_intdigest(key + stamp[RAW_SIZE:] + _CREATED) for _, key, stamp, _, _, _, _ in rows])


def reason_for(kind: Kind, does: int, before: bytes, after: bytes) -> str:
    """`new`, `geometry changed`, `label and metadata changed`, `sent again`, …"""
    if does == CREATE:
        return "new"
    if does == RESEND:
        return "sent again: a neighbour is deleted"
    *others, last = changed_parts(kind, before, after) or ["content"]
    return (f"{', '.join(others)} and {last}" if others else last) + " changed"
