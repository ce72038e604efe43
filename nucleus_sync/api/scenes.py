"""Scenes: reading, merging metadata, deleting; their structure is fixed at creation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from nucleus_sync.api.calls import delete, get
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.items import QUERY_PAGE, merge_call
from nucleus_sync.api.pages import rows
from nucleus_sync.api.wire import Job, Json, SceneSummary
from nucleus_sync.records.scene import LidarScene, Scene, VideoScene, items_of_scene

SCENE_PAGE = 10
_URLS = ("url", "pointcloud_url", "original_image_url", "image_url")
MOST_SCENES = 30


class Scenes:
    """`api.scenes`: see docs/wire.md §9.3."""

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


def parsed_scene(wire: Json) -> Scene | None:
    """A scene as Nucleus gives it back; None for one that has no form that we know.

    What tells the kinds apart is that a video has a `frame_rate` or a `video_url` (docs/wire.md §9.3).
    """
    given = {name: value for name, value in wire.items() if value is not None}
    is_video = "frame_rate" in given or "video_url" in given
    frames = given.get("frames") or []
    try:
        given["frames"] = [_item(each) if is_video else _frame(each) for each in frames]
        if is_video:
            return msgspec.convert(given, VideoScene, strict=False)
        return msgspec.convert(given, LidarScene, strict=False)
    except (msgspec.ValidationError, AttributeError):
        return None


def item_references(wire: Json) -> list[str]:
    """The reference ids of a scene's items."""
    scene = parsed_scene(wire)
    return [item.reference_id for item in items_of_scene(scene)] if scene else []


def _frame(wire: Json) -> Json:
    return {sensor: _item(item) for sensor, item in wire.items()}


def _item(wire: Json) -> Json:
    """Both spellings of the reference id occur, and the URL's name depends on the type (docs/wire.md §8.2)."""
    item = {name: value for name, value in wire.items() if value is not None}
    item["reference_id"] = item.get("ref_id") or item.get("reference_id")
    item["url"] = next((item[name] for name in _URLS if item.get(name)), "")
    item.setdefault("type", "pointcloud" if item.get("pointcloud_url") else "image")
    return item
