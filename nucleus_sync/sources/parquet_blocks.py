"""Blocks of a Parquet file's rows on disk, decoded in a process of its own, so that Arrow's memory goes with it."""

from __future__ import annotations

import marshal
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from nucleus_sync.errors import SourceError

TOGETHER = 4096
"""Rows in a block."""
_AHEAD = 256 << 20
"""Bytes of blocks that may lie on disk and wait."""
_UNDER_WAY = 4
"""Blocks that are being decoded beside these."""
_NEXT = b"\n"
_SERVE = "from nucleus_sync.sources.parquet_decoder import serve; serve()"
WITHOUT_NUMPY = "without numpy"
"""Tells the other process that it needs none."""


class Heading(NamedTuple):
    """What a file says of itself."""

    columns: list[str]
    binary: frozenset[str]
    """Columns of bytes."""
    rows: int
    is_plain: bool
    """Whether Arrow makes Python's values of all columns without the help of numpy or pandas."""


class BlockPart(NamedTuple):
    """A block on disk, which is gone once it was taken."""

    path: str
    first: int
    """The number of its first row, from 0."""


def heading_of(path: Path, shown: str) -> Heading:
    """What the file says of itself. Raises SourceError, and OSError where no process can be started."""
    with _started(path, shown, is_plain=True) as decoder:
        decoder.ask(None)
        return decoder.answer()  # type: ignore[no-any-return]


def blocks_of(
    path: Path, shown: str, heading: Heading, used: list[str], seed: int, folder: Path
) -> Iterator[tuple[int, BlockPart]]:
    """Each block with the number of its rows. Raises SourceError, and OSError where no process can be started.

    Decoding begins with the call. What may lie ahead is decoded before the first block is given: mostly that is the
    whole file, and then Arrow's memory is free again before others take theirs.
    """
    blocks = _begun(path, shown, heading, (used, seed, TOGETHER, str(folder / f"parquet-{os.urandom(8).hex()}")))
    next(blocks)
    return blocks  # type: ignore[return-value]


def _begun(
    path: Path, shown: str, heading: Heading, wanted: tuple[list[str], int, int, str]
) -> Iterator[tuple[int, BlockPart] | None]:
    """Nothing at first, so that it can be begun; whoever drops it ends the process, too."""
    row, ahead = 0, deque[Decoded]()
    try:
        with _started(path, shown, is_plain=heading.is_plain) as decoder:
            decoder.ask(wanted)
            yield None
            ahead.append(decoder.answer())
            most = max(2, _AHEAD // max(ahead[0].size, 1))
            decoder.go_on(most + _UNDER_WAY)
            while ahead[-1].file and len(ahead) < most:
                ahead.append(decoder.answer())
            while (block := ahead.popleft()).file:
                yield block.rows, BlockPart(block.file, row)
                row += block.rows
                if ahead[-1].file:
                    decoder.go_on(1)
                    ahead.append(decoder.answer())
    except BaseException:
        stem = Path(wanted[-1])
        for left in stem.parent.glob(f"{stem.name}-*"):
            left.unlink(missing_ok=True)
        raise


def take(part: BlockPart) -> tuple[list[list[Any]], list[bytes]]:
    """The used columns of a block and the raw hashes of its rows; its file is given back."""
    path = Path(part.path)
    content = path.read_bytes()
    path.unlink()
    columns, raws = (marshal if content[:1] == b"m" else pickle).loads(content[1:])
    return columns, raws


class Decoded(NamedTuple):
    """A block as the other process tells of it; behind the last one comes one without a file."""

    file: str
    size: int
    rows: int


class _Decoder:
    """The other process as this one sees it."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, shown: str) -> None:
        self._process = process
        self._file = (str(path), shown)

    def ask(self, wanted: Any) -> None:
        """Ask for blocks, of which it will decode one, or for the heading where None is wanted."""
        self._send(pickle.dumps((self._file, wanted)))

    def go_on(self, count: int) -> None:
        """Have it decode so many more blocks."""
        self._send(_NEXT * count)

    def _send(self, content: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  (a pipe by construction)
        # Past its buffer, which would be written once more when it is closed. An end of the other process shows in its
        # answers.
        with suppress(OSError):
            os.write(self._process.stdin.fileno(), content)

    def answer(self) -> Any:
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


@contextmanager
def _started(path: Path, shown: str, *, is_plain: bool) -> Iterator[_Decoder]:
    command = [sys.executable, "-c", _SERVE]
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # Arrow's own pool takes 15 MB more for blocks that are given back at once.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
    }
    command += [WITHOUT_NUMPY] if is_plain else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        try:
            yield _Decoder(process, path, shown)
        finally:
            process.kill()  # it holds nothing that would have to be put in order
