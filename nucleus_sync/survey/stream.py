"""Compares one stream's sources with the ledger, reading only what the ledger doesn't know by its bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from nucleus_sync.plan.diff import Pair, Presence, outer_join
from nucleus_sync.records.annotation import Category, Mask, MultiCategory
from nucleus_sync.records.fingerprint import LOOK_AGAIN, MAYBE_THERE, RAW_SIZE, content_hash
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.key import as_words, item_of
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.reader import Pick
from nucleus_sync.spool import Sorter, Spool
from nucleus_sync.survey.changes import CREATE, RESEND, UPDATE, Change, ChangeSet, reason_for
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.metadata import MetadataTypes
from nucleus_sync.survey.tally import Tally

_NOT_CONFIRMED = (b"", MAYBE_THERE)


@dataclass(frozen=True)
class Known:
    """What the ledger knows of one stream."""

    rows: Callable[[], Iterable[tuple[bytes, bytes]]]
    """(key, stamp) in ascending order of keys."""
    count: int
    rejected: Mapping[bytes, bytes]
    """Stamps of records that Nucleus refused, by key."""
    metadata_types: dict[str, str]


class Candidate(NamedTuple):
    """A record that must be read: it is new, its bytes differ, or it must be sent again (`again`)."""

    place: bytes
    key: bytes
    raw: bytes
    before: bytes
    """The stamp that the ledger knows, or empty."""
    again: bool


@dataclass
class StreamSurvey:
    """One comparison; `run` it once.

    `items` are the keys of all items that exist or will, ascending; None for a stream of items.
    """

    address: str
    kind: Kind
    stream: DesiredStream
    tally: Tally
    known: Known
    prune: bool
    scratch: Path
    items: Iterable[bytes] | None = None
    taxonomies: Mapping[str, Collection[str]] = field(default_factory=dict)
    present: Spool = field(init=False)
    """Rows (item key, known): what `items` of the dependent streams is made of."""
    _met: set[bytes] = field(default_factory=set)
    """Rejected records that a source still yields."""

    def run(self) -> ChangeSet:
        """Scan, join, read what is new or different, and keep the changes. Raises SourceError."""
        self.present = Spool(self.scratch)
        changes = ChangeSet(self.address, self.kind, self.stream, self.scratch, known=self.known.count)
        candidates = Sorter(self.scratch)
        pairs = self._existing(outer_join(self.stream.rows(), self.known.rows()))
        candidates.extend(self._candidates(pairs, changes))
        self._read(candidates, changes)
        candidates.close()
        changes.source = self.tally.count()
        changes.outlived = self._outlived()
        return changes

    def _outlived(self) -> list[bytes]:
        """Rejected records that no source yields any more, or that are again as Nucleus has them."""
        if self.tally.nameless:
            return []
        return sorted(self.known.rejected.keys() - self._met - self.tally.held)

    def item_keys(self) -> Iterator[bytes]:
        """The items that exist or will after this stream's changes, ascending."""
        held = self.tally.held
        for key, known in self.present:
            if known or key not in held:
                yield key

    def _existing(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Leaves out records of items that neither exist nor will, and says so where a source has them."""
        if self.items is None:
            yield from pairs
            return
        presence = Presence(self.items)
        for pair in pairs:
            if item_of(pair[0]) in presence:
                yield pair
            elif pair.desired is not None:
                self._report(pair.desired[2], pair.key, "item is neither declared nor known", _no_item(pair.key))

    def _candidates(self, pairs: Iterable[Pair], changes: ChangeSet) -> Iterator[Candidate]:
        if not self.prune or self.kind is Kind.ITEMS:
            return self._one_by_one(pairs, changes)
        if self.kind is Kind.PREDICTIONS:
            return self._all_or_nothing(pairs, changes)
        return self._item_by_item(pairs, changes)

    def _one_by_one(self, pairs: Iterable[Pair], changes: ChangeSet) -> Iterator[Candidate]:
        unchanged = 0
        remember = self.present.add if self.kind is Kind.ITEMS else None
        for key, desired, stamp in pairs:
            if desired is None:
                deleted = self._gone(key, changes)
                if remember and not deleted:
                    remember((key, True))
                continue
            if remember:
                remember((key, stamp is not None))
            raw = desired[1]
            if stamp is not None and stamp[:RAW_SIZE] == raw != LOOK_AGAIN:
                unchanged += 1
            else:
                yield Candidate(desired[2], key, raw, stamp or b"", False)
        changes.counts["unchanged"] += unchanged

    def _gone(self, key: bytes, changes: ChangeSet) -> bool:
        if self.prune and self._may_go(key):
            changes.delete(key)
            return True
        changes.counts["orphaned"] += 1
        return False

    def _may_go(self, key: bytes) -> bool:
        """A record that a source still has in a broken form, or may have, is not gone."""
        return key not in self.tally.held and not self.tally.nameless

    def _item_by_item(self, pairs: Iterable[Pair], changes: ChangeSet) -> Iterator[Candidate]:
        """Nucleus clears all annotations of an item or none: the survivors of a clearance are sent again."""
        for item, group in groupby(pairs, key=lambda pair: item_of(pair[0])):
            members = list(group)
            gone = [pair for pair in members if pair.desired is None and self._may_go(pair.key)]
            for number, pair in enumerate(gone):
                changes.delete(pair.key, item if number == 0 else None)
            yield from self._survivors(members, changes, again=bool(gone))

    def _all_or_nothing(self, pairs: Iterable[Pair], changes: ChangeSet) -> Iterator[Candidate]:
        """Nucleus deletes a whole model run or nothing of it: then everything is sent again into a new one."""
        kept = Spool(self.scratch)
        for pair in pairs:
            if pair.desired is None and self._may_go(pair.key):
                changes.delete(pair.key)
            kept.add(tuple(pair))
        yield from self._survivors((Pair(*row) for row in kept), changes, again=bool(len(changes.gone)))
        kept.close()

    def _survivors(self, pairs: Iterable[Pair], changes: ChangeSet, *, again: bool) -> Iterator[Candidate]:
        for key, desired, stamp in pairs:
            if desired is None:
                changes.counts["orphaned"] += not self._may_go(key)
                continue
            _, raw, place = desired
            if not again and stamp is not None and stamp[:RAW_SIZE] == raw != LOOK_AGAIN:
                changes.counts["unchanged"] += 1
            else:
                yield Candidate(place, key, raw, stamp or b"", again and stamp is not None)

    def _read(self, candidates: Sorter, changes: ChangeSet) -> None:
        types = MetadataTypes(self.known.metadata_types)
        waiting: deque[Candidate] = deque()
        for pick, record in self.stream.read(self._picks(candidates, waiting)):
            candidate = waiting.popleft()
            while candidate[1] != pick[0] or candidate[0] != pick[2]:
                candidate = waiting.popleft()
            wrong = self._contradiction(record, types, candidate.place)
            if wrong:
                self._report(candidate.place, candidate.key, *wrong)
            else:
                self._weigh(candidate, record, changes)
        changes.metadata_types = types.fresh

    def _picks(self, candidates: Sorter, waiting: deque[Candidate]) -> Iterator[Pick]:
        for row in candidates.sorted():
            candidate = Candidate(*row)
            waiting.append(candidate)
            yield Pick(candidate.key, candidate.raw, candidate.place)

    def _weigh(self, candidate: Candidate, record: Record, changes: ChangeSet) -> None:
        """Sorts a sound record into created, updated, sent again, resting, touched or unchanged."""
        place, key, raw, before, again = candidate
        content = content_hash(record)
        if key in self.tally.flagged:
            self.tally.flagged.discard(key)
            raw = LOOK_AGAIN
        stamp = raw + content
        equal = before[RAW_SIZE:] == content
        refused = self.known.rejected.get(key)
        if refused is not None:
            self._met.add(key)
        if refused is not None and refused[RAW_SIZE:] == content and not equal:
            changes.counts["resting"] += 1
        elif equal and not again:
            changes.counts["unchanged"] += 1
            if stamp != before:
                changes.touched.add((key, stamp))
        else:
            does = RESEND if equal else UPDATE if before not in _NOT_CONFIRMED else CREATE
            changes.counts["unchanged"] += does == RESEND
            self._send(Change(place, key, stamp, does, before[RAW_SIZE:]), record, changes)

    def _send(self, change: Change, record: Record, changes: ChangeSet) -> None:
        changes.send(change, reason_for(self.kind, change.does, change.before, change.stamp[RAW_SIZE:]))
        if self.kind is Kind.ITEMS and isinstance(record, Item):
            changes.remote.setdefault(self.stream.source_of(change.place), change)

    def _contradiction(self, record: Record, types: MetadataTypes, place: bytes) -> tuple[str, str] | None:
        """What is wrong with a record beside others, as (cause, detail)."""
        if isinstance(record, Category | MultiCategory) and record.taxonomy_name:
            wrong = self._foreign_label(record, record.taxonomy_name)
            if wrong:
                return wrong
        if isinstance(record, Mask):
            return None
        metadata = record.item.metadata if isinstance(record, LocalItem) else record.metadata
        if not metadata:
            return None
        conflict = types.conflict(metadata, lambda: f"on {self.stream.where(place).position}")
        return ("metadata key is text here and a number there", conflict) if conflict else None

    def _foreign_label(self, record: Category | MultiCategory, taxonomy: str) -> tuple[str, str] | None:
        labels = self.taxonomies.get(taxonomy)
        if labels is None:
            near = get_close_matches(taxonomy, self.taxonomies, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            return "taxonomy is not declared", f"taxonomy {taxonomy} is not declared for this dataset{hint}"
        for label in [record.label] if isinstance(record, Category) else record.labels:
            if label not in labels:
                return "label is not in the taxonomy", f"label {label} is not in taxonomy {taxonomy}"
        return None

    def _report(self, place: bytes, key: bytes, cause: str, detail: str) -> None:
        where = self.stream.where(place)
        self.tally.report(
            Problem(
                source=self.stream.source_of(place),
                where=where,
                record=" ".join(as_words(key).values()),
                cause=cause,
                detail=detail,
                severity=Severity.INVALID,
                key=key,
            )
        )


def _no_item(key: bytes) -> str:
    return f"item {as_words(key)['reference_id']} is neither declared nor known"
