"""Hashes of a record's content, whole and in parts, that don't depend on how JSON was written.

A stamp is what the ledger keeps of a record, 24 bytes:

    raw     8   hash of the source's own bytes and of what the reader adds to them; zeros: look at the record again
    whole   8   hash of the record's content; of items and scenes four bytes of it and four more of their metadata's,
                which is all that can be compared where Nucleus gives an image back under a URL of its own
    parts   8   two bytes each of four parts, only to say *what* changed

Contents are hashed as MessagePack of the values with sorted keys (as JSON where an integer doesn't fit into 64 bits),
metadata with 1.0 as 1, which JSON doesn't tell apart; VERSION rises when that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET
from xxhash import xxh3_64_digest, xxh3_64_intdigest

from nucleus_sync.records.annotation import Box, Category, Mask, MultiCategory, Polygon
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.records.scene import LidarScene, VideoScene, items_of_scene, structure_of

VERSION = 1
RAW_SIZE = 8
CONTENT_SIZE = 16
STAMP_SIZE = RAW_SIZE + CONTENT_SIZE
LOOK_AGAIN = bytes(RAW_SIZE)
MAYBE_THERE = bytes(STAMP_SIZE)
"""Stamp of a record that was sent, or whose deletion was, and nobody knows whether that took place."""
CONTENT_UNKNOWN = bytes(RAW_SIZE) + b"\xff" * CONTENT_SIZE
"""Stamp of a record that is there with unknown content: a change of it has an unknown outcome."""
OTHER_IMAGE = b"\xfe" * 4
"""In place of the first four bytes of the whole, behind `LOOK_AGAIN`: an item that is there as it was sent but for its
image, which Nucleus kept."""

OF_METADATA = slice(4, 8)
"""Where the content hash of an item or a scene has four more bytes of its metadata's."""
_SCENES = frozenset({LidarScene, VideoScene})
_TOLD_BY_METADATA = frozenset({Item, LocalItem, LidarScene, VideoScene})

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_encode_json = msgspec.json.Encoder(order="deterministic").encode
_IMAGE = slice(8, 10)
_PARTS = {
    Kind.ITEMS: ("image", "size", "metadata", "embedding"),
    Kind.ANNOTATIONS: ("geometry", "label", "metadata", "attributes"),
    Kind.PREDICTIONS: ("geometry", "label", "metadata", "confidence"),
    # Twice, because it decides whether a scene must be deleted and made anew: two bytes would be too few for that.
    Kind.SCENES: ("structure", "structure", "metadata", "items' metadata"),
}


def pack(value: Any) -> bytes:
    """MessagePack, or JSON for a value with an integer of more than the 64 bits that MessagePack has."""
    try:
        return _encode(value)
    except OverflowError:
        return _encode_json(value)


def pack_metadata(value: Any) -> bytes:
    """The same for values that come back as JSON, where 1.0 and 1 are one number."""
    try:
        packed = _encode(value)
    except OverflowError:
        return _encode_json(_whole_numbers(value))
    return packed if _FLOAT not in packed or _is_as_it_comes(value) else _encode(_whole_numbers(value))


_FLOAT = b"\xcb"
"""Where MessagePack has a float; found elsewhere by chance, it costs a second look."""
_EXACT = 2.0**53


def _is_as_it_comes(value: Any) -> bool:
    """A quick yes for flat metadata of which no float is a whole number."""
    if value.__class__ is not dict:
        return False
    for each in value.values():
        kind = each.__class__
        if kind is float:
            if each.is_integer():
                return False
        elif kind not in _PLAIN:
            return False
    return True


_PLAIN = frozenset({str, int, bool, type(None)})


def _whole_numbers(value: Any) -> Any:
    match value:
        case dict():
            return {key: _whole_numbers(each) for key, each in value.items()}
        case list() | tuple():
            return [_whole_numbers(each) for each in value]
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case _:
            return value


def raw_hash(content: bytes | bytearray | memoryview, seed: int = 0) -> bytes:
    """Eight bytes for the source's own bytes; `seed` stands for what the reader adds (options, names, sizes)."""
    digest = xxh3_64_digest(content, seed)
    return digest if digest != LOOK_AGAIN else b"\xff" * RAW_SIZE


def seed_of(*values: Any) -> int:
    """A seed for `raw_hash` from any plain values."""
    return xxh3_64_intdigest(pack(values))


def content_hash(record: Record) -> bytes:
    """Sixteen bytes: the record's whole content, then its four parts."""
    kind = record.__class__
    # What there is by the million goes first; parts that most of them lack are hashed once for all.
    if kind is Item and record.width is UNSET is record.height and record.embedding_info is UNSET:  # type: ignore[union-attr]
        return _of_item(record)  # type: ignore[arg-type]
    if kind is Polygon:
        return _of_shape("polygon", record)
    if kind is Box:
        return _of_shape("box", record)
    first, second, metadata, last = _parts(record)
    last_packed = pack_metadata if kind in _SCENES else pack
    hashed = [_hashed(first), _hashed(second), _hashed(metadata, pack_metadata), _hashed(last, last_packed)]
    (one, a), (two, b), (three, c), (four, d) = hashed
    whole = xxh3_64_digest(b"%b\x00%b\x00%b\x00%b" % (one, two, three, four), VERSION)
    if kind in _TOLD_BY_METADATA:
        whole = whole[:4] + xxh3_64_digest(three)[2:6]
    return whole + a + b + c + d


def _of_shape(tag: str, shape: Any) -> bytes:
    """The content hash of a polygon or a box."""
    geometry, label, metadata = _encode((tag, shape.geometry)), shape.label, shape.metadata
    before, parts = _label_and(label, metadata) if metadata else _label_alone(label)
    confidence = shape.confidence
    if not (shape.class_pdf is UNSET and shape.track_reference_id is None is shape.task_id is shape.embedding_vector):
        attributes, last = _hashed(_attributes(shape))
    elif confidence is UNSET:
        attributes, last = _NO_ATTRIBUTES
    else:
        attributes, last = _hashed((confidence, None, None, None, None))
    whole = xxh3_64_digest(geometry + before + attributes, VERSION)
    return whole + xxh3_64_digest(geometry)[:2] + parts + last


def _label_and(label: str, metadata: dict[str, Any]) -> tuple[bytes, bytes]:
    """Label and metadata as they stand in the whole, between geometry and attributes, and their own hashes."""
    (two, b), (three, c) = _hashed(label), _hashed(metadata, pack_metadata)
    return b"\x00%b\x00%b\x00" % (two, three), b + c


def _of_item(item: Item) -> bytes:
    """The content hash of an item with neither size nor embedding."""
    image, metadata = _encode(item.image_url), pack_metadata(item.metadata)
    whole = xxh3_64_digest(b"%b\x00%b\x00%b\x00%b" % (image, _NO_SIZE[0], metadata, _NOTHING[0]), VERSION)
    image_part, of_metadata = xxh3_64_digest(image)[:2], xxh3_64_digest(metadata)
    return b"%b%b%b%b%b%b" % (whole[:4], of_metadata[2:6], image_part, _NO_SIZE[1], of_metadata[:2], _NOTHING[1])


def _hashed(part: Any, packing: Callable[[Any], bytes] = pack) -> tuple[bytes, bytes]:
    """A part as it goes into the whole, and its own hash."""
    packed = packing(part)
    return packed, xxh3_64_digest(packed)[:2]


_NO_SIZE = _hashed((None, None))
_NOTHING = _hashed(None)
_NO_ATTRIBUTES = _hashed((None,) * 5)


@lru_cache(10_000)
def _label_alone(label: str) -> tuple[bytes, bytes]:
    """The same without metadata, as most shapes are: by the million, with one of a few labels."""
    return _label_and(label, {})


_PAINTED = "painted"
"""Stands for the attributes of a mask whose pixels are hashed."""
_PAINTED_HASH = xxh3_64_digest(pack(_PAINTED))[:2]


def is_painted(content: bytes) -> bool:
    """Whether a mask's content hash is of pixels, which come back under a URL of Nucleus's own, not of a URL."""
    return content[14:16] == _PAINTED_HASH


def changed_parts(kind: Kind, before: bytes, after: bytes) -> list[str]:
    """The names of the parts in which two content hashes differ; empty when only the whole tells."""
    told = kind in (Kind.ITEMS, Kind.SCENES) and before[OF_METADATA] != after[OF_METADATA]
    changed = [
        name
        for number, name in enumerate(_PARTS[kind])
        if before[8 + 2 * number : 10 + 2 * number] != after[8 + 2 * number : 10 + 2 * number]
        or (told and name == "metadata")
    ]
    return list(dict.fromkeys(changed))


def image_hash(image: str | bytes) -> bytes:
    """The part of an item's content hash that is of its image: of the URL, or of the XXH3-128 of uploaded bytes."""
    return _hashed(image)[1]


def image_of(content: bytes) -> bytes:
    """That part of a content hash."""
    return content[_IMAGE]


def with_other_image(content: bytes, image: bytes | None) -> bytes:
    """A stamp of an item that is there with this content but for its image, whose hash is `image` if that is known."""
    own = content[_IMAGE]
    kept = image if image not in (None, own) else bytes(byte ^ 0xFF for byte in own)
    assert kept is not None  # noqa: S101  (one of the two)
    return LOOK_AGAIN + OTHER_IMAGE + content[OF_METADATA] + kept + content[_IMAGE.stop :]


def _parts(record: Record) -> tuple[Any, Any, Any, Any]:
    match record:
        case LocalItem():
            item = record.item
            content = item.image_url if record.is_staged else record.digest
            return content, _size(item), item.metadata, _given(item.embedding_info)
        case Item():
            return record.image_url, _size(record), record.metadata, _given(record.embedding_info)
        case PaintedMask():
            return record.digest, record.mask.annotations, None, _PAINTED
        case Mask():
            return record.mask_url, record.annotations, None, None
        case MultiCategory():
            return record.taxonomy_name or None, record.labels, record.metadata, _attributes(record)
        case Category():
            return record.taxonomy_name or None, record.label, record.metadata, _attributes(record)
        case LidarScene() | VideoScene():
            structure = structure_of(record)
            items = [item.metadata for item in items_of_scene(record)]
            return structure, (structure,), (record.metadata, record.tracks), items
        case _:
            return (
                (record.__struct_config__.tag, record.geometry),
                record.label,
                record.metadata or {},
                _attributes(record),
            )


def _attributes(record: Any) -> tuple[Any, ...]:
    confidence, class_pdf = record.confidence, record.class_pdf
    return (
        None if confidence is UNSET else confidence,
        None if class_pdf is UNSET else class_pdf,
        _given(record.track_reference_id),
        _given(record.task_id),
        getattr(record, "embedding_vector", None),
    )


def _size(item: Item) -> tuple[Any, Any]:
    return _given(item.width), _given(item.height)


def _given(value: Any) -> Any:
    return None if value is UNSET else value
