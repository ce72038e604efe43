"""Looks at everything that a spec declares and makes the plan, with the changes behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from xxhash import xxh3_128_digest

from nucleus_sync import __version__
from nucleus_sync.errors import SourceError
from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.plan import Failure, Plan
from nucleus_sync.plan.steps import Holds
from nucleus_sync.records.facts import FactsCache
from nucleus_sync.records.fingerprint import VERSION
from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import FileState, Patience
from nucleus_sync.survey.beside import Together
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import (
    STANDING_ALONE,
    DeclaredStream,
    check_targets,
    declared_streams,
    is_under,
    items_address,
    known_addresses,
    undeclared_stream,
)
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.inhabitants import Inhabitants
from nucleus_sync.survey.known import Known
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.openings import Openings
from nucleus_sync.survey.planning import Planning, held_resources, shared_run
from nucleus_sync.survey.reading import Reading
from nucleus_sync.survey.removed import Removed, find_removed
from nucleus_sync.survey.resources import ResourceChanges, compare_datasets
from nucleus_sync.survey.slices import SliceChanges, SliceSurvey, slice_state
from nucleus_sync.survey.standing import from_standing, standing_state
from nucleus_sync.survey.stream import StreamSurvey
from nucleus_sync.survey.tally import Tally
from nucleus_sync.survey.touched import TooNarrow, Touched, as_it_stands, known_of_touched
from nucleus_sync.survey.tracks import without_named_tracks
from nucleus_sync.survey.weights import WeightsFile, look_at_weights

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.load import LoadedSpec

SETTLED_NS = 2_000_000_000
"""A file younger than this may change again without a new mtime: the coarsest clock of a file system in use."""


@dataclass(frozen=True)
class Surveyed:
    """A plan, and the change sets of its streams by address."""

    plan: Plan
    changes: Mapping[str, ChangeSet]
    slices: Mapping[str, SliceChanges]
    weights: Mapping[str, WeightsFile] = field(default_factory=dict)
    """By the names of the models."""


def _silence(_address: str, _text: str) -> None:
    pass


@dataclass
class Survey:
    """One look. Without a ledger everything is new."""

    loaded: LoadedSpec
    ledger: Ledger | None
    facts: FactsCache
    scratch: Path
    clock_ns: Callable[[], int]
    endpoint: str = ""
    targets: tuple[str, ...] = ()
    trust_cache: bool = True
    retry_rejected: bool = False
    lines: KeptLines | None = None
    """Keeps the lines of what will be sent; None where nothing is."""
    say: Callable[[str, str], None] = _silence
    patience: Patience | None = None
    touched: Touched | None = None
    """Look at these files alone. `run` raises TooNarrow where that doesn't do."""
    _changes: dict[str, ChangeSet] = field(default_factory=dict)
    _slices: dict[str, SliceChanges] = field(default_factory=dict)
    _lost: dict[str, frozenset[bytes]] = field(default_factory=dict)
    """By stream, items with records that would be lost with what is deleted."""
    _kept_items: dict[str, frozenset[bytes]] = field(default_factory=dict)
    """By dataset, scenes or items that can't be made anew now, because something on them would be lost."""
    _failures: list[Failure] = field(default_factory=list)
    _resources: ResourceChanges = field(default_factory=ResourceChanges)
    _removed: Removed = field(default_factory=Removed)
    _weights: dict[str, WeightsFile] = field(default_factory=dict)
    _reading: Reading = field(init=False)
    _openings: Openings = field(init=False)
    _inhabitants: Inhabitants = field(init=False)

    def __post_init__(self) -> None:
        self._openings = Openings(self.loaded, self.facts, self.scratch, self.trust_cache, self.patience, self.touched)
        self._inhabitants = Inhabitants(
            self.loaded.spec, self.ledger, self._openings, self.scratch, self._changes, self._failures
        )

    def run(self) -> Surveyed:
        """Read what must be read, compare, and order the steps."""
        if self.targets:
            check_targets(self.targets, self.loaded.spec, known_addresses(self.ledger))
        self._reading = Reading(self.scratch, self.lines)
        try:
            self._look()
        finally:
            self._reading.close()
        return Surveyed(self._planning().plan(), self._changes, self._slices, self._weights)

    def _planning(self) -> Planning:
        return Planning(
            loaded=self.loaded,
            ledger=self.ledger,
            endpoint=self.endpoint,
            targets=self.targets,
            changes=self._changes,
            slices=self._slices,
            weights=self._weights,
            resources=self._resources,
            removed=self._removed,
            emptied=[self._undeclared(address) for address in self._removed.emptied],
            failures=self._failures,
        )

    def _look(self) -> None:
        compare_datasets(self.loaded.spec, held_resources(self.ledger), self._resources)
        if self.ledger is not None:
            self._removed = find_removed(self.loaded.spec, self.ledger)
            for address in self._removed.emptied:
                self._empty(address)
        for declared in declared_streams(self.loaded.spec):
            if self._is_wanted(declared):
                self._look_at(declared)
        self._look_again_at_items()
        self._look_again_at_runs()
        self._look_at_removed_tracks()
        for survey in self._slice_surveys():
            self._look_at_slice(survey)
        self._look_at_weights()

    def _look_at_removed_tracks(self) -> None:
        """Whether records still name them: that takes reading all of a dataset, in this rare case."""
        tracks = [one for one in self._removed.placed if one.step.holds is Holds.TRACK and self._is_meant(one)]
        if tracks and self.touched is not None:
            raise TooNarrow
        others = [one for one in self._removed.placed if one not in tracks]
        try:
            tracks = without_named_tracks(tracks, self.loaded.spec, self._openings.labels_of, self._with_orphans())
        except SourceError as error:
            self._failures += [Failure(one.step.address, f"it may still be named: {error}") for one in tracks]
            tracks = []
        self._removed.placed = [*others, *tracks]

    def _is_meant(self, placed: Placed) -> bool:
        return not self.targets or any(is_under(placed.step.address, target) for target in self.targets)

    def _with_orphans(self) -> set[str]:
        """Datasets on which records stay that no source yields, as far as was looked: what those name can't be told."""
        streams = declared_streams(self.loaded.spec)
        changes = ((one.dataset, self._changes.get(one.address)) for one in streams)
        return {dataset for dataset, found in changes if found is None or found.counts["orphaned"]}

    def _look_again_at_items(self) -> None:
        """A scene or an item isn't made anew while something that hangs on it couldn't be sent again."""
        looked_at = [one for one in declared_streams(self.loaded.spec) if one.address in self._changes]
        for dataset in self.loaded.spec.datasets:
            anew = self._changes[items_address(dataset)].made_anew if items_address(dataset) in self._changes else set()
            lost = frozenset().union(*(self._lost.get(one.address, ()) for one in looked_at if one.dataset == dataset))
            around = (
                self._inhabitants.census(dataset).around(lost)
                if self._inhabitants.has_scenes(dataset) and anew and lost
                else lost
            )
            self._kept_items[dataset] = kept = around.intersection(anew)
            for declared in looked_at if kept else ():
                if declared.dataset == dataset:
                    self._look_at(declared)

    def _look_again_at_runs(self) -> None:
        """A named run goes as a whole: what leaves it on one dataset makes all of it go and be sent again."""
        for model in self.loaded.spec.models:
            of_run = shared_run(self.loaded.spec, model, self._changes)
            losing = [address for address in of_run if len(self._changes[address].gone)]
            declared = [one for one in declared_streams(self.loaded.spec) if one.address in of_run]
            before = {one.address: self._changes[one.address] for one in declared}
            others = [one for one in declared if losing and one.address not in losing]
            for one in others:
                self._changes[one.address] = self._recompared(one, Together(run_goes=True))
            if at_risk := frozenset(one.address for one in others if self._lost[one.address]):
                self._changes |= before
                self._keep_run(declared, losing, at_risk)

    def _keep_run(self, declared: list[DeclaredStream], losing: list[str], at_risk: frozenset[str]) -> None:
        """What leaves a run stays in it for now: its deletion would lose records of other streams."""
        for one in declared:
            if one.address in losing:
                self._changes[one.address] = self._recompared(one, Together(run_stays=at_risk))
        for address in set(losing).difference(one.address for one in declared):
            self._removed.emptied.remove(address)
            self._removed.orphaned[address] = self._changes.pop(address).known

    def _together(self, declared: DeclaredStream) -> Together:
        stands_alone = declared.kind in STANDING_ALONE
        return Together(kept=self._kept_items.get(declared.dataset, frozenset()) if stands_alone else frozenset())

    def _recompared(self, declared: DeclaredStream, together: Together) -> ChangeSet:
        tally = self._tally(declared)
        stream = DesiredStream(self._openings.of(declared), declared.kind, self.scratch, tally)
        return self._read(declared, stream, tally, together=together)

    def _tally(self, declared: DeclaredStream) -> Tally:
        strict = {name for name in declared.sources if self.loaded.spec.sources[name].on_invalid == "error"}
        return Tally(declared.address, frozenset(strict))

    def _look_at_weights(self) -> None:
        held = held_resources(self.ledger)
        for name, model in self.loaded.spec.models.items():
            address = f"model.{name}"
            if model.weights is None or (self.targets and not any(is_under(address, one) for one in self.targets)):
                continue
            noted = held.get(address, {}).get("weights") if self.trust_cache else None
            path = self.loaded.resolve(model.weights)
            try:
                self._weights[name] = look_at_weights(path, model.weights, noted, partial(self.say, address))
            except SourceError as error:
                self._failures.append(Failure(address, str(error)))

    def _empty(self, address: str) -> None:
        """All records of a stream that is no longer declared go."""
        assert self.ledger is not None  # noqa: S101  (only a ledger knows such streams)
        stream = self._undeclared(address)
        changes = ChangeSet(address, stream.kind, None, self.scratch, known=self.ledger.count(address))
        last = b""
        for key, _ in self.ledger.known(address):
            changes.delete(key, item_of(key) if item_of(key) != last else None)
            last = item_of(key)
        self._changes[address] = changes
        if stream.kind is Kind.ITEMS:
            self._inhabitants.settle(stream.dataset, lambda: iter(()))

    def _undeclared(self, address: str) -> DeclaredStream:
        stream = undeclared_stream(address)
        holds_scenes = stream.kind is Kind.ITEMS and stream.dataset in self.loaded.spec.datasets
        return stream.of_scenes() if holds_scenes and self._inhabitants.has_scenes(stream.dataset) else stream

    def _is_wanted(self, declared: DeclaredStream) -> bool:
        """Targeted itself, or the items of something that is."""
        if not self.targets or any(is_under(declared.address, target) for target in self.targets):
            return True
        dependents = (
            other.address
            for other in declared_streams(self.loaded.spec)
            if declared.kind in STANDING_ALONE and other.dataset == declared.dataset
        )
        evaluated = any(target.startswith("evaluation.") for target in self.targets)
        return evaluated or any(is_under(address, target) for address in dependents for target in self.targets)

    def _look_at(self, declared: DeclaredStream) -> None:
        try:
            self._changes[declared.address] = self._compared(declared)
        except SourceError as error:
            self._failures.append(Failure(declared.address, str(error)))

    def _look_at_slice(self, survey: SliceSurvey) -> None:
        try:
            self._slices[survey.address] = survey.run(self._slice_state(survey))
        except SourceError as error:
            self._failures.append(Failure(survey.address, str(error)))

    def _slice_surveys(self) -> Iterator[SliceSurvey]:
        for dataset, declared in self.loaded.spec.datasets.items():
            for name, members in declared.slices.items():
                address = f"dataset.{dataset}.slice.{name}"
                if self.targets and not any(is_under(address, target) for target in self.targets):
                    continue
                yield SliceSurvey(
                    address=address,
                    dataset=dataset,
                    name=name,
                    declared=members,
                    items=partial(self._inhabitants.of, dataset),
                    records=partial(self._openings.single_items_of, dataset),
                    made_anew=self._inhabitants.made_anew(dataset),
                    resolve=self.loaded.resolve,
                    ledger=self.ledger,
                    scratch=self.scratch,
                )

    def _slice_state(self, survey: SliceSurvey) -> bytes:
        """Empty while the items behind a slice are changing, or too young to be trusted."""
        items = self._changes.get(items_address(survey.dataset))
        if self.ledger is None or not self.trust_cache or (items and not (items.is_empty and items.token)):
            return b""
        version = self.ledger.version(items_address(survey.dataset))
        behind = (items.token if items else b"") + version.to_bytes(8)
        return slice_state(behind, survey.declared, survey.resolve)

    def _compared(self, declared: DeclaredStream) -> ChangeSet:
        tally = self._tally(declared)
        held = self.ledger.held(declared.address) if self.ledger else 0
        stream = DesiredStream(self._openings.of(declared), declared.kind, self.scratch, tally, held=held)
        if self.touched is not None:
            return self._touched_only(self.touched, declared, stream, tally)
        begun = self.clock_ns()
        state = stream.state()
        token = self._token(declared, state) if state.newest_mtime_ns < begun - SETTLED_NS else b""
        changes = self._standing(declared, token)
        if changes is None:
            self.say(declared.address, f"reading {', '.join(declared.sources)}")
            self._reading.expect(stream, state.bytes)
            changes = self._read(declared, stream, tally)
        changes.token = b"" if tally.waiting or changes.waiting else token
        return changes

    def _touched_only(
        self, touched: Touched, declared: DeclaredStream, stream: DesiredStream, tally: Tally
    ) -> ChangeSet:
        """The changes of single files; everything else stands as it was found before."""
        ledger = self.ledger
        if ledger is None or not touched.reaches(declared):
            return as_it_stands(ledger, declared, self.scratch)
        readers = {name: self._openings.reader(name) for name in declared.sources if name in touched.files}
        stamps = known_of_touched(touched, declared, readers, ledger, self.loaded.spec, self.facts)
        changes = self._read(declared, stream, tally, stamps)
        if changes.made_anew:
            raise TooNarrow  # what hangs on these items must be sent again
        changes.counts["unchanged"] += ledger.count(declared.address) - len(stamps)
        changes.partial = True
        return changes

    def _token(self, declared: DeclaredStream, state: FileState) -> bytes:
        """Stands for everything that decides what a stream's sources yield, as long as no file is touched."""
        spec = self.loaded.spec
        taxonomies = {name: list(t.labels) for name, t in spec.datasets[declared.dataset].taxonomies.items()}
        decides = [
            __version__,
            VERSION,
            state.digest,
            [spec.sources[name].said() for name in declared.sources],
            spec.prunes_stream(declared.dataset, declared.model),
            spec.datasets[declared.dataset].metadata_mode,
            spec.datasets[declared.dataset].on_image_change,
            taxonomies,
        ]
        return xxh3_128_digest(msgspec.msgpack.encode(decides))

    def _standing(self, declared: DeclaredStream, token: bytes) -> ChangeSet | None:
        """The stream as it was found before, where neither its files nor the ledger have changed since."""
        if self.ledger is None or not token or not self.trust_cache or self.retry_rejected:
            return None
        items = None if declared.kind in STANDING_ALONE else self._changes.get(declared.items_address)
        if items is not None and not items.is_empty:
            return None
        state = standing_state(self.ledger, declared, token)
        found = from_standing(self.ledger, declared, state, self.scratch)
        if found is not None and declared.kind is Kind.ITEMS:
            self._inhabitants.stay(declared.dataset)
        return found

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
        spec = self.loaded.spec
        if declared.kind is Kind.SCENES:
            self._openings.refused[declared.dataset].update(self._inhabitants.census(declared.dataset).conflicts())
        survey = StreamSurvey(
            address=declared.address,
            kind=declared.kind,
            stream=stream,
            tally=tally,
            known=self._known(declared) if among is None else self._known_among(declared, among),
            prune=spec.prunes_stream(declared.dataset, declared.model),
            scratch=self.scratch,
            reading=self._reading,
            items=self._inhabitants.awaited_by(declared),
            taxonomies={name: t.labels for name, t in spec.datasets[declared.dataset].taxonomies.items()},
            merges=declared.kind in STANDING_ALONE and spec.datasets[declared.dataset].metadata_mode == "merge",
            replaces_images=spec.datasets[declared.dataset].on_image_change == "replace",
            made_anew=self._inhabitants.made_anew_for(declared),
            holder="scene" if self._inhabitants.has_scenes(declared.dataset) else "item",
            together=together or self._together(declared),
            replaced=self._resources.replaced.get(declared.dataset, frozenset()),
        )
        changes = survey.run()
        self._lost[declared.address] = survey.lost
        if together is None and (keep := survey.to_keep(changes)):
            return self._recompared(declared, keep)
        changes.listed = tally.listed
        if declared.kind is Kind.ITEMS:
            self._inhabitants.settle(declared.dataset, survey.item_keys)
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
        items = self._changes.get(declared.items_address)
        if not rejected or declared.kind in STANDING_ALONE or items is None or items.is_empty:
            return rejected
        lacking = {one.key for _, one in ledger.rejections(declared.address) if one.lacks_item}
        wanted = {item_of(key) for key in lacking}
        if items.kind is Kind.SCENES:
            coming = wanted.intersection(self._inhabitants.census(declared.dataset).keys())
        else:
            coming = {row[1] for row in items.sent if row[1] in wanted}
        return {key: stamp for key, stamp in rejected.items() if key not in lacking or item_of(key) not in coming}
