"""Which modules a new interpreter imports for some code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_TELL = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"


class Imported(NamedTuple):
    """What code has printed, and the full names of all modules at its end."""

    out: str
    modules: set[str]


def imported_by(code: str, folder: Path | None = None) -> Imported:
    """Run it, in a folder; it must end well."""
    command = [sys.executable, "-c", _TELL + code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=100)
    return Imported(done.stdout, set(done.stderr.splitlines()[-1].split()))
