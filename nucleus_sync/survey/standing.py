"""How a stream stood when its sources were last found equal to the ledger: untouched files need no reading."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from xxhash import xxh3_128_digest

from nucleus_sync.plan.plan import SourceCount
from nucleus_sync.records.problem import Problem
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import STANDING_ALONE, DeclaredStream
from nucleus_sync.survey.tally import first_of_each

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger

_CAUSE = "cause\x00"


def standing_state(ledger: Ledger, declared: DeclaredStream, token: bytes) -> bytes:
    """The token, joined with what the ledger knows of the items that these records need."""
    version = 0 if declared.kind in STANDING_ALONE else ledger.version(declared.items_address)
    return xxh3_128_digest(token + version.to_bytes(8))


def from_standing(ledger: Ledger, declared: DeclaredStream, state: bytes, scratch: Path) -> ChangeSet | None:
    """A change set without changes, with the figures of back then; None where the stream doesn't stand."""
    standing = ledger.standing(declared.address)
    if standing is None or standing.state != state:
        return None
    changes = ChangeSet(declared.address, declared.kind, None, scratch, known=ledger.count(declared.address))
    counts = standing.counts
    changes.counts = Counter({name: counts.get(name, 0) for name in ("unchanged", "orphaned", "resting")})
    problems = [problem for _, problem in ledger.problems(declared.address)] if counts.get("causes") else []
    changes.source = _source(declared.address, counts, problems)
    changes.listed = problems
    return changes


def standing_counts(changes: ChangeSet) -> dict[str, int]:
    """The figures to keep. After an apply, what was sent is unchanged from then on."""
    counts, source = changes.counts, changes.source
    kept = {
        "unchanged": counts["unchanged"] + counts["create"] + counts["update"],
        "orphaned": counts["orphaned"],
        "resting": counts["resting"],
        "invalid": source.invalid,
        "findings": source.findings,
        "duplicates": source.duplicates,
        "blocking": int(source.blocking),
        "causes": len(source.causes),
    }
    return kept | {f"{_CAUSE}{severity}\x00{cause}": number for severity, cause, number in source.causes}


def _source(address: str, counts: dict[str, int], problems: list[Problem]) -> SourceCount:
    causes = []
    for name, number in counts.items():
        if name.startswith(_CAUSE):
            _, severity, cause = name.split("\x00", 2)
            causes.append((severity, cause, number))
    return SourceCount(
        address=address,
        invalid=counts.get("invalid", 0),
        findings=counts.get("findings", 0),
        duplicates=counts.get("duplicates", 0),
        shown=tuple(first_of_each(problems)),
        causes=tuple(causes),
        blocking=bool(counts.get("blocking")),
    )
