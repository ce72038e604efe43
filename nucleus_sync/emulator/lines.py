"""Reading NDJSON in batches, so that memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

BATCH = 5_000


def batches_of_file(path: Path) -> Iterator[list[bytes]]:
    """The lines of a file, some thousands at a time; empty lines are passed over."""
    with path.open("rb") as file:
        yield from batches(line for line in file if not line.isspace())


def batches_of_values(values: Iterable[Any]) -> Iterator[list[bytes]]:
    """The same for records that came inside a JSON body."""
    yield from batches(msgspec.json.encode(value) for value in values)


def batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lists of at most `BATCH` lines."""
    batch: list[bytes] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
