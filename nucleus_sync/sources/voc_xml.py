"""One Pascal VOC file, read without entities: nothing is expanded, and nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label, Notes
from nucleus_sync.sources.label_folder import Mark

_FLAGS = ("truncated", "difficult", "occluded")
_EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class VocFile:
    """What one file says: the image's name, its size in pixels (none where it doesn't speak of it), and the objects."""

    filename: str
    size: tuple[float, float] | None
    marks: list[Mark]


def parsed(content: bytes, *, one_based: bool) -> VocFile | None:
    """The file's objects; None for XML that is no VOC annotation. Raises ValueError with the reason if it is broken."""
    root = _tree(content)
    if root.tag != "annotation":
        return None
    size = root.find("size")
    width, height = (_number(_text(size, name)) or 0.0 for name in ("width", "height"))
    said = (width, height) if size is not None else None
    objects = enumerate(root.iter("object"), start=1)
    marks = [_mark(number, element, one_based=one_based) for number, element in objects]
    return VocFile(_text(root, "filename"), said, marks)


# --- objects --------------------------------------------------------------------------------------------------


def _mark(number: int, element: Element, *, one_based: bool) -> Mark:
    notes = Notes()
    box = _box(element.find("bndbox"), notes, one_based=one_based)
    if element.find("part") is not None:
        notes.finding("parts of objects are left out")
    return Mark(number, Category(_text(element, "name"), 0), Label(bbox=box), notes, _metadata(element))


def _box(bounds: Element | None, notes: Notes, *, one_based: bool) -> tuple[float, float, float, float] | None:
    """Left, top, width and height; edges from 0, or the first and the last pixel counted from 1."""
    if bounds is None:
        notes.fault("no bndbox", "no <bndbox>")
        return None
    edges: list[float] = []
    for name in _EDGES:
        text = _text(bounds, name)
        value = _number(text)
        if value is None:
            said = f"{name} is {text[:40]!r}, no number" if text else f"no <{name}>"
            notes.fault("bndbox without its four numbers", said)
            return None
        edges.append(value)
    left, top, right, bottom = edges
    for low, high, names in ((left, right, "xmin > xmax"), (top, bottom, "ymin > ymax")):
        if low > high:
            notes.fault(names, f"{names}: {low:g} > {high:g}")
    first = 1 if one_based else 0
    return left - first, top - first, right - left + first, bottom - top + first


def _metadata(element: Element) -> dict[str, object]:
    """What the object says of itself beside its box: flags as numbers, the pose, and attributes by name."""
    found: dict[str, object] = {}
    for name in _FLAGS:
        value = _number(_text(element, name))
        if value is not None:
            found[name] = int(value) if value == int(value) else value
    pose = _text(element, "pose")
    if pose and pose.lower() != "unspecified":
        found["pose"] = pose
    for attribute in element.iter("attribute"):
        if name := _text(attribute, "name"):
            found[name] = _text(attribute, "value")
    return found


def _text(element: Element | None, name: str) -> str:
    """The text of a child without the blanks around it; empty where there is none."""
    return (element.findtext(name) or "").strip() if element is not None else ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


# --- XML ------------------------------------------------------------------------------------------------------


def _tree(content: bytes) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(content, True)
        root = builder.close()
    except expat.ExpatError as error:
        raise ValueError(_words(error, content)) from None
    if root is None:
        raise ValueError("is no XML: no element found")
    return root


def _refuse_entity(
    name: str, _parameter: int, _value: str | None, _base: str | None, system: str | None, *_: str | None
) -> NoReturn:
    kind = "external entity" if system is not None else "entities"
    raise ValueError(f"{kind} refused: the file declares {name[:40]!r}")


def _words(error: expat.ExpatError, content: bytes) -> str:
    if not content.strip():
        return "is no XML: empty file"
    head = content[:200]
    if b"encoding" not in head.partition(b"?>")[0] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            content.decode()
        except UnicodeDecodeError:
            return "not UTF-8 and no encoding declared"
    return f"is no XML: {error}"
