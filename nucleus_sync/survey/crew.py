"""Processes that scan and read a stream side by side; they share nothing with this one but files."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from nucleus_sync.errors import NucleusSyncError, SourceError
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Stretch
from nucleus_sync.survey.comparing import Against, Compared
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.portion import TOGETHER, Portion
from nucleus_sync.survey.shelves import Layer
from nucleus_sync.survey.shelving import Shelved
from nucleus_sync.survey.span import Finished, Span

T = TypeVar("T")
Member = subprocess.Popen[bytes]
Question = tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], T]]
"""A message, and what becomes of its answer."""
_MOST = 4
_AHEAD = 2
"""Portions or stretches that a process has before it: one that it reads, one that waits."""


class Crew:
    """Started once, used for any number of streams."""

    def __init__(self, scratch: Path, members: list[Member]) -> None:
        self._scratch = scratch
        self._members = members

    @classmethod
    def started(cls, scratch: Path) -> Crew | None:
        """One process for each processor; None where there is but one, or none can be started."""
        count = min(_MOST, _processors())
        if count < 2:
            return None
        members: list[Member] = []
        try:
            for number in range(1, count + 1):
                members.append(_start(scratch, number))  # noqa: PERF401  (those that did start must be ended)
        except OSError:
            cls(scratch, members).close()
            return None
        return cls(scratch, members)

    def open(self, readers: bytes, kind: Kind, taxonomies: Mapping[str, Collection[str]]) -> None:
        """Turn to a stream."""
        opening = {name: list(labels) for name, labels in taxonomies.items()}
        for member in self._members:
            _send(member, ("open", readers, str(kind), opening))

    def scanned(
        self, number: int, stretches: Iterable[Stretch], reads_ahead: Callable[[], bool], *, keep: bool
    ) -> Iterator[Shelved]:
        """The stretches of one of the readers in their order, laid on shelves, with lines if these are to be kept."""

        def ask(stretch: Stretch, _: Path) -> Question[Shelved]:
            message = ("read along", number, stretch.part, keep) if reads_ahead() else ("scan", number, stretch.part)
            return message, lambda answer: Shelved(*answer)

        return self._answers(partial(ask, stretch) for stretch in stretches)

    def rest(self) -> Iterator[Layer]:
        """The last layers of all shelves."""
        for member in self._members:
            _send(member, ("rest",))
        for member in self._members:
            yield from (Layer(*layer) for layer in _answer(member)[0])

    def finished(self, spans: Iterable[Span], *, stand_alone: bool, has_lines: bool) -> Iterator[Finished | None]:
        """The spans of a new stream in their order."""

        def ask(span: Span, _: Path) -> Question[Finished | None]:
            return ("finish", tuple(span), stand_alone, has_lines), lambda answer: answer[0]

        return self._answers(partial(ask, span) for span in spans)

    def compared(self, spans: Iterable[Span], against: Against) -> Iterator[Compared]:
        """The spans of a known stream in their order."""

        def ask(span: Span, _: Path) -> Question[Compared]:
            return ("compare", tuple(span), tuple(against)), lambda answer: Compared(*answer)

        return self._answers(partial(ask, span) for span in spans)

    def portions(self, blocks: Iterable[list[Any]], lines: KeptLines | None) -> Iterator[Portion]:
        """The records of the blocks in their order."""

        def ask(block: list[Any], slot: Path) -> Question[Portion]:
            slot.write_bytes(pickle.dumps(list(map(tuple, block)), pickle.HIGHEST_PROTOCOL))
            return ("read", str(slot), lines is not None and lines.has_room), partial(_portion, block)

        return self._answers(partial(ask, block) for block in _cut(blocks))

    def _answers(self, questions: Iterable[Callable[[Path], Question[T]]]) -> Iterator[T]:
        """Each process in turn gets the next question, with a file that it may pass something back in."""
        pending: deque[tuple[Member, Callable[[tuple[Any, ...]], T]]] = deque()
        try:
            for number, question in enumerate(questions):
                if len(pending) == _AHEAD * len(self._members):
                    member, take = pending.popleft()
                    yield take(_answer(member))
                turn, who = divmod(number, len(self._members))
                message, take = question(self._scratch / f"portion-{who}-{turn % _AHEAD}")
                _send(self._members[who], message)
                pending.append((self._members[who], take))
            while pending:
                member, take = pending.popleft()
                yield take(_answer(member))
        finally:
            for member, _ in pending:  # nobody wants these any more, and the next stream must not get them
                with suppress(NucleusSyncError):
                    _answer(member)

    def close(self) -> None:
        """End all processes: they stop when their input does."""
        for member in self._members:
            for pipe in (member.stdin, member.stdout):
                if pipe is not None:
                    pipe.close()
        for member in self._members:
            try:
                member.wait(5)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()


def _start(scratch: Path, number: int) -> Member:
    command = [
        sys.executable,
        "-P",
        "-c",
        "from nucleus_sync.survey.member import serve; serve()",
        str(scratch),
        str(number),
    ]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)


def _cut(blocks: Iterable[list[Any]]) -> Iterator[list[Any]]:
    for block in blocks:
        for start in range(0, len(block), TOGETHER):
            yield block[start : start + TOGETHER]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _send(member: Member, message: tuple[Any, ...]) -> None:
    assert member.stdin is not None  # noqa: S101  (a pipe by construction)
    try:
        pickle.dump(message, member.stdin, pickle.HIGHEST_PROTOCOL)
        member.stdin.flush()
    except OSError:
        raise _died() from None


def _portion(block: list[Any], answer: tuple[Any, ...]) -> Portion:
    portion = Portion(*answer)
    return portion._replace(rows=[block[number] for number in portion.rows])


def _answer(member: Member) -> tuple[Any, ...]:
    assert member.stdout is not None  # noqa: S101  (a pipe by construction)
    try:
        answer = pickle.load(member.stdout)
    except (EOFError, pickle.UnpicklingError):
        raise _died() from None
    match answer:
        case ("found", values):
            found: tuple[Any, ...] = values
            return found
        case ("source", what, where, fix):
            raise SourceError(what, where=where, fix=fix)
        case ("failed", why):
            raise NucleusSyncError(f"a reading process failed: {why}", fix="see that the disk has room, and repeat")
        case _:
            raise NucleusSyncError(f"a reading process failed: {answer[1]}", fix="please report this")


def _died() -> NucleusSyncError:
    return NucleusSyncError("a process that was reading sources has died", fix="see that there is memory, and repeat")
