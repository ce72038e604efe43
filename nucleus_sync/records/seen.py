"""What of a record can still be told once Nucleus has given it back: hashes of only that.

An item comes back with a URL and its metadata, not with its embedding, perhaps with sizes, and where its bytes were
uploaded under a URL of Nucleus's own. An annotation comes back without its embedding. A stamp whose raw part is
`AS_SEEN` holds such a hash instead of one of the content:

    item         8 bytes of URL and metadata, 8 bytes of metadata alone
    scene        the same without a URL: only its metadata can be told
    annotation   the content hash of the annotation without its embedding
"""

from __future__ import annotations

from typing import Any

import msgspec
from xxhash import xxh3_64_digest

from nucleus_sync.records.annotation import Annotation
from nucleus_sync.records.fingerprint import (
    CONTENT_UNKNOWN,
    LOOK_AGAIN,
    OF_METADATA,
    RAW_SIZE,
    VERSION,
    content_hash,
    pack,
    pack_metadata,
)
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.record import Record
from nucleus_sync.records.scene import LidarScene, VideoScene

AS_SEEN = bytes(RAW_SIZE - 1) + b"\x01"
"""Raw part of the stamp of a record that was only ever read back, never confirmed by a job of ours."""

_LABELS = slice(10, 12)
"""Where a content hash tells of labels: those of a mask's indices."""


def seen_item(url: str, metadata: dict[str, Any]) -> bytes:
    """Sixteen bytes for an item that Nucleus gave back."""
    packed = pack_metadata(metadata)
    return xxh3_64_digest(pack(url) + packed, VERSION) + xxh3_64_digest(packed, VERSION)


def seen_annotation(record: Annotation) -> bytes:
    """Sixteen bytes for an annotation or prediction that Nucleus gave back."""
    if getattr(record, "embedding_vector", None) is not None:
        record = msgspec.structs.replace(record, embedding_vector=None)
    return content_hash(record)


def agrees(seen: bytes, record: Record) -> bool:
    """Whether a source's record would be given back like this, as far as that can be told."""
    match record:
        case LocalItem():
            return seen[8:] == seen_item("", record.item.metadata)[8:]
        case LidarScene() | VideoScene():
            return seen[8:] == seen_item("", record.metadata)[8:]
        case Item():
            return seen == seen_item(record.image_url, record.metadata)
        case PaintedMask():
            return seen[_LABELS] == content_hash(record)[_LABELS]  # it comes back under a URL of Nucleus's own
        case _:
            return seen == seen_annotation(record)


def known_stamp(seen: bytes, record: Record) -> bytes:
    """A stamp with a content hash in place of one `AS_SEEN`: the record's own where the two agree.

    Where they don't, the parts that can't be told are the record's, so that a plan names only what differs.
    """
    content = content_hash(record)
    if agrees(seen, record):
        return LOOK_AGAIN + content
    if not isinstance(record, Item | LocalItem | LidarScene | VideoScene):
        return LOOK_AGAIN + seen
    metadata = record.item.metadata if isinstance(record, LocalItem) else record.metadata
    same_metadata = seen[8:] == seen_item("", metadata)[8:]
    image = _other(content[8:10]) if same_metadata else content[8:10]
    parts = image + content[10:12] + (content[12:14] if same_metadata else _other(content[12:14])) + content[14:16]
    of_metadata = content[OF_METADATA] if same_metadata else _other(content[OF_METADATA])
    return LOOK_AGAIN + CONTENT_UNKNOWN[:4] + of_metadata + parts


def _other(part: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in part)
