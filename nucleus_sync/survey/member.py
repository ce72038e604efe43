"""One process of a crew: reads what it is told from its input, and answers with portions."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nucleus_sync.errors import NucleusSyncError, SourceError
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Pick, StretchedReader
from nucleus_sync.survey.lines import LineFile
from nucleus_sync.survey.portion import portions, records_of, tagged
from nucleus_sync.survey.shelving import Shelving
from nucleus_sync.survey.span import Finisher, Span

if TYPE_CHECKING:
    from nucleus_sync.survey.comparing import Comparer


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
        self._shelving: Shelving | None = None
        self._finisher: Finisher | None = None
        self._comparer: Comparer | None = None
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
                    self._turn()
                    self._readers = [made.reader() for made in pickle.loads(readers)]
                    self._kind, self._taxonomies = Kind(kind), taxonomies
                case ("read", slot, keep):
                    self._answer(self._tried(self._read, Path(slot), keep))
                case ("scan", number, part):
                    self._answer(self._tried(self._scan, number, part))
                case ("read along", number, part, keep):
                    self._answer(self._tried(self._read_along, number, part, keep))
                case ("rest",):
                    self._answer(self._tried(self._rest))
                case ("finish", span, stand_alone, has_lines):
                    self._answer(self._tried(self._finished, span, stand_alone, has_lines))
                case ("compare", span, against):
                    self._answer(self._tried(self._compared, span, against))

    def _turn(self) -> None:
        """What belongs to one stream ends with it."""
        for each in (self._shelving, self._finisher, self._comparer):
            if each is not None:
                each.close()
        self._shelving = self._finisher = self._comparer = None

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
        except (NucleusSyncError, OSError) as error:
            return "failed", str(error)
        except Exception as bug:
            return "bug", f"{type(bug).__name__}: {bug}"

    def _read(self, slot: Path, keep: bool) -> tuple[Any, ...]:
        rows: list[tuple[Any, ...]] = pickle.loads(slot.read_bytes())
        problems: list[Problem] = []
        waiting: deque[tuple[Pick, Any]] = deque()
        records = records_of(self._readers, self._kind, rows, waiting, problems.append, itertools.count())
        keep_lines = self._keep_lines if keep else None
        # A block is never larger than a portion.
        return tuple(next(portions(tagged(records, waiting), self._taxonomies, keep_lines, problems)))

    def _keep_lines(self, lines: list[bytes]) -> int | None:
        self._lines = self._lines or LineFile(self._folder, self._number)
        return self._lines.append(lines)

    def _scan(self, number: int, part: Any) -> tuple[Any, ...]:
        return tuple(self._shelf().scanned(self._readers[number], self._kind, bytes([number]), part))

    def _read_along(self, number: int, part: Any, keep: bool) -> tuple[Any, ...]:
        reader, prefix = self._readers[number], bytes([number])
        return tuple(self._shelf().read(reader, self._kind, prefix, part, self._taxonomies, keep=keep))

    def _shelf(self) -> Shelving:
        self._shelving = self._shelving or Shelving(self._folder, self._number, self._keep_lines)
        return self._shelving

    def _rest(self) -> tuple[Any, ...]:
        return (self._shelving.rest() if self._shelving else [],)

    def _finished(self, span: tuple[Any, ...], stand_alone: bool, has_lines: bool) -> tuple[Any, ...]:
        self._finisher = self._finisher or Finisher(self._folder, self._number, self._keep_lines)
        return (self._finisher.finished(Span(*span), stand_alone=stand_alone, has_lines=has_lines),)

    def _compared(self, span: tuple[Any, ...], against: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._comparer is None:
            from nucleus_sync.survey.comparing import Against, Comparer

            self._comparer = Comparer(self._folder, self._number, Against(*against))
        return tuple(self._comparer.compared(Span(*span)))
