"""Processes that scan and read a stream side by side; they share nothing with this one but files."""

from __future__ import annotations

import marshal
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from nucleus_sync.errors import NucleusSyncError, SourceError
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Stretch
from nucleus_sync.spool import Row
from nucleus_sync.survey.ahead import Slot
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.portion import TOGETHER, Portion

_MOST = 4
_AHEAD = 2
"""Portions or stretches that a process has before it: one that it reads, one that waits."""


class Scanned(NamedTuple):
    """One stretch."""

    rows: list[Row]
    """(key, raw hash, place), sorted."""
    problems: list[Problem]
    ahead: Slot | None
    """Where its records lie, if they were to be read as well and could be."""
    kept: int
    """Bytes of their lines."""


class Crew:
    """Started once, used for any number of streams."""

    def __init__(self, scratch: Path, members: list[subprocess.Popen[bytes]]) -> None:
        self._scratch = scratch
        self._members = members

    @classmethod
    def started(cls, scratch: Path) -> Crew | None:
        """One process for each processor; None where there is but one, or none can be started."""
        count = min(_MOST, _processors())
        if count < 2:
            return None
        members: list[subprocess.Popen[bytes]] = []
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
        self, number: int, stretches: Iterable[Stretch], reads_ahead: Callable[[], bool], lines: KeptLines | None
    ) -> Iterator[Scanned]:
        """The stretches of one of the readers in their order. Each process in turn gets the next one."""
        pending: deque[tuple[subprocess.Popen[bytes], Path]] = deque()
        with _none_left(pending):
            for turn, stretch in enumerate(stretches):
                if len(pending) == _AHEAD * len(self._members):
                    yield _scanned(*pending.popleft())
                member, slot = self._turn(turn)
                keep = lines is not None and lines.has_room
                _send(member, ("scan", number, stretch.part, str(slot), reads_ahead(), keep))
                pending.append((member, slot))
            while pending:
                yield _scanned(*pending.popleft())

    def portions(self, blocks: Iterable[list[Any]], lines: KeptLines | None) -> Iterator[Portion]:
        """The records of the blocks in their order. Each process in turn gets the next one."""
        pending: deque[tuple[subprocess.Popen[bytes], list[Any]]] = deque()
        with _none_left(pending):
            for turn, block in enumerate(_cut(blocks)):
                if len(pending) == _AHEAD * len(self._members):
                    yield _portion(*pending.popleft())
                member, slot = self._turn(turn)
                slot.write_bytes(pickle.dumps(list(map(tuple, block)), pickle.HIGHEST_PROTOCOL))
                _send(member, ("read", str(slot), lines is not None and lines.has_room))
                pending.append((member, block))
            while pending:
                yield _portion(*pending.popleft())

    def _turn(self, number: int) -> tuple[subprocess.Popen[bytes], Path]:
        """Whose turn it is, and the file that passes between the two of us."""
        turn, who = divmod(number, len(self._members))
        return self._members[who], self._scratch / f"portion-{who}-{turn % _AHEAD}"

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


def _start(scratch: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from nucleus_sync.survey.member import serve; serve()", str(scratch), str(number)]
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


def _send(member: subprocess.Popen[bytes], message: tuple[Any, ...]) -> None:
    assert member.stdin is not None  # noqa: S101  (a pipe by construction)
    try:
        pickle.dump(message, member.stdin, pickle.HIGHEST_PROTOCOL)
        member.stdin.flush()
    except OSError:
        raise _died() from None


@contextmanager
def _none_left(pending: Iterable[tuple[subprocess.Popen[bytes], Any]]) -> Iterator[None]:
    """Where a source turns out unusable, takes the answers that are under way: the next stream would get them."""
    try:
        yield
    except SourceError:
        for member, _ in pending:
            with suppress(NucleusSyncError):
                _answer(member)
        raise


def _scanned(member: subprocess.Popen[bytes], slot: Path) -> Scanned:
    problems, ahead, kept = _answer(member)
    return Scanned(marshal.loads(slot.read_bytes()), problems, ahead and Slot(*ahead), kept)


def _portion(member: subprocess.Popen[bytes], block: list[Any]) -> Portion:
    portion = Portion(*_answer(member))
    return portion._replace(rows=[block[number] for number in portion.rows])


def _answer(member: subprocess.Popen[bytes]) -> tuple[Any, ...]:
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
        case _:
            raise NucleusSyncError(f"a reading process failed: {answer[1]}", fix="please report this")


def _died() -> NucleusSyncError:
    return NucleusSyncError("a process that was reading sources has died", fix="see that there is memory, and repeat")
