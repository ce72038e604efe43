"""Label files joined to the images that they are about, by name, in flat memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from unicodedata import normalize

from nucleus_sync.spool import Sorter

LABEL_FOLDERS = frozenset(("images", "labels", "labeltxt", "image_2", "label_2", "image_02", "label_02"))
"""Names of folders that only tell images from labels: without them an image and its label file have one path."""

_IMAGE, _LABELS = 0, 1


@dataclass(frozen=True, slots=True)
class Joined:
    """An image, its label file, or both; `by_name` when folders played no part, `near` names a near miss."""

    image: str | None
    labels: str | None
    by_name: bool = False
    near: str = ""


def joined(images: Iterable[str], labels: Iterable[str], scratch: Path) -> Iterator[Joined]:
    """Every image and every label file, in the order of their common paths; those without a partner last.

    An image and a file belong together when their paths are equal without endings and without `images` or `labels`
    in them; or when one of the two lies in no other folder, and there is only one such image.
    """
    rows, lonely = Sorter(scratch), Sorter(scratch)
    rows.extend((_slot(path), _IMAGE, path.encode()) for path in images)
    rows.extend((_slot(path), _LABELS, path.encode()) for path in labels)
    for _, found in groupby(rows.sorted(), key=lambda row: row[0]):
        group = list(found)
        pictures = [row[2].decode() for row in group if row[1] == _IMAGE]
        files = [row[2].decode() for row in group if row[1] == _LABELS]
        if pictures and files:
            yield from (Joined(image, file) for image in pictures for file in _nearest(image, pictures, files))
        else:
            lonely.extend((_stem(row[0]), row[1], row[2]) for row in group)
    rows.close()
    for _, found in groupby(lonely.sorted(), key=lambda row: row[0]):
        yield from _second_chance([(row[1], row[2].decode()) for row in found])
    lonely.close()


def _nearest(image: str, images: list[str], files: list[str]) -> list[str]:
    """Of several label files on one path, those beside the image, or else those that lie beside no other image."""
    if len(files) == 1:
        return files
    beside = [file for file in files if _folder(file) == _folder(image)]
    taken = {_folder(other) for other in images}
    return beside or [file for file in files if _folder(file) not in taken]


def _second_chance(group: list[tuple[int, str]]) -> Iterator[Joined]:
    """Of one stem but for its case."""
    images = [path for kind, path in group if kind == _IMAGE]
    taken: set[str] = set()
    for kind, path in group:
        if kind == _IMAGE:
            continue
        slot = _slot(path)
        fits = [image for image in images if _base(_slot(image)) == _base(slot)]
        if len(fits) == 1 and fits[0] not in taken and (b"/" not in slot or b"/" not in _slot(fits[0])):
            taken.add(fits[0])
            yield Joined(fits[0], path, by_name=True)
        else:
            yield Joined(None, path, near=images[0] if images else "")
    yield from (Joined(image, None) for image in images if image not in taken)


def _slot(path: str) -> bytes:
    stem = os.path.splitext(normalize("NFC", path))[0]
    parts = stem.split("/")
    kept = [part for part in parts[:-1] if part.lower() not in LABEL_FOLDERS]
    return "/".join([*kept, parts[-1]]).encode()


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _base(slot: bytes) -> bytes:
    return slot.rpartition(b"/")[2]


def _stem(slot: bytes) -> bytes:
    return _base(slot).decode().casefold().encode()
