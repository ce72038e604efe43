"""Reads single records back from Nucleus where a job's own words don't say which of them are in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from nucleus_sync.api.parsed import parsed
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.records.fingerprint import RAW_SIZE, content_hash
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import key_of
from nucleus_sync.survey.changes import Change

_ITEMS_READ_BACK = 2_000
_AT_ONCE = 16


async def missing_of(
    runtime: Runtime, dataset_id: str, changes: Sequence[Change]
) -> tuple[list[Change], frozenset[bytes]]:
    """Which of these Nucleus doesn't hold as they were sent, and the keys of those that can't be told.

    Every item is one read. More than two thousand items stay in doubt and are sent again.
    """
    in_order = sorted(changes, key=lambda change: change.key)
    by_item = {item: list(group) for item, group in groupby(in_order, key=lambda change: item_of(change.key))}
    if len(by_item) > _ITEMS_READ_BACK:
        return [], frozenset(change.key for change in changes)
    slots = asyncio.Semaphore(_AT_ONCE)
    results = await asyncio.gather(
        *(_looked_up(runtime, dataset_id, item.decode(), group, slots) for item, group in by_item.items())
    )
    missing = [change for found, _ in results for change in found]
    return missing, frozenset(key for _, doubtful in results for key in doubtful)


async def _looked_up(
    runtime: Runtime, dataset_id: str, reference_id: str, changes: list[Change], slots: asyncio.Semaphore
) -> tuple[list[Change], list[bytes]]:
    async with slots:
        try:
            found = await runtime.api.items.get(dataset_id, reference_id)
        except NotFound:
            return changes, []
        except ApiError:
            return [], [change.key for change in changes]
    held: dict[bytes, bytes | None] = {reference_id.encode(): _item_content(found.item)}
    for wire in found.records:
        record = parsed(wire)
        if record is not None:
            held[key_of(record)] = content_hash(record)
    return [change for change in changes if not _is_held(change, held)], []


def _is_held(change: Change, held: dict[bytes, bytes | None]) -> bool:
    if change.key not in held:
        return False
    content = held[change.key]
    # A local image comes back under Nucleus's own URL: that it is there with its metadata is all that can be seen.
    return content is None or content == change.stamp[RAW_SIZE:] or _same_metadata(content, change.stamp[RAW_SIZE:])


def _same_metadata(one: bytes, other: bytes) -> bool:
    return one[12:14] == other[12:14]


def _item_content(item: Any) -> bytes | None:
    url = item.source_url
    if not url:
        return None
    return content_hash(Item(reference_id=item.reference_id, metadata=item.metadata or {}, image_url=url))
