"""Reads scenes back where a job's own words don't say which of them are in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nucleus_sync.api.scenes import parsed_scene
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.records.fingerprint import RAW_SIZE, content_hash
from nucleus_sync.records.key import reference_id
from nucleus_sync.survey.changes import Change

SCENE_JOBS = frozenset({"uploadLidarScene", "uploadVideoScene"})
_SCENES_READ_BACK = 2_000
_AT_ONCE = 16


async def missing_scenes(
    runtime: Runtime, dataset_id: str, changes: Sequence[Change]
) -> tuple[list[Change], frozenset[bytes]]:
    """Which of these scenes Nucleus doesn't hold with the metadata that was sent, and those that can't be told.

    Sizes aren't given back, so that nothing is said about the structure.
    """
    if len(changes) > _SCENES_READ_BACK:
        return [], frozenset(change.key for change in changes)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def is_held(change: Change) -> bool | None:
        async with slots:
            try:
                wire = await runtime.api.scenes.get(dataset_id, reference_id(change.key))
            except NotFound:
                return False
            except ApiError:
                return None
        scene = parsed_scene(wire)
        return None if scene is None else _metadata_of(content_hash(scene)) == _metadata_of(change.stamp[RAW_SIZE:])

    found = await asyncio.gather(*map(is_held, changes))
    missing = [change for change, held in zip(changes, found, strict=True) if held is False]
    doubtful = frozenset(change.key for change, held in zip(changes, found, strict=True) if held is None)
    return missing, doubtful


def _metadata_of(content: bytes) -> bytes:
    return content[12:16]
