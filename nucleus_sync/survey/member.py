"""One process of a crew: reads what it is told from its input, and answers with portions."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

from nucleus_sync.errors import SourceError
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Pick, Reader
from nucleus_sync.survey.lines import LineFile
from nucleus_sync.survey.portion import Portion, portions, records_of


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
        self._readers: list[Reader] = []
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
                    self._answer(self._read(Path(slot).read_bytes(), keep=keep))

    def _answer(self, answer: tuple[Any, ...]) -> None:
        try:
            pickle.dump(answer, self._answers, pickle.HIGHEST_PROTOCOL)
            self._answers.flush()
        except BrokenPipeError:
            sys.exit(0)

    def _read(self, packed: bytes, *, keep: bool) -> tuple[Any, ...]:
        try:
            return "portion", tuple(self._portion(pickle.loads(packed), keep=keep))
        except SourceError as error:
            return "source", error.what, error.where, error.fix
        except Exception as bug:
            return "bug", f"{type(bug).__name__}: {bug}"

    def _portion(self, rows: list[tuple[Any, ...]], *, keep: bool) -> Portion:
        problems: list[Problem] = []
        waiting: deque[tuple[Pick, Any]] = deque()
        records = records_of(self._readers, self._kind, rows, waiting, problems.append, itertools.count())
        if keep and self._lines is None:
            self._lines = LineFile(self._folder, self._number)
        keep_lines = self._lines.append if keep and self._lines else None
        # A block is never larger than a portion.
        return next(portions(records, waiting, self._taxonomies, keep_lines, problems))
