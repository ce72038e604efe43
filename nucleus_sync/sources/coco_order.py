"""Keys of labels that have no id of their own: where they stand among their item's, whatever the order in the file."""

from __future__ import annotations

import struct
from functools import lru_cache

from nucleus_sync.records.key import is_unnumbered
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label

_pack_numbers = struct.Struct(">5d").pack


def part_key(key: bytes, part: int) -> bytes:
    """The key of a further ring: `5-1`, or behind its first ring where the label has no id."""
    return key + part.to_bytes(2) if is_unnumbered(key) else b"%b-%d" % (key, part)


def order_of(label: Label, category: Category, digest: bytes) -> bytes:
    """Where a label without an id stands among its item's: by label, place and size, score, then by its bytes."""
    x, y, width, height = label.bbox or _extent(label)
    score = 0.0 if label.score is None else label.score
    # Of numbers that aren't negative, zeros without a sign included, `sortable` only sets the first bit: the sign.
    packed = _pack_numbers(-x, -y, -width, -height, -score)
    if not packed[0] & packed[8] & packed[16] & packed[24] & packed[32] & 0x80:
        packed = b"".join(map(sortable, (x, y, width, height, score)))
    return _beginning(category.label) + packed + digest


@lru_cache(10_000)
def _beginning(label: str) -> bytes:
    return label.encode(errors="replace") + b"\x00"


def _extent(label: Label) -> tuple[float, float, float, float]:
    """The box around a label that has none of its own."""
    flat: list[float] = []
    if label.keypoints:
        flat = [number for place, number in enumerate(label.keypoints) if place % 3 != 2]
    elif isinstance(label.segmentation, list):
        flat = [number for ring in label.segmentation for number in ring]
    xs, ys = flat[::2], flat[1::2]
    return (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)) if xs and ys else (0.0, 0.0, 0.0, 0.0)


def sortable(number: float) -> bytes:
    """Eight bytes that sort as numbers do, negative ones included."""
    bits = int.from_bytes(struct.pack(">d", number))
    return (~bits & 0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else bits | 1 << 63).to_bytes(8)
