"""Annotations and predictions as Nucleus gives them back, as records."""

from __future__ import annotations

import msgspec

from nucleus_sync.api.wire import Json
from nucleus_sync.records.annotation import Annotation
from nucleus_sync.records.key import annotation_key, category_key, mask_key


def parsed(wire: Json) -> Annotation | None:
    """The record; None for one that has no form that we know."""
    given = _given(wire)
    if given.get("type") == "mask":
        given["annotations"] = [_given(segment) for segment in given.get("annotations") or ()]
    try:
        record: Annotation = msgspec.convert(given, Annotation, strict=False)
    except msgspec.ValidationError:
        return None
    return record


def key_in(wire: Json) -> bytes | None:
    """The key of a record that need not have a form that we know; None where it names no item."""
    reference_id, kind = wire.get("reference_id"), wire.get("type")
    if not reference_id:
        return None
    if kind == "mask":
        return mask_key(str(reference_id))
    if kind in ("category", "multicategory"):
        return category_key(str(reference_id), wire.get("taxonomy_name"))
    task = wire.get("task_id")
    return annotation_key(str(reference_id), str(wire.get("annotation_id") or ""), str(task) if task else None)


def _given(wire: Json) -> Json:
    """Nulls are what Nucleus says for things that were left out."""
    return {name: value for name, value in wire.items() if value is not None}
