"""Has Nucleus read single images, in a dataset that is made for that and deleted at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from nucleus_sync.api.client import Api
from nucleus_sync.api.file_pieces import FilePiece
from nucleus_sync.api.states import Ending
from nucleus_sync.records.item import Item
from nucleus_sync.records.record import wire_line

TRIAL = "nucleus-sync doctor"
"""What the name of such a dataset begins with."""
_DEADLINE = 120.0
"""Seconds for one image."""


async def try_images(api: Api, images: Mapping[str, Item], scratch: Path) -> dict[str, str | None]:
    """For each source what Nucleus says against its image; None where it took it. Raises ApiError.

    One job for each, so that no source speaks for another.
    """
    dataset_id = await api.datasets.create(f"{TRIAL} {uuid4().hex[:8]}")
    try:
        return {source: await _tried(api, dataset_id, image, scratch) for source, image in images.items()}
    finally:
        await api.datasets.delete(dataset_id)


async def _tried(api: Api, dataset_id: str, image: Item, scratch: Path) -> str | None:
    line = wire_line(image) + b"\n"
    path, request_id = scratch / "trial.ndjson", str(uuid4())
    path.write_bytes(line)
    await api.uploads.ndjson(dataset_id, [FilePiece(path, len(line))], request_id)
    job = await api.uploads.trigger_items(dataset_id, request_id, update=False)
    outcome = await api.poller.outcome(job.job_id, _DEADLINE)
    if outcome.errors:
        return outcome.errors[0].text
    return None if outcome.ending is Ending.DONE else outcome.text or f"its job ended as {outcome.ending}"
