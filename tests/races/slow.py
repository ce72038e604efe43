"""An apply whose sources never end: `slow.py FOLDER`; started as a script, it says `reading` once it is at it."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.workspace import Choices, Workspace


class Endless(Workspace):
    """Reads until somebody stops it."""

    def survey(self, *_: Any, **__: Any) -> Any:
        """Never comes back."""
        print("reading", flush=True)
        threading.Event().wait(60)
        raise AssertionError("it was not stopped")


def main(folder: str) -> int:
    """The exit code of the apply."""
    try:
        with Endless(Path(folder) / "nucleus.yaml", environ=os.environ) as space:
            return int(space.apply(Choices(), lambda plan: True, lambda event: None).exit_code)
    except NucleusSyncError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
