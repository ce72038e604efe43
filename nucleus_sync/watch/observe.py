"""Watches folders through the system's events, or by looking again and again; events are only hints."""

from __future__ import annotations

import errno
import logging
import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from watchdog import events as seen
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

from nucleus_sync.ledger.disk import network_filesystem
from nucleus_sync.watch.inputs import Place

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

_LIMITS = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)
_LOGGER = "watchdog"
# Reading a file makes events of its own, which must not wake anybody.
_WANTED: list[type[seen.FileSystemEvent]] = [
    seen.FileCreatedEvent, seen.FileModifiedEvent, seen.FileMovedEvent, seen.FileDeletedEvent, seen.FileClosedEvent,
    seen.DirCreatedEvent, seen.DirMovedEvent, seen.DirDeletedEvent,
]  # fmt: skip

warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")


class Told(Protocol):
    """Who is told of hints, by threads of the observer."""

    def changed(self, path: str, *, renamed: bool = False) -> None:
        """Something happened to a file."""

    def folder(self, path: str) -> None:
        """A folder is new, or went away."""

    def lost(self) -> None:
        """Events were lost."""


class Eyes:
    """Observes places; `poll` is the interval in seconds, None for the system's own events."""

    def __init__(self, told: Told, say: Callable[[str, str], None], *, poll: float | None, interval: float) -> None:
        self._told = told
        self._say = say
        self._poll = poll
        self._interval = interval
        self._observer: BaseObserver | None = None
        self._armed: dict[Place, tuple[ObservedWatch, tuple[int, int]]] = {}
        self._places: tuple[Place, ...] = ()
        self._doubted = False
        self._ear = _LogEar(told)
        self._logger = logging.getLogger(_LOGGER)
        self._logger.addHandler(self._ear)
        self._logger.propagate = False

    @property
    def how(self) -> str:
        """`native` or `polling`."""
        return "native" if self._poll is None else "polling"

    def arm(self, places: Iterable[Place]) -> None:
        """Observe these places and no others."""
        self._places = tuple(places)
        if self._poll is None and (shared := _first_share(self._places)):
            self._say("polling", f"{shared} is on a network share, which sends no events: polling")
            self._poll = self._interval
        for place in [place for place in self._armed if place not in self._places]:
            self._disarm(place)
        self.check()

    def check(self) -> None:
        """Arm what has appeared, and again what was made anew: a deleted folder stays silent for ever."""
        if self._observer is not None and not self._observer.is_alive():
            self._say("observer", "the observer has died: starting it again")
            self._stop()
        elif self._is_deaf():
            # Late events of the old folder would silence the new one's watch: only a new observer is sure to hear.
            self._stop()
        for place in self._places:
            identity = _identity(place.path)
            if identity is not None and place not in self._armed:
                self._arm(place, identity)

    def _is_deaf(self) -> bool:
        """Whether a root has gone; the inode of one that was made anew may be the same."""
        doubted, self._doubted = self._doubted, False
        return doubted or any(_identity(place.path) != identity for place, (_, identity) in self._armed.items())

    def _doubt(self) -> None:
        self._doubted = True

    def _arm(self, place: Place, identity: tuple[int, int]) -> None:
        try:
            observer = self._running()
            watch = observer.schedule(
                _Ear(self._told, place.path, self._doubt),
                place.path,
                recursive=place.recursive,
                event_filter=_WANTED,
                follow_symlink=False,
            )
        except OSError as error:
            if error.errno in _LIMITS and self._poll is None:
                self._poll = self._interval
                self._restart(
                    f"the system's limit for watching files is reached ({error.strerror}): polling every "
                    f"{self._interval:g} s; raise fs.inotify.max_user_watches or max_user_instances"
                )
            # Otherwise it went away meanwhile, and the next check finds out.
            return
        self._armed[place] = (watch, identity)
        self._told.folder(place.path)

    def _running(self) -> BaseObserver:
        if self._observer is None:
            observer = PollingObserver(timeout=self._poll) if self._poll is not None else Observer()
            observer.start()
            self._observer = observer
        return self._observer

    def _disarm(self, place: Place) -> None:
        watch, _ = self._armed.pop(place)
        if self._observer is not None:
            with suppress(KeyError, OSError):
                self._observer.unschedule(watch)

    def _restart(self, why: str) -> None:
        self._say("polling" if self._poll is not None else "observer", why)
        self._stop()
        self._told.lost()
        for place in self._places:
            identity = _identity(place.path)
            if identity is not None:
                self._arm(place, identity)

    def _stop(self) -> None:
        observer, self._observer = self._observer, None
        self._armed.clear()
        if observer is not None:
            observer.stop()
            observer.join(5)

    def close(self) -> None:
        """Observe nothing any more."""
        self._stop()
        self._logger.removeHandler(self._ear)


class _Ear(seen.FileSystemEventHandler):
    """Hears the events of one place."""

    def __init__(self, told: Told, root: str, doubt: Callable[[], None]) -> None:
        self._told = told
        self._root = root
        self._doubt = doubt

    def on_any_event(self, event: seen.FileSystemEvent) -> None:
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path or "")
        if event.is_directory:
            if source == self._root and event.event_type in (seen.EVENT_TYPE_DELETED, seen.EVENT_TYPE_MOVED):
                self._doubt()
            for path in filter(None, (source, target)):
                self._told.folder(path)
        elif event.event_type == seen.EVENT_TYPE_MOVED:
            self._told.changed(source)
            self._told.changed(target, renamed=True)
        else:
            self._told.changed(source)


class _LogEar(logging.Handler):
    """The library tells of lost events in its log alone."""

    def __init__(self, told: Told) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._told.lost()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _first_share(places: Iterable[Place]) -> str | None:

    return next((place.path for place in places if network_filesystem(Path(place.path))), None)
