"""Where things stand in the spec's text: from a path in the document to line, column and excerpt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Route = tuple[str | int, ...]
"""The way to a value: `("sources", "labels", "path")`."""

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_PLAIN_KEY = re.compile(r"\w[\w -]*")
_WIDEST = 110


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A position in the text; line and column count from 1."""

    line: int
    column: int


START = Mark(1, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands: its key (None in a list and for the document) and its value."""

    key: Mark | None
    value: Mark


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong at a path; `mark` is set where it isn't simply the place of the path."""

    path: Route
    message: str
    hint: str | None = None
    mark: Mark | None = None
    at_key: bool = False
    """Whether the key is wrong rather than its value."""


@dataclass(slots=True)
class Places:
    """The places of everything in one document."""

    by_path: dict[Route, Place] = field(default_factory=dict)

    def mark(self, path: Route, *, at_key: bool) -> Mark:
        """Where to point for a complaint about a path; something that is missing is sought at what lacks it."""
        for end in range(len(path), -1, -1):
            place = self.by_path.get(path[:end])
            if place is not None:
                return place.key if place.key and (at_key or end < len(path)) else place.value
        return START


def lines_of(text: str) -> list[str]:
    """The text's lines as YAML counts them, without their ends."""
    return _BREAK.split(text)


def written(path: Route) -> str:
    """A path as people write it: `sources.labels.include[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def excerpt(lines: list[str], mark: Mark) -> str | None:
    """The line with a caret under the column; a long line is cut around it."""
    if mark.line > len(lines):
        return None
    line = "".join(char if char.isprintable() else " " for char in lines[mark.line - 1])
    column = min(mark.column - 1, len(line))
    start = max(0, column - _WIDEST // 2) if len(line) > _WIDEST else 0
    shown = line[start : start + _WIDEST].rstrip()
    before, after = "…" if start else "", "…" if start + _WIDEST < len(line) else ""
    return f"{before}{shown}{after}\n{' ' * (column - start + len(before))}^"
