"""Writes records where `--records` says: as JSON Lines, to a file or to stdout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.render.json import line

if TYPE_CHECKING:
    from nucleus_sync.cli.call import Call

_LINES_AT_ONCE = 1000


def write_records(call: Call, records: Iterable[Mapping[str, Any]], named: str) -> None:
    """Write values as JSON Lines to a file, or to stdout where it is called -."""
    lines = map(line, records)
    if named == "-":
        # A flush for each of millions of lines would take longer than finding them.
        while chunk := "".join(islice(lines, _LINES_AT_ONCE)):
            call.screen.answer(chunk)
        return
    path = call.path(named)
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise NucleusSyncError(f"can't be written: {error.strerror}", where=str(path)) from None
