"""What a reading of picked records finds out, a few thousand at a time: content hashes, lines, metadata, faults."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

from nucleus_sync.records.annotation import Box, Category, Mask, MultiCategory, Polygon
from nucleus_sync.records.check import metadata_type
from nucleus_sync.records.fingerprint import content_hash
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.records.problem import Problem, Report
from nucleus_sync.records.record import Kind, Record, sent_line
from nucleus_sync.records.scene import LidarScene, VideoScene
from nucleus_sync.sources.reader import Pick, Reader

TOGETHER = 4096
AT_ONCE = 32
"""Records that are hashed and written while they still lie in a processor's nearest cache."""
Types = tuple[tuple[str, str], ...]
"""Metadata keys with `text` or `number`, of one record."""
KeepLines = Callable[[list[bytes]], int | None]
"""Puts lines at the end of a file and says where they begin; None where there is no room for them."""
_NO_TYPES: Types = ()
_SHAPES = frozenset({Polygon, Box})
_METADATA = attrgetter("metadata")
_REMOTE = frozenset({Item, LidarScene, VideoScene})
_UPLOADED = frozenset({LocalItem, PaintedMask})
_STANDING_ALONE = frozenset({*_REMOTE, LocalItem})


class Portion(NamedTuple):
    """Sound records in reading order: the lists go together."""

    rows: list[Any]
    """What was given with each pick."""
    contents: list[bytes]
    """Their content hashes."""
    sizes: list[int]
    """Bytes of their lines on the wire with the newline; 0 where none is kept."""
    start: int
    """Where the lines begin in the file, one behind the other."""
    types: list[Types]
    remote: list[bool]
    """Whether Nucleus reads an image from a URL."""
    wrong: list[tuple[int, str, str]]
    """(number in the lists, cause, detail) of records that contradict what is declared."""
    names: set[tuple[str, ...]]
    """The sets of metadata keys that items and scenes have here, each in the order of one of them."""
    problems: list[Problem]


def records_of(
    readers: Sequence[Reader],
    kind: Kind,
    rows: Iterable[tuple[Any, ...]],
    waiting: deque[tuple[Pick, Any]],
    report: Report,
    tags: Iterator[Any] | None = None,
) -> Iterator[tuple[Pick, Record]]:
    """The records of rows (place, key, raw, …) in ascending order of places; `waiting` gets picks with their tags.

    Without `tags` the rows themselves wait.
    """
    for number, own in groupby(rows, key=lambda row: row[0][0]):
        yield from readers[number].read(kind, _picks_of(own, waiting, tags), report)


def _picks_of(
    rows: Iterable[tuple[Any, ...]], waiting: deque[tuple[Pick, Any]], tags: Iterator[Any] | None
) -> Iterator[Pick]:
    wait = waiting.append
    for row in rows:
        pick = Pick(row[1], row[2], row[0][1:])
        wait((pick, row if tags is None else next(tags)))
        yield pick


def tagged(records: Iterator[tuple[Pick, Record]], waiting: deque[tuple[Pick, Any]]) -> Iterator[tuple[Any, Record]]:
    """Records with what waits for them; picks of which no record came are passed over."""
    for pick, record in records:
        own, tag = waiting.popleft()
        while own is not pick and own != pick:
            own, tag = waiting.popleft()
        yield tag, record


def portions(
    records: Iterable[tuple[Any, Record]],
    taxonomies: Mapping[str, Collection[str]],
    keep_lines: KeepLines | None,
    problems: list[Problem],
    most: int = TOGETHER,
) -> Iterator[Portion]:
    """Cut tagged records into portions; `problems` is what the reader reports to, where that goes with the portion."""
    records = iter(records)
    while True:
        rows: list[Any] = []
        found = Findings(taxonomies, is_kept=keep_lines is not None)
        while some := list(islice(records, min(AT_ONCE, most - len(rows)))):
            tags, own = zip(*some, strict=True)
            rows += tags
            found.take(own)
        start, sizes = put_away(found.lines, keep_lines) or (0, [0] * len(rows))
        types = [found.types.get(number, _NO_TYPES) for number in range(len(rows))]
        remote = [number in found.remote for number in range(len(rows))]
        said = problems[:]
        problems.clear()
        yield Portion(rows, found.contents, sizes, start, types, remote, found.wrong, found.names, said)
        if len(rows) < most:
            return


def put_away(lines: list[bytes], keep_lines: KeepLines | None) -> tuple[int, list[int]] | None:
    """Where these lines begin, one behind the other, and how long each is; None where none is kept."""
    start = keep_lines(lines) if keep_lines is not None and any(lines) else None
    return None if start is None else (start, list(map(len, lines)))


class Findings:
    """What is found out about records that are taken one after the other. What most lack is kept by their numbers."""

    def __init__(self, taxonomies: Mapping[str, Collection[str]], *, is_kept: bool) -> None:
        """`is_kept`: lines are wanted."""
        self.contents: list[bytes] = []
        self.lines: list[bytes] = []
        """Empty ones for files that are uploaded."""
        self.types: dict[int, Types] = {}
        self.remote: set[int] = set()
        self.wrong: list[tuple[int, str, str]] = []
        self.names: set[tuple[str, ...]] = set()
        self._taxonomies = taxonomies
        self._is_kept = is_kept

    def take(self, records: Sequence[Record]) -> None:
        """Add the next few, `AT_ONCE` at best."""
        first = len(self.contents)
        self.contents += map(content_hash, records)
        kinds = set(map(type, records))
        if self._is_kept and kinds.isdisjoint(_UPLOADED):
            self.lines += map(sent_line, records)
        elif self._is_kept:
            self.lines += [b"" if record.__class__ in _UPLOADED else sent_line(record) for record in records]
        if not kinds <= _SHAPES or any(map(_METADATA, records)):  # most shapes have none
            self._note(records, first)

    def _note(self, records: Sequence[Any], first: int) -> None:
        """Note what is to be known of records beside their content."""
        for number, record in enumerate(records, first):
            kind = record.__class__
            if metadata := _metadata(record):
                self.types[number] = _types(tuple(metadata), tuple(map(type, metadata.values())))
                if kind in _STANDING_ALONE:
                    self.names.add(tuple(metadata))
            if kind in _REMOTE or (kind is LocalItem and record.is_staged):
                self.remote.add(number)
            elif (kind is Category or kind is MultiCategory) and (wrong := foreign_label(record, self._taxonomies)):
                self.wrong.append((number, *wrong))


def _metadata(record: Any) -> dict[str, Any]:
    if record.__class__ is Mask or record.__class__ is PaintedMask:
        return {}
    metadata: dict[str, Any] = record.item.metadata if record.__class__ is LocalItem else record.metadata
    return metadata or {}


@lru_cache(1000)
def _types(names: tuple[str, ...], kinds: tuple[type[Any], ...]) -> Types:
    """Most records have the same keys with values of the same kinds."""
    told = ((name, metadata_type(kind)) for name, kind in zip(names, kinds, strict=True))
    return tuple((name, kind) for name, kind in told if kind is not None)


def foreign_label(record: Any, taxonomies: Mapping[str, Collection[str]]) -> tuple[str, str] | None:
    """What is wrong with a category's taxonomy or label, as (cause, detail)."""
    taxonomy = record.taxonomy_name
    if not taxonomy:
        return None
    labels = taxonomies.get(taxonomy)
    if labels is None:
        near = get_close_matches(taxonomy, taxonomies, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return "taxonomy is not declared", f"taxonomy {taxonomy} is not declared for this dataset{hint}"
    for label in [record.label] if isinstance(record, Category) else record.labels:
        if label not in labels:
            return "label is not in the taxonomy", f"label {label} is not in taxonomy {taxonomy}"
    return None
