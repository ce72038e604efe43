"""A record of any kind: its union, its key, and its line on the wire."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from nucleus_sync.records.annotation import Annotation, Category, Mask, MultiCategory
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.key import annotation_key, category_key, item_key, mask_key
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.scene import LidarScene, Scene, VideoScene

Record = Item | LocalItem | Annotation | PaintedMask | Scene


class Kind(StrEnum):
    """What a stream holds."""

    ITEMS = "items"
    ANNOTATIONS = "annotations"
    PREDICTIONS = "predictions"
    SCENES = "scenes"


_encoder = msgspec.json.Encoder()
_line, _lines = _encoder.encode, _encoder.encode_lines


def key_of(record: Record) -> bytes:
    """What makes the record itself (docs/wire.md §2.2)."""
    match record:
        case Item() | LocalItem() | LidarScene() | VideoScene():
            return item_key(record.reference_id)
        case Mask() | PaintedMask():
            return mask_key(record.reference_id)
        case Category() | MultiCategory():
            return category_key(record.reference_id, record.taxonomy_name or None)
        case _:
            return annotation_key(record.reference_id, record.annotation_id, record.task_id or None)


def wire_line(record: Record) -> bytes:
    """The record as one line of NDJSON, without the newline (docs/wire.md §3.1)."""
    kind = record.__class__
    if kind is LocalItem:
        return _line(record.item)  # type: ignore[union-attr]
    return _line(record.mask if kind is PaintedMask else record)  # type: ignore[union-attr]


def sent_line(record: Record) -> bytes:
    """The same with its newline, of a record that goes into a batch as it is: neither LocalItem nor PaintedMask."""
    # A list, since msgspec 0.22 never lets go of a tuple: 48 bytes a record in each process that writes lines.
    return _lines([record])
