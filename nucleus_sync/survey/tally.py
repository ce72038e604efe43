"""Counts what is wrong in the sources of one stream, keeps the first of each kind, and knows what must be spared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nucleus_sync.plan.plan import SourceCount
from nucleus_sync.records.problem import Problem, Severity

if TYPE_CHECKING:
    from nucleus_sync.spec.model import Spec
    from nucleus_sync.survey.declared import DeclaredStream

_SHOWN_OF_A_CAUSE = 3
_LISTED = 10_000


@dataclass
class Tally:
    """Give `report` to readers; read the figures afterwards."""

    address: str
    strict: frozenset[str]
    """Sources that don't say `on_invalid: skip`."""
    invalid: int = 0
    findings: int = 0
    duplicates: int = 0
    waiting: int = 0
    """Files that are left out for now, because they are still being written."""
    nameless: int = 0
    """Invalid records whose key can't be told: any known record may be one of them."""
    blocking: bool = False
    held: set[bytes] = field(default_factory=set)
    """Keys that a source has, but not in a form that can be sent: never taken for deleted."""
    flagged: set[bytes] = field(default_factory=set)
    """Keys with a finding: their records are looked at again every time, so that it is said every time."""
    listed: list[Problem] = field(default_factory=list)
    _causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    _last: tuple[object, ...] = ()

    def report(self, problem: Problem) -> None:
        """Take one problem; several of one record count as one record."""
        if problem.severity is Severity.WAITING:
            self._hold(problem)
            self.waiting += problem.count
            return
        this = (problem.source, problem.where, problem.record, problem.severity)
        again = this == self._last
        self._last = this
        if problem.severity is Severity.INVALID:
            self._hold(problem)
            self.invalid += 0 if again else problem.count
            self.blocking = self.blocking or problem.source in self.strict
        else:
            self.findings += 0 if again else problem.count
            if problem.key is not None:
                self.flagged.add(problem.key)
        self._causes[(str(problem.severity), problem.cause)] += problem.count
        if len(self.listed) < _LISTED:
            self.listed.append(problem)

    def _hold(self, problem: Problem) -> None:
        if problem.key is None:
            self.nameless += problem.count
        else:
            self.held.add(problem.key)

    def count(self) -> SourceCount:
        """The figures as a value of the plan, invalid records first, frequent causes first."""
        causes = sorted(self._causes.items(), key=lambda entry: (entry[0][0] != "invalid", -entry[1], entry[0][1]))
        return SourceCount(
            address=self.address,
            invalid=self.invalid,
            findings=self.findings,
            duplicates=self.duplicates,
            shown=tuple(first_of_each(self.listed)),
            causes=tuple((severity, cause, number) for (severity, cause), number in causes),
            blocking=self.blocking,
        )


def first_of_each(problems: Iterable[Problem]) -> list[Problem]:
    """The first few of every cause, in the order of the files."""
    seen: Counter[tuple[str, str]] = Counter()
    shown = []
    for problem in problems:
        kind = (str(problem.severity), problem.cause)
        seen[kind] += 1
        if seen[kind] <= _SHOWN_OF_A_CAUSE:
            shown.append(problem)
    return shown


def tally_of(declared: DeclaredStream, spec: Spec) -> Tally:
    """A stream's own, with the sources that it must have all records of."""
    strict = {name for name in declared.sources if spec.sources[name].on_invalid == "error"}
    return Tally(declared.address, frozenset(strict))
