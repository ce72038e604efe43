"""One annotation or result of COCO as its file has it, decoded strictly, or leniently with every fault named."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

Id = int | str


class Rle(Struct, gc=False):
    """A run-length mask; `size` is height first."""

    size: list[int]
    counts: list[int] | str


class Label(Struct, gc=False):
    """What annotations and results have in common; pixels, and COCO's own names."""

    id: Id | None = None
    image_id: Id | None = None
    category_id: Id | None = None
    bbox: tuple[float, float, float, float] | None = None
    segmentation: list[list[float]] | Rle | None = None
    keypoints: list[float] | None = None
    iscrowd: int | bool | None = None
    score: float | None = None


class Keys(Struct, gc=False):
    """As much of a label as a scan needs."""

    id: Id | None = None
    image_id: Id | None = None
    category_id: Id | None = None


class Notes:
    """What is wrong with one record (`faults`) and worth a word (`findings`): cause, detail, way out.

    `has_sound_geometry` is a quick yes; a no means that records.check has to be asked.
    """

    __slots__ = ("faults", "findings", "has_sound_geometry")

    def __init__(self) -> None:
        self.has_sound_geometry = False
        self.faults: list[tuple[str, str, str | None]] = []
        self.findings: list[tuple[str, str, str | None]] = []

    def fault(self, cause: str, detail: str | None = None, fix: str | None = None) -> None:
        """The record can't be sent."""
        self.faults.append((cause, detail or cause, fix))

    def finding(self, cause: str, detail: str | None = None, fix: str | None = None) -> None:
        """The record is sent all the same."""
        self.findings.append((cause, detail or cause, fix))

    @property
    def is_clean(self) -> bool:
        """Whether the geometry is sound and there is nothing to say."""
        return self.has_sound_geometry and not self.faults and not self.findings

    def cleared(self) -> Notes:
        """Notes for the next record: these, if they hold nothing."""
        if self.faults or self.findings:
            return Notes()
        self.has_sound_geometry = False
        return self


has_two_lists = re.compile(rb"\][ \t\r\n]*,[ \t\r\n]*\[").search
"""Finds something in the bytes of every label of two rings: one in which it does is decoded to see how many it has."""
strictly = msgspec.json.Decoder(Label).decode
"""Raises msgspec.DecodeError or UnicodeDecodeError where a value has another shape than COCO's."""


def leniently(element: Any, notes: Notes) -> Label:
    """A label from what didn't decode strictly; what can't be made sense of is a fault."""
    if not isinstance(element, dict):
        notes.fault("not an object", f"is {named(element)}, not an object")
        return Label()
    return Label(
        id=plain_id(element.get("id")),
        image_id=plain_id(element.get("image_id")),
        category_id=plain_id(element.get("category_id")),
        bbox=_box(element.get("bbox"), notes),
        segmentation=_segmentation(element.get("segmentation"), notes),
        keypoints=_optional_numbers(element.get("keypoints"), "keypoints", notes),
        iscrowd=_crowd(element.get("iscrowd")),
        score=_score(element.get("score"), notes),
    )


def plain_id(value: Any) -> Id | None:
    """An id that can be one: 5.0 is 5, and true is none."""
    match value:
        case bool():
            return None
        case int() | str():
            return value
        case float() if value.is_integer():
            return int(value)
        case _:
            return None


def named(value: Any) -> str:
    """A JSON value in a few words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value[:40]!r}"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"


def storable(text: str) -> str:
    """An id that UTF-8 and keys can hold: lone surrogates and NULs are replaced by their escapes."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def quoted_id(value: Id) -> str:
    """An id as JSON writes it."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def missing_geometry(element: Any) -> tuple[str, str]:
    """(cause, detail) for an annotation that has no geometry at all."""
    if not isinstance(element, dict):
        return "not an object", f"is {named(element)}, not an object"
    if "bbox" in element and element["bbox"] is None:
        return "bbox is null", "bbox is null"
    kind = " (caption)" if "caption" in element else ""
    return f"no geometry{kind}", f"no geometry{kind}: no bbox, segmentation or keypoints"


def _crowd(value: Any) -> int:
    return int(value in (1, True, "1", "true"))


def _score(value: Any, notes: Notes) -> float | None:
    if value is None:
        return None
    score = _number(value)
    if score is None:
        notes.fault("score is not a number", f"score is {named(value)}")
    elif isinstance(value, str):
        notes.finding("score is text", f'score is text: "{value}" taken as {score:g}')
    return score


def _box(value: Any, notes: Notes) -> tuple[float, float, float, float] | None:
    box = _optional_numbers(value, "bbox", notes)
    if box is None:
        return None
    if len(box) != 4:
        notes.fault("bbox of other than 4 numbers", f"bbox has {len(box)} numbers, not 4")
        return None
    return box[0], box[1], box[2], box[3]


def _segmentation(value: Any, notes: Notes) -> list[list[float]] | Rle | None:
    match value:
        case None:
            return None
        case dict():
            return _rle(value, notes)
        case [first, *_] if not isinstance(first, list):
            ring = _numbers(value, "segmentation", notes)
            if ring:
                notes.finding(
                    "segmentation is a flat list", "segmentation is a flat list of numbers: taken as one ring"
                )
            return [ring]
        case list():
            return [_numbers(ring, f"segmentation[{number}]", notes) for number, ring in enumerate(value)]
        case _:
            notes.fault("segmentation is not a list", f"segmentation is {named(value)}, not a list of rings")
            return None


def _rle(value: dict[str, Any], notes: Notes) -> Rle | None:
    try:
        return msgspec.convert(value, Rle)
    except msgspec.ValidationError as error:
        notes.fault("RLE without size or counts", f"segmentation is no RLE: {error}")
        return None


def _optional_numbers(value: Any, name: str, notes: Notes) -> list[float] | None:
    return None if value is None else _numbers(value, name, notes)


def _numbers(value: Any, name: str, notes: Notes) -> list[float]:
    if not isinstance(value, list):
        notes.fault(f"{name.partition('[')[0]} is not a list", f"{name} is {named(value)}, not a list of numbers")
        return []
    numbers = [_number(each) for each in value]
    for index, (number, each) in enumerate(zip(numbers, value, strict=True)):
        if number is None:
            notes.fault(f"{name.partition('[')[0]} holds other than numbers", f"{name} holds {named(each)} at {index}")
            return []
    if any(isinstance(each, str) for each in value):
        notes.finding(f"numbers of {name.partition('[')[0]} are text", f"numbers of {name} are text: taken as numbers")
    return [number for number in numbers if number is not None]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
