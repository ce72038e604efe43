"""Finds the elements at the front of a JSON array's text without decoding them.

A text is cut where two objects meet (`} , {`) and decoded as a list of raw elements. A cut at a wrong place, inside a
text or a nested list, leaves something that can't be decoded, so what decodes is right; only where no cut works is the
text walked token by token. NaN, Infinity and lone surrogates, which the decoder refuses, are covered by numbers and
escapes of the same length meanwhile: the places stay true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import msgspec
from msgspec import Raw

SPACE = b" \t\r\n"
_GAP = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_SEAM_END = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\Z")
_FIRST_KEY = re.compile(rb'\{[ \t\r\n]*"[^"\\]{0,64}"')
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_BYTE = re.compile(r"\(byte (\d+)\)")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|\[[^\[\]{}"]*\]|[\[\]{},]', re.DOTALL)
_UNTAMED = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_TAMED = {b"NaN": b"0e0", b"Infinity": b"0e000000"}
_TRIES = 3
_LONGEST_WORD = 16

_decode_raws = msgspec.json.Decoder(list[Raw]).decode
_decode_raw = msgspec.json.Decoder(Raw).decode


@dataclass(frozen=True, slots=True)
class Fit:
    """Elements that were sliced from the front of a text; `length` bytes, and whether the array ends after them."""

    count: int
    length: int
    last: bool


def fit(text: bytes, hint: bytes, *, whole: bool) -> Fit | str:
    """Slice elements from the front of a text; what is wrong as the decoder says it when not even one fits."""
    if not whole:
        for cut in _cuts(text, hint):
            raws = raws_of(text, cut)
            if raws is not None:
                return Fit(len(raws), cut, last=False)
    return _fit_end(text)


def _fit_end(text: bytes) -> Fit | str:
    """Like `fit` where the array may end within the text, or no seam could be found by looking."""
    tamed = tame(text)
    try:
        _decode_raws(b"[" + tamed)
        length = len(text.rstrip(SPACE)) - 1
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        if trailing is None:
            cut = _walk_to_seam(tamed) if is_cut_off(str(error), b"[" + tamed) else 0
            raws = raws_of(text, cut) if cut else None
            return str(error) if raws is None else Fit(len(raws), cut, last=False)
        length = tamed.rindex(b"]", 0, int(trailing[1]) - 2)  # the decoder counts this byte from 1, after our "["
    except RecursionError:
        return "JSON is malformed: nested too deeply (byte 1)"
    length = len(text[:length].rstrip(SPACE))
    raws = raws_of(text, length)
    return Fit(len(raws), length, last=True) if raws is not None else "JSON is malformed: can't be sliced (byte 1)"


def _cuts(text: bytes, hint: bytes) -> Iterator[int]:
    """Ends of objects at which the text may be cut: first before what begins like the first element."""
    tries = 0
    for needle in (hint, b"{") if hint else (b"{",):
        place = len(text)
        for _ in range(_TRIES * 4):
            place = text.rfind(needle, 0, place)
            if place <= 0 or tries >= _TRIES * 2:
                break
            seam = _SEAM_END.search(text, max(0, place - 64), place)
            if seam:
                tries += 1
                yield seam.start() + 1


def _walk_to_seam(text: bytes) -> int:
    """The end of the last element that is whole, found token by token: slow, and sure."""
    depth = last = 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth < 0:
                    break
            case b"," if depth == 0:
                last = token.start()
    return len(text[:last].rstrip(SPACE))


def raws_of(text: bytes, length: int) -> list[Raw | bytes] | None:
    """The elements in the first bytes of a text; None where they aren't a list of whole elements."""
    part = text[:length]
    try:
        return _decode_raws(b"[" + part + b"]")  # type: ignore[return-value]
    except msgspec.DecodeError:
        pass
    except RecursionError:
        return None
    tamed = tame(part)
    if tamed is part:
        return None
    try:
        covered = _decode_raws(b"[" + tamed + b"]")
    except (msgspec.DecodeError, RecursionError):
        return None
    elements = list(map(bytes, covered))
    lengths = list(map(len, elements))
    offsets = offsets_of(tamed, elements, lengths, 0)
    return [part[start : start + size] for start, size in zip(offsets, lengths, strict=True)]


def offsets_of(text: bytes, elements: list[bytes], lengths: list[int], start: int) -> list[int]:
    """Where the elements of a text lie. Most writers put the same gap everywhere; joining them again shows it."""
    if not elements:
        return []
    first = _GAP.match(text, lengths[0])
    gap = first[0] if first else b""
    if gap.join(elements) == text:
        width = len(gap)
        return list(accumulate([length + width for length in lengths[:-1]], initial=start))
    place = 0
    offsets = []
    for length in lengths:
        offsets.append(start + place)
        found = _GAP.match(text, place + length)
        place = found.end() if found else place + length
    return offsets


def end_of_value(text: bytes) -> int | str:
    """Where the value at the front of a text ends, or what the decoder says against it."""
    try:
        _decode_raw(text)
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        return len(text[: int(trailing[1]) - 1].rstrip(SPACE)) if trailing else str(error)
    except RecursionError:
        return "JSON is malformed: nested too deeply (byte 0)"
    return len(text.rstrip(SPACE))


def tame(text: bytes) -> bytes:
    """The text with what the decoder refuses covered by something harmless of the same length."""
    if not _UNTAMED.search(text):
        return text
    return _UNTAMED.sub(lambda found: _TAMED.get(found[0], b"\\u0000"), text)


def first_key(text: bytes) -> bytes:
    """The beginning of the first object, by which others may be found; empty where there is none."""
    found = _FIRST_KEY.match(text)
    return found[0] if found else b""


def is_cut_off(why: str, text: bytes) -> bool:
    """Whether the decoder may only have been missing what follows."""
    return "truncated" in why or 0 <= len(text) - byte_in(why) <= _LONGEST_WORD


def byte_in(why: str) -> int:
    """The byte that the decoder names, from 0."""
    found = _BYTE.search(why)
    return int(found[1]) if found else 0


def reason_of(why: str) -> str:
    """What the decoder says, without the byte."""
    return _BYTE.sub("", why).removeprefix("JSON is malformed: ").strip()
