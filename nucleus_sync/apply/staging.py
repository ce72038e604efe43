"""Puts files into a bucket before Nucleus is told of them: only what is missing, checked on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from nucleus_sync.apply.runtime import Runtime, StepFailed, Together
from nucleus_sync.errors import SourceError
from nucleus_sync.records.item import LocalItem
from nucleus_sync.sources.open import read_at, staged_in
from nucleus_sync.sources.staged import object_name

_AT_ONCE = 16


class StagingFailed(StepFailed):
    """A file can't be put where Nucleus is to read it."""


async def stage(runtime: Runtime, sources: Iterable[str], items: Iterable[LocalItem]) -> None:
    """Put the files of a batch where the sources say. Raises StagingFailed."""
    declared = [runtime.spec.sources[name] for name in sources]
    places = {read_at(source): place for source in declared if (place := staged_in(source)) is not None}
    by_place: dict[str, list[LocalItem]] = {}
    for item in items:
        address = item.item.image_url.removesuffix(object_name(item))
        by_place.setdefault(places[address], []).append(item)
    for place, own in by_place.items():
        if place not in runtime.stages:
            runtime.stages[place] = Stage(place)
        await runtime.stages[place].put_all(own)


class Stage:
    """One place for staged files: s3://, gs://, az:// or file://, with credentials from the environment."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._store: Any = _opened(place)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def put_all(self, items: Iterable[LocalItem]) -> None:
        """Put what isn't there yet. Names are made of the content, so what is there is right, whoever put it there."""
        async with Together() as group:
            for item in {object_name(each): each for each in items}.values():
                group.create_task(self._put(item))

    async def _put(self, item: LocalItem) -> None:
        from obstore.exceptions import BaseError

        async with self._slots:
            try:
                if await self._is_there(item):
                    return
                content = await asyncio.to_thread(_content, item)
                await self._store.put_async(object_name(item), content, use_multipart=False)
                if not await self._is_there(item):
                    raise StagingFailed("it isn't there after it was put there", where=f"{self._place}: {item.path}")
            except (BaseError, OSError) as error:
                said = str(error).splitlines()[0]
                raise StagingFailed(
                    f"can't be staged: {said}",
                    where=self._place,
                    fix="check the bucket, its credentials and region in the environment (AWS_…, GOOGLE_…, AZURE_…)",
                ) from None

    async def _is_there(self, item: LocalItem) -> bool:
        try:
            found = await self._store.head_async(object_name(item))
        except FileNotFoundError:
            return False
        return bool(found["size"] == item.size)


def _content(item: LocalItem) -> bytes:
    try:
        content = Path(item.path).read_bytes()
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=item.path) from None
    if xxh3_128_digest(content) != item.digest:
        raise SourceError("changed since it was read", where=item.path, fix="run again once it is complete")
    return content


def _opened(place: str) -> Any:
    try:
        from obstore.store import LocalStore, from_url
    except ImportError:
        raise StagingFailed(
            "putting files into a bucket needs one more package",
            where=place,
            fix="pip install 'nucleus-sync[cloud]'",
        ) from None
    if place.startswith("file://"):
        return LocalStore(place.removeprefix("file://"), mkdir=True)
    # S3 checks the sum of what arrives; the others do so by themselves.
    config: Any = {"checksum_algorithm": "sha256"} if place.startswith("s3://") else {}
    return from_url(place, config=config or None)
