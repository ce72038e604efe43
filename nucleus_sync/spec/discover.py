"""A first spec for a folder: what was recognised there, written as a commented `nucleus.yaml` that validates."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nucleus_sync.spec.discover_labels import label_folders
from nucleus_sync.spec.discover_scenes import CLOUD_SUFFIXES, Numbers, frame_folders, lidar_folders, note_image
from nucleus_sync.spec.draft import Draft, quote, text_of
from nucleus_sync.spec.peek import (
    CocoFile,
    LabelFile,
    PanopticFile,
    RecordsFile,
    ResultsFile,
    Seen,
    TableFile,
    Unread,
    peek,
    walk,
)
from nucleus_sync.spec.source import IMAGE_SUFFIXES

T = TypeVar("T")

MOST_FILES = 200_000
_MOST_PEEKS = 20
"""Files looked into per folder and ending: a folder of a million labels is known by its first ones."""


@dataclass(slots=True)
class Survey:
    """What a folder holds; all paths are relative to it."""

    folder: Path
    image_folders: Counter[Path] = field(default_factory=Counter)
    numbers: dict[Path, Numbers] = field(default_factory=dict)
    """How the images in each folder are numbered."""
    cloud_folders: set[Path] = field(default_factory=set)
    """Folders with point clouds."""
    seen: list[Seen] = field(default_factory=list)
    truncated: bool = False


def discover(folder: Path) -> str:
    """The text of a spec for what lies in the folder. Reads no file whole; raises OSError if it is no folder."""
    return text_of(_draft(survey(folder)))


def survey(folder: Path) -> Survey:
    """Look at the files of a folder."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    found = Survey(folder)
    peeked: Counter[tuple[Path, str]] = Counter()
    for count, path in enumerate(walk(folder, most=MOST_FILES), start=1):
        relative = path.relative_to(folder)
        group = (path.parent, path.suffix.lower())
        if not _writable(relative):
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.image_folders[relative.parent] += 1
            note_image(found.numbers, relative)
        elif path.suffix.lower() in CLOUD_SUFFIXES:
            found.cloud_folders.add(relative.parent)
        elif peeked[group] < _MOST_PEEKS:
            peeked[group] += 1
            if (seen := peek(path)) is not None:
                found.seen.append(seen)
        found.truncated = count == MOST_FILES
    return found


def _writable(path: Path) -> bool:
    """Whether a name can stand in YAML: names that aren't UTF-8 can't."""
    return all(part.isprintable() for part in path.parts)


# --- from what was seen to a draft ----------------------------------------------------------------------------


def _draft(found: Survey) -> Draft:
    draft = Draft(found.folder)
    covered: set[Path] = set()
    named: dict[Path, str] = {}
    for coco in _of(found, CocoFile):
        images, complete = _images_of(coco, found)
        if images is not None:
            covered.add(images)
        local = images if complete or not coco.url_fields else None
        if isinstance(coco, PanopticFile):
            draft.add_coco(coco, local, _masks_of(coco, found))
        else:
            named[coco.path] = draft.add_coco(coco, local)
    for lidar in lidar_folders(found.cloud_folders, found.folder):
        covered.add(lidar.path)
        draft.add_lidar(lidar)
    files = [each for each in _of(found, LabelFile) if not _is_covered(each.path.relative_to(found.folder), covered)]
    for labels in label_folders(files, found.image_folders, found.folder):
        covered.add(labels.covers)
        draft.add_labels(labels)
    free = {folder: each for folder, each in found.numbers.items() if not _is_covered(folder, covered)}
    for frames in frame_folders(free):
        covered.add(frames)
        draft.add_frames(frames)
    for root in _image_roots(found, covered):
        draft.add_images(root)
    for table in _of(found, TableFile):
        draft.add_table(table)
    draft.add_records(_of(found, RecordsFile))
    truths = [coco for coco in _of(found, CocoFile) if not isinstance(coco, PanopticFile)]
    for results in _of(found, ResultsFile):
        draft.add_results(results, truths, named)
    _remark(draft, found)
    return draft


def _of(found: Survey, kind: type[T]) -> list[T]:
    return [seen for seen in found.seen if isinstance(seen, kind)]


def _images_of(coco: CocoFile, found: Survey) -> tuple[Path | None, bool]:
    """The folder that holds most of a COCO file's first images, if any does, and whether it holds all of them."""
    folders = dict.fromkeys(parent for images in found.image_folders for parent in (images, *images.parents))
    hits = {images: sum(_holds(found.folder / images, name) for name in coco.file_names) for images in folders}
    best = max(hits, key=lambda images: (hits[images], images == coco.path.parent), default=None)
    if best is None or hits[best] == 0:
        return None, False
    return best, hits[best] == len(coco.file_names)


def _holds(folder: Path, name: str) -> bool:
    """Whether a file of that name is in the folder; ways out of it are never followed, only their last part."""
    inside = not (os.path.isabs(name) or ".." in Path(name).parts)
    last = re.split(r"[\\/]", name)[-1]
    try:
        return (inside and (folder / name).is_file()) or (last != "" and (folder / last).is_file())
    except (OSError, ValueError):
        return False  # too long for a name, or with a character that none can have


def _image_roots(found: Survey, covered: set[Path]) -> list[Path]:
    """One folder per top-level folder with images that no COCO file speaks for."""
    groups: dict[str, list[Path]] = {}
    for images in found.image_folders:
        if not _is_covered(images, covered) and "mask" not in str(images).lower():
            groups.setdefault(images.parts[0] if images.parts else ".", []).append(images)
    if "." in groups:
        return [Path()]
    return [Path(os.path.commonpath(folders)) for folders in groups.values()]


def _is_covered(path: Path, covered: Iterable[Path]) -> bool:
    return any(path == other or other in path.parents for other in covered)


def _masks_of(coco: PanopticFile, found: Survey) -> Path | None:
    """The folder of a panoptic file's PNGs, where one was seen."""
    usual = coco.path.relative_to(found.folder).with_suffix("")
    if usual in found.image_folders or not coco.masks:
        return usual if usual in found.image_folders else None
    return next((images for images in found.image_folders if _holds(found.folder / images, coco.masks[0])), None)


def _remark(draft: Draft, found: Survey) -> None:
    """Name what was seen and isn't used, so that nobody takes silence for support."""
    by_format: dict[str, list[Path]] = {}
    for unread in _of(found, Unread):
        by_format.setdefault(unread.format, []).append(unread.path.relative_to(found.folder))
    for name, paths in sorted(by_format.items()):
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        draft.remarks.append(f"{name}: {quote(paths[0])}{more}")
    masks = [images for images in found.image_folders if "mask" in str(images).lower()]
    masks = [images for images in masks if f"  masks: {quote(images)}" not in draft.sources]
    draft.remarks += [f"images that look like masks: {quote(images)}" for images in masks]
    if found.truncated:
        draft.remarks.append(f"only the first {MOST_FILES:,} files were looked at")
