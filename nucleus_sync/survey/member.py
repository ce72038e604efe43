"""One process of a crew: reads what it is told from its input, and answers with portions."""

from __future__ import annotations

import gc
import itertools
import marshal
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nucleus_sync.errors import SourceError
from nucleus_sync.records.key import UNNUMBERED
from nucleus_sync.records.problem import Problem, Report
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.reader import Pick, StretchedReader
from nucleus_sync.spool import WITHOUT_REFERENCES, Row
from nucleus_sync.survey.ahead import AheadFile, Said, Slot
from nucleus_sync.survey.lines import LineFile
from nucleus_sync.survey.portion import KeepLines, portions, records_of, tagged


def serve() -> None:
    """Answer until the input ends; Ctrl-C is for the process that holds the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.disable()  # records are freed by counting; nothing here makes cycles
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    # Whatever else may be written to the standard output must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Member(folder, number, os.fdopen(0, "rb"), answers).serve()


class Member:
    """The state of such a process: the readers of the stream that is being read."""

    def __init__(self, folder: Path, number: int, asked: BinaryIO, answers: BinaryIO) -> None:
        self._folder = folder
        self._number = number
        self._asked = asked
        self._answers = answers
        self._lines: LineFile | None = None
        self._ahead: AheadFile | None = None
        self._readers: list[StretchedReader] = []
        self._kind = Kind.ITEMS
        self._taxonomies: dict[str, list[str]] = {}

    def serve(self) -> None:
        """One message after the other."""
        while True:
            try:
                message = pickle.load(self._asked)
            except EOFError:
                return
            match message:
                case ("open", readers, kind, taxonomies):
                    self._readers = [made.reader() for made in pickle.loads(readers)]
                    self._kind, self._taxonomies = Kind(kind), taxonomies
                case ("read", slot, keep):
                    self._answer(self._tried(self._read, Path(slot), keep))
                case ("scan", number, part, slot, reads_ahead, keep):
                    self._answer(self._tried(self._scan, number, part, Path(slot), reads_ahead, keep))

    def _answer(self, answer: tuple[Any, ...]) -> None:
        try:
            pickle.dump(answer, self._answers, pickle.HIGHEST_PROTOCOL)
            self._answers.flush()
        except BrokenPipeError:
            sys.exit(0)

    def _tried(self, find: Callable[..., tuple[Any, ...]], *asked: Any) -> tuple[Any, ...]:
        try:
            return "found", find(*asked)
        except SourceError as error:
            return "source", error.what, error.where, error.fix
        except Exception as bug:
            return "bug", f"{type(bug).__name__}: {bug}"

    def _read(self, slot: Path, keep: bool) -> tuple[Any, ...]:
        rows: list[tuple[Any, ...]] = pickle.loads(slot.read_bytes())
        problems: list[Problem] = []
        waiting: deque[tuple[Pick, Any]] = deque()
        records = records_of(self._readers, self._kind, rows, waiting, problems.append, itertools.count())
        # A block is never larger than a portion.
        return tuple(next(portions(tagged(records, waiting), self._taxonomies, self._keep_lines(keep), problems)))

    def _keep_lines(self, keep: bool) -> KeepLines | None:
        if keep and self._lines is None:
            self._lines = LineFile(self._folder, self._number)
        return self._lines.append if keep and self._lines else None

    def _scan(self, number: int, part: Any, slot: Path, reads_ahead: bool, keep: bool) -> tuple[Any, ...]:
        reader, prefix = self._readers[number], bytes([number])
        problems: list[Problem] = []
        if reads_ahead:
            rows, ahead, kept = self._read_ahead(reader, prefix, part, problems.append, keep)
        else:
            seen = reader.scan_stretch(self._kind, part, problems.append)
            rows, ahead, kept = [(key, raw, prefix + locator) for key, raw, locator in seen], None, 0
        rows.sort()
        slot.write_bytes(marshal.dumps(rows, WITHOUT_REFERENCES))
        return problems, ahead, kept

    def _read_ahead(
        self, reader: StretchedReader, prefix: bytes, part: Any, report: Report, keep: bool
    ) -> tuple[list[Row], Slot | None, int]:
        """Read what is scanned; no slot where a record has to have its number first."""
        rows: list[Row] = []
        said: Said = []

        def found() -> Iterator[tuple[Row, Record]]:
            add = rows.append
            both = reader.scan_and_read(self._kind, part, report, lambda at, what: said.append((prefix + at, what)))
            for key, raw, locator, record in both:
                place = prefix + locator
                add((key, raw, place))
                if record is not None:
                    yield (place, key, raw, b"", False), record

        portion = next(portions(found(), self._taxonomies, self._keep_lines(keep), [], most=sys.maxsize))
        if reader.says_numbers and any(UNNUMBERED in row[0] for row in rows):
            return rows, None, 0
        self._ahead = self._ahead or AheadFile(self._folder, self._number)
        return rows, self._ahead.put(portion, said), sum(portion.sizes)
