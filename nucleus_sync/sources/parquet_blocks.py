"""Blocks of a Parquet file's rows on disk, decoded in a process of its own, so that Arrow's memory goes with it."""

from __future__ import annotations

import marshal
import os
import pickle
import subprocess
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from nucleus_sync.errors import SourceError
from nucleus_sync.sources.parquet_columns import cells, cells_as_bytes

TOGETHER = 4096
"""Rows in a block."""
WITHOUT_NUMPY = "without numpy"
"""Tells the other process that it needs none."""
_AHEAD = 256 << 20
"""Bytes of blocks that may lie on disk and wait."""
_UNDER_WAY = 4
"""Blocks that are being decoded beside these."""
_NEXT = b"\n"
_SERVE = "from nucleus_sync.sources.parquet_decoder import serve; serve()"


class Heading(NamedTuple):
    """What a file says of itself."""

    columns: list[str]
    binary: frozenset[str]
    """Columns of bytes."""
    rows: int
    is_plain: bool
    """Whether Arrow makes Python's values of all columns without the help of numpy or pandas."""


class Decoded(NamedTuple):
    """A block as the other process tells of it; behind the last one comes one without a file."""

    file: str
    size: int
    rows: int


class BlockPart(NamedTuple):
    """A block on disk, which is gone once it was taken."""

    path: str
    first: int
    """The number of its first row, from 0."""


def take(part: BlockPart) -> tuple[list[list[Any]], list[bytes]]:
    """The cells of a block's columns, and each of its rows as the bytes that are hashed; its file is given back."""
    path = Path(part.path)
    content = path.read_bytes()
    path.unlink()
    columns, texts = (marshal if content[:1] == b"m" else pickle).loads(memoryview(content)[1:])
    return list(map(cells, columns)), cells_as_bytes(texts)


class Decoder:
    """A process that has opened a file: it says what the heading is, and decodes once. It ends with this object."""

    _all: ClassVar[weakref.WeakSet[Decoder]] = weakref.WeakSet()

    @classmethod
    def is_at_work(cls) -> bool:
        """Whether there is one already: each takes 90 MB, so that of several files one is decoded early."""
        return any(each._end.alive for each in cls._all)

    def __init__(self, path: Path, shown: str) -> None:
        """Raises SourceError, and OSError where no process can be started."""
        self._file = (str(path), shown)
        self._all.add(self)
        self.heading = self._started(WITHOUT_NUMPY)
        if not self.heading.is_plain:
            self._end()
            self.heading = self._started()

    def _started(self, *options: str) -> Heading:
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # Arrow's own pool takes 15 MB more for blocks that are given back at once.
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "1",
        }
        command = [sys.executable, "-P", "-c", _SERVE, *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
        self._end = weakref.finalize(self, _end, self._process)
        self._send(pickle.dumps(self._file))
        heading: Heading = self._answer()
        return heading

    def blocks(self, used: list[str], folder: Path) -> Iterator[tuple[int, BlockPart]]:
        """Each block of the `used` columns with the number of its rows. Raises SourceError.

        Decoding begins with the call. What may lie ahead is decoded before the first block is given: mostly that is
        the whole file, and then Arrow's memory is free again before others take theirs.
        """
        stem = f"parquet-{os.urandom(8).hex()}"
        self._send(pickle.dumps((used, TOGETHER, str(folder / stem))))
        blocks = self._given(folder, stem)
        next(blocks)
        return blocks  # type: ignore[return-value]

    def _given(self, folder: Path, stem: str) -> Iterator[tuple[int, BlockPart] | None]:
        """Nothing at first: of what was begun and dropped nothing stays on disk."""
        row, ahead = 0, deque[Decoded]()
        try:
            yield None
            ahead.append(self._answer())
            most = max(2, _AHEAD // max(ahead[0].size, 1))
            self._send(_NEXT * (most + _UNDER_WAY))
            while ahead[-1].file and len(ahead) < most:
                ahead.append(self._answer())
            while (block := ahead.popleft()).file:
                yield block.rows, BlockPart(block.file, row)
                row += block.rows
                if ahead[-1].file:
                    self._send(_NEXT)
                    ahead.append(self._answer())
        except BaseException:
            self._end()
            for left in folder.glob(f"{stem}-*"):
                left.unlink(missing_ok=True)
            raise
        self._end()

    def _send(self, content: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  (a pipe by construction)
        # Past its buffer, which would be written once more when it is closed. An end of the other process shows in its
        # answers.
        with suppress(OSError):
            os.write(self._process.stdin.fileno(), content)

    def _answer(self) -> Any:
        """The heading, or the next block. Raises SourceError."""
        assert self._process.stdout is not None  # noqa: S101  (a pipe by construction)
        try:
            answer = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            fix = "see that there is memory, and repeat"
            raise SourceError("the process that was decoding it has died", where=self._file[1], fix=fix) from None
        match answer:
            case ("source", what, where, fix):
                raise SourceError(what, where=where, fix=fix)
            case ("found", found):
                return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """It holds nothing that would have to be put in order."""
    process.kill()
    with process:
        pass
