"""The names of YOLO's classes, from data.yaml or a plain list."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from nucleus_sync.errors import SourceError
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.names import is_absolute
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.spec.place import resolve
from nucleus_sync.spec.source import YoloSource

_USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LISTS = ("obj.names", "classes.txt", "classes.names", "names.txt", "_darknet.labels")
_FOLDERS = ("path", "train", "val", "test")
_MOST_BYTES = 1 << 20
"""Tens of thousands of classes; more is some other file."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Categories by class number; `points` is how many keypoints a label has and how many numbers each, or zeros."""

    by_number: Mapping[int, Category]
    points: tuple[int, int] = (0, 0)


def classes_of(spec: YoloSource, surroundings: Surroundings, report: Report) -> Classes:
    """The classes of a folder. Raises SourceError where nothing names them."""
    if spec.names:
        return Classes({number: Category(name, 0) for number, name in enumerate(spec.names)})
    shown = spec.data or _found(spec, surroundings)
    text = _text(os.path.join(surroundings.folder, resolve(surroundings.folder, shown)), shown)
    if not shown.lower().endswith((".yaml", ".yml")):
        names = [line.strip() for line in text.splitlines()]
        return Classes({number: Category(name, 0) for number, name in enumerate(names) if name})
    document = _document(text, shown)
    names_by_number = _names(document.get("names"), shown)
    for cause, detail in _remarks(document, len(names_by_number)):
        where = Where(shown)
        report(Problem(surroundings.name, where, os.path.basename(shown), cause, detail, Severity.FINDING))
    points = _points(document.get("kpt_shape"))
    named = tuple(str(number) for number in range(points[0]))
    return Classes({number: Category(name, 0, named) for number, name in names_by_number.items()}, points)


def is_names_file(path: str) -> bool:
    """Whether a file of this relative path may name the classes."""
    name = path.rpartition("/")[2].lower()
    return name in _LISTS or name.endswith((".yaml", ".yml"))


def _found(spec: YoloSource, surroundings: Surroundings) -> str:
    """The file that names the classes, as the user would write its path."""
    for folder in dict.fromkeys((spec.path, spec.images or spec.path)):
        root = resolve(surroundings.folder, folder)
        try:
            others = sorted(name for name in os.listdir(root) if name.lower().endswith((".yaml", ".yml")))
        except OSError:
            continue
        for name in (*_USUAL, *(other for other in others if _has_names(root / other)), *_LISTS):
            if (root / name).is_file():
                return f"{folder.rstrip('/')}/{name}"
    raise SourceError(
        "nothing names the classes: no data.yaml, obj.names or classes.txt",
        where=spec.path,
        fix="give `data` the path of such a file, or `names` a list: names: [cat, dog]",
    )


def _has_names(path: os.PathLike[str]) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return any(line.startswith("names") for line in file)
    except OSError:
        return False


def _text(place: str, shown: str) -> str:
    try:
        with open(place, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise SourceError("is larger than 1 MiB: that names no classes", where=shown, fix="correct `data`")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=shown, fix="correct `data`") from None
    except UnicodeDecodeError:
        raise SourceError("is not UTF-8 text", where=shown) from None


def _document(text: str, shown: str) -> dict[str, Any]:
    """Every scalar stays the text that it is: `no` and `012` are names, not false and 10."""
    try:
        document = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise SourceError(f"is no YAML: {' '.join(str(error).split())}", where=shown) from None
    except RecursionError:
        raise SourceError("is nested too deeply", where=shown) from None
    if not isinstance(document, dict):
        raise SourceError("is no YAML mapping with `names`", where=shown)
    return document


def _names(names: Any, shown: str) -> dict[int, str]:
    match names:
        case list() if all(isinstance(name, str) for name in names):
            return dict(enumerate(names))
        case dict() if all(str(key).isdigit() and isinstance(name, str) for key, name in names.items()):
            return {int(key): name for key, name in names.items()}
        case _:
            way_out = "write names: [cat, dog], or names: {0: cat, 1: dog}"
            raise SourceError("`names` is neither a list nor a mapping of numbers to names", where=shown, fix=way_out)


def _remarks(document: dict[str, Any], count: int) -> Iterator[tuple[str, str]]:
    said = document.get("nc")
    if isinstance(said, str) and said.strip().isdigit() and int(said) != count:
        yield "nc is not the number of names", f"nc {said.strip()} but {count} names: the names count"
    outside = [key for key in _FOLDERS if any(map(is_absolute, _paths(document.get(key))))]
    if outside:
        words = "/".join(outside)
        yield "folders outside the export", f"{words} point outside the export: ignored in favour of the folder"


def _paths(value: Any) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _points(shape: Any) -> tuple[int, int]:
    """`kpt_shape: [17, 3]`: points, and 2 or 3 numbers for each."""
    match shape:
        case [str() as count, str() as numbers] if count.isdigit() and numbers in ("2", "3"):
            return int(count), int(numbers)
        case _:
            return 0, 0
