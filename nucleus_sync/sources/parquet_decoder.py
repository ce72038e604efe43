"""The process that decodes a Parquet file into blocks on disk."""

from __future__ import annotations

import gc
import marshal
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from nucleus_sync.errors import SourceError
from nucleus_sync.sources.parquet_blocks import WITHOUT_NUMPY, Decoded, Heading
from nucleus_sync.sources.parquet_rows import ParquetRows
from nucleus_sync.spool import WITHOUT_REFERENCES


def serve() -> None:
    """Answer for one file. Ctrl-C is for the process that holds the other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    if WITHOUT_NUMPY in sys.argv:
        # Importing it takes longer than decoding some hundred thousand rows, and nothing here needs it.
        sys.modules["numpy"] = None  # type: ignore[assignment]
    asked, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(BrokenPipeError):
        try:
            for answer in _answered(asked):
                _put(("found", answer), answers)
        except SourceError as error:
            _put(("source", error.what, error.where, error.fix), answers)


def _put(answer: Any, answers: BinaryIO) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def _answered(asked: BinaryIO) -> Iterator[Heading | Decoded]:
    path, shown = pickle.load(asked)
    yield ParquetRows(Path(path), shown, Path()).read_heading()
    try:
        used, together, stem = pickle.load(asked)
    except EOFError:
        return
    rows = ParquetRows(Path(path), shown, Path(), together)
    for number, (count, columns, texts) in enumerate(rows.packed(used)):
        file = Path(f"{stem}-{number}")
        yield Decoded(str(file), _written(file, _as_bytes((columns, texts))), count)
        if not asked.read(1):
            return
    yield Decoded("", 0, 0)


def _written(file: Path, content: bytes) -> int:
    try:
        return file.write_bytes(content)
    except OSError as error:
        what = f"a table's rows can't be put here for a while: {error.strerror}"
        raise SourceError(what, where=str(file.parent), fix="make room, and repeat") from error


def _as_bytes(value: Any) -> bytes:
    """Marshal takes a third of the time, but knows neither times nor decimals."""
    try:
        return b"m" + marshal.dumps(value, WITHOUT_REFERENCES)
    except ValueError:
        return b"p" + pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
