"""Folders of label files, told from the files that were recognised in them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from nucleus_sync.spec.peek import LabelFile

_LABEL_FOLDERS = frozenset({"labels", "labeltxt", "label_2", "label_02", "annotations", "xml", "xmls"})
_IMAGE_FOLDERS = ("JPEGImages", "images", "image_2")
_LISTS = ("obj.names", "classes.txt", "classes.names", "names.txt", "_darknet.labels")


@dataclass(frozen=True, slots=True)
class LabelFolder:
    """A source of labels: its folder, and that of its images where it is another one; relative paths."""

    format: str
    path: Path
    images: Path | None
    is_named: bool
    """Whether something names the classes, where the format needs that."""

    @property
    def covers(self) -> Path:
        """The folder whose images are this source's items."""
        return self.images if self.images is not None else self.path


def label_folders(found: Collection[LabelFile], image_folders: Collection[Path], root: Path) -> Iterator[LabelFolder]:
    """One source for each list of YOLO's classes, and one for each top-level folder with other labels."""
    lists = [_within(each.path.parent, root) for each in found if each.names_classes]
    yield from (LabelFolder("yolo", folder, None, is_named=True) for folder in dict.fromkeys(lists))
    groups: dict[tuple[str, str], list[Path]] = {}
    for each in found:
        folder = _within(each.path.parent, root)
        if each.names_classes or (each.format == "yolo" and any(_is_below(folder, other) for other in lists)):
            continue
        groups.setdefault((each.format, folder.parts[0] if folder.parts else ""), []).append(folder)
    for (form, _), folders in groups.items():
        made = _folder(form, Path(os.path.commonpath(folders)), image_folders, root)
        if made is not None:
            yield made


def _folder(form: str, path: Path, image_folders: Collection[Path], root: Path) -> LabelFolder | None:
    """The folder widened until there are images in it; None where there are none far and wide."""
    lists = (root / folder / name for folder in (path, path.parent) for name in _LISTS)
    is_named = form != "yolo" or any(each.is_file() for each in lists)
    if any(_is_below(images, path) for images in image_folders):
        return LabelFolder(form, path, None, is_named)
    if form == "voc":
        beside = (path.parent / name for name in _IMAGE_FOLDERS)
        images = next((folder for folder in beside if any(_is_below(each, folder) for each in image_folders)), None)
        if images is not None:
            return LabelFolder(form, path, images, is_named)
    wider = path.parent
    if path.name.lower() in _LABEL_FOLDERS and any(_is_below(images, wider) for images in image_folders):
        return LabelFolder(form, wider, None, is_named)
    return None


def _is_below(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _within(path: Path, root: Path) -> Path:
    return path.relative_to(root)
