"""What a refresh found, as values that anyone may render."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from nucleus_sync.refresh.compare import Comparison, What

RECORDS_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class ResourceFinding:
    """A resource that is not as the ledger has it."""

    address: str
    what: What
    detail: str
    fields: tuple[str, ...] = ()
    seen: Mapping[str, Any] | None = None
    """What of it differs at Nucleus and can be brought back, as it is there."""
    repairable: bool = True
    """Whether a plan can do something about it."""


@dataclass
class Report:
    """All that a refresh found and what it could not see."""

    resources: list[ResourceFinding] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """Resources that are as the ledger has them."""
    streams: list[Comparison] = field(default_factory=list)
    slices: list[Comparison] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)
    """(address, what could not be looked at, and why)."""
    sample: int | None = None
    written: bool = False

    @property
    def drift(self) -> int:
        """How many records and resources somebody else changed."""
        return len(self.resources) + sum(one.drift for one in chain(self.streams, self.slices))

    @property
    def settled(self) -> int:
        """How many records were in doubt and are not any more."""
        return sum(one.counts[What.SETTLED] for one in self.streams)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every record that differs because of somebody else."""
        return chain.from_iterable(one.lines() for one in chain(self.streams, self.slices))

    def values(self) -> dict[str, Any]:
        """The document of `refresh --json`, without the exit code."""
        return {
            "format_version": 1,
            "drift": self.drift,
            "written": self.written,
            "sample": self.sample,
            "resources": [
                {"address": one.address, "what": str(one.what), "detail": one.detail, "fields": list(one.fields)}
                for one in self.resources
            ],
            "unchanged": list(self.unchanged),
            "streams": [_stream(one) for one in chain(self.streams, self.slices)],
            "remarks": [{"address": address, "text": text} for address, text in self.remarks],
            "records": list(islice(self.lines(), RECORDS_LISTED)),
        }


def _stream(one: Comparison) -> dict[str, Any]:
    return {
        "address": one.address,
        "verified": one.verified,
        "changed": one.counts[What.CHANGED],
        "deleted": one.counts[What.DELETED],
        "added": one.counts[What.ADDED],
        "settled": one.counts[What.SETTLED],
        "unverified": one.unverified,
        "remarks": list(one.remarks),
    }
