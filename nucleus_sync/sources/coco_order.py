"""Keys of labels that have no id of their own: where they stand among their item's, whatever the order in the file."""

from __future__ import annotations

import struct

from nucleus_sync.records.key import is_unnumbered
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label

_NUMBERS = 5
_pack_numbers = struct.Struct(f">{_NUMBERS}d").pack
_FIRST_BITS = int.from_bytes(b"\x80\0\0\0\0\0\0\0" * _NUMBERS)


def part_key(key: bytes, part: int) -> bytes:
    """The key of a further ring: `5-1`, or behind its first ring where the label has no id."""
    return key + part.to_bytes(2) if is_unnumbered(key) else b"%b-%d" % (key, part)


def order_of(label: Label, category: Category, digest: bytes) -> bytes:
    """Where a label without an id stands among its item's: by label, place and size, score, then by its bytes."""
    numbers = (*_extent(label), 0.0 if label.score is None else label.score)
    return category.label.encode(errors="replace") + b"\x00" + _all_sortable(numbers) + digest


def _all_sortable(numbers: tuple[float, ...]) -> bytes:
    """Like `sortable` for each; mostly none is negative, and then only their first bits are to be set."""
    if len(numbers) == _NUMBERS and min(numbers) > 0:
        return (int.from_bytes(_pack_numbers(*numbers)) | _FIRST_BITS).to_bytes(8 * _NUMBERS)
    return b"".join(map(sortable, numbers))


def _extent(label: Label) -> tuple[float, ...]:
    if label.bbox is not None:
        return label.bbox
    flat: list[float] = []
    if label.keypoints:
        flat = [number for place, number in enumerate(label.keypoints) if place % 3 != 2]
    elif isinstance(label.segmentation, list):
        flat = [number for ring in label.segmentation for number in ring]
    xs, ys = flat[::2], flat[1::2]
    return (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)) if xs and ys else (0.0,) * 4


def sortable(number: float) -> bytes:
    """Eight bytes that sort as numbers do, negative ones included."""
    bits = int.from_bytes(struct.pack(">d", number))
    return (~bits & 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63).to_bytes(8)
