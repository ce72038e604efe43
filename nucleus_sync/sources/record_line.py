"""A line in Nucleus's wire form as a record: at once where it is plainly sound, else with all that is to be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import replace

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Annotation, Mask
from nucleus_sync.records.item import Item
from nucleus_sync.records.key import annotation_id, is_unnumbered
from nucleus_sync.records.quick_check import EXACT_IN_JAVASCRIPT, is_plainly_sound
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import LidarScene, VideoScene
from nucleus_sync.sources.scene_line import scene_of
from nucleus_sync.sources.walk import shown
from nucleus_sync.sources.wire_errors import TYPES, Why, leaves, unknown_type, why_not_json, why_not_record

BROKEN = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding a line raises."""

_BY_ITEM = ("category", "multicategory")
_NO_TYPE = object()
_NULLABLE = frozenset({"width", "height", "embedding_info", "taxonomy_name", "confidence", "class_pdf"}) | {
    *("frame_rate", "video_url", "frames", "tracks", "upload_to_scale")
}
"""Left out on the wire when unset; other programs write null."""
_TRANSPORT_KEYS = frozenset({"type", "update", "item_id", "dataset_id"})

members_of = msgspec.json.Decoder(dict[str, Raw]).decode
"""The members of a line by name, not decoded."""
_item: Callable[[bytes], Item] = msgspec.json.Decoder(Item).decode
_annotation: Callable[[bytes], Annotation] = msgspec.json.Decoder(Annotation).decode
# One of the vendor's own examples writes a mask's index as text.
_mask: Callable[[bytes], Mask] = msgspec.json.Decoder(Mask, strict=False).decode
_any = msgspec.json.decode
_encode = msgspec.json.encode


def plain_record(kind: Kind, text: bytes) -> Record | None:
    """The record of a line about which there is nothing to say; None where `decoded` has to look at it."""
    if kind is Kind.SCENES:
        return None
    try:
        record: Any = _item(text) if kind is Kind.ITEMS else _annotation(text)
        is_known = members_of(text).keys() <= _known_keys(record.__class__)
    except BROKEN:
        return None
    if not (is_known and is_plainly_sound(record)):
        return None
    if kind is Kind.ANNOTATIONS and not (record.confidence is UNSET is record.class_pdf):
        return None
    plain: Record = record
    return plain


def decoded(kind: Kind, text: bytes, key: bytes, found: list[Why]) -> Record:
    """The record of a line; what is worth knowing goes to `found`. Raises one of BROKEN."""
    members = members_of(text)
    try:
        record = _as_asked(kind, text, members, key, found)
    except msgspec.ValidationError:
        given = {name: value for name, value in members.items() if name not in _NULLABLE or bytes(value) != b"null"}
        if len(given) == len(members):
            raise
        found.clear()
        return decoded(kind, _encode(given), key, found)
    found += [*_unknown_keys(record, members), *_long_numbers(getattr(record, "metadata", UNSET))]
    return _as_ground_truth(record, found) if kind is Kind.ANNOTATIONS else record


def _as_asked(kind: Kind, text: bytes, members: dict[str, Raw], key: bytes, found: list[Why]) -> Record:
    if kind is Kind.ITEMS:
        return _item(text)
    return scene_of(text, members) if kind is Kind.SCENES else _typed(text, members, key, found)


def _typed(text: bytes, members: dict[str, Raw], key: bytes, found: list[Why]) -> Annotation:
    kind = _any(members["type"]) if "type" in members else _NO_TYPE
    if kind not in (*TYPES, _NO_TYPE):
        raise _UnknownType(kind)
    if kind in _BY_ITEM or kind == "mask":
        return _mask(text) if kind == "mask" else _annotation(text)
    if bytes(members.get("annotation_id", b"null")) != b"null":
        return _annotation(text)
    numbered = annotation_id(key)
    if numbered is None or is_unnumbered(key):
        raise SourceError("a record without annotation_id was picked before it had its number")
    found.append(Why("no annotation_id: derived", f"no annotation_id: {numbered} derived, the same on every run"))
    return _annotation(_encode(members | {"annotation_id": Raw(_encode(numbered))}))


class _UnknownType(msgspec.ValidationError):
    def __init__(self, value: Any) -> None:
        super().__init__("unknown type")
        self.value = value


def why_not(text: bytes, error: Exception) -> Why:
    """Why decoding a line raised one of BROKEN."""
    match error:
        case _UnknownType():
            return unknown_type(error.value)
        case msgspec.ValidationError() if "out of range" not in str(error):
            broken = _why_malformed(text)
            return broken or why_not_record(error)
        case _:
            return why_not_json(text, error)


def _why_malformed(text: bytes) -> Why | None:
    """A line can be malformed behind the place where it first stops to be a record: that comes first."""
    try:
        _any(text)
    except BROKEN as error:
        return why_not_json(text, error)
    return None


# --- findings ---------------------------------------------------------------------------------------------------


def _unknown_keys(record: Record, members: dict[str, Raw]) -> Iterator[Why]:
    """Members that Nucleus doesn't know are left out: say so, unless there is nothing in them."""
    unknown = members.keys() - _known_keys(type(record))
    if not unknown:
        return
    full = sorted(name for name in unknown if bytes(members[name]) not in (b"null", b"{}", b"[]", b'""'))
    if full:
        words = f"{_name_of(record)} has no {', '.join(map(shown, full))}"
        yield Why(f"unknown key: {words}", f"{words}: left out")


def _name_of(record: Record) -> str:
    if isinstance(record, LidarScene | VideoScene):
        return "a scene"
    return str(record.__struct_config__.tag or "item")


@cache
def _known_keys(kind: type[Record]) -> frozenset[str]:
    return frozenset(kind.__struct_fields__) | _TRANSPORT_KEYS


def _long_numbers(metadata: Any) -> Iterator[Why]:
    """Whole numbers that JavaScript would round, Nucleus's viewer perhaps too."""
    for path, number in leaves(metadata):
        if isinstance(number, int) and not isinstance(number, bool) and abs(number) > EXACT_IN_JAVASCRIPT:
            yield Why("number above 2^53", f"metadata key {shown(path)}: {number} is above 2^53: kept exact")


def _as_ground_truth(record: Record, found: list[Why]) -> Record:
    """A ground-truth record has no confidence on the wire (docs/wire.md §5.6)."""
    confidence = getattr(record, "confidence", UNSET)
    if confidence is UNSET and getattr(record, "class_pdf", UNSET) is UNSET:
        return record
    cause = "confidence on a ground-truth record"
    above = ", and above 1" if confidence is not UNSET and confidence > 1 else ""
    found.append(Why(cause, f"{cause}{above}: left out"))
    return replace(record, confidence=UNSET, class_pdf=UNSET)
