"""Puts files into a bucket before Nucleus is told of them: only what is missing, checked on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xxhash import xxh3_128, xxh3_128_digest

from nucleus_sync.apply.runtime import Runtime, StepFailed, Together
from nucleus_sync.errors import SourceError
from nucleus_sync.records.item import StagedFile
from nucleus_sync.sources.staged import object_name
from nucleus_sync.spec.staging import read_at, staged_in

_AT_ONCE = 16
_IN_ONE_PIECE = 64 << 20
_BLOCK = 1 << 20


class StagingFailed(StepFailed):
    """A file can't be put where Nucleus is to read it."""


async def stage(runtime: Runtime, sources: Iterable[str], files: Iterable[StagedFile]) -> None:
    """Put the files of a batch where the sources say. Raises StagingFailed."""
    declared = [runtime.spec.sources[name] for name in sources]
    places = {read_at(source): place for source in declared if (place := staged_in(source)) is not None}
    by_place: dict[str, list[StagedFile]] = {}
    for file in files:
        address = file.url.removesuffix(object_name(file.digest, file.path))
        by_place.setdefault(places[address], []).append(file)
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

    async def put_all(self, files: Iterable[StagedFile]) -> None:
        """Put what isn't there yet. Names are made of the content, so what is there is right, whoever put it there."""
        async with Together() as group:
            for name, file in {object_name(each.digest, each.path): each for each in files}.items():
                group.create_task(self._put(name, file))

    async def _put(self, name: str, file: StagedFile) -> None:
        from obstore.exceptions import BaseError

        async with self._slots:
            try:
                if await self._is_there(name, file):
                    return
                if file.size > _IN_ONE_PIECE:
                    await asyncio.to_thread(_check, file)
                    await self._store.put_async(name, Path(file.path), use_multipart=True)
                else:
                    content = await asyncio.to_thread(_content, file)
                    await self._store.put_async(name, content, use_multipart=False)
                if not await self._is_there(name, file):
                    raise StagingFailed("it isn't there after it was put there", where=f"{self._place}: {file.path}")
            except (BaseError, OSError) as error:
                said = str(error).splitlines()[0]
                raise StagingFailed(
                    f"can't be staged: {said}",
                    where=self._place,
                    fix="check the bucket, its credentials and region in the environment (AWS_…, GOOGLE_…, AZURE_…)",
                ) from None

    async def _is_there(self, name: str, file: StagedFile) -> bool:
        try:
            found = await self._store.head_async(name)
        except FileNotFoundError:
            return False
        return bool(found["size"] == file.size)


def _content(file: StagedFile) -> bytes:
    try:
        content = Path(file.path).read_bytes()
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=file.path) from None
    if xxh3_128_digest(content) != file.digest:
        raise _changed(file)
    return content


def _check(file: StagedFile) -> None:
    """A file that is too large for memory is read once to see that it is still the same, then sent in parts."""
    hasher = xxh3_128()
    try:
        with open(file.path, "rb") as opened:
            while block := opened.read(_BLOCK):
                hasher.update(block)
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=file.path) from None
    if hasher.digest() != file.digest:
        raise _changed(file)


def _changed(file: StagedFile) -> SourceError:
    return SourceError("changed since it was read", where=file.path, fix="run again once it is complete")


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
