"""The changes of one stream, record by record, on disk: what a plan counts and an apply sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import InitVar, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_intdigest

from nucleus_sync.plan.plan import SourceCount
from nucleus_sync.plan.steps import RecordCounts
from nucleus_sync.records.fingerprint import RAW_SIZE
from nucleus_sync.records.key import as_words, item_of
from nucleus_sync.records.merged import MOST_SETS
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.spool import Block, Row, Spool
from nucleus_sync.survey.change import CREATE, RESEND, UPDATE, Change, digest_of, digest_of_new, reason_for
from nucleus_sync.survey.desired import DesiredStream
from nucleus_sync.survey.lines import KeptLines

_WORDS = {CREATE: "create", UPDATE: "update", RESEND: "resend"}
_SUM = (1 << 128) - 1
_ANEW = {Kind.SCENES: "structure changed: made anew", Kind.ITEMS: "image changed: made anew"}
_OLDER_GONE = "older image gone"


@dataclass
class ChangeSet:
    """Everything that differs in one stream.

    Rows of `sent` are Changes in reading order, or in that of their keys where a crew has read a new stream.
    """

    address: str
    kind: Kind
    stream: DesiredStream | None
    scratch: InitVar[Path]
    source: SourceCount = field(init=False)
    sent: Spool = field(init=False)
    gone: Spool = field(init=False)
    """Rows (key,): records that no source yields any more and that will be deleted."""
    cleared: Spool = field(init=False)
    """Rows (item key,): items whose annotations are deleted as a whole before their survivors are sent again."""
    touched: Spool = field(init=False)
    """Rows (key, stamp): equal content in other bytes; only the ledger takes note."""
    resting: Spool = field(init=False)
    """Rows (key, file, position): records as Nucleus refused them, and where they lie now."""
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    remote: dict[str, Change] = field(default_factory=dict)
    """The first change of every source whose images Nucleus reads from a URL."""
    known: int = 0
    """How many records the ledger knows before this."""
    token: bytes = b""
    """Stands for the untouched sources; empty while they are too young to be trusted."""
    kept: KeptLines | None = None
    """Where the lines of `sent` are kept."""
    partial: bool = False
    """Made from touched files alone: it says nothing about how the stream stands as a whole."""
    listed: list[Problem] = field(default_factory=list)
    """What was found wrong, the first ten thousand."""
    outlived: list[bytes] = field(default_factory=list)
    """Rejected records whose rejection has nothing left to say."""
    metadata_types: dict[str, str] = field(default_factory=dict)
    """Types of metadata keys that this stream is the first to use."""
    waiting: int = 0
    """Deletions that wait, so that nothing is lost with them that couldn't be sent again."""
    merges: bool = False
    """Metadata is merged into what Nucleus has, instead of taking its place."""
    metadata_names: set[frozenset[str]] = field(default_factory=set)
    """The sets of metadata keys that items or scenes which were read declare; of too many only some."""
    along: int = 0
    """Known records that go because their items are deleted; Nucleus takes them along."""
    made_anew: set[bytes] = field(default_factory=set)
    """Scenes that are deleted and sent again because their structure changed, items because of their image; of other
    records, what they hang on."""
    holder: str = "scene"
    """What these records hang on that is made anew."""
    _content: int = 0

    def __post_init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.sent, self.gone, self.cleared, self.touched, self.resting = (Spool(scratch) for _ in range(5))
        self.source = SourceCount(self.address)

    def without_rows(self) -> ChangeSet:
        """The same stream with nothing to do, to put single changes into."""
        changes = ChangeSet(self.address, self.kind, self.stream, self._scratch, known=self.known, kept=self.kept)
        changes.merges = self.merges
        return changes

    def send(self, change: Change, reason: str) -> None:
        """Add one record that must be sent."""
        self.sent.add(change)
        self.counts[_WORDS[change.does]] += 1
        self.reasons[reason] += 1
        self._content = (self._content + digest_of(change)) & _SUM

    def send_new(self, rows: list[Row]) -> None:
        """Add records that nobody knows, in the shape of Change: `send` for many, in a third of the time."""
        self.sent.extend(rows)
        self._count_new(len(rows), digest_of_new(rows))

    def adopt_new(self, blocks: Iterable[Block], count: int, digest: int) -> None:
        """Add so many records that nobody knows, as another process has written them down with their digest."""
        self.sent.adopt(blocks)
        self._count_new(count, digest)

    def _count_new(self, count: int, digest: int) -> None:
        self.counts["create"] += count
        self.reasons["new"] += count
        self._content = (self._content + digest) & _SUM

    def note_remote(self, change: Change) -> None:
        """Note a change whose image Nucleus reads from a URL; the first of a source is kept."""
        assert self.stream is not None  # noqa: S101  (only a stream that was read has changes)
        self.remote.setdefault(self.stream.source_of(change.place), change)

    def note_names(self, names: Iterable[tuple[str, ...]]) -> None:
        """Add sets of metadata keys, as long as there aren't too many to be of use."""
        if len(self.metadata_names) <= MOST_SETS:
            self.metadata_names.update(map(frozenset, names))

    def delete(self, key: bytes, item: bytes | None = None) -> None:
        """Add one record that must go; `item` is named once for all its annotations that go."""
        self.gone.add((key,))
        self.counts["delete"] += 1
        self.reasons["source gone"] += 1
        self._mix(key + b"-")
        if item is not None:
            self.cleared.add((item,))

    def make_anew(self, change: Change) -> None:
        """Add a scene or item that is deleted first and then sent as a new one.

        Scenes are deleted in a step of its own, items just before they are ingested.
        """
        self.made_anew.add(change.key)
        if self.kind is Kind.SCENES:
            self.gone.add((change.key,))
        self.counts["delete"] += 1
        self._mix(change.key + b"-")
        self.send(change, self.why(change))

    @property
    def deleted_first(self) -> int:
        """How many items are deleted just before they are ingested."""
        return len(self.made_anew) if self.kind is Kind.ITEMS else 0

    @property
    def gone_reasons(self) -> dict[str, int]:
        """Why records are deleted in a step of its own, counted."""
        anew = len(self.made_anew) if self.kind is Kind.SCENES else 0
        gone = self.counts["delete"] - anew - self.deleted_first
        return {reason: number for reason, number in (("source gone", gone), (_ANEW[Kind.SCENES], anew)) if number}

    @property
    def sent_reasons(self) -> dict[str, int]:
        """Why records are sent, and deleted just before that."""
        reasons = {reason: number for reason, number in self.reasons.items() if reason != "source gone"}
        return reasons | ({_OLDER_GONE: self.deleted_first} if self.deleted_first else {})

    def _mix(self, content: bytes) -> None:
        self._content = (self._content + xxh3_128_intdigest(content)) & _SUM

    @property
    def content(self) -> str:
        """A digest of what would be sent and deleted, whatever the order of the files."""
        return f"{self._content:032x}"

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be sent or deleted."""
        return not len(self.sent) and not len(self.gone)

    def record_counts(self) -> RecordCounts:
        """The figures as a value of the plan."""
        counts = self.counts
        return RecordCounts(
            create=counts["create"],
            update=counts["update"],
            delete=counts["delete"],
            unchanged=counts["unchanged"],
            resent=counts["resend"],
            resting=counts["resting"],
            orphaned=counts["orphaned"],
        )

    def lines(self) -> Iterator[dict[str, Any]]:
        """Every change for `plan --records`."""
        for row in self.sent:
            change = Change(*row)
            assert self.stream is not None  # noqa: S101  (only a stream that was read has changes)
            where = self.stream.where(change.place)
            yield {
                "address": self.address,
                "key": as_words(change.key),
                "action": _WORDS[change.does],
                "reason": self.why(change),
                "file": where.file,
                "position": where.position,
            }
        deleted_first = sorted(self.made_anew) if self.kind is Kind.ITEMS else []
        for key in chain((row[0] for row in self.gone), deleted_first):
            yield {
                "address": self.address,
                "key": as_words(key),
                "action": "delete",
                "reason": _ANEW.get(self.kind, "") if key in self.made_anew else "source gone",
                "file": None,
                "position": None,
            }

    def why(self, change: Change) -> str:
        """The reason for one change in words."""
        if item_of(change.key) in self.made_anew:
            if self.kind in _ANEW:
                return _ANEW[self.kind]
            if change.does == RESEND:
                return f"sent again: its {self.holder} is made anew"
        reason = reason_for(self.kind, change.does, change.before, change.stamp[RAW_SIZE:])
        return f"{reason} (merged: no key is removed)" if self.merges and "metadata" in reason else reason
