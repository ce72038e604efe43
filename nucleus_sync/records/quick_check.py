"""A quick yes for most sound records: asking `check.complaints` takes several times as long."""

from __future__ import annotations

from math import isfinite
from typing import Any

from msgspec import UNSET

from nucleus_sync.records.annotation import Box, Point, Polygon
from nucleus_sync.records.check import is_flat
from nucleus_sync.records.complaint import LONGEST_METADATA, REMOTE_SCHEMES
from nucleus_sync.records.item import Item
from nucleus_sync.records.record import Record

EXACT_IN_JAVASCRIPT = 2**53
"""Whole numbers beyond this are rounded by JavaScript, and by Nucleus's viewer perhaps, too."""


def is_plainly_sound(record: Record) -> bool:
    """True only where there are no complaints and no whole numbers in metadata that JavaScript would round.

    No means that `complaints` has to be asked.
    """
    kind = record.__class__
    if kind is Item:
        return _is_plain_item(record)  # type: ignore[arg-type]
    if kind is Box:
        shape: Any = record.geometry  # type: ignore[union-attr]
        # A sum of finite numbers may overflow; then the answer is no, which is never wrong.
        is_shaped = shape.width > 0 < shape.height and isfinite(shape.x + shape.y + shape.width + shape.height)
    elif kind is Polygon:
        is_shaped = _is_ring(record.geometry.vertices)  # type: ignore[union-attr]
    else:
        return False
    return is_shaped and _is_plainly_labelled(record)


def _is_plain_item(item: Item) -> bool:
    reference_id = item.reference_id
    return (
        bool(reference_id)
        and "\x00" not in reference_id
        and item.image_url.startswith(REMOTE_SCHEMES)
        and _is_plain(item.metadata)
    )


def _is_ring(vertices: list[Point]) -> bool:
    if len(vertices) < 3:
        return False
    total = 0.0
    for point in vertices:
        total += point.x + point.y
    return isfinite(total) and not is_flat(vertices)


def _is_plainly_labelled(record: Any) -> bool:
    reference_id, confidence, metadata = record.reference_id, record.confidence, record.metadata
    return (
        bool(reference_id and record.label and record.annotation_id)
        and "\x00" not in reference_id
        and (confidence is UNSET or 0 <= confidence <= 1)
        and (not metadata or _is_plain(metadata))
    )


def _is_plain(metadata: dict[str, Any]) -> bool:
    if "" in metadata:
        return False
    for value in metadata.values():
        kind = value.__class__
        if kind is str:
            if len(value) > LONGEST_METADATA:
                return False
        elif kind is float:
            if not isfinite(value):
                return False
        elif kind is int:
            if not -EXACT_IN_JAVASCRIPT <= value <= EXACT_IN_JAVASCRIPT:
                return False
        elif not (value is None or kind is bool or _is_plain_inside(value)):
            return False
    return True


def _is_plain_inside(value: Any) -> bool:
    """Objects and lists; an empty key is only worth a word at the top."""
    if value.__class__ is dict:
        return _is_plain(value)
    return value.__class__ is list and _is_plain(dict(enumerate(value)))  # type: ignore[arg-type]
