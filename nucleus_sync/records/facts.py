"""What was found out about a media file, and who remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about one media file, good as long as its size, mtime and inode stay."""

    size: int
    mtime_ns: int
    inode: int
    digest: bytes
    """XXH3-128 of the bytes; empty where only the head was read."""
    width: int
    height: int
    invalid: str = ""
    """Why it can't be sent."""
    finding: str = ""
    """What the user should know of it."""


class FactsCache(Protocol):
    """Remembers facts about files across runs; `path` is relative to the source's folder."""

    def recall(self, folder: str, path: str) -> Facts | None:
        """What was found out about this file before, whatever its stat is now."""

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        """Keep it; may be written later, in bulk."""


class NoFacts:
    """Remembers nothing."""

    def recall(self, folder: str, path: str) -> Facts | None:  # noqa: ARG002
        """Never anything."""
        return None

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        """Nothing is kept."""
