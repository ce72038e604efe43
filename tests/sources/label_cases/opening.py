"""Opening folders of labels for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nucleus_sync.sources.open import open_reader
from nucleus_sync.sources.reader import Reader
from nucleus_sync.spec.source import Source

from ..coco_cases.reading import SHARED, surroundings

__all__ = ["SHARED", "folder"]

_parse = TypeAdapter(Source).validate_python


def folder(kind: str, root: Path, scratch: Path, **options: Any) -> Reader:
    """A reader of that format for a folder; `path` is the folder itself unless it is said."""
    return open_reader(_parse({"format": kind, "path": ".", **options}), surroundings(root, scratch))
