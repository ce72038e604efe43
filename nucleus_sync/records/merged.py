"""Metadata that others write to, too: what of it can be ours, by the sets of keys that records of ours declare."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

MOST_SETS = 100
"""More sets of keys than this aren't remembered: then ours can't be told from those of others."""
Names = frozenset[frozenset[str]]
"""Sets of metadata keys, each declared by at least one record."""


class KeySets:
    """The sets of metadata keys that records of one dataset's items declare; without keys is one of them."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._fitting: dict[frozenset[str], list[frozenset[str]]] = {}

    @property
    def are_merged(self) -> bool:
        """Whether there may be keys of others."""
        return True

    def readings(self, metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The metadata as they are, then less the keys that may be somebody else's, in every way that is possible."""
        yield metadata
        held = frozenset(metadata)
        if held not in self._fitting:
            self._fitting[held] = [names for names in {*self._names, frozenset[str]()} if names < held]
        for names in self._fitting[held]:
            yield {key: value for key, value in metadata.items() if key in names}


def as_they_are() -> KeySets:
    """Where all metadata is ours, as it is unless it is merged."""
    return _Whole(frozenset())


class _Whole(KeySets):
    @property
    def are_merged(self) -> bool:
        return False

    def readings(self, metadata: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield metadata


def noted(before: Any, names: Collection[frozenset[str]]) -> Any:
    """What the ledger keeps of sets that it had (as it kept them) and new ones: sorted lists, or None for too many."""
    if before is None:
        return None
    together = sorted({tuple(sorted(each)) for each in names} | {tuple(each) for each in before})
    return [list(each) for each in together] if len(together) <= MOST_SETS else None


def recalled(kept: Any) -> Names | None:
    """The sets that the ledger has kept; None where there were too many."""
    return None if kept is None else frozenset(frozenset(each) for each in kept)
