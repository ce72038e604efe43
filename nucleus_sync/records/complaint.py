"""What a complaint about a record is, with the words and checks that all kinds of records share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

REMOTE_SCHEMES = ("http://", "https://", "s3://", "gs://")
LONGEST_METADATA = 64 * 1024


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong: `cause` groups, `detail` names the values. A `grave` one can't be sent."""

    cause: str
    detail: str
    grave: bool = True


def metadata_complaints(metadata: dict[str, Any]) -> Iterator[Complaint]:
    """What is wrong with the metadata of anything."""
    for key, value in metadata.items():
        if not key:
            yield Complaint("metadata key is empty", "metadata holds an empty key", grave=False)
        yield from text_complaints("a metadata key", key)
        yield from _value(key, value)


def text_complaints(name: str, text: str) -> Iterator[Complaint]:
    """JSON can spell half a character (a lone surrogate), which is no text and can't be sent."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        yield Complaint("not Unicode text", f"{name} holds half a character (a lone surrogate)")


def _value(key: str, value: Any) -> Iterator[Complaint]:
    match value:
        case float() if not isfinite(value):
            yield Complaint("number is not finite", f"metadata key {key} is {number_words(value)}")
        case str():
            if len(value) > LONGEST_METADATA:
                said = f"metadata key {key}: {len(value):,} characters"
                yield Complaint("metadata value is very long", said, grave=False)
            yield from text_complaints(f"metadata key {key}", value)
        case dict():
            for inner, inner_value in value.items():
                yield from text_complaints(f"a key of metadata key {key}", inner)
                yield from _value(f"{key}.{inner}", inner_value)
        case list():
            for number, inner_value in enumerate(value):
                yield from _value(f"{key}[{number}]", inner_value)


def plain(value: float) -> str:
    """A number without needless decimals: `-7`, `0.4`."""
    return str(int(value)) if isfinite(value) and value == int(value) else f"{value:g}"


def number_words(value: float) -> str:
    """A number as people call it: `NaN`, `Infinity`, `-Infinity`, `1.7`."""
    if value != value:
        return "NaN"
    return plain(value) if isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
