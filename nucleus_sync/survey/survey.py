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
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.openings import Openings
from nucleus_sync.survey.planning import Planning, held_resources
from nucleus_sync.survey.removed import Removed, find_removed
from nucleus_sync.survey.resources import ResourceChanges, compare_datasets
from nucleus_sync.survey.standing import from_standing, standing_state
from nucleus_sync.survey.tally import tally_of
from nucleus_sync.survey.touched import TooNarrow, Touched

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.loaded import LoadedSpec
    from nucleus_sync.survey.closer_look import CloserLook
    from nucleus_sync.survey.slices import SliceChanges, SliceSurvey
    from nucleus_sync.survey.weights import WeightsFile

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
    _failures: list[Failure] = field(default_factory=list)
    _resources: ResourceChanges = field(default_factory=ResourceChanges)
    _removed: Removed = field(default_factory=Removed)
    _weights: dict[str, WeightsFile] = field(default_factory=dict)
    _closer: CloserLook | None = None
    """Made when a stream has to be read."""
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
        try:
            self._look()
        finally:
            if self._closer is not None:
                self._closer.reading.close()
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
        if self._closer is not None or self._removed.emptied:
            self._closer_look().again_where_something_would_be_lost(self._look_at)
        self._look_at_removed_tracks()
        for survey in self._slice_surveys():
            self._look_at_slice(survey)
        self._look_at_weights()

    def _look_at_removed_tracks(self) -> None:
        """Whether records still name them: that takes reading all of a dataset, in this rare case."""
        tracks = [one for one in self._removed.placed if one.step.holds is Holds.TRACK and self._is_meant(one)]
        if not tracks:
            return
        if self.touched is not None:
            raise TooNarrow
        from nucleus_sync.survey.tracks import without_named_tracks

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

    def _look_at_weights(self) -> None:
        held = held_resources(self.ledger)
        for name, model in self.loaded.spec.models.items():
            address = f"model.{name}"
            if model.weights is None or (self.targets and not any(is_under(address, one) for one in self.targets)):
                continue
            from nucleus_sync.survey.weights import look_at_weights

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
                from nucleus_sync.survey.slices import SliceSurvey

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
        from nucleus_sync.survey.slices import slice_state

        version = self.ledger.version(items_address(survey.dataset))
        behind = (items.token if items else b"") + version.to_bytes(8)
        return slice_state(behind, survey.declared, survey.resolve)

    def _compared(self, declared: DeclaredStream) -> ChangeSet:
        tally = tally_of(declared, self.loaded.spec)
        held = self.ledger.held(declared.address) if self.ledger else 0
        stream = DesiredStream(self._openings.of(declared), declared.kind, self.scratch, tally, held=held)
        if self.touched is not None:
            return self._closer_look().touched_only(self.touched, declared, stream, tally)
        begun = self.clock_ns()
        state = stream.state()
        token = self._token(declared, state) if state.newest_mtime_ns < begun - SETTLED_NS else b""
        changes = self._standing(declared, token)
        if changes is None:
            self.say(declared.address, f"reading {', '.join(declared.sources)}")
            changes = self._closer_look().compared(declared, stream, tally, state.bytes)
        changes.token = b"" if tally.waiting or changes.waiting else token
        return changes

    def _closer_look(self) -> CloserLook:
        if self._closer is None:
            from nucleus_sync.survey.closer_look import CloserLook
            from nucleus_sync.survey.reading import Reading

            self._closer = CloserLook(
                spec=self.loaded.spec,
                ledger=self.ledger,
                facts=self.facts,
                scratch=self.scratch,
                retry_rejected=self.retry_rejected,
                reading=Reading(self.scratch, self.lines),
                openings=self._openings,
                inhabitants=self._inhabitants,
                resources=self._resources,
                removed=self._removed,
                changes=self._changes,
            )
        return self._closer

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
