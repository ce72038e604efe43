"""What one process scans, and reads along with that of a new stream, put on its shelf."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nucleus_sync.records.key import UNNUMBERED
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.reader import StretchedReader
from nucleus_sync.spool import Row
from nucleus_sync.survey.portion import KeepLines, Portion, Types, portions
from nucleus_sync.survey.shelves import PART, Layer, Shelf, Slot
from nucleus_sync.survey.span import REMARK, REMOTE, UNSENT, put_away

_LAYER = 16_384
_READ = 5
"""Values of a row that was read along, with its line; after a stretch that was only scanned, no line is of use."""
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
        return Shelved(problems, len(rows), self._full_layers(), _have_no_ids(rows))

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
        lines: list[bytes] = []

        def found() -> Iterator[tuple[Row, Record]]:
            both = reader.scan_and_read(kind, part, problems.append, lambda at, what: said.append((prefix + at, what)))
            for key, raw, locator, record in both:
                if record is None:
                    unsent.append((key, raw, prefix + locator, UNSENT, b""))
                else:
                    yield (key, raw, prefix + locator), record

        def put_away(found: list[bytes]) -> int:
            lines.extend(found)
            return 0

        portion = next(portions(found(), taxonomies, put_away if keep else None, [], most=sys.maxsize))
        lines = lines or [b""] * len(portion.rows)
        rows = _rows(portion, lines, said)
        numbers = _have_no_ids(rows) or _have_no_ids(unsent)
        self._rows += rows
        self._rows += unsent
        return Shelved(
            problems, len(rows) + len(unsent), self._full_layers(), numbers,
            self._shelf.put(pickle.dumps(said)) if said else None, _first_types(portion), portion.names,
            is_plain=not portion.wrong and (not keep or all(lines)) and not (numbers and reader.says_numbers),
        )  # fmt: skip

    def _full_layers(self) -> list[Layer]:
        return [self._layer()] if len(self._rows) >= _LAYER else []

    def rest(self) -> list[Layer]:
        """What doesn't fill a layer."""
        return [self._layer()] if self._rows else []

    def _layer(self) -> Layer:
        rows, self._rows = self._rows, []
        rows.sort()  # before their lines are written, so that those of a span lie together
        kept = 0
        if all(len(row) == _READ for row in rows):
            rows = put_away(rows, self._keep)
            kept = sum(row[-1] for row in rows)
        return self._shelf.lay((rows[start : start + PART] for start in range(0, len(rows), PART)), kept)

    def close(self) -> None:
        """Read nothing more."""
        self._shelf.close()


def _have_no_ids(rows: list[Row]) -> bool:
    """Whether there is one that has none."""
    return UNNUMBERED in b"\n".join([row[0] for row in rows])


def _rows(portion: Portion, lines: list[bytes], said: Said) -> list[Row]:
    """Rows with their lines. Findings and images that Nucleus reads leave their marks."""
    if not said and not any(portion.remote):
        return [
            (key, raw + content, place, 0, line)
            for (key, raw, place), content, line in zip(portion.rows, portion.contents, lines, strict=True)
        ]
    flagged = {place for place, problem in said if problem.severity is Severity.FINDING and problem.key is not None}
    return [
        (key, raw + content, place, REMARK * (place in flagged) + REMOTE * is_remote, line)
        for (key, raw, place), content, line, is_remote in zip(
            portion.rows, portion.contents, lines, portion.remote, strict=True
        )
    ]


def _first_types(portion: Portion) -> list[tuple[Types, bytes]]:
    sorts = [each for each in dict.fromkeys(portion.types) if each]
    return [(each, portion.rows[portion.types.index(each)][2]) for each in sorts]
