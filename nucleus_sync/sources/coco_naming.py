"""What people call the records of a COCO file, and the problems that are reported under these names."""

from __future__ import annotations

from dataclasses import dataclass

from nucleus_sync.records.problem import Problem, Severity, Where


@dataclass(frozen=True, slots=True)
class Naming:
    """How people call the records of a file."""

    source: str
    noun: str
    """`annotation`, `result`, `image` or `mask`."""
    file: str
    section: str
    """`annotations` or `images`, or empty for a list that is the whole file."""

    def where(self, index: int) -> Where:
        """The place of an element."""
        return Where(self.file, f"{self.section}[{index}]")

    def record(self, own: object, index: int, part: int = 0) -> str:
        """An element as its author would call it."""
        ring = f", ring {part + 1}" if part else ""
        if self.noun == "result" and own is None:
            return f"result {index + 1} (index {index}){ring}"
        return f"{self.noun} {own}{ring}" if own is not None else f"{self.noun} at index {index}{ring}"

    def problem(
        self,
        record: str,
        index: int,
        cause: str,
        detail: str,
        *,
        severity: Severity = Severity.INVALID,
        key: bytes | None = None,
        fix: str | None = None,
    ) -> Problem:
        """What is wrong with the record of this name, which an element makes."""
        return Problem(self.source, self.where(index), record, cause, detail, severity, key, fix)
