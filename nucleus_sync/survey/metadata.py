"""Holds metadata to Nucleus's rule that a key is text everywhere or a number everywhere."""

from __future__ import annotations

from collections.abc import Callable

from nucleus_sync.survey.portion import Types

_KEYS = 100_000


class MetadataTypes:
    """Types of metadata keys in one stream: those that Nucleus has seen, then those of the records in order.

    The rule is Nucleus's (docs/wire.md §6.6): within the items, or the annotations, of a dataset a key that once held
    text must always hold text, and the same for numbers. Other types are free.
    """

    def __init__(self, known: dict[str, str]) -> None:
        self._types: dict[str, tuple[str, str]] = {key: (kind, "at Nucleus") for key, kind in known.items()}
        self.fresh: dict[str, str] = {}

    def knows(self, types: Types) -> bool:
        """Whether all of these were seen before, with the same types."""
        return all(key in self._types and self._types[key][0] == kind for key, kind in types)

    def conflict(self, types: Types, place: Callable[[], str]) -> str | None:
        """What contradicts an earlier record, in words; otherwise the types are remembered with their place."""
        seen = []
        for key, kind in types:
            before = self._types.get(key)
            if before is None:
                seen.append((key, kind))
            elif before[0] != kind:
                return f"metadata key {key} is {_words(kind)} here, {_words(before[0])} {before[1]}"
        for key, kind in seen:
            if len(self._types) < _KEYS:
                self._types[key] = (kind, place())
                self.fresh[key] = kind
        return None


def _words(kind: str) -> str:
    return "text" if kind == "text" else "a number"
