"""The console script: answers `--version` by itself, which needs no library, and leaves the rest to `main`."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

from nucleus_sync import __version__


def run() -> NoReturn:
    """Answer the call and end the process."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"nucleus-sync {__version__}\n")
        sys.exit(0)
    from nucleus_sync.cli.main import run as answer

    try:
        answer()
    finally:
        # The interpreter would look for cycles among all that imports have made: a fifth of a small plan's time, for
        # memory that goes back as a whole.
        gc.freeze()
