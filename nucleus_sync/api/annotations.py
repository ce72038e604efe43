"""Annotations: small uploads, single reads, and deletion by item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from nucleus_sync.api.calls import chunks, delete, get, post, references
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import Job, Json, UploadTally
from nucleus_sync.errors import UsageError
from nucleus_sync.records.annotation import Annotation, Mask


class Annotations:
    """`api.annotations`: see docs/wire.md §9.6. Bulk goes through `api.uploads`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def upload(self, dataset_id: str, annotations: Sequence[Annotation], *, update: bool = True) -> UploadTally:
        """Upload a few at once; refused ones are told in `errors` of a success."""
        body = small_upload(annotations, update=update)
        call = post("dataset", dataset_id, "annotate", body=body, safety=_safety(update=update))
        return await self._exchange.json(call, UploadTally)

    async def get(self, dataset_id: str, reference_id: str, annotation_id: str) -> Json:
        """One annotation in wire form."""
        call = get("dataset", dataset_id, "groundTruth", "loc", reference_id, annotation_id)
        return await self._exchange.json(call, dict[str, Any])

    async def delete(self, dataset_id: str, reference_ids: Sequence[str], *, keep_history: bool = True) -> Job:
        """Delete ALL annotations of 1 to 10,000 items; job `annotationDeletion`.

        An empty list is refused here: a list left out once deleted every annotation of a dataset. A lost answer raises
        OutcomeUnknown rather than being repeated: a first job that still runs could delete what is uploaded after the
        second has ended. Wait for every `annotationDeletion` of the listing before sending anything again.
        """
        ids = references(reference_ids, f"DELETE annotation/{dataset_id}")
        body = {"keep_history": keep_history, "reference_ids": ids}
        return await self._exchange.json(delete("annotation", dataset_id, body=body, safety=Safety.UPSERT), Job)

    async def delete_in_chunks(
        self, dataset_id: str, reference_ids: Sequence[str], *, keep_history: bool = True
    ) -> AsyncIterator[Job]:
        """The same for any number of items, one job for each 10,000."""
        references(reference_ids[:1], f"DELETE annotation/{dataset_id}")
        for chunk in chunks(reference_ids):
            yield await self.delete(dataset_id, chunk, keep_history=keep_history)


def small_upload(annotations: Sequence[Annotation], *, update: bool, **more: Any) -> Json:
    """The body of a synchronous upload: masks apart from the rest, and neither key when it would be empty."""
    if not annotations:
        raise UsageError("no annotations to upload")
    masks = [record for record in annotations if isinstance(record, Mask)]
    others = [record for record in annotations if not isinstance(record, Mask)]
    body: Json = {"update": update, **more}
    if others:
        body["annotations"] = others
    if masks:
        body["segmentations"] = masks
    return body


def _safety(*, update: bool) -> Safety:
    """Every record has its key, so the same once more overwrites the same; without update the counts would lie."""
    return Safety.IDEMPOTENT if update else Safety.UPSERT
