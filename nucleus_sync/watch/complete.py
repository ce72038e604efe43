"""Whether a file has its end, as far as its format tells."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from nucleus_sync.errors import SourceError
from nucleus_sync.sources.json_slices import JsonFile

_TAIL = 1 << 16
_PARSED = 64 << 20
"""Bytes up to which JSON is parsed to see whether it is whole; of larger files only the end is looked at."""


def missing(path: str, format_name: str) -> str:
    """Why a file doesn't count as complete; empty when it does. A file that isn't there has no opinion."""
    try:
        size = os.path.getsize(path)
        if not size:
            return "empty"
        tail = _tail(path, size)
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if path.endswith((".gz", ".zst")):
        return ""  # a cut-off stream is told by its reader
    match format_name:
        case "coco" | "coco-results" | "coco-panoptic":
            return _json(path, size, tail)
        case "records":
            return _lines(tail)
        case "table" if path.lower().endswith(".parquet"):
            return "" if tail.endswith(b"PAR1") else "the end of the table is missing"
        case _:
            return ""


def _tail(path: str, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, size - _TAIL))
        return file.read(_TAIL)


def _json(path: str, size: int, tail: bytes) -> str:
    if not tail.rstrip().endswith((b"}", b"]")):
        return "the JSON ends early"
    if size > _PARSED:
        return ""
    try:
        JsonFile(Path(path), path).sections()
    except SourceError as error:
        return error.what
    return ""


def _lines(tail: bytes) -> str:
    last = tail.rstrip().rpartition(b"\n")[2].strip()
    if tail.endswith(b"\n") or not last:
        return ""
    try:
        msgspec.json.decode(last)
    except (msgspec.DecodeError, UnicodeError):
        return "the last line ends early"
    return ""
