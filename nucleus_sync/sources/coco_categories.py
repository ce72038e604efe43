"""The categories of a COCO file: labels by id, with the skeletons of keypoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import seed_of
from nucleus_sync.sources.coco_label import Id, named, plain_id, quoted_id
from nucleus_sync.sources.json_slices import JsonFile, Section


@dataclass(frozen=True, slots=True)
class Category:
    """A category: its name as the label, and its skeleton, counted from 0."""

    label: str
    seed: int
    points: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = field(default=())


def categories_of(document: JsonFile, section: Section, file: str, seed: int) -> dict[Id, Category]:
    """The categories by id; `seed` goes into theirs and stands for the spec's options.

    Raises SourceError where they are no list, two different ones share an id, or a name is no text.
    """
    found: dict[Id, Category] = {}
    entries = document.value(section)
    if not isinstance(entries, list):
        raise SourceError(f'"categories" is {named(entries)}, not a list', where=file)
    for entry in entries:
        category_id = plain_id(entry.get("id")) if isinstance(entry, dict) else None
        if category_id is None:
            continue  # nothing can refer to it
        try:
            category = _category(entry, seed)
        except UnicodeEncodeError:
            raise SourceError(
                f"category {quoted_id(category_id)} is not Unicode text: a name in it holds half a character",
                where=file,
                fix="give it a whole name; a lone surrogate stands for no character",
            ) from None
        other = found.setdefault(category_id, category)
        if other.label != category.label:
            raise SourceError(
                f"categories {other.label!r} and {category.label!r} share the id {quoted_id(category_id)}",
                where=file,
                fix="give each category an id of its own",
            )
    return found


def _category(entry: dict[str, Any], seed: int) -> Category:
    name = entry.get("name")
    label = name if isinstance(name, str) else str(name) if isinstance(name, int | float) else ""
    points, skeleton = _points(entry.get("keypoints")), _skeleton(entry.get("skeleton"))
    return Category(label, seed_of(seed, label, points, skeleton), points, skeleton)


def _points(names: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _skeleton(pairs: Any) -> tuple[tuple[int, int], ...]:
    """Index pairs from 0: COCO counts from 1, and who writes a 0 counts from 0."""
    if not isinstance(pairs, list):
        return ()
    whole = [
        (pair[0], pair[1])
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(end, int) for end in pair)
    ]
    first = 0 if any(0 in pair for pair in whole) else 1
    return tuple((one - first, other - first) for one, other in whole)


def shared_names(categories: Mapping[Id, Category]) -> Iterator[str]:
    """What to say of category names that several ids have."""
    ids: dict[str, list[Id]] = {}
    for category_id, category in categories.items():
        ids.setdefault(category.label, []).append(category_id)
    for label, sharers in ids.items():
        if len(sharers) > 1:
            listed = ", ".join(map(str, sharers[:-1]))
            yield f"category ids {listed} and {sharers[-1]} have one name: {label}; their records get that label"
