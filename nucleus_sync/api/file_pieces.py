"""Files, whole or in pieces, as the bytes of a request: read a megabyte at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from nucleus_sync.errors import SourceError

CHUNK = 1 << 20


class FilePiece(Struct, frozen=True):
    """`size` bytes of a file from `offset` on; up to its end where `offset` is None, which must then be there."""

    path: Path
    size: int
    offset: int | None = None


def chunks(pieces: Iterable[FilePiece]) -> Iterator[bytes]:
    """The bytes of all pieces, one behind the other; what is small goes together.

    Raises SourceError where a file can't be read, or is longer or shorter than it was when it was measured.
    """
    found: list[bytes] = []
    room = CHUNK
    with ExitStack() as stack:
        files: dict[Path, BinaryIO] = {}
        for piece in pieces:
            if piece.path not in files:
                files[piece.path] = stack.enter_context(_open(piece.path))
            descriptor, offset, left = files[piece.path].fileno(), piece.offset or 0, piece.size
            while left > 0:
                part = os.pread(descriptor, min(room, left), offset)
                if not part:
                    raise _changed(piece)
                found.append(part)
                offset, left, room = offset + len(part), left - len(part), room - len(part)
                if not room:
                    yield b"".join(found)
                    found, room = [], CHUNK
            if piece.offset is None and os.pread(descriptor, 1, offset):
                raise _changed(piece)
    if found:
        yield b"".join(found)


async def streamed(pieces: Iterable[FilePiece]) -> AsyncIterator[bytes]:
    """The same without making anybody wait for the disk."""
    # Not closed here: after a cancellation another thread may still be in it. The last to let go of it closes it.
    reading = chunks(pieces)
    while chunk := await asyncio.to_thread(next, reading, b""):
        yield chunk


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise SourceError(f"can't be read: {error.strerror}", where=str(path)) from None


def _changed(piece: FilePiece) -> SourceError:
    return SourceError(
        f"changed while it was sent: it had {piece.size} bytes",
        where=str(piece.path),
        fix="run again once it is complete",
    )
