"""Reads changed records from their sources once more, just before they are sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import RAW_SIZE
from nucleus_sync.records.record import Record
from nucleus_sync.sources.reader import Pick
from nucleus_sync.spool import Row
from nucleus_sync.survey.desired import DesiredStream


def reread(stream: DesiredStream | None, rows: Iterable[Row]) -> Iterator[tuple[Row, Record]]:
    """Every row with its record. Raises SourceError where one that was sound is no longer there."""
    assert stream is not None  # noqa: S101  (a stream that was not read has no changes)
    waiting: deque[Row] = deque()
    for pick, record in stream.read(_picks(rows, waiting)):
        row = waiting.popleft()
        if row[1] != pick.key or row[0] != pick.locator:
            raise SourceError(
                "changed while it was read: a record that was sound is no longer there",
                where=str(stream.where(row[0])),
                fix="run again once the export is complete",
            )
        yield row, record


def _picks(rows: Iterable[Row], waiting: deque[Row]) -> Iterator[Pick]:
    for row in rows:
        waiting.append(row)
        yield Pick(row[1], row[2][:RAW_SIZE], row[0])
