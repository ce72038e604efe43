"""Changes metadata that others write to, too, by Nucleus's own merge: of items of which nothing else has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from nucleus_sync.apply.reread import reread
from nucleus_sync.records.fingerprint import RAW_SIZE, changed_parts
from nucleus_sync.records.item import LocalItem
from nucleus_sync.records.record import Kind
from nucleus_sync.spool import Row
from nucleus_sync.survey.change import UPDATE, Change
from nucleus_sync.survey.changes import ChangeSet

METADATA_JOB = "metadataUpdate"
"""As Nucleus lists it (docs/wire.md §7.4)."""
MOST_ENTRIES, MOST_BYTES = 5_000, 8 << 20
"""Of one call, which the server has to take in within its minute."""


@dataclass(frozen=True, slots=True)
class MetadataBatch:
    """Metadata of items of which nothing else has changed, by reference id."""

    rows: list[Row]
    metadata: dict[str, dict[str, Any]]
    size: int

    def discard(self) -> None:
        """Nothing was spooled."""


def is_mere_metadata(changes: ChangeSet, row: Row) -> bool:
    """Whether a change can be left to Nucleus's own merge. Scenes are sent whole: it knows nothing of tracks."""
    change = Change(*row)
    if not changes.merges or changes.kind is not Kind.ITEMS or change.does != UPDATE:
        return False
    return changed_parts(Kind.ITEMS, change.before, change.stamp[RAW_SIZE:]) == ["metadata"]


def metadata_batches(changes: ChangeSet) -> Iterator[MetadataBatch]:
    """Batches of all changes that are of metadata alone. Raises SourceError when a file has changed meanwhile."""
    batch, size = MetadataBatch([], {}, 0), 0
    for row, record in reread(changes.stream, (row for row in changes.sent if is_mere_metadata(changes, row))):
        metadata = record.item.metadata if isinstance(record, LocalItem) else record.metadata  # type: ignore[union-attr]
        length = len(row[1]) + len(msgspec.json.encode(metadata))
        if batch.rows and (size + length > MOST_BYTES or len(batch.rows) == MOST_ENTRIES):
            yield replace(batch, size=size)
            batch, size = MetadataBatch([], {}, 0), 0
        batch.rows.append(row)
        batch.metadata[record.reference_id] = metadata  # type: ignore[assignment]
        size += length
    if batch.rows:
        yield replace(batch, size=size)
