"""Files that the processes of a crew write side by side, a numbered one each, read at any place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


class ScratchFiles:
    """All files of one name, opened when they are first asked for."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._files: dict[int, BinaryIO] = {}

    def path(self, number: int) -> Path:
        """Where a file lies."""
        return self._folder / f"{self._name}-{number}"

    def at(self, number: int, start: int, size: int) -> bytes:
        """Bytes of a file. Raises OSError where it ends before them."""
        if number not in self._files:
            self._files[number] = self.path(number).open("rb", buffering=0)
        content = os.pread(self._files[number].fileno(), size, start)
        if len(content) < size:
            raise OSError(f"{self.path(number)} ends behind byte {start}")
        return content

    def close(self) -> None:
        """Read nothing more."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def clear(self) -> None:
        """Give the disk space back."""
        self.close()
        for path in self._folder.glob(f"{self._name}-*"):
            path.unlink(missing_ok=True)
