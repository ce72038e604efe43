"""Scenes: reading, merging metadata, deleting; their structure is fixed at creation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from nucleus_sync.api.calls import delete, get
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.items import QUERY_PAGE, merge_call
from nucleus_sync.api.pages import rows
from nucleus_sync.api.wire import Job, Json, SceneSummary

SCENE_PAGE = 10
MOST_SCENES = 30


class Scenes:
    """`api.scenes`: see nucleus-api §9.3."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def all(self, dataset_id: str) -> list[SceneSummary]:
        """All scenes, without frames."""
        return await self._exchange.field(get("dataset", dataset_id, "scenes_list"), "scenes", list[SceneSummary])

    async def get(self, dataset_id: str, reference_id: str) -> Json:
        """A scene in wire form."""
        return await self._exchange.json(get("dataset", dataset_id, "scene", reference_id), dict[str, Any])

    async def get_of_item(self, dataset_id: str, item_reference_id: str) -> Json:
        """The scene that holds an item."""
        call = get("dataset", dataset_id, "scene", item_reference_id, query={"from_item": "1"})
        return await self._exchange.json(call, dict[str, Any])

    async def query(self, dataset_id: str, query: str, *, page_size: int = QUERY_PAGE) -> AsyncIterator[Json]:
        """Scenes that a query finds."""
        segments = ("dataset", dataset_id, "queryScenesPage")
        async for row in rows(self._exchange, segments, "items", page_size=page_size, query=query):
            yield row

    async def export(
        self, dataset_id: str, *, slice_id: str | None = None, page_size: int = SCENE_PAGE
    ) -> AsyncIterator[Json]:
        """Scenes with their annotations by track; at most 30 a page."""
        segments = ("dataset", dataset_id, "exportForTrainingByScene")
        more = {"sliceId": slice_id, "onlyMostRecentTask": True}
        async for row in rows(self._exchange, segments, "data", page_size=min(page_size, MOST_SCENES), **more):
            yield row

    async def delete(self, dataset_id: str, reference_id: str) -> None:
        """Begin to delete a scene with its items and all that is on them; no job tells when it is done."""
        await self._exchange.answer(delete("dataset", dataset_id, "scene", reference_id))

    async def merge_metadata(self, dataset_id: str, metadata: dict[str, Json]) -> None:
        """Merge keys into the metadata of at most 500 scenes, by reference id."""
        await self._exchange.answer(merge_call(dataset_id, metadata, "scene"))

    async def start_metadata_merge(self, dataset_id: str, metadata: dict[str, Json]) -> Job:
        """The same for any number of scenes; job `metadataUpdate`."""
        return await self._exchange.json(merge_call(dataset_id, metadata, "scene", in_background=True), Job)
