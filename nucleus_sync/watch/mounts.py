"""Notices that a share isn't mounted any more: what lies beneath it then isn't what was there."""

from __future__ import annotations

import os

from nucleus_sync.watch.inputs import Inputs


class Mounts:
    """Remembers on which mount every folder was last seen."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def lost(self, inputs: Inputs) -> dict[str, str]:
        """Sources on a share that has gone away since they were first seen, with the reason."""
        places = [(folder.source, folder.path) for folder in inputs.folders]
        places += [(file.source, os.path.dirname(file.path)) for file in inputs.files]
        places += list(inputs.beside)
        found = {}
        for source, path in places:
            before, now = self._seen.get(path), mount_of(path)
            if before is None or now == before or now.startswith(before.rstrip("/") + "/"):
                self._seen[path] = now
            else:
                found[source] = f"{before} is not mounted"
        return found


def mount_of(path: str) -> str:
    """The mount point that a path lies on."""
    path = os.path.abspath(path)
    while path != "/" and not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
