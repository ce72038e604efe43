"""What one process scans, and reads along with that of a new stream, put on its shelf."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate, islice, repeat
from operator import add, itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from nucleus_sync.records.key import UNNUMBERED
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import SeenAndRead, StretchedReader
from nucleus_sync.spool import Row
from nucleus_sync.survey.portion import AT_ONCE, Findings, KeepLines, Types, put_away
from nucleus_sync.survey.shelves import PART, Layer, Shelf, Slot
from nucleus_sync.survey.span import REMARK, REMOTE, SIZE, UNSENT

_LAYER = 16_384
_RECORD, _SIZE = itemgetter(3), itemgetter(SIZE)
Said = list[tuple[bytes, Problem]]
"""Problems with the places of the records that they are about."""


class Shelved(NamedTuple):
    """One stretch that lies on a shelf; what follows `numbers` is said of records that were read as well."""

    problems: list[Problem]
    """What the scan complains of."""
    records: int
    layers: list[Layer]
    """Finished with this stretch; their rows may be of earlier ones."""
    numbers: bool
    """Whether there are records without an id."""
    said: Slot | None = None
    """What the reading complains of: pickled `Said`, in the order of the file."""
    types: Sequence[tuple[Types, bytes]] = ()
    """Sorts of metadata, each with the place of the first record that has it."""
    names: Collection[tuple[str, ...]] = ()
    kept: int = 0
    """Bytes of lines that were kept."""
    is_plain: bool = True
    """Whether nothing else than remarks stands against sending the records as they are."""


class _Stretch:
    """One stretch as it was read: columns of the records that are sent, rows of those that are not."""

    def __init__(self, both: Iterator[SeenAndRead], prefix: bytes, findings: Findings) -> None:
        self.findings = findings
        self.unsent: list[Row] = []
        """Key, raw hash, place."""
        self._keys: list[bytes] = []
        self._raws: list[bytes] = []
        self._places: list[bytes] = []
        while some := list(islice(both, AT_ONCE)):
            if not all(map(_RECORD, some)):
                self.unsent += [(key, raw, prefix + at) for key, raw, at, record in some if record is None]
                some = [each for each in some if each[-1] is not None]
                if not some:
                    continue
            keys, raws, locators, records = zip(*some, strict=True)
            findings.take(records)
            self._keys += keys
            self._raws += raws
            self._places += map(prefix.__add__, locators)

    @property
    def waits_for_numbers(self) -> bool:
        """Whether there are records without an id."""
        return _have_no_ids(self._keys) or _have_no_ids([row[0] for row in self.unsent])

    def rows(self, said: Said, keep: KeepLines) -> list[Row]:
        """The rows in ascending order; in that their lines are put away, so that those of a span lie together."""
        *columns, lines = self._sorted(said)
        kept = put_away(lines, keep)
        if kept is None:
            return list(zip(*columns, repeat(0), repeat(0), strict=False))
        start, sizes = kept
        return list(zip(*columns, accumulate(sizes, initial=start), sizes, strict=False))

    def rows_with_lines(self, said: Said) -> list[Row]:
        """The same rows with their lines in them."""
        *columns, lines = self._sorted(said)
        return list(zip(*columns, lines, map(len, lines), strict=True))

    def _sorted(self, said: Said) -> list[list[Any]]:
        """Keys, stamps, places, marks and lines."""
        keys, lines = self._keys, self.findings.lines or [b""] * len(self._keys)
        stamps = list(map(add, self._raws, self.findings.contents))
        columns: list[list[Any]] = [keys, stamps, self._places, self._marks(said), lines]
        if keys == sorted(keys):
            return columns
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return [[column[number] for number in order] for column in columns]

    def _marks(self, said: Said) -> list[int]:
        """Findings and images that Nucleus reads leave their marks."""
        flagged = {place for place, problem in said if problem.severity is Severity.FINDING and problem.key is not None}
        remote = self.findings.remote
        if not flagged and not remote:
            return [0] * len(self._places)
        return [REMARK * (place in flagged) + REMOTE * (number in remote) for number, place in enumerate(self._places)]

    def first_types(self) -> list[tuple[Types, bytes]]:
        """Sorts of metadata, each with the place of the first record that has it."""
        found: dict[Types, bytes] = {}
        for number, each in self.findings.types.items():
            if each:
                found.setdefault(each, self._places[number])
        return list(found.items())


class Shelving:
    """Scans stretches, and lays their rows down in sorted layers."""

    def __init__(self, folder: Path, number: int, keep: KeepLines) -> None:
        self._shelf = Shelf(folder, number)
        self._keep = keep
        self._rows: list[Row] = []

    def scanned(self, reader: StretchedReader, kind: Kind, prefix: bytes, part: Any) -> Shelved:
        """Scan one stretch: rows (key, raw hash, place)."""
        problems: list[Problem] = []
        rows = [(key, raw, prefix + at) for key, raw, at in reader.scan_stretch(kind, part, problems.append)]
        self._rows += rows
        return Shelved(problems, len(rows), self._full_layers(), _have_no_ids([row[0] for row in rows]))

    def read(
        self,
        reader: StretchedReader,
        kind: Kind,
        prefix: bytes,
        part: Any,
        taxonomies: Mapping[str, Collection[str]],
        *,
        keep: bool,
    ) -> Shelved:
        """Scan one stretch and read it along: rows as in `span`; `keep` their lines, too."""
        problems: list[Problem] = []
        said: Said = []
        both = reader.scan_and_read(kind, part, problems.append, lambda at, what: said.append((prefix + at, what)))
        stretch = _Stretch(both, prefix, Findings(taxonomies, is_kept=keep))
        findings, numbers = stretch.findings, stretch.waits_for_numbers
        # Numbers will be put into the lines, which stay with their rows until then.
        rows = stretch.rows_with_lines(said) if numbers else stretch.rows(said, self._keep)
        kept = 0 if numbers else sum(map(_SIZE, rows))
        self._rows += rows
        self._rows += [(*row, UNSENT, b"" if numbers else 0, 0) for row in stretch.unsent]
        is_whole = not keep or all(findings.lines)
        return Shelved(
            problems, len(rows) + len(stretch.unsent), self._full_layers(), numbers,
            self._shelf.put(pickle.dumps(said)) if said else None, stretch.first_types(), findings.names, kept,
            is_plain=not findings.wrong and is_whole and not (numbers and reader.says_numbers),
        )  # fmt: skip

    def _full_layers(self) -> list[Layer]:
        return [self._layer()] if len(self._rows) >= _LAYER else []

    def rest(self) -> list[Layer]:
        """What doesn't fill a layer."""
        return [self._layer()] if self._rows else []

    def _layer(self) -> Layer:
        rows, self._rows = self._rows, []
        rows.sort()
        return self._shelf.lay(rows[start : start + PART] for start in range(0, len(rows), PART))

    def close(self) -> None:
        """Read nothing more."""
        self._shelf.close()


def _have_no_ids(keys: list[bytes]) -> bool:
    """Whether there is one that has none."""
    return UNNUMBERED in b"\n".join(keys)
