"""Looks whether Nucleus took a new image under a known reference id, which nobody has said that it does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from xxhash import xxh3_128_digest

from nucleus_sync.api.wire import RemoteItem
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError
from nucleus_sync.events import Note
from nucleus_sync.ledger.known import in_doubt
from nucleus_sync.records.fingerprint import RAW_SIZE, image_hash, image_of
from nucleus_sync.records.key import reference_id

KEPT = "Nucleus kept the older image; on_image_change: replace deletes the item and ingests it again"
_READ_BACK = 2_000
_AT_ONCE = 8


class Suspect(NamedTuple):
    """An item that was known, or may have been, and was sent with a new image."""

    key: bytes
    source: bytes
    """Which of the stream's sources it comes from."""
    wanted: bytes
    """The content that was sent."""
    before: bytes
    """The content that was known; empty where it was in doubt."""


class _Found(Enum):
    TAKEN = "taken"
    KEPT = "kept"
    UNTOLD = "untold"


def suspect(key: bytes, place: bytes, stamp: bytes, before: bytes | None) -> Suspect | None:
    """Whether an item with this stamp before has to be looked at after the new one was sent."""
    if not before:
        return None
    wanted, known = stamp[RAW_SIZE:], b"" if in_doubt(before) else before[RAW_SIZE:]
    if known and image_of(known) == image_of(wanted):
        return None
    return Suspect(key, place[:1], wanted, known)


async def kept_images(
    runtime: Runtime, dataset_id: str, suspects: Iterable[Suspect], *, uploaded: bool
) -> dict[bytes, bytes | None]:
    """Items of which Nucleus kept an older image, with the hash of that one as far as it is known.

    Of each source one item is read back in a run; the others only where that one was not taken, and those of which
    nothing is sure after an interruption. Of more than two thousand in a batch the rest counts as not taken, or is
    left undecided.
    """
    look = _Look(runtime, dataset_id, uploaded)
    kept: dict[bytes, bytes | None] = {}
    in_order = sorted(suspects, key=attrgetter("source"))
    for source, group in groupby((one for one in in_order if one.before), key=attrgetter("source")):
        own = list(group)
        found = await look.first((dataset_id, source), own[0])
        if found is _Found.UNTOLD:
            look.say("that Nucleus took new images can't be told from what it gives back")
        elif found is _Found.KEPT:
            kept |= {one.key: image_of(one.before) for one in own[_READ_BACK:]}
            kept |= await look.kept_of(own[:_READ_BACK])
    doubted = [one for one in in_order if not one.before]
    if len(doubted) > _READ_BACK:
        look.say(f"{len(doubted) - _READ_BACK:,} images sent again after an interruption were not read back")
    return kept | await look.kept_of(doubted[:_READ_BACK])


class _Look:
    def __init__(self, runtime: Runtime, dataset_id: str, uploaded: bool) -> None:
        self._runtime = runtime
        self._dataset_id = dataset_id
        self._uploaded = uploaded
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def say(self, text: str) -> None:
        self._runtime.emit(Note("", text))

    async def first(self, source: tuple[str, bytes], one: Suspect) -> _Found:
        """How it stands with a source, asked once in a run where the answer is good news."""
        known: dict[tuple[str, bytes], _Found] = self._runtime.images_taken
        if source not in known:
            known[source] = await self._at(one)
        return known[source]

    async def kept_of(self, suspects: Sequence[Suspect]) -> dict[bytes, bytes | None]:
        found = await asyncio.gather(*map(self._at, suspects))
        kept = (one for one, what in zip(suspects, found, strict=True) if what is _Found.KEPT)
        return {one.key: image_of(one.before) if one.before else None for one in kept}

    async def _at(self, one: Suspect) -> _Found:
        async with self._slots:
            try:
                item = (await self._runtime.api.items.get(self._dataset_id, reference_id(one.key))).item
                shown = image_hash(item.source_url or "")
                if one.before and shown == image_of(one.before):
                    return _Found.KEPT
                if not self._uploaded:
                    return _Found.TAKEN if shown == image_of(one.wanted) else _Found.KEPT
                return await self._bytes_at(item, one)
            except ApiError:
                return _Found.UNTOLD

    async def _bytes_at(self, item: RemoteItem, one: Suspect) -> _Found:
        """An upload comes back at an address of Nucleus's own, perhaps as other bytes than it had."""
        url = item.processed_url or item.source_url or ""
        if not url.startswith(("https://", "http://")):
            return _Found.UNTOLD
        shown = image_hash(xxh3_128_digest(await self._runtime.api.items.image(url)))
        if shown == image_of(one.wanted):
            return _Found.TAKEN
        return _Found.KEPT if one.before and shown == image_of(one.before) else _Found.UNTOLD
