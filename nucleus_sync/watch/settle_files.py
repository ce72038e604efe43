"""Which files have settled: unchanged for a while, or renamed into place, or vouched for by a marker file."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from stat import S_ISDIR

Identity = tuple[int, int, int, int] | None
"""Size, mtime, ctime and inode; None for a file that isn't there."""
MOST = 100_000
"""Files that are followed one by one; beyond that the next look at everything finds them."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Settled:
    """What has come to rest."""

    files: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    flood: bool = False
    """So many changes that only a look at everything tells."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the last look at everything left out."""

    young: int = 0
    incomplete: tuple[tuple[str, str], ...] = ()
    """(path, why), the first few."""
    incomplete_count: int = 0


@dataclass(slots=True)
class _Entry:
    identity: Identity
    since: float


@dataclass
class Settling:
    """Told of changes by any thread; `clock` counts seconds, `wall_ns` is the time that files are stamped with."""

    seconds: float
    marker: str | None = None
    clock: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns
    _pending: dict[str, _Entry] = field(default_factory=dict)
    """In the order of `since`."""
    _ripe: dict[str, Identity] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)
    _flood_since: float | None = None
    _young: int = 0
    _incomplete: dict[str, str] = field(default_factory=dict)
    _markers: dict[str, int | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- told from outside ------------------------------------------------------------------------------------

    def changed(self, path: str, *, renamed: bool = False) -> None:
        """Something happened to a file. One that was `renamed` into place is whole from the start."""
        now, identity = self.clock(), identity_of(path)
        with self._lock:
            if renamed and identity is not None and not self.marker:
                self._pending.pop(path, None)
                self._ripe[path] = identity
                self._ready.add(path)
                return
            if self._ripe.get(path) == identity and identity is not None:
                return
            entry = self._pending.get(path)
            if entry is None or entry.identity != identity:
                self._follow(path, identity, now)

    def found(self, path: str) -> None:
        """A file was found in a folder that is new: it may have been there for long."""
        identity = identity_of(path)
        if identity is not None:
            with self._lock:
                if path not in self._pending and (self.marker or self._ripe.get(path) != identity):
                    age = max(0.0, (self.wall_ns() - identity[2]) / 1e9)
                    self._follow(path, identity, self.clock() - age)

    def _follow(self, path: str, identity: Identity, since: float) -> None:
        self._pending.pop(path, None)
        if len(self._pending) >= MOST:
            self._pending.clear()
            self._flood_since = since
        self._pending[path] = _Entry(identity, since)

    # --- time passes ------------------------------------------------------------------------------------------

    def advance(self) -> Settled:
        """Take what has settled by now."""
        now = self.clock()
        due: list[tuple[str, _Entry]] = []
        self._markers.clear()
        with self._lock:
            for path, entry in self._pending.items():
                if entry.since + self.seconds <= now or self._is_vouched_for(path, entry.identity):
                    due.append((path, entry))
                elif not self.marker:
                    break
        files, gone = self._looked_at_again(due, now)
        with self._lock:
            files |= self._ready
            self._ready.clear()
            flood = self._flood_since is not None and self._flood_since + self.seconds <= now
            if flood:
                self._flood_since = None
            self._forget_old()
        return Settled(frozenset(files), frozenset(gone), flood)

    def _looked_at_again(self, due: list[tuple[str, _Entry]], now: float) -> tuple[set[str], set[str]]:
        files, gone = set[str](), set[str]()
        for path, entry in due:
            identity = identity_of(path)
            with self._lock:
                if self._pending.get(path) is not entry:
                    continue
                if identity != entry.identity:
                    self._follow(path, identity, now)
                    continue
                del self._pending[path]
                if identity is None:
                    gone.add(path)
                else:
                    self._ripe[path] = identity
                    files.add(path)
        return files, gone

    def _forget_old(self) -> None:
        """A file whose own time says that it is old needs no note that it has settled."""
        horizon = self.wall_ns() - int((self.seconds + 1) * 1e9)
        for path in [path for path, identity in self._ripe.items() if identity is None or identity[2] < horizon]:
            del self._ripe[path]

    @property
    def due(self) -> float | None:
        """When something may have settled, by the clock."""
        with self._lock:
            if self._ready:
                return self.clock()
            first = next(iter(self._pending.values()), None)
            times = [entry.since for entry in (first,) if entry] + [t for t in (self._flood_since,) if t is not None]
        return min(times) + self.seconds if times else None

    @property
    def waiting(self) -> int:
        """Files that are being followed."""
        return len(self._pending)

    def waits_below(self, folder: str) -> bool:
        """Whether a file in this folder has changed and not settled."""
        with self._lock:
            return any(path.startswith(folder + "/") for path in self._pending)

    # --- asked by a reader ------------------------------------------------------------------------------------

    def begin_look(self) -> None:
        """Forget what the last look at everything left out."""
        self._young = 0
        self._incomplete.clear()
        self._markers.clear()

    def left_out(self) -> LeftOut:
        """What the look left out."""
        shown = tuple(list(self._incomplete.items())[:_NAMED])
        return LeftOut(self._young, shown, len(self._incomplete))

    def waits_for(self, path: str, stat: os.stat_result) -> bool:
        """Whether a file doesn't count yet."""
        if self.marker and not self._may_count(path, stat):
            self._young += 1
            return True
        old = stat.st_ctime_ns < self.wall_ns() - int(self.seconds * 1e9)
        if old and path not in self._pending:
            return False
        return self._is_unsettled(path, stat)

    def _is_unsettled(self, path: str, stat: os.stat_result) -> bool:
        identity = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        now = self.clock()
        with self._lock:
            if self._ripe.get(path) == identity or self._is_vouched_for(path, identity):
                return False
            entry = self._pending.get(path)
            if entry is None or entry.identity != identity:
                self._follow(path, identity, now)
            elif entry.since + self.seconds <= now:
                return False
        self._young += 1
        return True

    def absent(self, root: str) -> Iterator[str]:
        """Files below a folder that went away just now: somebody may be writing them anew."""
        with self._lock:
            gone = [path for path, entry in self._pending.items() if entry.identity is None]
        return (path for path in gone if path.startswith(root.rstrip("/") + "/"))

    def incomplete(self, path: str, why: str) -> None:
        """A file's end is missing."""
        self._incomplete[path] = why

    # --- markers ----------------------------------------------------------------------------------------------

    def _may_count(self, path: str, stat: os.stat_result) -> bool:
        """With a marker, files count only in folders that have it; the marker itself is nobody's record."""
        folder, name = os.path.split(path)
        if name == self.marker or S_ISDIR(stat.st_mode):
            return False
        return self._marked(folder) is not None

    def _is_vouched_for(self, path: str, identity: Identity) -> bool:
        """Whether a marker was written after the file."""
        if self.marker is None or identity is None:
            return False
        marked = self._marked(os.path.dirname(path))
        return marked is not None and identity[1] <= marked

    def _marked(self, folder: str) -> int | None:
        found = self._markers.get(folder)
        if found is None:
            try:
                found = os.stat(os.path.join(folder, self.marker or "")).st_mtime_ns
            except OSError:
                found = None
            self._markers[folder] = found
        return found


def identity_of(path: str) -> Identity:
    """What tells one state of a file from another; None where there is none."""
    try:
        stat = os.lstat(path)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino
