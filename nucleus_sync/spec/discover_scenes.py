"""Folders of scenes, told from the names in them: KITTI's 3D layout, and frames with a folder for each scene."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CLOUD_SUFFIXES = (".bin", ".pcd")
_NUMBERED = re.compile(r"(.*?)([0-9]+)")
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "images"})
"""Names of folders that are parts of a set of single images."""
_FEWEST_SCENES, _FEWEST_FRAMES = 2, 2


@dataclass(slots=True)
class Numbers:
    """How the images of one folder are numbered."""

    prefix: str
    count: int = 0
    low: int = 0
    high: int = 0
    is_alike: bool = True
    """Whether all names are the same text and a number."""

    @property
    def is_run(self) -> bool:
        """Whether they count on from 0 or 1 without a gap, as frames do."""
        whole = self.high - self.low + 1 == self.count and self.low in (0, 1)
        return self.is_alike and whole and self.count >= _FEWEST_FRAMES


def note_image(numbers: dict[Path, Numbers], path: Path) -> None:
    """One more image, by its path."""
    named = _NUMBERED.fullmatch(path.stem)
    prefix, number = (named[1], int(named[2])) if named else ("", -1)
    held = numbers.setdefault(path.parent, Numbers(prefix, low=number, high=number))
    held.count += 1
    held.low, held.high = min(held.low, number), max(held.high, number)
    held.is_alike &= held.prefix == prefix and number >= 0


@dataclass(frozen=True, slots=True)
class LidarFolder:
    """A folder in KITTI's 3D layout."""

    path: Path
    has_images: bool
    has_labels: bool


def lidar_folders(cloud_folders: Collection[Path], root: Path) -> Iterator[LidarFolder]:
    """One for each top-level folder in which `velodyne` stands beside `calib`; relative to the root."""
    groups: dict[str, list[Path]] = {}
    for clouds in cloud_folders:
        if clouds.name == "velodyne" and (root / clouds.parent / "calib").is_dir():
            groups.setdefault(clouds.parts[0] if len(clouds.parts) > 1 else "", []).append(clouds.parent)
    for folders in groups.values():
        path = Path(os.path.commonpath(folders))
        yield LidarFolder(path, _any_has(root, folders, "image_2"), _any_has(root, folders, "label_2"))


def _any_has(root: Path, folders: Collection[Path], name: str) -> bool:
    return any((root / folder / name).is_dir() for folder in folders)


def frame_folders(numbers: Mapping[Path, Numbers]) -> Iterator[Path]:
    """Folders below which every folder of images is a run of frames, and there are several of them."""
    groups: dict[Path, list[Path]] = {}
    for folder in numbers:
        groups.setdefault(folder.parent, []).append(folder)
    for parent, folders in groups.items():
        runs = [each for each in folders if numbers[each].is_run and each.name.lower() not in _SPLITS]
        others = [each for each in numbers if each not in folders and (each == parent or parent in each.parents)]
        if len(runs) == len(folders) >= _FEWEST_SCENES and not others:
            yield parent
