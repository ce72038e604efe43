"""Compares streams with the ledger by reading their sources, and once more where a deletion would lose something.

A plan in which no file was touched has no use for it, and doesn't import it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.records.facts import FactsCache
from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.beside import Together
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import STANDING_ALONE, DeclaredStream, declared_streams, items_address
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.inhabitants import Inhabitants
from nucleus_sync.survey.known import Known
from nucleus_sync.survey.openings import Openings
from nucleus_sync.survey.planning import shared_run
from nucleus_sync.survey.reading import Reading
from nucleus_sync.survey.removed import Removed
from nucleus_sync.survey.resources import ResourceChanges
from nucleus_sync.survey.stream import StreamSurvey
from nucleus_sync.survey.tally import Tally, tally_of
from nucleus_sync.survey.touched import TooNarrow, Touched, as_it_stands, known_of_touched

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec


@dataclass
class CloserLook:
    """At streams that don't stand as they were; `changes` and `removed` are those of the survey that is under way."""

    spec: Spec
    ledger: Ledger | None
    facts: FactsCache
    scratch: Path
    retry_rejected: bool
    reading: Reading
    openings: Openings
    inhabitants: Inhabitants
    resources: ResourceChanges
    removed: Removed
    changes: dict[str, ChangeSet]
    _lost: dict[str, frozenset[bytes]] = field(default_factory=dict)
    """By stream, items with records that would be lost with what is deleted."""
    _kept_items: dict[str, frozenset[bytes]] = field(default_factory=dict)
    """By dataset, scenes or items that can't be made anew now, because something on them would be lost."""

    def compared(self, declared: DeclaredStream, stream: DesiredStream, tally: Tally, size: int) -> ChangeSet:
        """All of a stream whose sources have `size` bytes."""
        self.reading.expect(stream, size)
        return self._read(declared, stream, tally)

    def touched_only(
        self, touched: Touched, declared: DeclaredStream, stream: DesiredStream, tally: Tally
    ) -> ChangeSet:
        """The changes of single files; everything else stands as it was found before."""
        ledger = self.ledger
        if ledger is None or not touched.reaches(declared):
            return as_it_stands(ledger, declared, self.scratch)
        readers = {name: self.openings.reader(name) for name in declared.sources if name in touched.files}
        stamps = known_of_touched(touched, declared, readers, ledger, self.spec, self.facts)
        changes = self._read(declared, stream, tally, stamps)
        if changes.made_anew:
            raise TooNarrow  # what hangs on these items must be sent again
        changes.counts["unchanged"] += ledger.count(declared.address) - len(stamps)
        changes.partial = True
        return changes

    def again_where_something_would_be_lost(self, look_at: Callable[[DeclaredStream], None]) -> None:
        """`look_at` is what looks at a stream, with all that it may fail of."""
        self._again_at_items(look_at)
        self._again_at_runs()

    def _again_at_items(self, look_at: Callable[[DeclaredStream], None]) -> None:
        """A scene or an item isn't made anew while something that hangs on it couldn't be sent again."""
        looked_at = [one for one in declared_streams(self.spec) if one.address in self.changes]
        for dataset in self.spec.datasets:
            anew = self.changes[items_address(dataset)].made_anew if items_address(dataset) in self.changes else set()
            lost = frozenset().union(*(self._lost.get(one.address, ()) for one in looked_at if one.dataset == dataset))
            around = (
                self.inhabitants.census(dataset).around(lost)
                if self.inhabitants.has_scenes(dataset) and anew and lost
                else lost
            )
            self._kept_items[dataset] = kept = around.intersection(anew)
            for declared in looked_at if kept else ():
                if declared.dataset == dataset:
                    look_at(declared)

    def _again_at_runs(self) -> None:
        """A named run goes as a whole: what leaves it on one dataset makes all of it go and be sent again."""
        for model in self.spec.models:
            of_run = shared_run(self.spec, model, self.changes)
            losing = [address for address in of_run if len(self.changes[address].gone)]
            declared = [one for one in declared_streams(self.spec) if one.address in of_run]
            before = {one.address: self.changes[one.address] for one in declared}
            others = [one for one in declared if losing and one.address not in losing]
            for one in others:
                self.changes[one.address] = self._recompared(one, Together(run_goes=True))
            if at_risk := frozenset(one.address for one in others if self._lost[one.address]):
                self.changes |= before
                self._keep_run(declared, losing, at_risk)

    def _keep_run(self, declared: list[DeclaredStream], losing: list[str], at_risk: frozenset[str]) -> None:
        """What leaves a run stays in it for now: its deletion would lose records of other streams."""
        for one in declared:
            if one.address in losing:
                self.changes[one.address] = self._recompared(one, Together(run_stays=at_risk))
        for address in set(losing).difference(one.address for one in declared):
            self.removed.emptied.remove(address)
            self.removed.orphaned[address] = self.changes.pop(address).known

    def _together(self, declared: DeclaredStream) -> Together:
        stands_alone = declared.kind in STANDING_ALONE
        return Together(kept=self._kept_items.get(declared.dataset, frozenset()) if stands_alone else frozenset())

    def _recompared(self, declared: DeclaredStream, together: Together) -> ChangeSet:
        tally = tally_of(declared, self.spec)
        stream = DesiredStream(self.openings.of(declared), declared.kind, self.scratch, tally)
        return self._read(declared, stream, tally, together=together)

    def _read(
        self,
        declared: DeclaredStream,
        stream: DesiredStream,
        tally: Tally,
        among: list[tuple[bytes, bytes]] | None = None,
        *,
        together: Together | None = None,
    ) -> ChangeSet:
        """Compare with all that is known, or with what is known `among` the records in question."""
        spec = self.spec
        if declared.kind is Kind.SCENES:
            self.openings.refused[declared.dataset].update(self.inhabitants.census(declared.dataset).conflicts())
        survey = StreamSurvey(
            address=declared.address,
            kind=declared.kind,
            stream=stream,
            tally=tally,
            known=self._known(declared) if among is None else self._known_among(declared, among),
            prune=spec.prunes_stream(declared.dataset, declared.model),
            scratch=self.scratch,
            reading=self.reading,
            items=self.inhabitants.awaited_by(declared),
            taxonomies={name: t.labels for name, t in spec.datasets[declared.dataset].taxonomies.items()},
            merges=declared.kind in STANDING_ALONE and spec.datasets[declared.dataset].metadata_mode == "merge",
            replaces_images=spec.datasets[declared.dataset].on_image_change == "replace",
            made_anew=self.inhabitants.made_anew_for(declared),
            holder="scene" if self.inhabitants.has_scenes(declared.dataset) else "item",
            together=together or self._together(declared),
            replaced=self.resources.replaced.get(declared.dataset, frozenset()),
        )
        changes = survey.run()
        self._lost[declared.address] = survey.lost
        if together is None and (keep := survey.to_keep(changes)):
            return self._recompared(declared, keep)
        changes.listed = tally.listed
        if declared.kind is Kind.ITEMS:
            self.inhabitants.settle(declared.dataset, survey.item_keys)
        return changes

    def _known(self, declared: DeclaredStream) -> Known:
        ledger, address = self.ledger, declared.address
        if ledger is None:
            return Known(lambda: (), 0, {}, {})
        rejected = {} if self.retry_rejected else self._resting(ledger, declared)
        return Known(
            lambda: ledger.known_pages(address),
            ledger.count(address),
            rejected,
            ledger.metadata_types(address),
            ledger.path,
        )

    def _known_among(self, declared: DeclaredStream, rows: list[tuple[bytes, bytes]]) -> Known:
        types = self.ledger.metadata_types(declared.address) if self.ledger else {}
        return Known(lambda: [rows] if rows else [], len(rows), {}, types)

    def _resting(self, ledger: Ledger, declared: DeclaredStream) -> dict[bytes, bytes]:
        """Stamps of the rejected records that rest: not those which lack an item that this very plan sends."""
        rejected = dict(ledger.rejected_keys(declared.address))
        items = self.changes.get(declared.items_address)
        if not rejected or declared.kind in STANDING_ALONE or items is None or items.is_empty:
            return rejected
        lacking = {one.key for _, one in ledger.rejections(declared.address) if one.lacks_item}
        wanted = {item_of(key) for key in lacking}
        if items.kind is Kind.SCENES:
            coming = wanted.intersection(self.inhabitants.census(declared.dataset).keys())
        else:
            coming = {row[1] for row in items.sent if row[1] in wanted}
        return {key: stamp for key, stamp in rejected.items() if key not in lacking or item_of(key) not in coming}
