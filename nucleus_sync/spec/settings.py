"""The spec's settings: how to sync, as against what."""

from __future__ import annotations

from typing import Annotated

from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.rule import bounds
from nucleus_sync.spec.value import BatchBytes, Number, PathText, Switch, Whole


class BatchSettings(SpecPart, frozen=True, kw_only=True):
    """How large one asynchronous job may become; whichever limit is met first ends it."""

    max_bytes: BatchBytes = 128 * 1024**2
    """Most bytes in one upload: a number, or a text such as 128MiB."""
    max_records: Annotated[Whole, bounds(ge=1)] = 100_000
    """Most records in one upload."""


class DeleteLimit(SpecPart, frozen=True, kw_only=True):
    """What a plan may delete of one stream without --allow-deletes; more than either is refused."""

    records: Annotated[Whole, bounds(ge=0)] = 1000
    """Most records."""
    fraction: Annotated[Number, bounds(ge=0, le=1)] = 0.2
    """Largest part of the stream, from 0 to 1."""


class Settings(SpecPart, frozen=True, kw_only=True):
    """How to sync; everything has a default, and NUCLEUS_SYNC_… in the environment overrides it."""

    ledger: PathText = ".nucleus-sync/ledger.db"
    """The file that remembers what was applied."""
    prune: Switch = False
    """Delete what a source no longer yields?"""
    batch: BatchSettings = BatchSettings()
    """How large one asynchronous job may become."""
    concurrency: Annotated[Whole, bounds(ge=1, le=64)] = 4
    """Jobs and uploads in flight at once."""
    delete_limit: DeleteLimit = DeleteLimit()
    """What a plan may delete of one stream without --allow-deletes."""
