"""The bytes of a spec's file, read once: it may be a pipe."""

from __future__ import annotations

from pathlib import Path

from nucleus_sync.errors import SpecError, SpecProblem

MAX_BYTES = 4 * 1024 * 1024
START_HINT = "make one with: nucleus-sync init"


def bytes_of(path: Path) -> bytes:
    """All of the file. Raises SpecError where it can't be read, or is larger than any spec."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError([SpecProblem("there is no such file", file=str(path), hint=START_HINT)]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SpecError([SpecProblem(f"can't be read: {reason}", file=str(path))]) from None
    if len(raw) > MAX_BYTES:
        hint = "long lists belong in files of their own, such as a slice's `file`"
        raise SpecError([SpecProblem("is larger than 4 MiB", file=str(path), hint=hint)])
    return raw
