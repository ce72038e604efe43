"""Compares one stream's sources with the ledger, reading only what the ledger doesn't know by its bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path

from nucleus_sync.plan.diff import Attendance, Joined, differing, join_blocks, join_stretch, union, whole_items
from nucleus_sync.records.key import as_words, item_of, taxonomy_of
from nucleus_sync.records.record import Kind
from nucleus_sync.spool import Row, Sorter, Spool
from nucleus_sync.survey.as_new import taken_as_new
from nucleus_sync.survey.beside import Beside, Together
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.comparing import Against
from nucleus_sync.survey.declared import STANDING_ALONE
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.gathering import Gathering
from nucleus_sync.survey.known import Known
from nucleus_sync.survey.portion import Portion
from nucleus_sync.survey.reading import Reading
from nucleus_sync.survey.seen import SeenBefore
from nucleus_sync.survey.tally import Tally
from nucleus_sync.survey.weighing import Weighing

_BEFORE = 3


@dataclass
class StreamSurvey:
    """One comparison; `run` it once.

    `items` are the keys of all items that exist or will, ascending; None for a stream of items or scenes, and where
    that can't be told, as for frames that Nucleus cuts from a video.
    """

    address: str
    kind: Kind
    stream: DesiredStream
    tally: Tally
    known: Known
    prune: bool
    scratch: Path
    reading: Reading
    items: Iterable[bytes] | None = None
    taxonomies: Mapping[str, Collection[str]] = field(default_factory=dict)
    replaced: Collection[str] = frozenset()
    """Taxonomies that are deleted and made anew: their categories go with them, and must be sent again."""
    merges: bool = False
    """Metadata of items and scenes is merged into what Nucleus has."""
    replaces_images: bool = False
    """An item whose image has changed is deleted and made anew."""
    made_anew: Collection[bytes] = frozenset()
    """Scenes and items that are deleted and sent again: what hangs on them goes with them."""
    holder: str = "scene"
    """What records hang on that is made anew: scene or item."""
    together: Together = field(default_factory=Together)
    lost: frozenset[bytes] = frozenset()
    """Afterwards: items with records that go with others that are deleted, and that can't be sent again."""
    present: Spool = field(init=False)
    """Rows (item key, known): what `items` of the dependent streams is made of."""
    _unmoved: Spool = field(init=False)
    """More of them, which nobody had to look at."""
    _along: int = 0
    _beside: Beside = field(init=False)
    _met: set[bytes] = field(default_factory=set)
    """Rejected records that a source still yields."""

    def run(self) -> ChangeSet:
        """Scan, join, read what is new or different, and keep the changes. Raises SourceError."""
        self.present, self._unmoved = Spool(self.scratch), Spool(self.scratch)
        self._beside = Beside(self.address, self.kind, self.tally, self.known.pages)
        changes = ChangeSet(
            self.address,
            self.kind,
            self.stream,
            self.scratch,
            known=self.known.count,
            kept=self.reading.lines,
            merges=self.merges,
        )
        changes.made_anew, changes.holder = set(self.made_anew), self.holder
        gathered = self._scanned()
        if not self._is_taken_as_new(gathered, changes):
            self._weighing(changes).weigh(self._looked_at(gathered, changes))
        if gathered is not None:
            gathered.close()
        self.lost = self._beside.lost(lambda items: self._those_that_go(items, changes))
        self._beside.report(self.together.run_stays - {self.address})
        changes.waiting = self._beside.waiting.total()
        changes.source = self.tally.count()
        changes.outlived = self._outlived()
        changes.along = self._along
        return changes

    def _those_that_go(self, items: Collection[bytes], changes: ChangeSet) -> Collection[bytes]:
        """Those of some items of which Nucleus deletes everything in this stream."""
        if self.kind is Kind.PREDICTIONS and (self.together.run_goes or len(changes.gone)):
            return items
        cleared = {item for (item,) in changes.cleared if item in items}
        return cleared.union(self.made_anew).intersection(items)

    def to_keep(self, changes: ChangeSet) -> Together | None:
        """How to compare once more, where the deletions of this stream itself would lose records of it."""
        if self.kind is Kind.PREDICTIONS and self.lost and len(changes.gone):
            return Together(run_stays=frozenset({self.address}))
        items = self.lost.difference(self.made_anew) if self.kind is Kind.ANNOTATIONS else None
        return Together(kept=items) if items else None

    def _scanned(self) -> Gathering | None:
        """What a crew has scanned; None where this process has to."""
        scanning = self.reading.scanning(self.stream, self.kind, self.taxonomies, ahead=self._is_new)
        if scanning is None:
            return None
        self.stream.scan(scanning=scanning)
        scanning.gathering.end()
        if self.reading.lines is not None:
            self.reading.lines.count(scanning.gathering.kept)
        if self.items is not None:
            scanning.gathering.note_items(self.items)
            self.items = scanning.gathering.items()
        return scanning.gathering

    @cached_property
    def _is_new(self) -> bool:
        """Whether nothing at all is known of the stream, not even in doubt."""
        return not self.known.count and not self.known.rejected and not any(islice(self.known.pages(), 1))

    def _is_taken_as_new(self, gathered: Gathering | None, changes: ChangeSet) -> bool:
        if gathered is None or not self._is_new:
            return False
        types = self.known.metadata_types
        return taken_as_new(gathered, self.stream, self.tally, types, changes, self.present)

    def _weighing(self, changes: ChangeSet) -> Weighing:
        return Weighing(
            kind=self.kind,
            stream=self.stream,
            tally=self.tally,
            known=self.known,
            changes=changes,
            beside=self._beside,
            prune=self.prune,
            replaces_images=self.replaces_images,
            kept=self.together.kept,
            met=self._met,
        )

    def _looked_at(self, gathered: Gathering | None, changes: ChangeSet) -> Iterator[Portion]:
        """The records that are new or different, in the order of their files."""
        scanned = None
        if gathered is None:
            scanned = Spool(self.scratch) if not self.known.count else None
            self.stream.scan(scanned)
        candidates, is_new = Spool(self.scratch), True
        for found in self._different(self._joined(gathered, changes), changes):
            candidates.extend(found)
            is_new = is_new and not any(row[_BEFORE] for row in found)
        self.stream.close()
        is_all = is_new and not self.stream.is_renumbered and scanned is not None and len(scanned) == len(candidates)
        in_order = scanned.blocks() if scanned is not None and is_all else self._in_order(candidates)
        report, count = self.tally.report, len(candidates)
        return self.reading.portions(self.stream, self.kind, in_order, count, self.taxonomies, report)

    def _joined(self, gathered: Gathering | None, changes: ChangeSet) -> Iterator[Joined]:
        """The sources beside the ledger; without the records that the ledger knows, where a crew can tell."""
        if gathered is not None and self.known.ledger is not None and self._may_leave_out():
            yield from self._compared(gathered, self.known.ledger, changes)
            return
        for rows in gathered.rows() if gathered is not None else ():
            self.stream.take(rows)
        yield from join_blocks(self.stream.blocks(), whole_items(self.known.pages()))

    def _may_leave_out(self) -> bool:
        """Whether a record that the ledger knows has nothing to do with what becomes of others."""
        is_all_or_nothing = self.prune and self.kind is Kind.PREDICTIONS
        return not (self._is_new or self.replaced or self.made_anew or is_all_or_nothing)

    def _compared(self, gathered: Gathering, ledger: Path, changes: ChangeSet) -> Iterator[Joined]:
        with_neighbours = self.prune and self.kind is Kind.ANNOTATIONS
        against = Against(str(ledger), self.address, self.kind is Kind.ITEMS, with_neighbours)
        for found in gathered.compared(against):
            changes.counts["unchanged"] += found.same
            self._unmoved.adopt(found.present)
            if found.is_open:
                yield join_stretch(self.stream.settled(found.rows), found.lost)
            else:
                yield Joined(found.rows, found.stamps, found.lost)

    def _different(self, blocks: Iterable[Joined], changes: ChangeSet) -> Iterator[list[Row]]:
        seen = SeenBefore(self.stream, self.scratch)
        for found in self._candidates(self._existing(blocks), changes):
            yield seen.pass_others(found)
        yield list(seen.looked_at())

    def _in_order(self, candidates: Spool) -> Iterator[list[Row]]:
        """The candidates as their files have them. Where all that was scanned is one, sorting them back is spared."""
        sorter = Sorter(self.scratch)
        for block in candidates.blocks():
            sorter.extend_block(block)
        candidates.close()
        yield from sorter.sorted_blocks()
        sorter.close()

    def _outlived(self) -> list[bytes]:
        """Rejected records that no source yields any more, or that are again as Nucleus has them."""
        if self.tally.nameless:
            return []
        return sorted(self.known.rejected.keys() - self._met - self.tally.held)

    def item_keys(self) -> Iterator[bytes]:
        """The items that exist or will after this stream's changes, ascending."""
        held = self.tally.held
        looked_at = (key for key, known in self.present if known or key not in held)
        return union(looked_at, (key for key, _ in self._unmoved)) if len(self._unmoved) else looked_at

    def _existing(self, blocks: Iterable[Joined]) -> Iterator[Joined]:
        """Leaves out records of items that neither exist nor will, and says so where a source has them."""
        if self.items is None:
            yield from blocks
            return
        attendance = Attendance(self.items)
        for joined in blocks:
            wanted = {row[0].partition(b"\x00")[0] for side in (joined.rows, joined.lost) for row in side}
            missing = attendance.missing(wanted)
            yield self._without(missing, joined) if missing else joined

    def _without(self, missing: Collection[bytes], joined: Joined) -> Joined:
        rows, stamps = [], []
        stay = [row for row in joined.lost if item_of(row[0]) not in missing]
        self._along += len(joined.lost) - len(stay)
        for row, stamp in zip(joined.rows, joined.stamps, strict=True):
            if item_of(row[0]) in missing:
                self._along += stamp is not None
                self.stream.report(row[2], row[0], "item is neither declared nor known", _no_item(row[0]))
            else:
                rows.append(row)
                stamps.append(stamp)
        return Joined(rows, stamps, stay)

    def _candidates(self, blocks: Iterable[Joined], changes: ChangeSet) -> Iterator[list[Row]]:
        if self.prune and self.kind is Kind.PREDICTIONS:
            yield from self._all_or_nothing(blocks, changes)
            return
        look_at = self._item_by_item if self.prune and self.kind is Kind.ANNOTATIONS else self._one_by_one
        for joined in blocks:
            yield look_at(joined, changes)

    def _one_by_one(self, joined: Joined, changes: ChangeSet) -> list[Row]:
        stay = [key for key, _ in joined.lost if not self._gone(key, changes)]
        if self.kind is Kind.ITEMS:
            present = [(row[0], stamp is not None) for row, stamp in zip(joined.rows, joined.stamps, strict=True)]
            self.present.extend(sorted([*present, *((key, True) for key in stay)]) if stay else present)
        return self._those_to_look_at(joined, changes)

    def _those_to_look_at(
        self, joined: Joined, changes: ChangeSet, cleared: Collection[bytes] = frozenset()
    ) -> list[Row]:
        """What differs, and what Nucleus loses with an item that is cleared or a taxonomy that is made anew."""
        if self.kind in STANDING_ALONE or not (cleared or self.replaced or self.made_anew):
            return _differing(joined, changes)
        again = [item_of(row[0]) in cleared or self._is_lost(row[0]) for row in joined.rows]
        return _survivors(joined, again, changes)

    def _is_lost(self, key: bytes) -> bool:
        """Whether a record goes with its taxonomy or its scene."""
        return taxonomy_of(key) in self.replaced or item_of(key) in self.made_anew

    def _gone(self, key: bytes, changes: ChangeSet) -> bool:
        if self.prune and self._may_go(key):
            changes.delete(key)
            return True
        self._stays(key, changes)
        return False

    def _stays(self, key: bytes, changes: ChangeSet) -> None:
        changes.counts["orphaned"] += 1
        if item_of(key) in self.made_anew or (self.prune and not self.tally.nameless):
            self._beside.left(key)
        elif self.kind is Kind.PREDICTIONS:
            self._beside.left(b"")

    def _may_go(self, key: bytes) -> bool:
        """A record that a source still has in a broken form, or may have, is not gone."""
        return key not in self.tally.held and not self.tally.nameless

    def _item_by_item(self, joined: Joined, changes: ChangeSet) -> list[Row]:
        """Nucleus clears all annotations of an item or none: the survivors of a clearance are sent again."""
        gone = []
        for key, _ in joined.lost:
            if not self._may_go(key):
                self._stays(key, changes)
            elif item_of(key) in self.together.kept:
                self._waits(item_of(key), changes)
            else:
                gone.append(key)
        for item, keys in groupby(gone, key=item_of):
            goes_with_scene = item in self.made_anew
            for number, key in enumerate(keys):
                changes.delete(key, item if number == 0 and not goes_with_scene else None)
        return self._those_to_look_at(joined, changes, {item_of(key) for key in gone})

    def _waits(self, item: bytes, changes: ChangeSet) -> None:
        changes.counts["orphaned"] += 1
        self._beside.waiting[item] += 1

    def _all_or_nothing(self, blocks: Iterable[Joined], changes: ChangeSet) -> Iterator[list[Row]]:
        """Nucleus deletes a whole model run or nothing of it: then everything is sent again into a new one."""
        kept = Spool(self.scratch)
        for joined in blocks:
            for key, _ in joined.lost:
                if not self._may_go(key):
                    self._stays(key, changes)
                elif self.together.run_stays:
                    self._waits(b"", changes)
                else:
                    changes.delete(key)
            kept.extend([(*row, stamp) for row, stamp in zip(joined.rows, joined.stamps, strict=True)])
        is_cleared = self.together.run_goes or bool(len(changes.gone))
        for block in kept.blocks():
            joined = Joined([row[:3] for row in block], [row[3] for row in block], [])
            again = [is_cleared or self._is_lost(row[0]) for row in block]
            yield _survivors(joined, again, changes)
        kept.close()


def _differing(joined: Joined, changes: ChangeSet) -> list[Row]:
    """Rows that the ledger doesn't know with these bytes, as plain tuples in the shape of Candidate."""
    return _survivors(joined, [False] * len(joined.rows), changes)


def _survivors(joined: Joined, again: list[bool], changes: ChangeSet) -> list[Row]:
    """Like `_differing`, with all rows that must be sent `again`."""
    found: list[Row] = [
        (place, key, raw, stamp or b"", once_more and stamp is not None)
        for (key, raw, place), stamp, once_more, differs in zip(
            joined.rows, joined.stamps, again, differing(joined), strict=True
        )
        if once_more or differs
    ]
    changes.counts["unchanged"] += len(joined.rows) - len(found)
    return found


def _no_item(key: bytes) -> str:
    return f"item {as_words(key)['reference_id']} is neither declared nor known"
