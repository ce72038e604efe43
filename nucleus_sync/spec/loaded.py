"""A spec that holds together, with the file that it came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nucleus_sync.spec.place import resolve

if TYPE_CHECKING:
    from nucleus_sync.errors import SpecProblem
    from nucleus_sync.spec.model import Spec


class LoadedSpec(Struct, frozen=True):
    """What was read of a file."""

    spec: Spec
    path: Path
    """The file, as it was named."""
    folder: Path
    """The file's folder, absolute: relative paths in the spec start here."""
    sha256: str
    """Of the file's bytes, in hex."""
    digest: str
    """SHA-256 of what the spec means once variables are filled in, in hex."""
    warnings: tuple[SpecProblem, ...] = ()
    """What is sound and probably not meant."""

    def resolve(self, path: str) -> Path:
        """A path of the spec as one to open."""
        return resolve(self.folder, path)
