"""Slices, which only grow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from nucleus_sync.api.calls import chunks, delete, get, given, post, references
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.items import EXPORT_PAGE, ITEM_PAGE, exported, remote_item
from nucleus_sync.api.pages import rows
from nucleus_sync.api.retry import Safety
from nucleus_sync.api.wire import AppendedMembers, ItemRecords, Json, RemoteItem, Slice


class Slices:
    """`api.slices`: see docs/wire.md §11."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def all(self) -> list[Slice]:
        """All slices that this key sees."""
        return await self._exchange.json(get("slice", ""), list[Slice])

    async def of_dataset(self, dataset_id: str, *, name: str | None = None, kind: str | None = None) -> list[Slice]:
        """Slices of a dataset, of one name or of one kind (dataset_item, object, scene) if given."""
        call = get("dataset", dataset_id, "slices", query=given(name=name, type=kind))
        return await self._exchange.json(call, list[Slice])

    async def create(self, dataset_id: str, name: str, reference_ids: Sequence[str] = ()) -> str:
        """A new slice's id, with at most 10,000 items or scenes; `append` adds the rest."""
        where = f"POST dataset/{dataset_id}/create_slice"
        members: Json = {"reference_ids": references(reference_ids, where)} if reference_ids else {"allow_empty": 1}
        return await self._created(dataset_id, {"name": name, **members})

    async def create_of(
        self,
        dataset_id: str,
        name: str,
        *,
        item_ids: Sequence[str] | None = None,
        scene_ids: Sequence[str] | None = None,
        object_ids: Sequence[str] | None = None,
    ) -> str:
        """A new slice's id, from Nucleus's own ids of exactly one sort."""
        members = {"dataset_item_ids": item_ids, "scene_ids": scene_ids, "object_ids": object_ids}
        return await self._created(dataset_id, {"name": name, **members})

    async def append(self, slice_id: str, dataset_id: str, reference_ids: Sequence[str]) -> None:
        """Add items or scenes, any number of them; known members change nothing."""
        references(reference_ids[:1], f"POST slice/{slice_id}/append")
        for chunk in chunks(reference_ids):
            body = {"reference_ids": references(chunk, f"POST slice/{slice_id}/append"), "dataset_id": dataset_id}
            await self._exchange.json(post("slice", slice_id, "append", body=body), AppendedMembers)

    async def get(self, slice_id: str) -> Slice:
        """What a slice is; `pending_job_count` above 0 says that it is still being filled."""
        return await self._exchange.json(get("slice", slice_id, "info"), Slice)

    async def members(self, slice_id: str) -> list[Json]:
        """Its members in one answer, each with `id`: items, scenes, annotations or predictions."""
        return await self._exchange.field(get("slice", slice_id), "items", list[dict[str, Any]])

    async def items(self, slice_id: str, *, page_size: int = ITEM_PAGE) -> AsyncIterator[RemoteItem]:
        """Its items."""
        async for row in rows(self._exchange, ("slice", slice_id, "itemsPage"), "items", page_size=page_size):
            yield remote_item(row)

    async def export(self, slice_id: str, *, page_size: int = EXPORT_PAGE) -> AsyncIterator[ItemRecords]:
        """Its items with their annotations."""
        segments = ("slice", slice_id, "exportForTrainingPage")
        async for row in rows(self._exchange, segments, "data", page_size=page_size, chip=False):
            yield exported(row)

    async def export_predictions(
        self, slice_id: str, model_id: str, *, page_size: int = EXPORT_PAGE
    ) -> AsyncIterator[ItemRecords]:
        """Its items with a model's predictions: the only paged read of predictions."""
        segments = ("slice", slice_id, model_id, "exportForTrainingPage")
        async for row in rows(self._exchange, segments, "data", page_size=page_size):
            yield exported(row)

    async def class_labels(self, slice_id: str) -> list[str]:
        """The labels of its annotations."""
        return await self._exchange.field(get("slice", slice_id, "class_labels"), "data", list[str])

    async def add_tags(self, slice_id: str, tags: Sequence[str]) -> None:
        """Add tags, which can't be removed."""
        await self._exchange.answer(post("slice", slice_id, "tag", body={"slice_tags": list(tags)}))

    async def delete(self, slice_id: str) -> None:
        """Delete the slice; its members stay."""
        await self._exchange.answer(delete("slice", slice_id))

    async def _created(self, dataset_id: str, body: Json) -> str:
        call = post("dataset", dataset_id, "create_slice", body=body, safety=Safety.CREATE)
        return await self._exchange.field(call, "slice_id", str)
