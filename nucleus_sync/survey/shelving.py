"""What one process scans, and reads along with that of a new stream, put on its shelf."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from operator import add, itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from nucleus_sync.records.key import UNNUMBERED
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import StretchedReader
from nucleus_sync.spool import Row
from nucleus_sync.survey.portion import AT_ONCE, Findings, KeepLines, Types
from nucleus_sync.survey.shelves import PART, Layer, Shelf, Slot
from nucleus_sync.survey.span import REMARK, REMOTE, SIZE, UNSENT, put_away

_LAYER = 16_384
_RECORD = itemgetter(3)
Said = list[tuple[bytes, Problem]]
"""Problems with the places of the records that they are about."""


class _Columns(NamedTuple):
    """Of the records of a stretch, as they were seen."""

    keys: list[bytes]
    raws: list[bytes]
    places: list[bytes]


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
        unsent: list[Row] = []
        seen, found = _Columns([], [], []), Findings(taxonomies, is_kept=keep)
        both = reader.scan_and_read(kind, part, problems.append, lambda at, what: said.append((prefix + at, what)))
        while some := list(islice(both, AT_ONCE)):
            if not all(map(_RECORD, some)):
                unsent += [(key, raw, prefix + at, UNSENT, 0, 0) for key, raw, at, record in some if record is None]
                some = [each for each in some if each[-1] is not None]
                if not some:
                    continue
            keys, raws, locators, records = zip(*some, strict=True)
            found.take(records)
            seen.keys.extend(keys)
            seen.raws.extend(raws)
            seen.places.extend(map(prefix.__add__, locators))
        numbers = _have_no_ids(seen.keys) or _have_no_ids([row[0] for row in unsent])
        is_whole = not keep or all(found.lines)
        types = [(each, seen.places[number]) for each, number in _first_numbers(found.types).items()]
        rows = self._with_lines(seen, found, _marks(seen.places, found.remote, said))
        self._rows += rows
        self._rows += unsent
        return Shelved(
            problems, len(seen.keys) + len(unsent), self._full_layers(), numbers,
            self._shelf.put(pickle.dumps(said)) if said else None, types, found.names, sum(map(SIZE, rows)),
            is_plain=not found.wrong and is_whole and not (numbers and reader.says_numbers),
        )  # fmt: skip

    def _with_lines(self, seen: _Columns, found: Findings, marks: list[int]) -> list[Row]:
        """The rows in ascending order; in that their lines are put away, so that those of a span lie together."""
        keys, stamps = seen.keys, list(map(add, seen.raws, found.contents))
        columns: list[list[Any]] = [keys, stamps, seen.places, marks, found.lines or [b""] * len(keys)]
        if keys != sorted(keys):
            order = sorted(range(len(keys)), key=keys.__getitem__)
            columns = [[column[number] for number in order] for column in columns]
        return put_away(columns, self._keep)

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


def _marks(places: list[bytes], remote: Collection[int], said: Said) -> list[int]:
    """Findings and images that Nucleus reads leave their marks."""
    flagged = {place for place, problem in said if problem.severity is Severity.FINDING and problem.key is not None}
    if not flagged and not remote:
        return [0] * len(places)
    return [REMARK * (place in flagged) + REMOTE * (number in remote) for number, place in enumerate(places)]


def _first_numbers(types: Mapping[int, Types]) -> dict[Types, int]:
    """Sorts of metadata, each with the number of the first record that has it."""
    found: dict[Types, int] = {}
    for number, each in types.items():
        if each:
            found.setdefault(each, number)
    return found
