"""What an upload did: counts, and the records that were refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

ERRORS_KEPT = 10_000
"""How many error texts of one job can be read back (1.6)."""

_CAMEL = {
    "reference_id": "referenceId",
    "annotation_id": "annotationId",
    "item_id": "itemId",
    "dataset_id": "datasetId",
    "task_id": "taskId",
    "track_reference_id": "trackReferenceId",
    "taxonomy_name": "taxonomyName",
    "embedding_vector": "embeddingVector",
    "class_pdf": "classPdf",
    "mask_url": "maskUrl",
}


@dataclass
class Tally:
    """Grows while an upload is read. `total` counts records in the file, also the refused ones."""

    total: int = 0
    processed: int = 0
    ignored: int = 0
    masks_processed: int = 0
    masks_ignored: int = 0
    created: int = 0
    unreachable: int = 0
    errored: int = 0
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=ERRORS_KEPT))

    def refuse(self, text: str) -> None:
        """Count a refused record; of the texts only the most recent ones are kept."""
        self.errored += 1
        self.errors.append(text)


@dataclass(frozen=True)
class Sabotage:
    """What was injected into a job: which records it refuses, which URLs it cannot read, whether known items keep
    their image."""

    refuses: Callable[[int], bool] | None = None
    text: str = "Injected fault: this record was refused."
    unreachable: tuple[str, ...] = ()
    keeps_images: bool = False

    def cannot_read(self, url: str) -> bool:
        """Whether the URL was declared unreachable."""
        return bool(self.unreachable) and url.startswith(self.unreachable)


def record_error(line: bytes, text: str) -> str:
    """The error string of a refused annotation or prediction (7.6): JSON in a string, keys in camelCase."""
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return text
    if not isinstance(record, dict):
        return text
    named: dict[str, Any] = {
        _CAMEL.get(str(key), str(key)): value for key, value in record.items() if value is not None
    }
    return msgspec.json.encode({"annotation": named, "error": text}).decode()


def missing_item(reference_id: str) -> str:
    """The text that Nucleus gives for a record whose item is not there."""
    return f"Item with id {reference_id} does not exist."
