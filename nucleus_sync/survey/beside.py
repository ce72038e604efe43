"""Which deletions wait: Nucleus would take records along with them that nobody could send again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from nucleus_sync.records.key import as_words, item_of
from nucleus_sync.records.problem import Problem, Severity, Where
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.tally import Tally

_WHY = {
    Kind.ANNOTATIONS: "Nucleus deletes all annotations of an item together",
    Kind.PREDICTIONS: "Nucleus deletes predictions by the whole run",
    Kind.SCENES: "Nucleus deletes a scene with all that hangs on it",
    Kind.ITEMS: "Nucleus deletes an item with all that hangs on it",
}
_FIX = "mend that record, or take it out of its source; the next apply deletes what waits"


@dataclass(frozen=True, slots=True)
class Together:
    """What is decided about deletions that take others along."""

    run_goes: bool = False
    """The run that these predictions are in is deleted because of those on another dataset."""
    run_stays: frozenset[str] = frozenset()
    """The run isn't deleted because of what would be lost in these streams."""
    kept: frozenset[bytes] = frozenset()
    """Items whose annotations aren't cleared, and scenes that aren't made anew: something would be lost."""


@dataclass
class Beside:
    """Told while one stream is compared; asked afterwards what would be lost."""

    address: str
    kind: Kind
    tally: Tally
    pages: Callable[[], Iterable[list[tuple[bytes, bytes]]]]
    """What the ledger knows of the stream."""
    waiting: Counter[bytes] = field(default_factory=Counter)
    """Deletions that wait, by item; of a whole run under no item."""
    _left: set[bytes] = field(default_factory=set)
    _resting: dict[bytes, tuple[str, Where, bytes]] = field(default_factory=dict)

    def left(self, key: bytes) -> None:
        """A record is at Nucleus, no source yields it in a form that can be sent, and yet it is not gone."""
        self._left.add(item_of(key))

    def rests(self, source: str, where: Where, key: bytes) -> None:
        """A record is at Nucleus in an older form; the newer one was refused and isn't sent again."""
        self._resting.setdefault(item_of(key), (source, where, key))

    def lost(self, goes: Callable[[Collection[bytes]], Collection[bytes]]) -> frozenset[bytes]:
        """Items with records that would be deleted and not sent again; `goes` picks the items that are cleared."""
        suspects = self._left | self._resting.keys() | {item_of(key) for key in self.tally.held}
        cleared = goes(suspects) if suspects else ()
        found = (self._left | self._resting.keys()).intersection(cleared)
        unsure = {key for key in self.tally.held if item_of(key) in cleared and item_of(key) not in found}
        for page in self.pages() if unsure else ():
            found |= {item_of(key) for key, _ in page if key in unsure}
        return frozenset(found)

    def report(self, others: Collection[str] = ()) -> None:
        """Say of every item, or of the run, that deletions wait and for which record."""
        for item, number in sorted(self.waiting.items()):
            self.tally.report(self._problem(item, number, others))

    def _problem(self, item: bytes, number: int, others: Collection[str]) -> Problem:
        source, where, record = next(self._culprits(item), ("", Where(self.address), ""))
        deletions = f"{number:,} deletion{'s' if number > 1 else ''}"
        on = f" on {item.decode(errors='replace')}" if item else ""
        waits = "waits" if number == 1 else "wait"
        blamed = record or f"a record of {', '.join(sorted(others)) or self.address}"
        return Problem(
            source=source,
            where=where,
            record=record,
            cause=f"deletions wait: {_WHY[self.kind]}",
            detail=f"{deletions}{on} {waits}: {blamed} is at Nucleus and couldn't be sent again",
            severity=Severity.FINDING,
            fix=_FIX,
        )

    def _culprits(self, item: bytes) -> Iterator[tuple[str, Where, str]]:
        for problem in self.tally.listed:
            invalid = problem.severity is Severity.INVALID and problem.key is not None
            if invalid and item in (b"", item_of(problem.key or b"")):
                yield problem.source, problem.where, problem.record
        for key, (source, where, record) in self._resting.items():
            if item in (b"", key):
                yield source, where, " ".join(as_words(record).values())
