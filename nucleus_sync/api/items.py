"""Items: reading, querying, exporting with annotations, merging metadata, deleting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from nucleus_sync.api.calls import Call, delete, get, post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.pages import rows
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import ItemRecords, Job, Json, RemoteItem, stamped
from nucleus_sync.errors import ApiError, UsageError

ITEM_PAGE = 20_000
"""A fifth of what the server allows: several MB of JSON."""
EXPORT_PAGE = 2_000
QUERY_PAGE = 10_000
METADATA_AT_ONCE = 500
"""Most entries of a synchronous metadata update (docs/wire.md §1.6)."""


class Items:
    """`api.items`: see docs/wire.md §8, §9.2, §9.4."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def all(self, dataset_id: str, *, page_size: int = ITEM_PAGE) -> AsyncIterator[RemoteItem]:
        """All items of a dataset, in no promised order."""
        async for row in rows(self._exchange, ("dataset", dataset_id, "itemsPage"), "items", page_size=page_size):
            yield remote_item(row)

    async def query(self, dataset_id: str, query: str, *, page_size: int = QUERY_PAGE) -> AsyncIterator[RemoteItem]:
        """Items that a query in the language of the web UI finds; the index behind it may lag."""
        segments = ("dataset", dataset_id, "queryItemsPage")
        async for row in rows(self._exchange, segments, "items", page_size=page_size, query=query):
            yield remote_item(row)

    async def query_objects(
        self,
        dataset_id: str,
        query: str,
        patch_mode: str,
        *,
        model_run_id: str | None = None,
        page_size: int = QUERY_PAGE,
    ) -> AsyncIterator[Json]:
        """Annotations, predictions, or matches of both (`patch_mode` iou, false_positive, false_negative)."""
        more = {"query": query, "patch_mode": patch_mode, "model_run_id": model_run_id}
        segments = ("dataset", dataset_id, "queryObjectsPage")
        async for row in rows(self._exchange, segments, "items", page_size=page_size, **more):
            yield row

    async def export(
        self, dataset_id: str, *, query: str | None = None, page_size: int = EXPORT_PAGE
    ) -> AsyncIterator[ItemRecords]:
        """All items with their annotations."""
        more = {"query": query, "chip": False, "onlyMostRecentTask": True}
        segments = ("dataset", dataset_id, "exportForTrainingPage")
        async for row in rows(self._exchange, segments, "data", page_size=page_size, **more):
            yield exported(row)

    async def get(self, dataset_id: str, reference_id: str) -> ItemRecords:
        """One item with its annotations; NotFound if there is none."""
        return await self._single(get("dataset", dataset_id, "refloc", reference_id))

    async def get_by_id(self, dataset_id: str, item_id: str) -> ItemRecords:
        """The same by Nucleus's own id."""
        return await self._single(get("dataset", dataset_id, "loc", item_id))

    async def get_by_position(self, dataset_id: str, position: int) -> ItemRecords:
        """The same by position from 0, in an order that nobody promises."""
        return await self._single(get("dataset", dataset_id, "iloc", str(position)))

    async def image(self, url: str) -> bytes:
        """The bytes of an image at the address that Nucleus gives for it (docs/wire.md §8.2)."""
        return await self._exchange.get_file(url)

    async def delete(self, dataset_id: str, reference_id: str) -> None:
        """Delete one item with its annotations and predictions.

        NotFound also after a repetition whose first attempt did it: then the item is gone, as was wanted.
        """
        await self._exchange.answer(delete("dataset", dataset_id, "refloc", reference_id))

    async def merge_metadata(self, dataset_id: str, metadata: dict[str, Json]) -> None:
        """Merge keys into the metadata of at most 500 items, by reference id; no key is removed."""
        await self._exchange.answer(merge_call(dataset_id, metadata, "item"))

    async def start_metadata_merge(self, dataset_id: str, metadata: dict[str, Json]) -> Job:
        """The same for any number of items; job `metadataUpdate`."""
        return await self._exchange.json(merge_call(dataset_id, metadata, "item", in_background=True), Job)

    async def export_tasks(self, dataset_id: str) -> list[Json]:
        """Scale tasks of the dataset's items, in one answer."""
        call = get("dataset", dataset_id, "exportScaleTaskInfo")
        return await self._exchange.field(call, "exportedScaleTaskInfoRows", list[dict[str, Any]])

    async def _single(self, call: Call) -> ItemRecords:
        answer = await self._exchange.json(call, dict[str, Any])
        item, annotations = answer.get("item"), answer.get("annotations")
        if not isinstance(item, dict):
            raise ApiError("an answer without an item", where=call.where)
        return ItemRecords(item=remote_item(item), records=stamped(item, annotations or {}))


def remote_item(row: Json) -> RemoteItem:
    """An item of an answer."""
    try:
        return msgspec.convert(row, RemoteItem, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(f"an item that can't be read: {error}") from None


def exported(row: Json) -> ItemRecords:
    """A row of an export: the item beside lists of its records by type."""
    item = row.get("item")
    if not isinstance(item, dict):
        raise ApiError("an export row without an item")
    return ItemRecords(item=remote_item(item), records=stamped(item, row))


def merge_call(dataset_id: str, metadata: dict[str, Json], level: str, *, in_background: bool = False) -> Call:
    """A metadata merge; `level` is item or scene."""
    where = f"POST dataset/{dataset_id}/metadata"
    if not metadata:
        raise UsageError("no metadata to merge", where=where)
    if not in_background and len(metadata) > METADATA_AT_ONCE:
        raise UsageError(f"{len(metadata)} entries at once; at most {METADATA_AT_ONCE}", where=where)
    entries: list[Json] = [{"reference_id": key, "metadata": value} for key, value in metadata.items()]
    for entry in entries:
        # As the SDK does it: a camera stands in both places.
        if level == "item" and entry["metadata"].get("camera_params"):
            entry["camera_params"] = entry["metadata"]["camera_params"]
    query = {"async": "1" if in_background else "0"}
    # A job that nobody knows of might put an older value in place of a newer one.
    safety = Safety.UPSERT if in_background else Safety.IDEMPOTENT
    body = {"metadata": entries, "level": level}
    return post("dataset", dataset_id, "metadata", body=body, query=query, safety=safety)
