"""A call of the API as the handlers see it, and the table that they are listed in."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .faults import Effect
from .jobs import Jobs
from .refusals import Refused
from .world import World


@dataclass(frozen=True)
class Part:
    """A file of a multipart request, already in the media folder under its hash."""

    name: str
    filename: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Call:
    """One request, authenticated and parsed. `address` is the server's, without a path."""

    world: World
    jobs: Jobs
    address: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    parts: tuple[Part, ...] = ()
    form: Mapping[str, str] = field(default_factory=dict)
    effect: Effect | None = None

    @property
    def is_async(self) -> bool:
        """Whether the call asks for a background job."""
        return self.query.get("async") == "1"

    def text(self, key: str) -> str:
        """A string that the body must have, or 400."""
        value = self.body.get(key)
        if not isinstance(value, str) or not value:
            raise Refused(400, f"{key} must be a string.")
        return value


@dataclass(frozen=True)
class Answer:
    """A status other than 200, or a body that is not there."""

    status: int
    body: Any = None


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Route:
    """A row of the route table: `{name}` stands for one path segment."""

    method: str
    pattern: str
    handler: Handler | None

    @property
    def segments(self) -> tuple[str, ...]:
        """The pattern, split."""
        return tuple(self.pattern.strip("/").split("/"))


class Table:
    """Finds the row for a request. Segments are split before they are decoded, so that `%2F` is no slash."""

    def __init__(self, routes: list[Route]) -> None:
        self._rows: dict[tuple[str, int], list[Route]] = {}
        for route in routes:
            self._rows.setdefault((route.method, len(route.segments)), []).append(route)
        for rows in self._rows.values():
            rows.sort(key=lambda route: [segment.startswith("{") for segment in route.segments])

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """The row and its decoded parameters."""
        given = raw_path.strip("/").split("/")
        for route in self._rows.get((method, len(given)), ()):
            found = _parameters(route.segments, given)
            if found is not None:
                return route, found
        return None


def _parameters(pattern: tuple[str, ...], given: list[str]) -> dict[str, str] | None:
    found = {}
    for expected, segment in zip(pattern, given, strict=True):
        if expected.startswith("{"):
            if not segment:
                return None
            found[expected[1:-1]] = unquote(segment)
        elif expected != segment:
            return None
    return found


def today() -> str:
    """The date, for the names of things that the server names."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
