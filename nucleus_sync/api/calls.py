"""One call as a value: method, path, body, and what a repetition would do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from nucleus_sync.api.multipart import Multipart
from nucleus_sync.api.retry import Safety
from nucleus_sync.errors import UsageError

REFERENCES_PER_CALL = 10_000
"""Most reference ids in one call (docs/wire.md §1.6)."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request relative to the endpoint. A last segment that is empty makes a trailing slash.

    A `body` of None sends none, except with DELETE, which always has one (docs/wire.md §1.3).
    """

    method: str
    segments: tuple[str, ...]
    body: Any = None
    safety: Safety = Safety.IDEMPOTENT
    query: tuple[tuple[str, str], ...] = field(default=())

    @property
    def path(self) -> str:
        """Every segment encoded, so that a `/` in a reference id stays one segment."""
        return "/".join(_segment(segment) for segment in self.segments)

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def where(self) -> str:
        """Method and path, for errors."""
        return f"{self.method} {self.path}"

    def content(self) -> bytes | Multipart | None:
        """The body's bytes."""
        match self.body:
            case Multipart():
                return self.body
            case None if self.method == "DELETE":
                return b"{}"
            case None:
                return None
            case body:
                return _encoded(body, self.where)


def _segment(segment: str) -> str:
    encoded = quote(segment, safe="")
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded


def _encoded(body: Any, where: str) -> bytes:
    """JSON as the server wants it: NaN and infinities are refused before sending."""
    try:
        return json.dumps(msgspec.to_builtins(body), allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError) as error:
        raise UsageError(f"a value can't be sent as JSON: {error}", where=where) from None


def get(*segments: str, query: dict[str, str] | None = None) -> Call:
    """A read."""
    return Call("GET", segments, query=tuple((query or {}).items()))


def post(*segments: str, body: Any, safety: Safety = Safety.IDEMPOTENT, query: dict[str, str] | None = None) -> Call:
    """A write, or a read that has a body."""
    return Call("POST", segments, body, safety, tuple((query or {}).items()))


def patch(*segments: str, body: Any) -> Call:
    """A change of single fields."""
    return Call("PATCH", segments, body)


def delete(*segments: str, body: Any = None, safety: Safety = Safety.IDEMPOTENT) -> Call:
    """A removal."""
    return Call("DELETE", segments, body if body is not None else {}, safety)


def given(**fields: Any) -> dict[str, Any]:
    """Only the fields that are not None, for keys that Nucleus wants left out."""
    return {name: value for name, value in fields.items() if value is not None}


def references(reference_ids: Sequence[str], where: str) -> list[str]:
    """The reference ids of one call: some, and not too many.

    An empty or missing list once meant "all of the dataset" to the annotation delete (docs/wire.md §9.6).
    """
    if isinstance(reference_ids, str) or not reference_ids or not all(reference_ids):
        raise UsageError("no reference ids, or an empty one, where some must be named", where=where)
    if len(reference_ids) > REFERENCES_PER_CALL:
        raise UsageError(f"{len(reference_ids)} reference ids in one call; at most {REFERENCES_PER_CALL}", where=where)
    return list(reference_ids)


def chunks(reference_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Reference ids in portions that one call may hold."""
    for start in range(0, len(reference_ids), REFERENCES_PER_CALL):
        yield reference_ids[start : start + REFERENCES_PER_CALL]
