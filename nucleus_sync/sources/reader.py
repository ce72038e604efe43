"""What every format's reader offers: a cheap scan of what is there, and a careful read of what was picked.

A source is read twice at most. `scan` yields for every record its key, a hash of the bytes it is made from, and a
locator, without decoding more than that needs. Rows whose raw hash the ledger knows are unchanged, and known to be
sound; only the others are `read`: decoded, checked, and later sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from msgspec import Struct
from msgspec.structs import replace
from xxhash import xxh3_128

from nucleus_sync.records.facts import FactsCache, NoFacts
from nucleus_sync.records.problem import Problem, Report, Where
from nucleus_sync.records.record import Kind, Record

if TYPE_CHECKING:
    from nucleus_sync.sources.walk import Found
    from nucleus_sync.spec.part import SpecPart


class Seen(NamedTuple):
    """A record that a scan saw. Readers may yield plain tuples of this shape.

    `key` as in `records.key` (unnumbered where the source gives no annotation id), `raw` eight bytes from
    `records.fingerprint.raw_hash` (zeros: always look at it again, as for a record with a finding), `locator`
    bytes that sort in reading order and mean something to this reader only.
    """

    key: bytes
    raw: bytes
    locator: bytes


class Pick(NamedTuple):
    """A record that is wanted: its final key (numbered by now), the raw hash it was seen with, its locator."""

    key: bytes
    raw: bytes
    locator: bytes


class FileState(Struct, frozen=True):
    """What `stat` says of all files of a source together.

    `digest` covers names, sizes, mtimes in ns and inodes; `newest_mtime_ns` lets the caller distrust a file that was
    changed within the clock's granularity; `files` and `bytes` are totals.
    """

    digest: bytes
    newest_mtime_ns: int
    files: int
    bytes: int

    @classmethod
    def of(cls, files: Iterable[Found], beside: os.stat_result | None = None) -> Self:
        """The state of files as they were found, in their order, with that of a single file `beside` them."""
        digest, newest, count, size = xxh3_128(), 0, 0, 0
        if beside is not None:
            digest.update(f"{beside.st_size}\0{beside.st_mtime_ns}\0{beside.st_ino}\0".encode())
            newest, count, size = beside.st_mtime_ns, 1, beside.st_size
        for found in files:
            digest.update(f"{found.path}\0{found.size}\0{found.mtime_ns}\0{found.inode}\0".encode())
            newest, count, size = max(newest, found.mtime_ns), count + 1, size + found.size
        return cls(digest.digest(), newest, count, size)


class Patience(Protocol):
    """A watcher's: leaves out files that are still being written. Paths are absolute."""

    def waits_for(self, path: str, stat: os.stat_result) -> bool:
        """Whether a file doesn't count yet; asked for every file of a folder."""

    def absent(self, root: str) -> Iterable[str]:
        """Files of a folder that went away just now, and may be on their way back."""

    def incomplete(self, path: str, why: str) -> None:
        """Told of a file whose end is missing, which doesn't count either."""


class Surroundings(Struct, frozen=True):
    """What a reader may use beside its own spec."""

    name: str
    """The source's name in the spec."""
    folder: Path
    """The spec's folder: relative paths start here."""
    scratch: Path
    """A folder for temporary files, gone after the run."""
    facts: FactsCache
    trust_facts: bool = True
    """False with `--no-cache`."""
    patience: Patience | None = None
    only: frozenset[str] | None = None
    """Relative paths: of a folder, these files alone are looked at."""

    def elsewhere(self) -> Surroundings:
        """For a reader in another process, which shares neither what is remembered nor whom a watcher asks."""
        return replace(self, facts=NoFacts(), patience=None)


class Portable(NamedTuple):
    """A reader as another process can make it again, with what would be dear to find out a second time."""

    kind: type[Any]
    """The reader's class, whose objects have a method `take_up(luggage)`."""
    spec: SpecPart
    surroundings: Surroundings
    luggage: Any
    scans_only: bool = False
    """The other process scans stretches, and reads along what it scans; picks are read by one process."""

    def reader(self) -> Reader:
        """The reader; it can `read`, unless it `scans_only`."""
        made = self.kind(self.spec, self.surroundings)
        made.take_up(self.luggage)
        reader: Reader = made
        return reader


class Reader(Protocol):
    """One source, opened. Opening reads nothing; a source that is unusable raises SourceError when it is used."""

    def state(self) -> FileState:
        """What stat says of the source's files now. Raises SourceError when a path is gone."""

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every record of that kind, in the order of the files; what has no usable key goes to `report`."""

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked records, given in ascending order of locators, decoded and checked.

        A record that can't be sent goes to `report` and isn't yielded; a finding goes to `report` and the record is
        yielded. A record whose bytes are no longer those of `pick.raw` raises SourceError (changed while reading).
        """

    def where(self, kind: Kind, locator: bytes) -> Where:
        """The file and position behind a locator, for messages."""


class PortableReader(Reader, Protocol):
    """A reader whose picks can be read anywhere in the files at little cost, so that several processes may do it."""

    def portable(self, kind: Kind) -> Portable | None:
        """This reader for other processes; None where the kind is read by one."""


class Stretch(NamedTuple):
    """Neighbouring records of a source, some thousands, that can be scanned without what lies before them."""

    records: int
    """How many there are, roughly."""
    part: Any
    """What the reader finds them by; small, and made of plain values."""


class Unfolding:
    """Stretches that come into being as they are taken; only a few exist at a time."""

    def __init__(self, records: int, stretches: Iterable[Stretch]) -> None:
        self.records = records
        """How many records there are in all, roughly."""
        self._stretches = stretches

    def __iter__(self) -> Iterator[Stretch]:
        return iter(self._stretches)


Stretches = list[Stretch] | Unfolding


def records_in(stretches: Stretches) -> int:
    """How many records there are in all, roughly."""
    return stretches.records if isinstance(stretches, Unfolding) else sum(one.records for one in stretches)


Say = Callable[[bytes, Problem], None]
"""Takes a locator and what is wrong with the record there."""
SeenAndRead = tuple[bytes, bytes, bytes, Record | None]


class Hearing(Protocol):
    """Takes what a scan complains of, and may hold it back until all was seen."""

    def take(self, problem: Problem) -> None:
        """One problem, in the order of the files."""

    def end(self) -> None:
        """All was seen: say what was held back."""


class Straight:
    """A hearing that holds nothing back."""

    def __init__(self, report: Report) -> None:
        self.take = report

    def end(self) -> None:
        """Nothing is left to say."""


class StretchedReader(PortableReader, Protocol):
    """A reader that several processes can scan as well, a stretch each. All stretches in order are the scan."""

    says_numbers: bool
    """Whether what it says of a record depends on the number that a record without an id gets."""

    def stretches(self, kind: Kind) -> Stretches:
        """All records of the kind in order; none where one process has to scan them."""

    def scan_stretch(self, kind: Kind, part: Any, report: Report) -> Iterator[Seen]:
        """The records of one stretch; what is reported belongs into a `hearing`."""

    def scan_and_read(self, kind: Kind, part: Any, report: Report, say: Say) -> Iterator[SeenAndRead]:
        """Both at once: key, raw hash, locator, and the record, None where it can't be sent.

        `report` gets what a scan reports, `say` what a reading does, with the locator of the record. A record without
        a number is made with a provisional one, and not at all where the reader `says_numbers`.
        """

    def hearing(self, kind: Kind, report: Report) -> Hearing:
        """Opens a scan: says what is to be said before it."""
