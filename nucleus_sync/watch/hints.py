"""Collects what the observer's threads tell, until the service asks what of it has settled."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from nucleus_sync.watch.bell import Bell
from nucleus_sync.watch.health import Health
from nucleus_sync.watch.inputs import Inputs
from nucleus_sync.watch.rounds import Agenda
from nucleus_sync.watch.settle_files import Settling


class Hints:
    """What `Eyes` are given to tell; `look_soon` is called when the spec itself was touched."""

    def __init__(
        self,
        inputs: Inputs,
        settling: Settling,
        bell: Bell,
        health: Health,
        look_soon: Callable[[], None],
        *,
        marker: str | None,
    ) -> None:
        self.inputs = inputs
        """Exchanged when the spec is read again."""
        self._settling = settling
        self._bell = bell
        self._health = health
        self._look_soon = look_soon
        self._marker = marker
        self._folders: set[str] = set()
        self._folders_lock = threading.Lock()
        self._lost = False

    def changed(self, path: str, *, renamed: bool = False) -> None:
        """Something happened to a file."""
        if path == self.inputs.spec or os.path.basename(path) == ".env":
            self._look_soon()
            self._bell.hint()
        elif os.path.basename(path) == self._marker:
            self.folder(os.path.dirname(path))
        elif self.inputs.matters(path):
            self._note_change()
            self._settling.changed(path, renamed=renamed)
            self._bell.hint()

    def folder(self, path: str) -> None:
        """A folder is new, moved or gone."""
        if self.inputs.is_aside(path):
            return
        with self._folders_lock:
            self._folders.add(path)
        self._bell.hint()

    def lost(self) -> None:
        """Events were lost: only a look at everything tells."""
        self._lost = True
        self._bell.hint()

    def settle(self, agenda: Agenda, *, looked_before: bool) -> None:
        """Put what has settled by now on the agenda; `looked_before` is whether there was a round already."""
        with self._folders_lock:
            folders, self._folders = self._folders, set()
        for folder in folders:
            self._look_into(folder, agenda, looked_before=looked_before)
        settled = self._settling.advance()
        files = {path for path in settled.files if self.inputs.matters(path)}
        gone = {path for path in settled.gone if self.inputs.matters(path)}
        if files or gone:
            whole = any(self.inputs.is_whole(path) for path in files | gone)
            agenda.settled(files, len(gone), whole=whole)
        if settled.flood or self._lost:
            self._lost = False
            agenda.need_everything("so much has changed that everything is looked at")
        self._health.waiting = self._settling.waiting

    def _look_into(self, folder: str, agenda: Agenda, *, looked_before: bool) -> None:
        """The library misses events of files in folders that are new."""
        places = [place.path for place in self.inputs.places]
        if not os.path.isdir(folder):
            if any(place.startswith(folder) or folder.startswith(place) for place in places):
                agenda.need_everything("a folder is gone")
            return
        if folder in places:
            if looked_before:
                agenda.need_everything("a folder is watched anew")
            return
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                if self.inputs.matters(path):
                    self._note_change()
                    self._settling.found(path)

    def _note_change(self) -> None:
        if self._health.oldest is None:
            self._health.oldest = time.time()
