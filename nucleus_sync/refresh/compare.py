"""Compares what the ledger knows of one stream with what Nucleus holds, record by record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from nucleus_sync.ledger.known import in_doubt
from nucleus_sync.plan.diff import outer_join
from nucleus_sync.records.fingerprint import CONTENT_UNKNOWN, RAW_SIZE, changed_parts, is_painted
from nucleus_sync.records.key import as_words, is_mask
from nucleus_sync.records.record import Kind
from nucleus_sync.records.seen import AS_SEEN
from nucleus_sync.refresh.remote import UNREADABLE, Remote
from nucleus_sync.spool import Spool
from nucleus_sync.survey.slices import MEMBER

Row = tuple[bytes, bytes]


class What(StrEnum):
    """What became of a record, or of a resource, since it was last known."""

    CHANGED = "changed"
    DELETED = "deleted"
    ADDED = "added"
    SETTLED = "settled"
    """It was in doubt, and now it is known whether it is there."""


_NO_FIELDS = ""
_OF_METADATA = (Kind.ITEMS, Kind.SCENES)
"""Kinds of which little more than the metadata can be told."""


@dataclass
class Comparison:
    """The figures of one stream, and every difference as a row (key, what, fields, stamp to keep) on disk."""

    address: str
    kind: Kind
    scratch: InitVar[Path]
    urls: bool = False
    """Whether Nucleus reads all images from URLs of ours, so that URLs can be compared."""
    metadata_told: bool = True
    """Whether our metadata of items or scenes can be told from that of others."""
    verified: int = 0
    unverified: int = 0
    counts: dict[What, int] = field(default_factory=lambda: dict.fromkeys(What, 0))
    remarks: list[str] = field(default_factory=list)
    """What was not compared, and why."""
    rows: Spool = field(init=False)

    def __post_init__(self, scratch: Path) -> None:
        self.rows = Spool(scratch)

    @property
    def drift(self) -> int:
        """How many records differ because of somebody else."""
        return self.counts[What.CHANGED] + self.counts[What.DELETED] + self.counts[What.ADDED]

    @property
    def looked_at(self) -> int:
        """How many known records were compared."""
        return self.verified + self.counts[What.CHANGED] + self.counts[What.DELETED]

    def weigh(self, key: bytes, remote: Remote | None, stamp: bytes | None) -> None:
        """Take one key: as Nucleus holds it, and as the ledger knows it. One of them is there."""
        if stamp is None:
            assert remote is not None  # noqa: S101
            self._note(key, What.ADDED, _NO_FIELDS, AS_SEEN + remote.seen)
        elif in_doubt(stamp):
            self._note(key, What.SETTLED, _NO_FIELDS, AS_SEEN + remote.seen if remote else b"")
        elif remote is None:
            self._note(key, What.DELETED, _NO_FIELDS, b"")
        else:
            fields = self._differing(key, remote, stamp)
            if fields:
                self._note(key, What.CHANGED, ", ".join(fields), _kept(remote))
            else:
                self.verified += 1

    def weigh_all(self, remote: Iterable[tuple[bytes, bytes, bytes]], known: Iterable[Row]) -> None:
        """Both sides sorted by key; a repeated key of Nucleus's counts once."""
        for key, found, stamp in outer_join(_each_once(remote), known):
            self.weigh(key, None if found is None else Remote(*found), stamp)

    def weigh_members(self, remote: Iterable[bytes], known: Iterable[Row]) -> None:
        """The members of a slice, of which nothing is known but that they belong."""
        for key, found, stamp in outer_join(_each_once((key, b"", b"") for key in remote), known):
            if stamp is None:
                self._note(key, What.ADDED, _NO_FIELDS, MEMBER)
            elif in_doubt(stamp):
                self._note(key, What.SETTLED, _NO_FIELDS, MEMBER if found else b"")
            elif found is None:
                self._note(key, What.DELETED, _NO_FIELDS, b"")
            else:
                self.verified += 1

    def _note(self, key: bytes, what: What, fields: str, stamp: bytes) -> None:
        self.counts[what] += 1
        self.rows.add((key, str(what), fields, stamp))

    def _differing(self, key: bytes, remote: Remote, stamp: bytes) -> list[str]:
        """Names of the parts that differ, as far as they can be compared."""
        content = stamp[RAW_SIZE:]
        if stamp[:RAW_SIZE] == AS_SEEN:
            return self._differing_as_seen(remote.seen, content)
        found = list(remote.each_content())
        if content in found:
            return []
        if remote.seen == UNREADABLE:
            return ["content"]
        if self.kind in _OF_METADATA:
            return min((self._comparable(content, each) for each in found), key=len)
        parts = changed_parts(self.kind, content, found[0])
        if is_mask(key) and is_painted(content):
            return [part for part in parts if part == "label"]
        if parts == ["attributes"] and _may_have_an_embedding(content):
            return []
        return parts or ["content"]

    def _comparable(self, content: bytes, found: bytes) -> list[str]:
        """The parts that differ of those that come back as they were sent."""
        comparable = {"image": self.urls, "metadata": self.metadata_told}
        return [part for part in changed_parts(self.kind, content, found) if comparable.get(part)]

    def _differing_as_seen(self, seen: bytes, before: bytes) -> list[str]:
        if seen == before:
            return []
        if self.kind not in _OF_METADATA:
            return changed_parts(self.kind, before, seen) or ["content"]
        if seen[8:] != before[8:]:
            return ["metadata"]
        return ["image"] if self.urls else []

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every difference that somebody else made, for JSON."""
        for key, what, fields, _ in self.rows:
            if what != What.SETTLED:
                yield {
                    "address": self.address,
                    "key": as_words(key),
                    "what": what,
                    "fields": fields.split(", ") if fields else [],
                }


def _kept(remote: Remote) -> bytes:
    return CONTENT_UNKNOWN if remote.seen == UNREADABLE else AS_SEEN + remote.seen


def _may_have_an_embedding(content: bytes) -> bool:
    """An embedding is hashed with the attributes and never comes back; where no attribute was sent, it isn't that."""
    return content[14:16] != _NO_ATTRIBUTES


def _hash_of_no_attributes() -> bytes:
    from nucleus_sync.records.annotation import Category
    from nucleus_sync.records.fingerprint import content_hash

    return content_hash(Category(label="", reference_id=""))[14:16]


_NO_ATTRIBUTES = _hash_of_no_attributes()


def _each_once(rows: Iterable[tuple[bytes, bytes, bytes]]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Sorted rows without repeated keys: a listing may tell a record twice while others write."""
    last = None
    for row in rows:
        if row[0] != last:
            yield row
        last = row[0]
