"""Reads single records back from Nucleus where a job's own words don't say which of them are in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from nucleus_sync.api.parsed import parsed
from nucleus_sync.api.wire import RemoteItem
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.records.fingerprint import RAW_SIZE, changed_parts, content_hash, is_painted
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import is_mask, item_of
from nucleus_sync.records.merged import KeySets, as_they_are
from nucleus_sync.records.record import Kind, key_of
from nucleus_sync.survey.change import CREATE, Change
from nucleus_sync.survey.metadata_names import key_sets

_ITEMS_READ_BACK = 2_000
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to look."""

    dataset_id: str
    model_id: str | None
    keys: KeySets
    run_free: bool


async def missing_of(
    runtime: Runtime,
    dataset_id: str,
    changes: Sequence[Change],
    model_id: str | None = None,
    *,
    run_free: bool = False,
) -> tuple[list[Change], frozenset[bytes]]:
    """Which of these Nucleus doesn't hold at all, and the keys of those of which it can't be told.

    With a model its predictions are looked at, in runs or outside of them, else the ground truth. Every item is one
    read, or two; more than two thousand items stay in doubt and are sent again.
    """
    in_order = sorted(changes, key=lambda change: change.key)
    by_item = {item: list(group) for item, group in groupby(in_order, key=lambda change: item_of(change.key))}
    if len(by_item) > _ITEMS_READ_BACK:
        return [], frozenset(change.key for change in changes)
    place = _Place(dataset_id, model_id, own_keys(runtime, dataset_id), run_free)
    slots = asyncio.Semaphore(_AT_ONCE)
    results = await asyncio.gather(
        *(_looked_up(runtime, place, item.decode(), group, slots) for item, group in by_item.items())
    )
    missing = [change for found, _ in results for change in found]
    return missing, frozenset(key for _, doubtful in results for key in doubtful)


async def _looked_up(
    runtime: Runtime, place: _Place, reference_id: str, changes: list[Change], slots: asyncio.Semaphore
) -> tuple[list[Change], list[bytes]]:
    async with slots:
        try:
            held = await _contents(runtime, place, reference_id)
        except NotFound:
            return changes, []
        except ApiError:
            return [], [change.key for change in changes]
    missing = [change for change in changes if change.key not in held]
    there = [change for change in changes if change.key in held]
    return missing, [
        change.key for change in there if not any(_is_surely_held(change, content) for content in held[change.key])
    ]


def own_keys(runtime: Runtime, dataset_id: str) -> KeySets:
    """What tells our metadata of a dataset's items from that of others; where that can't be, all is taken for ours."""
    for name in runtime.spec.datasets:
        resource = runtime.ledger.resource(f"dataset.{name}")
        if resource is not None and resource.nucleus_id == dataset_id:
            return key_sets(runtime.spec, runtime.ledger, name) or as_they_are()
    return as_they_are()


async def _contents(runtime: Runtime, place: _Place, reference_id: str) -> dict[bytes, list[bytes]]:
    """What Nucleus holds of one item: by key the hashes of the contents that it may be."""
    held: dict[bytes, list[bytes]] = {}
    if place.model_id is None:
        found = await runtime.api.items.get(place.dataset_id, reference_id)
        held[reference_id.encode()] = [
            _item_content(found.item, metadata) for metadata in place.keys.readings(found.item.metadata or {})
        ]
        records = found.records
    elif place.run_free:
        records = await _without_run(runtime, place.dataset_id, place.model_id, reference_id)
    else:
        records = await runtime.api.predictions.on_item(place.dataset_id, place.model_id, reference_id)
    for wire in records:
        record = parsed(wire)
        if record is not None:
            held[key_of(record)] = [content_hash(record)]
    return held


async def _without_run(runtime: Runtime, dataset_id: str, model_id: str, reference_id: str) -> list[dict[str, Any]]:
    """By Nucleus's id of the item: another dataset may have one of the same reference id."""
    item = (await runtime.api.items.get(dataset_id, reference_id)).item
    item_id = item.dataset_item_id or item.id
    if item_id is None:
        raise ApiError("an item without an id of its own", where=reference_id)
    found = await runtime.api.predictions.without_run_at(model_id, item_id)
    return [{"reference_id": reference_id, **record} for record in found]


def _is_surely_held(change: Change, content: bytes) -> bool:
    """Whether it is there as it was sent: an update that was refused leaves the older content under the same key."""
    wanted = change.stamp[RAW_SIZE:]
    if content == wanted:
        return True
    if is_mask(change.key):  # one that was uploaded comes back under a URL of Nucleus's own
        return (
            change.does == CREATE
            and is_painted(wanted)
            and "label" not in changed_parts(Kind.ANNOTATIONS, content, wanted)
        )
    if change.key != item_of(change.key):
        return False
    # Sizes don't come back, and a picture that was uploaded comes back under Nucleus's own URL.
    differs = set(changed_parts(Kind.ITEMS, content, wanted))
    return not differs - {"size", "embedding"} or (change.does == CREATE and "metadata" not in differs)


def _item_content(item: RemoteItem, metadata: dict[str, Any]) -> bytes:
    return content_hash(Item(reference_id=item.reference_id, metadata=metadata, image_url=item.source_url or ""))
