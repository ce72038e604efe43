"""Reads what Nucleus holds of one stream into rows that sort by key, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from msgspec.structs import replace

from nucleus_sync.api.parsed import key_in, parsed
from nucleus_sync.errors import NotFound
from nucleus_sync.records.fingerprint import CONTENT_SIZE, CONTENT_UNKNOWN, RAW_SIZE, content_hash
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import item_key
from nucleus_sync.records.scene import VideoScene
from nucleus_sync.records.seen import seen_annotation, seen_item

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.api.wire import ItemRecords, Json, RemoteItem
    from nucleus_sync.records.merged import KeySets
    from nucleus_sync.spool import Sorter

T = TypeVar("T")

_AT_ONCE = 16
UNREADABLE = CONTENT_UNKNOWN[RAW_SIZE:]


class Remote(NamedTuple):
    """A record at Nucleus: its key, the hash of what can be told of it, and the contents that it may have had."""

    key: bytes
    seen: bytes
    contents: bytes
    """Content hashes, of which any may be that of the record: of items without and with the sizes that Nucleus tells,
    which nobody may have declared, and all of it again without metadata that may be somebody else's."""

    def each_content(self) -> Iterator[bytes]:
        """One after the other; the first is of all that there is."""
        for start in range(0, len(self.contents), CONTENT_SIZE):
            yield self.contents[start : start + CONTENT_SIZE]


def item_row(item: RemoteItem, keys: KeySets | None) -> Remote:
    """An item's row."""
    url, metadata = item.source_url or "", item.metadata or {}
    readings = [metadata] if keys is None else keys.readings(metadata)
    contents = b"".join(_contents_of(item, url, reading) for reading in readings)
    return Remote(item_key(item.reference_id), seen_item(url, metadata), contents)


def _contents_of(item: RemoteItem, url: str, metadata: dict[str, Any]) -> bytes:
    bare = Item(reference_id=item.reference_id, metadata=metadata, image_url=url)
    if item.width is None or item.height is None:
        return content_hash(bare)
    width, height = (int(size) if size == int(size) else size for size in (item.width, item.height))
    return content_hash(bare) + content_hash(replace(bare, width=width, height=height))


def record_rows(records: Iterable[Json]) -> Iterator[Remote]:
    """Rows of annotations or predictions; one of no form that we know has a content that equals nothing."""
    for wire in records:
        key = key_in(wire)
        record = parsed(wire)
        if key is None:
            continue
        if record is None:
            yield Remote(key, UNREADABLE, UNREADABLE)
        else:
            content = content_hash(record)
            embedded = getattr(record, "embedding_vector", None) is not None
            yield Remote(key, seen_annotation(record) if embedded else content, content)


async def read_items(api: Api, dataset_id: str, keys: KeySets | None, items: Sorter) -> None:
    """All items of a dataset."""
    async for item in api.items.all(dataset_id):
        items.extend([item_row(item, keys)])


async def read_export(api: Api, dataset_id: str, keys: KeySets | None, items: Sorter, annotations: Sorter) -> None:
    """All items with their annotations."""
    async for found in api.items.export(dataset_id):
        items.extend([item_row(found.item, keys)])
        annotations.extend(record_rows(found.records))


async def read_scenes(api: Api, dataset_id: str, keys: KeySets | None, scenes: Sorter) -> None:
    """All scenes of a dataset, without their frames."""
    for scene in await api.scenes.all(dataset_id):
        name, metadata = scene.reference_id, scene.metadata or {}
        readings = [metadata] if keys is None else keys.readings(metadata)
        contents = b"".join(content_hash(VideoScene(reference_id=name, metadata=reading)) for reading in readings)
        scenes.extend([Remote(item_key(name), seen_item("", metadata), contents)])


async def read_members(api: Api, slice_id: str, members: Sorter) -> None:
    """The item keys of a slice."""
    async for item in api.slices.items(slice_id):
        members.extend([(item_key(item.reference_id),)])


async def read_predictions_of_slice(api: Api, slice_id: str, model_id: str, items: Sorter, predictions: Sorter) -> None:
    """A model's predictions on the items of a slice, and which items these are."""
    async for found in api.slices.export_predictions(slice_id, model_id):
        items.extend([(item_key(found.item.reference_id),)])
        predictions.extend(record_rows(found.records))


async def read_all_predictions(api: Api, dataset_id: str, model_id: str, predictions: Sorter) -> None:
    """A model's predictions on a dataset in one answer, which has to fit into memory and into Nucleus's minute."""
    predictions.extend(record_rows(await api.predictions.all(dataset_id, model_id)))


async def read_single_items(api: Api, dataset_id: str, references: list[str]) -> dict[str, ItemRecords | None]:
    """Single items with their annotations; None for those that aren't there."""
    return await _each(references, lambda reference: api.items.get(dataset_id, reference))


async def read_predictions_on(
    api: Api, dataset_id: str, model_id: str, references: list[str]
) -> dict[str, list[Remote] | None]:
    """A model's predictions on single items; None where an item isn't there."""

    async def read(reference: str) -> list[Remote]:
        return list(record_rows(await api.predictions.on_item(dataset_id, model_id, reference)))

    return await _each(references, read)


async def read_run_free_on(
    api: Api, _dataset_id: str, model_id: str, references: list[str]
) -> dict[str, list[Remote] | None]:
    """The same of predictions that belong to no run."""

    async def read(reference: str) -> list[Remote]:
        found = await api.predictions.without_run_on_item(model_id, reference)
        return list(record_rows({**one, "reference_id": reference} for one in found))

    return await _each(references, read)


async def _each(references: list[str], read: Callable[[str], Awaitable[T]]) -> dict[str, T | None]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(reference: str) -> T | None:
        async with slots:
            try:
                return await read(reference)
            except NotFound:
                return None

    return dict(zip(references, await asyncio.gather(*map(one, references)), strict=True))
