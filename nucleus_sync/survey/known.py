"""What a comparison knows of one stream before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Known:
    """What the ledger knows of one stream."""

    pages: Callable[[], Iterable[list[tuple[bytes, bytes]]]]
    """(key, stamp) in ascending order of keys, a few thousand at a time."""
    count: int
    rejected: Mapping[bytes, bytes]
    """Stamps of records that Nucleus refused, by key."""
    metadata_types: dict[str, str]
    ledger: Path | None = None
    """Where other processes can read the same; None where this is only a part of it, or in memory."""
