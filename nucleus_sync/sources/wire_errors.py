"""Why a line isn't a record, in words for its author."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from math import isfinite
from typing import Any, NamedTuple

import msgspec

from nucleus_sync.records.complaint import number_words
from nucleus_sync.sources.walk import shown

TYPES = ("box", "line", "polygon", "keypoints", "cuboid", "mask", "category", "multicategory")

_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_EXPECTED = re.compile(r"Expected `(?P<expected>[^`]*)`(?:, got `(?P<got>[^`]*)`)?(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WORDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}


class Why(NamedTuple):
    """`cause` is the same for all records of its kind, `detail` has this one's values."""

    cause: str
    detail: str


def why_not_json(line: bytes, error: Exception) -> Why:
    """What keeps a line from being JSON."""
    if isinstance(error, RecursionError):
        return Why("nested too deeply", "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Why("not UTF-8", "not UTF-8")
    try:
        value = json.loads(line)
    except UnicodeDecodeError:
        return Why("not UTF-8", "not UTF-8")
    except (ValueError, RecursionError) as problem:
        return _malformed(line, problem)
    for path, number in leaves(value):
        if isinstance(number, float) and not isfinite(number):
            return Why("number is not finite", f"{path or 'value'} is {number_words(number)}")
    return Why("not JSON", f"not JSON: {_plain(str(error))}")


def why_not_record(error: msgspec.ValidationError) -> Why:
    """What a well-formed line lacks."""
    text = str(error)
    if found := _MISSING.search(text):
        inside = f" in {found['path']}" if found["path"] else ""
        return Why(f"{found['name']} is missing", f"{found['name']} is missing{inside}")
    if (found := _EXPECTED.search(text)) and (found["got"] or found["path"]):
        return _wrong_type(found["path"] or "the line", found["expected"], found["got"])
    return Why("not a record", _plain(text))


def unknown_type(value: Any) -> Why:
    """A `type` that Nucleus doesn't have."""
    if not isinstance(value, str):
        return Why("type is not text", f"type is {_said(value)}, not text")
    near = get_close_matches(value.lower(), TYPES, n=1, cutoff=0.5)
    meant = f" ({near[0]}?)" if near else f" (known: {', '.join(TYPES)})"
    return Why(f"type {shown(value)} is unknown{meant}", f"type {shown(value)} is unknown{meant}")


def _malformed(line: bytes, problem: Exception) -> Why:
    if isinstance(problem, json.JSONDecodeError):
        if problem.msg == "Extra data" and line.lstrip()[:1] in b"{[":
            return Why(
                "two objects on one line", f"two objects on one line: the second begins at column {problem.colno}"
            )
        if _is_cut_off(line, problem):
            return Why("not JSON: cut off", "not JSON: cut off")
        return Why("not JSON", f"not JSON: {problem.msg} at column {problem.colno}")
    return Why("not JSON", f"not JSON: {_plain(str(problem)) or type(problem).__name__}")


def _is_cut_off(line: bytes, problem: json.JSONDecodeError) -> bool:
    starts = line.lstrip()[:1] in (b"{", b"[")
    return starts and (problem.msg.startswith("Unterminated string") or problem.pos >= len(problem.doc.rstrip()))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside a JSON value that holds no other, with its path: `speed.max`, `lanes[2]`."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from leaves(inner, f"{path}.{key}" if path else key)
        case list():
            for number, inner in enumerate(value):
                yield from leaves(inner, f"{path}[{number}]")
        case _:
            yield path, value


def _wrong_type(path: str, expected: str, got: str | None) -> Why:
    # Positions in lists differ from record to record; the cause must not.
    place = re.sub(r"\[\d+\]", "[]", path)
    wanted = " or ".join(dict.fromkeys(_WORDS.get(each, each) for each in expected.split(" | ") if each != "null"))
    actual = _WORDS.get(got, got) if got else "something else"
    return Why(f"{place} is {actual}, not {wanted}", f"{path} is {actual}, not {wanted}")


def _said(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _plain(text: str) -> str:
    return text.replace("`", "").replace("$.", "").replace("...", "")
