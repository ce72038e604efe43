"""Lines as they go over the wire, kept on disk from the reading of a stream for its sending."""

from __future__ import annotations

import shutil
from pathlib import Path

from nucleus_sync.survey.scratch_files import ScratchFiles

_NAME = "lines"
_MOST = 16 << 30
"""Bytes that are kept of one run; what lies behind them is read again when it is sent."""
_LINE = 500
"""Bytes of a record's line, roughly: those of a polygon."""
_OF_FREE_DISK = 8
"""Other things need room, too: rows, the ledger, and the lines of records that have to be read again."""
_TOGETHER = 256
"""Lines that are written at once: no more than a processor's nearest caches hold."""
_FILE = 48
"""A place is the number of a file, then 48 bits of offset: the reading processes write a file each."""


class LineFile:
    """One writer's file."""

    def __init__(self, folder: Path, number: int) -> None:
        self._file = ScratchFiles(folder, _NAME).path(number).open("ab", buffering=0)
        self._end = self._file.tell()
        self._number = number

    def append(self, lines: list[bytes]) -> int | None:
        """The place at which they begin; None where the disk takes no more: they are read again, then."""
        begin = self._end
        try:
            for first in range(0, len(lines), _TOGETHER):
                left = memoryview(b"".join(lines[first : first + _TOGETHER]))
                while left:
                    written = self._file.write(left)
                    self._end += written
                    left = left[written:]
        except OSError:
            return None
        return (self._number << _FILE) + begin

    def close(self) -> None:
        """Nothing more is added."""
        self._file.close()


class KeptLines:
    """All files of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._room = min(_MOST, shutil.disk_usage(folder).free // _OF_FREE_DISK)
        self._files = ScratchFiles(folder, _NAME)

    @property
    def has_room(self) -> bool:
        """Whether more may be kept."""
        return self._room > 0

    def has_room_for(self, records: int) -> bool:
        """Whether all of so many may be kept, as far as that can be told before they were read."""
        return records * _LINE < self._room

    def count(self, size: int) -> None:
        """Note that this many bytes were kept."""
        self._room -= size

    def found(self, place: int) -> tuple[Path, int]:
        """The file in which lines lie, and where in it."""
        return self._files.path(place >> _FILE), place & (1 << _FILE) - 1

    def close(self) -> None:
        """Give the disk space back."""
        self._files.clear()
