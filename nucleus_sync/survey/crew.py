"""Processes that read portions of a stream side by side; they share nothing with this one but files."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nucleus_sync.errors import NucleusSyncError, SourceError
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.lines import KeptLines
from nucleus_sync.survey.portion import TOGETHER, Portion

_MOST = 4
_AHEAD = 2
"""Portions that a process has before it: one that it reads, one that waits."""


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

    def portions(
        self,
        readers: bytes,
        kind: Kind,
        blocks: Iterable[list[Any]],
        taxonomies: Mapping[str, Collection[str]],
        lines: KeptLines | None,
    ) -> Iterator[Portion]:
        """The records of the blocks in their order. Each process in turn gets the next one."""
        opening = {name: list(labels) for name, labels in taxonomies.items()}
        for member in self._members:
            _send(member, ("open", readers, str(kind), opening))
        pending: deque[tuple[subprocess.Popen[bytes], list[Any]]] = deque()
        for number, block in enumerate(_cut(blocks)):
            if len(pending) == _AHEAD * len(self._members):
                yield _answer(*pending.popleft())
            turn, who = divmod(number, len(self._members))
            slot = self._scratch / f"portion-{who}-{turn % _AHEAD}"
            slot.write_bytes(pickle.dumps(list(map(tuple, block)), pickle.HIGHEST_PROTOCOL))
            _send(self._members[who], ("read", str(slot), lines is not None and lines.has_room))
            pending.append((self._members[who], block))
        while pending:
            yield _answer(*pending.popleft())

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


def _answer(member: subprocess.Popen[bytes], block: list[Any]) -> Portion:
    assert member.stdout is not None  # noqa: S101  (a pipe by construction)
    try:
        answer = pickle.load(member.stdout)
    except (EOFError, pickle.UnpicklingError):
        raise _died() from None
    match answer:
        case ("portion", values):
            portion = Portion(*values)
            return portion._replace(rows=[block[number] for number in portion.rows])
        case ("source", what, where, fix):
            raise SourceError(what, where=where, fix=fix)
        case _:
            raise NucleusSyncError(f"a reading process failed: {answer[1]}", fix="please report this")


def _died() -> NucleusSyncError:
    return NucleusSyncError("a process that was reading sources has died", fix="see that there is memory, and repeat")
