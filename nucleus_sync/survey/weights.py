"""The weights files of models, known by the digest of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from nucleus_sync.errors import SourceError


class WeightsFile(Struct, frozen=True):
    """A file as it was when it was looked at."""

    path: Path
    size: int
    mtime_ns: int
    inode: int
    sha256: str

    def noted(self) -> dict[str, Any]:
        """What the ledger keeps, so that a file which nobody touched needs no reading."""
        return {"stat": [self.size, self.mtime_ns, self.inode], "sha256": self.sha256}


def look_at_weights(path: Path, named: str, noted: Mapping[str, Any] | None, say: Callable[[str], None]) -> WeightsFile:
    """Read the file, unless it is the one that was `noted`. Raises SourceError where it can't be read."""
    try:
        stat = path.stat()
        as_noted = noted is not None and noted.get("stat") == [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        if noted is not None and as_noted:
            digest = str(noted["sha256"])
        else:
            say(f"reading {named}")
            digest = _digest(path)
    except OSError as error:
        raise SourceError(f"the weights can't be read: {error.strerror}", where=named) from None
    return WeightsFile(path, stat.st_size, stat.st_mtime_ns, stat.st_ino, digest)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
