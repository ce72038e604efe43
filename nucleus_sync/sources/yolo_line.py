"""One line of a YOLO label file: a class, then a box, a polygon or keypoints in shares of the image."""

from __future__ import annotations

import re
from math import isfinite

from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label, Notes
from nucleus_sync.sources.label_folder import Mark
from nucleus_sync.sources.yolo_names import Classes

_NOBODY = Category("", 0)
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_DIGITS = 6
"""Decimals of a pixel: more than any share of the image has, and free of what multiplying binary fractions adds."""
_FAR_OUTSIDE = 2.0


def mark_of(number: int, line: str, classes: Classes, width: int, height: int, *, scored: bool) -> Mark | None:
    """The label of a line; None for a blank one. Whatever is wrong is in its notes."""
    words = line.split()
    if not words:
        return None
    notes = Notes()
    try:
        numbers = list(map(float, words[1:]))
    except ValueError:
        return _mark_of_words(number, words, classes, notes)
    category = _category(words[0], classes, notes)
    label = Label()
    if len(words) < 5:
        notes.fault("too few fields", f"{len(words)} fields: a box has 5, a polygon 7 or more")
    elif not width or not height:
        notes.fault("the image's size is unknown", fix="convert the image to PNG or JPEG: its shares need its pixels")
    else:
        label = _label(numbers, classes, width, height, notes, scored=scored)
    return Mark(number, category, label, notes)


def _mark_of_words(number: int, words: list[str], classes: Classes, notes: Notes) -> Mark:
    """A line that holds other than numbers: DOTA's oriented boxes do, all others are wrong."""
    if len(words) == 10 and not _is_number(words[8]) and all(map(_is_number, words[:8])):
        return _mark_of_corners(number, words, notes)
    category = _category(words[0], classes, notes)
    if len(words) < 5:
        notes.fault("too few fields", f"{len(words)} fields: a box has 5, a polygon 7 or more")
    elif any(_DECIMAL_COMMA.fullmatch(word) for word in words[1:]):
        notes.fault("decimal commas", f"decimal commas: {' '.join(words[1:5])}", "write 0.5, not 0,5")
    else:
        wrong = next(word for word in words[1:] if not _is_number(word))
        notes.fault("holds other than numbers", f"{wrong[:40]!r} is no number")
    return Mark(number, category, Label(), notes)


def _category(word: str, classes: Classes, notes: Notes) -> Category:
    try:
        number = float(word)
    except ValueError:
        notes.fault("class is no number", f"class {word[:40]} is no number")
        return _NOBODY
    category = classes.by_number.get(int(number)) if isfinite(number) and number == int(number) else None
    if category is None:
        notes.fault("class is not in names", f"class {word[:40]} is not in names: there are {len(classes.by_number)}")
    return category or _NOBODY


def _label(numbers: list[float], classes: Classes, width: int, height: int, notes: Notes, *, scored: bool) -> Label:
    if not all(map(isfinite, numbers)):
        notes.fault("number is not finite", "holds a number that is not finite")
        return Label()
    count, each = classes.points
    if count and len(numbers) - 4 - count * each in (0, 1):
        score = numbers.pop() if len(numbers) - 4 - count * each else None
        return Label(score=score, keypoints=_keypoints(numbers[4:], each, width, height))
    if len(numbers) < 6:
        return _box(numbers, width, height, notes)
    score = None
    if len(numbers) % 2:
        if not scored:
            notes.fault("odd number of coordinates", f"{len(numbers)} coordinates: x and y are missing a partner")
            return Label()
        score = numbers.pop()
    if any(abs(number) > _FAR_OUTSIDE for number in numbers):
        far = next(number for number in numbers if abs(number) > _FAR_OUTSIDE)
        notes.fault("coordinate outside 0..1", f"coordinate {far:g} is outside 0..1: pixels instead of shares?")
        return Label()
    return Label(score=score, segmentation=[_in_pixels(numbers, width, height)])


def _box(numbers: list[float], width: int, height: int, notes: Notes) -> Label:
    for name, value in (("centre", numbers[0]), ("centre", numbers[1])):
        if not 0 <= value <= 1:
            notes.fault(f"{name} outside 0..1", f"{name} {value:g} is outside 0..1")
    for name, value in (("width", numbers[2]), ("height", numbers[3])):
        if value <= 0:
            notes.fault(f"{name} not above 0", f"{name} {value:g}: a box without extent")
        elif value > _FAR_OUTSIDE:
            notes.fault(f"{name} outside 0..1", f"{name} {value:g} is outside 0..1: pixels instead of shares?")
    x, y, box_width, box_height = numbers[:4]
    corner = _in_pixels([x - box_width / 2, y - box_height / 2, box_width, box_height], width, height)
    return Label(bbox=(corner[0], corner[1], corner[2], corner[3]), score=numbers[4] if len(numbers) == 5 else None)


def _in_pixels(shares: list[float], width: int, height: int) -> list[float]:
    return [round(share * (height if place % 2 else width), _DIGITS) for place, share in enumerate(shares)]


def _keypoints(numbers: list[float], each: int, width: int, height: int) -> list[float]:
    """COCO's x, y, flag; a point of two numbers at 0, 0 was not labelled."""
    points: list[float] = []
    for start in range(0, len(numbers), each):
        x, y = _in_pixels(numbers[start : start + 2], width, height)
        flag = numbers[start + 2] if each == 3 else (2.0 if x or y else 0.0)
        points += (x, y, flag)
    return points


def _mark_of_corners(number: int, words: list[str], notes: Notes) -> Mark:
    """DOTA's oriented box: four corners in pixels, the name of the class, how difficult it is."""
    label = Label(segmentation=[[float(word) for word in words[:8]]])
    metadata: dict[str, object] = {"difficult": int(words[9])} if words[9].isdigit() and words[9] != "0" else {}
    return Mark(number, Category(words[8], 0), label, notes, metadata)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def looks_like_labels(text: str) -> bool:
    """Whether the first line of a text is a class with a geometry."""
    words = next((line.split() for line in text.splitlines() if line.strip()), [])
    return len(words) >= 5 and words[0].isdigit() and all(map(_is_number, words[:5]))
