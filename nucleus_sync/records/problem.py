"""Something that is wrong with one record of a source, with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What follows from a problem."""

    INVALID = "invalid"
    """The record can't be sent: an error, or skipped where the source says `on_invalid: skip`."""
    FINDING = "finding"
    """The record is sent all the same; the user should know."""
    WAITING = "waiting"
    """Its file is still being written: neither sent nor taken for gone, and no complaint."""


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a source: the file as the user wrote it, and a position such as `line 12` or `annotations[4]`."""

    file: str
    position: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.position}" if self.position else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint: `cause` is the same text for all of its kind, `detail` has this record's values."""

    source: str
    where: Where
    record: str
    """The record as the file's author would call it: `annotation 5`, `image 3 (c.jpg)`, `line 2`."""
    cause: str
    detail: str
    severity: Severity = Severity.INVALID
    key: bytes | None = None
    fix: str | None = None
    count: int = 1
    """How many records it takes out (a duplicate takes out two)."""
    unknown: tuple[tuple[str, int | str], ...] = ()
    """The ids that it is about because nothing has them: `(("image_id", 99),)`."""


Report = Callable[[Problem], None]
"""Where readers put their problems."""
