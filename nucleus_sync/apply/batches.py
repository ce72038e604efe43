"""Cuts the changes of a stream into batches that one request each can carry, reading records just in time."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, compress, groupby, repeat
from operator import add
from pathlib import Path

from nucleus_sync.api.file_pieces import FilePiece, chunks
from nucleus_sync.apply.masks import MASKS_PER_REQUEST, MaskBatch, written
from nucleus_sync.apply.merging import MetadataBatch, is_mere_metadata, metadata_batches
from nucleus_sync.apply.reread import reread
from nucleus_sync.records.item import LocalItem, StagedFile
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.record import Kind, wire_line
from nucleus_sync.spool import Row
from nucleus_sync.survey.change import Change
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.lines import KeptLines

PHOTOS_PER_REQUEST = 10
"""Nucleus takes no more files in one multipart request (docs/wire.md §1.6)."""
_NOTHING: frozenset[bytes] = frozenset()
_AT, _SIZE = Change._fields.index("at"), Change._fields.index("size")


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Records whose lines of NDJSON lie on disk, ready to be sent with their size."""

    rows: list[Row]
    """In the shape of Change."""
    pieces: list[FilePiece]
    """Where the lines lie, in the order of the rows."""
    spooled: Path | None
    """A file of this batch alone that pieces may be of."""
    staged: list[StagedFile] = field(default_factory=list)
    """Files that must lie in their bucket before."""

    @property
    def size(self) -> int:
        """Bytes of all lines."""
        return sum(piece.size for piece in self.pieces)

    def lines(self) -> Iterator[bytes]:
        """Every line with its end, in the order of the rows."""
        rest = b""
        for chunk in chunks(self.pieces):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line + b"\n" for line in whole)

    def rewritten(self, rows: list[Row], lines: Iterable[bytes], scratch: Path) -> LineBatch:
        """Other lines in place of these."""
        with tempfile.NamedTemporaryFile(dir=scratch, suffix=".ndjson", delete=False) as file:
            file.writelines(lines)
        return self.moved_to(Path(file.name), rows)

    def moved_to(self, path: Path, rows: list[Row] | None = None) -> LineBatch:
        """The batch with its lines in a file of its own, and perhaps other rows; what was spooled is given back."""
        self.discard()
        return LineBatch(self.rows if rows is None else rows, [FilePiece(path, path.stat().st_size)], path, self.staged)

    def discard(self) -> None:
        """Give the disk space back."""
        if self.spooled is not None:
            self.spooled.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class PhotoBatch:
    """Local images that go up in one multipart request."""

    rows: list[Row]
    items: list[LocalItem]

    @property
    def size(self) -> int:
        """Bytes of the images."""
        return sum(item.size for item in self.items)

    def discard(self) -> None:
        """Nothing was spooled."""


Batch = LineBatch | PhotoBatch | MaskBatch | MetadataBatch


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
        if self.changes.merges:
            yield from metadata_batches(self.changes)
        lines = _Lines(self.scratch, self.changes.kept)
        photos: list[tuple[Row, LocalItem]] = []
        masks = MaskBatch([], [])
        for block in self._blocks():
            if self._are_kept(block):
                while block := lines.take(block, self.max_bytes, self.max_records):
                    yield lines.close()
                    lines = _Lines(self.scratch, self.changes.kept)
                continue
            for row, line in self._lines(block):
                if isinstance(line, PaintedMask):
                    masks.add(row, written(line, self.scratch))
                    if len(masks.rows) == MASKS_PER_REQUEST:
                        yield masks
                        masks = MaskBatch([], [])
                    continue
                files = self._files_of(row)
                if isinstance(line, LocalItem) and line.is_staged:
                    files = [StagedFile(url=line.item.image_url, path=line.path, size=line.size, digest=line.digest)]
                    line = wire_line(line) + b"\n"
                if isinstance(line, LocalItem):
                    photos.append((row, line))
                    if len(photos) == PHOTOS_PER_REQUEST:
                        yield _photo_batch(photos)
                        photos = []
                    continue
                size = row[_SIZE] if line is None else len(line)
                if lines.size + size > self.max_bytes or len(lines.rows) >= self.max_records:
                    yield lines.close()
                    lines = _Lines(self.scratch, self.changes.kept)
                lines.add(row, line, size)
                lines.staged += files
        if photos:
            yield _photo_batch(photos)
        if masks.rows:
            yield masks
        if lines.rows:
            yield lines.close()

    def _files_of(self, row: Row) -> list[StagedFile]:
        is_of_scenes = self.changes.kind is Kind.SCENES and self.changes.stream is not None
        return self.changes.stream.files(row[0]) if is_of_scenes and self.changes.stream else []

    def _are_kept(self, rows: list[Row]) -> bool:
        """Whether the lines of all of them are at hand, with no file that goes along."""
        return self.changes.kind is not Kind.SCENES and all(row[_SIZE] for row in rows)

    def _lines(self, rows: list[Row]) -> Iterator[tuple[Row, bytes | LocalItem | PaintedMask | None]]:
        """Every change with its line, or None where that was kept when it was first read."""
        for is_kept, some in groupby(rows, key=lambda row: row[_SIZE] > 0):
            if is_kept:
                yield from zip(some, repeat(None))
            else:
                yield from self._read_again(some)

    def _blocks(self) -> Iterator[list[Row]]:
        for block in self.changes.sent.blocks():
            rows = block
            if self.changes.merges:
                rows = [row for row in rows if not is_mere_metadata(self.changes, row)]
            if self.leave_out:
                rows = [row for row in rows if row[1] not in self.leave_out]
            yield rows

    def _read_again(self, rows: Iterator[Row]) -> Iterator[tuple[Row, bytes | LocalItem | PaintedMask]]:
        for row, record in reread(self.changes.stream, rows):
            yield row, record if isinstance(record, LocalItem | PaintedMask) else wire_line(record) + b"\n"


class _Lines:
    """The lines of a batch that is being put together: those that were kept stay where they are, others are spooled."""

    def __init__(self, scratch: Path, kept: KeptLines | None) -> None:
        self._scratch = scratch
        self._kept = kept
        self._file: tempfile._TemporaryFileWrapper[bytes] | None = None
        self._pieces: list[FilePiece] = []
        self._start = self._end = 0
        """Of the neighbours among the kept lines that make the next piece."""
        self.rows: list[Row] = []
        self.staged: list[StagedFile] = []
        self.size = 0

    def take(self, rows: list[Row], max_bytes: int, max_records: int) -> list[Row]:
        """Add rows whose lines are kept, as many as there is room for, but one at least; the rest is given back."""
        sizes = [row[_SIZE] for row in rows[: max_records - len(self.rows)]]
        if self.size + sum(sizes) > max_bytes:
            sizes = sizes[: max(bisect_right(list(accumulate(sizes)), max_bytes - self.size), not self.rows)]
        taken, starts = rows[: len(sizes)], [row[_AT] for row in rows[: len(sizes)]]
        ends = list(map(add, starts, sizes))
        for before, start in zip([self._end, *ends], starts, strict=False):
            if before != start:
                self._end = before
                self._close_piece()
                self._start = start
        if taken:
            self._end = ends[-1]
        self.rows += taken
        self.size += sum(sizes)
        return rows[len(taken) :]

    def add(self, row: Row, line: bytes | None, size: int) -> None:
        """Add a row with its line, or with none where that is kept."""
        self.rows.append(row)
        self.size += size
        if line is not None:
            self._close_piece()
            self._spool(line)
            return
        at = row[_AT]
        if at != self._end:
            self._close_piece()
            self._start = at
        self._end = at + size

    def _close_piece(self) -> None:
        if self._kept is not None and self._end > self._start:
            path, offset = self._kept.found(self._start)
            self._pieces.append(FilePiece(path, self._end - self._start, offset))
        self._start = self._end = 0

    def _spool(self, line: bytes) -> None:
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  (closed by close)
                dir=self._scratch, suffix=".ndjson", delete=False, buffering=1 << 20
            )
        path, before = Path(self._file.name), self._pieces[-1] if self._pieces else None
        if before is not None and before.path == path:
            self._pieces[-1] = FilePiece(path, before.size + len(line), before.offset)
        else:
            self._pieces.append(FilePiece(path, len(line), self._file.tell()))
        self._file.write(line)

    def close(self) -> LineBatch:
        """The batch; nothing more can be added."""
        self._close_piece()
        spooled = None
        if self._file is not None:
            self._file.close()
            spooled = Path(self._file.name)
        return LineBatch(self.rows, self._pieces, spooled, self.staged)


def without(batch: LineBatch | PhotoBatch, keys: Collection[bytes], scratch: Path) -> LineBatch | PhotoBatch:
    """The same batch less these records; what was spooled before is given back."""
    stays = [row[1] not in keys for row in batch.rows]
    rows = list(compress(batch.rows, stays))
    if isinstance(batch, PhotoBatch):
        return PhotoBatch(rows, list(compress(batch.items, stays)))
    return batch.rewritten(rows, compress(batch.lines(), stays), scratch)


def _photo_batch(photos: list[tuple[Row, LocalItem]]) -> PhotoBatch:
    return PhotoBatch([row for row, _ in photos], [item for _, item in photos])
