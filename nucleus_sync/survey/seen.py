"""Compares candidates with what was only ever read back from Nucleus, before a plan takes them for changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleus_sync.records.fingerprint import RAW_SIZE
from nucleus_sync.records.seen import AS_SEEN, known_stamp
from nucleus_sync.sources.reader import Pick
from nucleus_sync.spool import Sorter

if TYPE_CHECKING:
    from nucleus_sync.survey.desired import DesiredStream

_Row = tuple[Any, ...]
"""In the shape of Candidate: place, key, raw, before, again."""


class SeenBefore:
    """Holds back the candidates whose stamp is one `AS_SEEN`, and gives them back with one that can be compared.

    Only after a refresh or an import is there any; then these few records are read twice.
    """

    def __init__(self, stream: DesiredStream, scratch: Path) -> None:
        self._stream = stream
        self._held = Sorter(scratch)

    def pass_others(self, rows: list[Any]) -> list[Any]:
        """The candidates that need no second look."""
        held = [row for row in rows if row[3][:RAW_SIZE] == AS_SEEN]
        if not held:
            return rows
        self._held.extend_block(held)
        return [row for row in rows if row[3][:RAW_SIZE] != AS_SEEN]

    def looked_at(self) -> Iterator[_Row]:
        """The candidates that were held back, in the order of their places."""
        waiting: deque[_Row] = deque()
        for pick, record in self._stream.read(self._picks(waiting), quietly=True):
            row = waiting.popleft()
            while (row[1], row[0]) != (pick.key, pick.locator):
                yield row
                row = waiting.popleft()
            yield (*row[:3], known_stamp(row[3][RAW_SIZE:], record), row[4])
        yield from waiting
        self._held.close()

    def _picks(self, waiting: deque[_Row]) -> Iterable[Pick]:
        for row in self._held.sorted():
            waiting.append(row)
            yield Pick(row[1], row[2], row[0])
