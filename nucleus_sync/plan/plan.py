"""A plan: ordered steps with their counts, as a value that can be compared, hashed and saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace
from xxhash import xxh3_128_hexdigest

from nucleus_sync.plan.steps import Action, RecordCounts, Step
from nucleus_sync.records.problem import Problem

FORMAT_VERSION = 1


class SourceCount(Struct, frozen=True):
    """What was found wrong in the sources of one stream; `shown` are the first of each cause."""

    address: str
    invalid: int = 0
    findings: int = 0
    duplicates: int = 0
    """Identical records of which one was dropped."""
    shown: tuple[Problem, ...] = ()
    causes: tuple[tuple[str, str, int], ...] = ()
    """(severity, cause, how many), the most frequent first."""
    blocking: bool = False
    """Some are invalid and the source doesn't say `on_invalid: skip`."""


class Failure(Struct, frozen=True):
    """A stream that couldn't be compared at all, because a source of it is unusable."""

    address: str
    error: str


class Summary(Struct, frozen=True):
    """The plan in figures. `create`, `update`, `delete`, `unchanged` count records and resources."""

    create: int
    update: int
    delete: int
    unchanged: int
    rejected: int
    invalid: int
    steps: int
    resent: int = 0
    findings: int = 0
    duplicates: int = 0
    orphaned: int = 0


class Plan(Struct, frozen=True):
    """What would be done, in order. Nothing to do is a plan without steps."""

    spec_path: str
    spec_sha256: str
    lineage: str
    serial: int
    steps: tuple[Step, ...]
    unchanged: Mapping[str, int]
    """Unchanged records of every stream, and 1 for every unchanged resource, by address."""
    resting: Mapping[str, int]
    orphaned: Mapping[str, int]
    sources: tuple[SourceCount, ...] = ()
    failures: tuple[Failure, ...] = ()
    contents: Mapping[str, str] = field(default_factory=dict)
    """Per address a digest of exactly what would be sent and deleted; what a saved plan is compared by."""
    endpoint: str = ""
    targets: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps

    @property
    def invalid_streams(self) -> tuple[str, ...]:
        """Streams that can't be applied: a source is unusable, or holds invalid records and doesn't skip them."""
        return tuple(f.address for f in self.failures) + tuple(s.address for s in self.sources if s.blocking)

    def summary(self) -> Summary:
        """The figures of the last line."""
        counts = [step.records for step in self.steps if step.records]
        return Summary(
            create=sum(c.create for c in counts) + self._resources(Action.CREATE),
            update=sum(c.update for c in counts) + self._resources(Action.UPDATE),
            delete=sum(c.delete for c in counts) + self._resources(Action.DELETE),
            unchanged=sum(self.unchanged.values()),
            rejected=sum(self.resting.values()),
            invalid=sum(s.invalid for s in self.sources),
            steps=len(self.steps),
            resent=sum(c.resent for c in counts),
            findings=sum(s.findings for s in self.sources),
            duplicates=sum(s.duplicates for s in self.sources),
            orphaned=sum(self.orphaned.values()),
        )

    def _resources(self, action: Action) -> int:
        return sum(1 for step in self.steps if step.records is None and step.action is action)

    def digest(self) -> str:
        """A hash of everything that is decided here: equal plans do equal things."""
        decided = [
            FORMAT_VERSION,
            self.spec_sha256,
            self.lineage,
            self.endpoint,
            sorted(self.targets),
            [(step.id, step.depends_on, _plain(step.records), dict(step.wanted)) for step in self.steps],
            sorted(self.contents.items()),
        ]
        return xxh3_128_hexdigest(msgspec.msgpack.encode(decided, order="deterministic"))


def _plain(counts: RecordCounts | None) -> dict[str, int] | None:
    return None if counts is None else msgspec.to_builtins(counts)


def without(plan: Plan, addresses: Iterable[str]) -> Plan:
    """The plan less all steps at these addresses and everything that waits for them."""
    dropped = set(addresses)
    kept: list[Step] = []
    gone: set[str] = set()
    for step in plan.steps:
        if step.address in dropped or gone.intersection(step.depends_on):
            gone.add(step.id)
        else:
            kept.append(step)
    return replace(plan, steps=tuple(kept))


def as_values(plan: Plan) -> dict[str, Any]:
    """The plan as plain values, in the shape of `plan --json` (format_version 1)."""
    return {
        "format_version": FORMAT_VERSION,
        "spec": {"path": plan.spec_path, "sha256": plan.spec_sha256},
        "ledger": {"lineage": plan.lineage, "serial": plan.serial},
        "endpoint": plan.endpoint,
        "targets": list(plan.targets),
        "digest": plan.digest(),
        "summary": msgspec.to_builtins(plan.summary()),
        "steps": [_step_values(step) for step in plan.steps],
        "sources": [_source_values(source) for source in plan.sources],
        "failures": [{"address": failure.address, "error": failure.error} for failure in plan.failures],
        "contents": dict(plan.contents),
    }


def _step_values(step: Step) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": step.id,
        "action": str(step.action),
        "address": step.address,
        "depends_on": list(step.depends_on),
    }
    if step.records is not None:
        values["records"] = _plain(step.records)
    if step.reasons:
        values["reasons"] = dict(step.reasons)
    if step.wanted:
        values["wanted"] = dict(step.wanted)
    return values


def _source_values(source: SourceCount) -> dict[str, Any]:
    return {
        "address": source.address,
        "invalid": source.invalid,
        "findings": source.findings,
        "duplicates": source.duplicates,
        "blocking": source.blocking,
        "causes": [{"severity": s, "cause": c, "count": n} for s, c, n in source.causes],
        "shown": [problem_values(problem) for problem in source.shown],
    }


def problem_values(problem: Problem) -> dict[str, Any]:
    """One problem as plain values."""
    return {
        "severity": str(problem.severity),
        "source": problem.source,
        "file": problem.where.file,
        "position": problem.where.position,
        "record": problem.record,
        "cause": problem.cause,
        "detail": problem.detail,
        "fix": problem.fix,
    }
