"""Reads scenes back where a job's own words don't say which of them are in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from nucleus_sync.api.scenes import parsed_scene
from nucleus_sync.apply.readback import own_keys
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.errors import ApiError, NotFound
from nucleus_sync.records.fingerprint import RAW_SIZE, content_hash
from nucleus_sync.records.key import reference_id
from nucleus_sync.survey.change import Change

SCENE_JOBS = frozenset({"uploadLidarScene", "uploadVideoScene"})
_SCENES_READ_BACK = 2_000
_AT_ONCE = 16
_OF_ALL, _OF_SCENE = slice(12, 16), slice(12, 14)
"""Where a content hash tells of metadata: of the scene and its items, or of the scene alone."""


async def missing_scenes(
    runtime: Runtime, dataset_id: str, changes: Sequence[Change]
) -> tuple[list[Change], frozenset[bytes]]:
    """Which of these scenes Nucleus doesn't hold with the metadata that was sent, and those that can't be told.

    Sizes aren't given back, so that nothing is said about the structure.
    """
    if len(changes) > _SCENES_READ_BACK:
        return [], frozenset(change.key for change in changes)
    slots, keys = asyncio.Semaphore(_AT_ONCE), own_keys(runtime, dataset_id)

    async def is_held(change: Change) -> bool | None:
        async with slots:
            try:
                wire = await runtime.api.scenes.get(dataset_id, reference_id(change.key))
            except NotFound:
                return False
            except ApiError:
                return None
        scene = parsed_scene(wire)
        if scene is None:
            return None
        readings = (replace(scene, metadata=metadata) for metadata in keys.readings(scene.metadata))
        part = _OF_SCENE if keys.are_merged else _OF_ALL
        return any(content_hash(one)[part] == change.stamp[RAW_SIZE:][part] for one in readings)

    found = await asyncio.gather(*map(is_held, changes))
    missing = [change for change, held in zip(changes, found, strict=True) if held is False]
    doubtful = frozenset(change.key for change, held in zip(changes, found, strict=True) if held is None)
    return missing, doubtful
