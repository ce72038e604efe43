"""From an answer that is no success to the error that a user meets."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from nucleus_sync.errors import ApiError, Conflict, CredentialsError, NotFound, NucleusSyncError, Unreachable

LONGEST_ANSWER = 300
_TAKEN = re.compile(r"\b(already|exists?|taken|duplicate|not unique|must be unique)\b", re.IGNORECASE)
_MISSING = re.compile(r"does(n't| not) exist|not exist", re.IGNORECASE)
_PASSING = frozenset({408, 429, 502, 503, 504, 520, 524})
_KEY_FIXES = {
    401: "check NUCLEUS_API_KEY or NUCLEUS_LIMITED_ACCESS_KEY: Nucleus doesn't know this key",
    402: "Nucleus isn't enabled for this account: ask whoever administers it at Scale",
    403: "this key may not do that: use one with more rights, or check the id in the address",
}


def refusal(where: str, status: int, text: str) -> NucleusSyncError:
    """The error for a status from 400; `text` is the answer in short, without credentials (docs/wire.md §1.4)."""
    said = f": {text}" if text else ""
    if status in _KEY_FIXES:
        return CredentialsError(f"Nucleus refused the key ({status}){said}", where=where, fix=_KEY_FIXES[status])
    if status == 404:
        return NotFound(f"not found (404){said}", where=where, status=status, answer=text)
    if status == 409 or (status == 400 and says_taken(text)):
        return Conflict(f"conflict ({status}){said}", where=where, status=status, answer=text)
    if status in _PASSING:
        return Unreachable(f"no usable answer ({status}){said}", where=where, status=status, answer=text)
    return ApiError(f"Nucleus answered {status}{said}", where=where, status=status, answer=text)


def says_taken(text: str) -> bool:
    """Whether a text says that a name or reference id is in use; "does not exist" is the opposite."""
    return bool(_TAKEN.search(_MISSING.sub("", text)))


def answer_text(content: bytes) -> str:
    """What an error body says, in one short line, be it JSON, HTML, XML or anything."""
    text = content[:65536].decode("utf-8", "replace").strip()
    said = _error_of_json(content) if text.startswith("{") else None
    return shortened(said if said is not None else _without_tags(text) if text.startswith("<") else text)


def shortened(text: str) -> str:
    """One line of at most `LONGEST_ANSWER` characters, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST_ANSWER else line[: LONGEST_ANSWER - 1] + "…"


def _error_of_json(content: bytes) -> str | None:
    try:
        body: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for name in ("error", "message", "detail", "msg"):
        match body.get(name):
            case str(text) if text:
                return text
            case {"message": str(text)}:
                return text
            case None | "":
                continue
            case other:
                return msgspec.json.encode(other).decode()
    return None


def _without_tags(text: str) -> str:
    """The title of a page, or the code and message of an S3 error: the rest of either is noise."""
    code, message = (re.search(f"<{tag}>([^<]*)</{tag}>", text) for tag in ("Code", "Message"))
    if code or message:
        return ": ".join(found.group(1) for found in (code, message) if found)
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return title.group(1) if title else re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.I)
