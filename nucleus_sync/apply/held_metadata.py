"""Sends along, with records that go up whole, the metadata that others have written to them at Nucleus."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import structs

from nucleus_sync.api.scenes import parsed_scene
from nucleus_sync.apply.batches import LineBatch, PhotoBatch
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import NotFound
from nucleus_sync.records.item import LocalItem
from nucleus_sync.records.key import reference_id
from nucleus_sync.records.record import Kind
from nucleus_sync.records.scene import items_of_scene
from nucleus_sync.spool import Row
from nucleus_sync.survey.change import Change
from nucleus_sync.survey.changes import ChangeSet

_AT_ONCE = 16
_LINES = 1_000
_BEFORE = Change._fields.index("before")
Json = dict[str, Any]


async def with_held(
    runtime: Runtime, dataset_id: str, changes: ChangeSet, batch: LineBatch | PhotoBatch
) -> LineBatch | PhotoBatch:
    """The same batch with the metadata that Nucleus holds of its records beneath ours.

    An upload puts metadata in place of all that was there (docs/wire.md §6.1), so that each record which may be there
    is read first. What somebody writes between that and the upload is lost.
    """
    if not changes.merges or not any(row[_BEFORE] for row in batch.rows):
        return batch
    looking = _Looking(runtime, dataset_id, changes.kind, asyncio.Semaphore(_AT_ONCE))
    if isinstance(batch, PhotoBatch):
        items = [looking.photo(row, item) for row, item in zip(batch.rows, batch.items, strict=True)]
        return replace(batch, items=list(await asyncio.gather(*items)))
    with tempfile.NamedTemporaryFile(dir=runtime.scratch, suffix=".ndjson", delete=False) as file:
        await _rewrite(looking, iter(batch.rows), batch.lines(), file.file)
    return batch.moved_to(Path(file.name))


async def _rewrite(looking: _Looking, rows: Iterator[Row], lines: Iterator[bytes], file: IO[bytes]) -> None:
    while portion := list(islice(rows, _LINES)):
        file.writelines(await asyncio.gather(*(looking.line(row, next(lines)) for row in portion)))


@dataclass(frozen=True)
class _Looking:
    runtime: Runtime
    dataset_id: str
    kind: Kind
    slots: asyncio.Semaphore

    async def photo(self, row: Row, item: LocalItem) -> LocalItem:
        if not row[_BEFORE]:
            return item
        held = await self._of_item(item.reference_id)
        return structs.replace(item, item=structs.replace(item.item, metadata={**held, **item.item.metadata}))

    async def line(self, row: Row, line: bytes) -> bytes:
        if not row[_BEFORE]:
            return line
        record: Json = msgspec.json.decode(line)
        if self.kind is Kind.SCENES:
            await self._merge_scene(reference_id(row[1]), record)
        else:
            record["metadata"] = {**await self._of_item(record["reference_id"]), **record["metadata"]}
        return msgspec.json.encode(record) + b"\n"

    async def _of_item(self, reference: str) -> Json:
        async with self.slots:
            try:
                found = await self.runtime.api.items.get(self.dataset_id, reference)
            except NotFound:
                return {}
        return found.item.metadata or {}

    async def _merge_scene(self, reference: str, record: Json) -> None:
        async with self.slots:
            try:
                held = parsed_scene(await self.runtime.api.scenes.get(self.dataset_id, reference))
            except NotFound:
                return
        if held is None:
            return
        record["metadata"] = {**held.metadata, **record.get("metadata", {})}
        inside = {item.reference_id: item.metadata for item in items_of_scene(held)}
        for item in _items_in(record):
            item["metadata"] = {**inside.get(item["reference_id"], {}), **item["metadata"]}


def _items_in(record: Json) -> Iterator[Json]:
    """The items of a scene in wire form: a video's frames are items, a lidar scene's hold one for each sensor."""
    for frame in record.get("frames", ()):
        if "reference_id" in frame and isinstance(frame["reference_id"], str):
            yield frame
        else:
            yield from frame.values()
