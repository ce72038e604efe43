"""Cuts the changes of a stream into batches that one request each can carry, reading records just in time."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from nucleus_sync.errors import SourceError
from nucleus_sync.records.item import LocalItem
from nucleus_sync.records.record import Record, wire_line
from nucleus_sync.sources.reader import Pick
from nucleus_sync.survey.changes import Change, ChangeSet

PHOTOS_PER_REQUEST = 10
"""Nucleus takes no more files in one multipart request (nucleus-api §1.6)."""
_NOTHING: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Records spooled to a file of NDJSON, ready to be sent with its size."""

    changes: list[Change]
    path: Path
    size: int

    def discard(self) -> None:
        """Give the disk space back."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PhotoBatch:
    """Local images that go up in one multipart request."""

    changes: list[Change]
    items: list[LocalItem]

    @property
    def size(self) -> int:
        """Bytes of the images."""
        return sum(item.size for item in self.items)

    def discard(self) -> None:
        """Nothing was spooled."""


Batch = LineBatch | PhotoBatch


@dataclass
class Cutter:
    """Makes the batches of one stream, one at a time, so that only those in flight take disk space."""

    changes: ChangeSet
    scratch: Path
    max_bytes: int
    max_records: int
    leave_out: Collection[bytes] = _NOTHING
    """Keys that are in already."""

    def batches(self) -> Iterator[Batch]:
        """Batches in reading order. Raises SourceError when a file has changed since it was compared."""
        lines = _Lines(self.scratch)
        photos: list[tuple[Change, LocalItem]] = []
        for change, record in self._records():
            if isinstance(record, LocalItem):
                photos.append((change, record))
                if len(photos) == PHOTOS_PER_REQUEST:
                    yield _photo_batch(photos)
                    photos = []
                continue
            line = wire_line(record) + b"\n"
            if lines.size + len(line) > self.max_bytes or len(lines.changes) >= self.max_records:
                yield lines.close()
                lines = _Lines(self.scratch)
            lines.add(change, line)
        if photos:
            yield _photo_batch(photos)
        if lines.changes:
            yield lines.close()

    def _records(self) -> Iterator[tuple[Change, Record]]:
        stream = self.changes.stream
        assert stream is not None  # noqa: S101  (a stream that was not read has no changes)
        waiting: deque[Change] = deque()
        for pick, record in stream.read(self._picks(waiting)):
            change = waiting.popleft()
            if change.key != pick.key or change.place != pick.locator:
                raise SourceError(
                    "changed while it was read: a record that was sound is no longer there",
                    where=str(stream.where(change.place)),
                    fix="run again once the export is complete",
                )
            yield change, record

    def _picks(self, waiting: deque[Change]) -> Iterator[Pick]:
        for row in self.changes.sent:
            change = Change(*row)
            if change.key in self.leave_out:
                continue
            waiting.append(change)
            yield Pick(change.key, change.stamp[:8], change.place)


class _Lines:
    """A file of NDJSON that is being written."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._file: tempfile._TemporaryFileWrapper[bytes] | None = None
        self.changes: list[Change] = []
        self.size = 0

    def add(self, change: Change, line: bytes) -> None:
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  (closed by close)
                dir=self._scratch, suffix=".ndjson", delete=False, buffering=1 << 20
            )
        self._file.write(line)
        self.size += len(line)
        self.changes.append(change)

    def close(self) -> LineBatch:
        assert self._file is not None  # noqa: S101  (only called when there are lines)
        self._file.close()
        return LineBatch(self.changes, Path(self._file.name), self.size)


def _photo_batch(photos: list[tuple[Change, LocalItem]]) -> PhotoBatch:
    return PhotoBatch([change for change, _ in photos], [item for _, item in photos])
