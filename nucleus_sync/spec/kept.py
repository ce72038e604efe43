"""Specs that were found sound, kept in the user's cache: to check one again takes longer than the rest of a small plan.

A spec is kept under all that was looked at: its bytes, the variables that override its settings, and the code that
checked it. Not kept is one that takes in other variables, of which any may be a secret, one with a file of variables
beside it, and one with warnings, which are to be seen every time.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from nucleus_sync.spec.access import KEY_VARIABLES, telling_keys
from nucleus_sync.spec.evaluation import Comparison
from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.settings import Settings

_CODE = Path(__file__).parent
_MOST = 200
"""Specs that are kept; the oldest go."""
_REBUILD = Settings().__reduce__()[0]
"""What msgspec puts a Struct together with."""


class Kept(NamedTuple):
    """A sound spec with the environment's settings, and what else the environment says but for keys."""

    spec: Spec
    digest: str
    """Of what the spec means without those settings."""
    endpoint: str
    verify: bool


def mark_of(raw: bytes, path: Path, environ: Mapping[str, str]) -> str | None:
    """What the spec of these bytes would be kept under; None where it must be checked."""
    if b"${" in raw or (path.parent / ".env").exists() or os.environ.get("NUCLEUS_SYNC_SECRETS_DIR"):
        return None
    if any(os.fsencode(key) in raw for key in (*telling_keys(environ), *telling_keys(os.environ))):
        return None
    said = sorted((name, value) for name, value in os.environ.items() if _overrides(name))
    return hashlib.sha256(repr((_code(), said)).encode() + raw).hexdigest()


def _code() -> list[tuple[str, int, int]]:
    """The state of the modules that check a spec."""
    files = ((file.name, file.stat()) for file in os.scandir(_CODE) if file.name.endswith(".py"))
    return sorted((name, status.st_mtime_ns, status.st_size) for name, status in files)


def _overrides(name: str) -> bool:
    return name.upper().startswith("NUCLEUS_") and name.upper() not in KEY_VARIABLES


def recall(mark: str) -> Kept | None:
    """What is kept under a mark, if anything can be read there."""
    try:
        with (_folder() / mark).open("rb") as file:
            return Kept(*_Reading(file).load())
    except Exception:  # a damaged file can fail in any way, and to check again is always right
        return None


def keep(mark: str, kept: Kept) -> None:
    """Write it down for the next start; where that can't be done, the next start checks again."""
    with suppress(OSError, RuntimeError):  # the disk, or a user without a home folder
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        being_written = folder / f"{mark}.{os.getpid()}"
        descriptor = os.open(being_written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            pickle.dump(tuple(kept), file)
        being_written.replace(folder / mark)
        for old in sorted(folder.iterdir(), key=lambda each: -each.stat().st_mtime_ns)[_MOST:]:
            old.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nucleus-sync" / "specs"


class _Reading(pickle.Unpickler):
    """Makes nothing but parts of specs, whatever a file asks for."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module.startswith(("msgspec.", "nucleus_sync.spec.")) else None
        if found is not _REBUILD and not (isinstance(found, type) and issubclass(found, SpecPart | Comparison)):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a spec")
        return found
