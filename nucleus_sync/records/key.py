"""What makes a record itself, as one sortable byte string.

A key starts with the reference id, so that all records of one item are neighbours in every sorted stream:

    item, scene                 reference_id
    box, line, polygon, …       reference_id NUL "a" annotation_id [NUL task_id]
    category of a taxonomy      reference_id NUL "c" taxonomy
    mask                        reference_id NUL "m"
    annotation without an id    reference_id NUL "~" order          (until it is numbered)

NUL sorts below every byte that a reference id may hold, so items, their annotations and their predictions come in
the same order everywhere. Scopes are those of Nucleus: one mask an item, one category an item and taxonomy.
"""

from __future__ import annotations

SEPARATOR = b"\x00"
ANNOTATION = b"\x00a"
_CATEGORY = b"\x00c"
_MASK = b"\x00m"
UNNUMBERED = b"\x00~"
PROVISIONAL = b"0"
"""The annotation id of a record that is made before it has its number."""


def item_key(reference_id: str) -> bytes:
    """The key of an item or a scene."""
    return reference_id.encode()


def annotation_key(reference_id: str, annotation_id: str, task_id: str | None = None) -> bytes:
    """The key of a box, line, polygon, keypoints or cuboid, as annotation or prediction."""
    key = reference_id.encode() + ANNOTATION + annotation_id.encode()
    return key if task_id is None else key + SEPARATOR + task_id.encode()


def category_key(reference_id: str, taxonomy: str | None) -> bytes:
    """The key of a category or multicategory; no taxonomy is the dataset's default one."""
    return reference_id.encode() + _CATEGORY + (taxonomy or "").encode()


def taxonomy_of(key: bytes) -> str | None:
    """The taxonomy in the key of a category, empty for the default one; None in any other key."""
    rest = key.partition(SEPARATOR)[2]
    return rest[1:].decode() if rest[:1] == _CATEGORY[1:] else None


def mask_key(reference_id: str) -> bytes:
    """The key of a segmentation: an item has at most one."""
    return reference_id.encode() + _MASK


def is_mask(key: bytes) -> bool:
    """Whether this is the key of a segmentation."""
    return key.endswith(_MASK) and key.count(SEPARATOR) == 1


def unnumbered_key(reference_id: str, order: bytes) -> bytes:
    """The key of an annotation whose source gives it no id: it sorts among its item's by `order`."""
    return reference_id.encode() + UNNUMBERED + order


def item_of(key: bytes) -> bytes:
    """The reference id in a key, still encoded."""
    return key.partition(SEPARATOR)[0]


def reference_id(key: bytes) -> str:
    """The reference id in a key."""
    return item_of(key).decode()


def annotation_id(key: bytes) -> str | None:
    """The annotation id in a key, or None where the key has none."""
    rest = key.partition(SEPARATOR)[2]
    return rest[1:].partition(SEPARATOR)[0].decode() if rest[:1] == b"a" else None


def is_unnumbered(key: bytes) -> bool:
    """Whether this key still waits for its position among its item's records."""
    return UNNUMBERED in key and key.partition(SEPARATOR)[2][:1] == b"~"


def as_words(key: bytes) -> dict[str, str]:
    """The parts of a key by name, for people and JSON."""
    reference, _, rest = key.partition(SEPARATOR)
    words = {"reference_id": reference.decode()}
    match rest[:1]:
        case b"a":
            annotation, _, task = rest[1:].partition(SEPARATOR)
            words["annotation_id"] = annotation.decode()
            if task:
                words["task_id"] = task.decode()
        case b"c":
            words["taxonomy"] = rest[1:].decode()
        case b"m":
            words["mask"] = "mask"
    return words
