"""Weighs what was read of a stream against what is known of it: created, updated, sent again, resting, or unchanged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from nucleus_sync.records.fingerprint import (
    CONTENT_UNKNOWN,
    LOOK_AGAIN,
    MAYBE_THERE,
    OTHER_IMAGE,
    RAW_SIZE,
    changed_parts,
)
from nucleus_sync.records.record import Kind
from nucleus_sync.spool import Row
from nucleus_sync.survey.beside import Beside
from nucleus_sync.survey.change import CREATE, RESEND, UPDATE, Change
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import STANDING_ALONE
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.known import Known
from nucleus_sync.survey.metadata import MetadataTypes
from nucleus_sync.survey.portion import Portion, Types
from nucleus_sync.survey.tally import Tally

_FROZEN = "frames, items, URLs or sizes"
_NOT_CONFIRMED = (b"", MAYBE_THERE)


class Candidate(NamedTuple):
    """A record that must be read: it is new, its bytes differ, or it must be sent again (`again`)."""

    place: bytes
    key: bytes
    raw: bytes
    before: bytes
    """The stamp that the ledger knows, or empty."""
    again: bool


@dataclass
class Weighing:
    """The second half of a comparison: its changes grow while records are read."""

    kind: Kind
    stream: DesiredStream
    tally: Tally
    known: Known
    changes: ChangeSet
    beside: Beside
    prune: bool
    replaces_images: bool
    kept: Collection[bytes]
    """Items and scenes that are not made anew this time, so that nothing that hangs on them is lost."""
    met: set[bytes] = field(default_factory=set)
    """Rejected records that a source still yields."""

    def weigh(self, portions: Iterable[Portion]) -> None:
        """Take everything that was read, in the order of the files."""
        changes = self.changes
        types = MetadataTypes(self.known.metadata_types)
        for portion in portions:
            for problem in portion.problems:
                self.tally.report(problem)
            wrong = {number: (cause, detail) for number, cause, detail in portion.wrong}
            changes.note_names(portion.names)
            self._compare_types(portion, types, wrong)
            for number, (cause, detail) in sorted(wrong.items()):
                row = portion.rows[number]
                self.stream.report(row[0], row[1], cause, detail)
            if wrong or not self._are_simply_new(portion):
                self._weigh_each(portion, wrong.keys())
            else:
                self._send_new(portion)
        changes.metadata_types = types.fresh

    def _compare_types(self, portion: Portion, types: MetadataTypes, wrong: dict[int, tuple[str, str]]) -> None:
        """Finds records whose metadata is text where others have a number. Most portions hold a few sorts only."""
        if all(types.knows(each) for each in set(portion.types)):
            return
        seen: Types = ()
        for number, (row, each) in enumerate(zip(portion.rows, portion.types, strict=True)):
            if number in wrong or each is seen:
                continue
            conflict = types.conflict(each, partial(self.stream.position, row[0]))
            if conflict:
                wrong[number] = ("metadata key is text here and a number there", conflict)
            else:
                seen = each

    def _are_simply_new(self, portion: Portion) -> bool:
        flagged = self.tally.flagged
        if self.known.rejected or any(row[3] for row in portion.rows):
            return False
        return not flagged or not any(row[1] in flagged for row in portion.rows)

    def _send_new(self, portion: Portion) -> None:
        """A whole portion of records that nobody knows, which is what a first apply is made of."""
        at = portion.start
        sent: list[Row] = []
        for (place, key, raw, _, _), content, size in zip(portion.rows, portion.contents, portion.sizes, strict=True):
            sent.append((place, key, raw + content, CREATE, b"", at, size))
            at += size
        self.changes.send_new(sent)
        noted: set[int] = set()
        for row, is_remote in zip(sent, portion.remote, strict=True) if self.kind in STANDING_ALONE else ():
            if is_remote and row[0][0] not in noted:
                noted.add(row[0][0])
                self.changes.note_remote(Change(*row))

    def _weigh_each(self, portion: Portion, out: Collection[int]) -> None:
        at = portion.start
        columns = zip(portion.rows, portion.contents, portion.sizes, portion.remote, strict=True)
        for number, (row, content, size, is_remote) in enumerate(columns):
            if number not in out:
                change = self._weighed(Candidate(*row), content)
                if change is not None:
                    change = change._replace(at=at, size=size)
                    if self._send(change) and is_remote:
                        self.changes.note_remote(change)
            at += size

    def _send(self, change: Change) -> bool:
        """False for a scene or an item that can't become what it should be."""
        if not self._is_other_structure(change) and not self._is_other_image(change):
            self.changes.send(change, self.changes.why(change))
        elif change.key in self.kept:
            self.beside.waiting[change.key] += 1
            self.changes.counts["unchanged"] += 1
            return False
        elif self.prune:
            self.changes.make_anew(change._replace(does=CREATE))
        else:
            name = change.key.decode()
            cause, detail = {
                Kind.SCENES: ("structure of a scene changed", f"scene {name} is at Nucleus with other {_FROZEN}"),
                Kind.ITEMS: ("image of an item changed", f"item {name} is at Nucleus with another image"),
            }[self.kind]
            fix = "prune: true lets it be deleted and made anew, with its annotations sent again"
            self.stream.report(change.place, change.key, cause, detail, fix)
            return False
        return True

    def _is_other_image(self, change: Change) -> bool:
        """Where `on_image_change: replace` is declared. What is in doubt is sent as it is."""
        if self.kind is not Kind.ITEMS or not self.replaces_images or change.does != UPDATE:
            return False
        in_doubt = change.before == CONTENT_UNKNOWN[RAW_SIZE:]
        return not in_doubt and "image" in changed_parts(self.kind, change.before, change.stamp[RAW_SIZE:])

    def _is_other_structure(self, change: Change) -> bool:
        """Nucleus freezes a scene's structure (docs/wire.md §6.2). What is in doubt is sent as it is."""
        if self.kind is not Kind.SCENES or change.does != UPDATE or change.before == CONTENT_UNKNOWN[RAW_SIZE:]:
            return False
        return "structure" in changed_parts(self.kind, change.before, change.stamp[RAW_SIZE:])

    def _weighed(self, candidate: Candidate, content: bytes) -> Change | None:
        """Sorts a sound record into created, updated, sent again; or resting, touched, unchanged, which aren't sent."""
        place, key, raw, before, again = candidate
        if key in self.tally.flagged:
            self.tally.flagged.discard(key)
            raw = LOOK_AGAIN
        stamp = raw + content
        equal = before[RAW_SIZE:] == content
        refused = self.known.rejected.get(key)
        if refused is not None:
            self.met.add(key)
        kept_image = before.startswith(LOOK_AGAIN + OTHER_IMAGE)
        takes_up = kept_image and self.replaces_images
        if refused is not None and refused[RAW_SIZE:] == content and not equal and not takes_up:
            self._rests(candidate)
            return None
        if equal and not again:
            self.changes.counts["unchanged"] += 1
            if stamp != before:
                self.changes.touched.add((key, stamp))
            return None
        does = RESEND if equal else UPDATE if before not in _NOT_CONFIRMED else CREATE
        self.changes.counts["unchanged"] += does == RESEND
        return Change(place, key, stamp, does, before[RAW_SIZE:])

    def _rests(self, refused: Candidate) -> None:
        where = self.stream.where(refused.place)
        self.changes.counts["resting"] += 1
        self.changes.resting.add((refused.key, where.file, where.position))
        if refused.before:
            self.beside.rests(self.stream.source_of(refused.place), where, refused.key)
