"""Leaves out of categories of whole scenes what the wire has for those of items only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from nucleus_sync.apply.batches import LineBatch
from nucleus_sync.records.key import item_of, taxonomy_of

_KEY_AT = 1


def as_scene_categories(batch: LineBatch, is_scene: Callable[[bytes], bool], scratch: Path) -> LineBatch:
    """The batch with the categories of scenes as the official SDK sends them: without a track (docs/wire.md §5.5).

    Nothing else tells them from categories of items. `is_scene` is asked of encoded reference ids.
    """
    on_scenes = {
        number
        for number, row in enumerate(batch.rows)
        if taxonomy_of(row[_KEY_AT]) is not None and is_scene(item_of(row[_KEY_AT]))
    }
    if not on_scenes:
        return batch
    lines = (_bared(line) if number in on_scenes else line for number, line in enumerate(batch.lines()))
    return batch.rewritten(batch.rows, lines, scratch)


def _bared(line: bytes) -> bytes:
    record: dict[str, object] = msgspec.json.decode(line)
    record.pop("track_reference_id", None)
    return msgspec.json.encode(record) + b"\n"
