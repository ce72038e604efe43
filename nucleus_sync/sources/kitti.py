"""A folder of KITTI's 2D labels: label_2 with a text file for each picture of image_2."""

from __future__ import annotations

from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label, Notes
from nucleus_sync.sources.label_folder import LabelFolderReader, Mark, Pair, is_image
from nucleus_sync.sources.label_lines import LineFiles
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.spec.source import KittiSource

_FIELDS = 15
"""Numbers behind the type: truncated, occluded, alpha, 4 edges, 3 dimensions, 3 coordinates, rotation, and a score."""
_UNKNOWN = {"truncated": -1.0, "occluded": -1.0, "alpha": -10.0}


def kitti_reader(spec: KittiSource, surroundings: Surroundings) -> LabelFolderReader:
    """Boxes; DontCare regions are no objects, and are left out."""
    files = LineFiles(spec, surroundings, _mark, _looks_like_labels, lambda _: None)
    return LabelFolderReader(spec, surroundings, files, lambda path: is_image(path) or path.lower().endswith(".txt"))


def _mark(number: int, line: str, pair: Pair, scored: bool) -> Mark | None:  # noqa: ARG001  (as every format's)
    words = line.split()
    if not words or words[0] == "DontCare":
        return None
    notes = Notes()
    values = label_values(words)
    if values is None:
        notes.fault(
            "not a line of KITTI", f"{len(words)} fields: KITTI has 15, or 16 with a score, numbers but the first"
        )
        return Mark(number, Category("", 0), Label(), notes)
    name = " ".join(words[: len(words) - len(values)])
    left, top, right, bottom = values[3:7]
    for low, high, names in ((left, right, "left > right"), (top, bottom, "top > bottom")):
        if low > high:
            notes.fault(names, f"{names}: {low:g} > {high:g}")
    label = Label(bbox=(left, top, right - left, bottom - top), score=values[14] if len(values) == _FIELDS else None)
    return Mark(number, Category(name, 0), label, notes, label_metadata(values))


def label_values(words: list[str]) -> list[float] | None:
    """The numbers behind the type, which may hold blanks: 15 where there is a score, else 14."""
    for count in (_FIELDS, _FIELDS - 1):
        if len(words) > count:
            try:
                return [float(word) for word in words[-count:]]
            except ValueError:
                continue
    return None


def label_metadata(values: list[float]) -> dict[str, object]:
    """What is known of an object beside its box; KITTI writes -1 and -10 for what isn't."""
    named = dict(zip(_UNKNOWN, values[:3], strict=True))
    return {name: value for name, value in named.items() if value != _UNKNOWN[name]}


def _looks_like_labels(text: str) -> bool:
    words = text.split("\n", 1)[0].split()
    return bool(words) and not words[0].replace(".", "").isdigit() and label_values(words) is not None
