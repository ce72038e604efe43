"""A watcher in a thread or a process of its own, a folder that it watches, and the emulator that it talks to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulation.haste import HastyWorkspace

from nucleus_sync.emulator.server import Emulator
from nucleus_sync.watch.happenings import RoundFinished
from nucleus_sync.watch.options import Options
from nucleus_sync.watch.rounds import Pace
from nucleus_sync.watch.service import Service

DEADLINE = 90.0
SPEC = """
version: 1
sources:
  images: {format: images, path: export/images}
datasets:
  street: {name: Street, items: [images], prune: true}
"""
FAST: dict[str, Any] = {"settle": 0.15, "check": 0.05, "grace": 80.0}


def eventually(holds: Callable[[], object], what: str = "", seconds: float = DEADLINE) -> None:
    """Wait until something holds; no longer than it takes."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what or holds}"
        time.sleep(0.02)


class Watched:
    """A service that runs in a thread."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.images = folder / "export" / "images"
        self.environ = {"NUCLEUS_API_KEY": "live_watch", "NUCLEUS_ENDPOINT": endpoint}
        self.events: list[Any] = []
        self.service: Service | None = None
        self._thread: threading.Thread | None = None
        self.code: int | None = None

    def start(self, *, rescan: float = 300.0, spec: Path | None = None, **options: Any) -> None:
        """Begin to watch."""
        pace = Pace(rescan=rescan, first_backoff=0.05, longest_backoff=0.3)
        service = Service(
            spec or self.folder / "nucleus.yaml",
            Options(**{**FAST, "pace": pace, **options}),
            self.events.append,
            environ=self.environ,
            workspace=HastyWorkspace,
        )
        self.service = service

        def run() -> None:
            self.code = service.run()

        self._thread = threading.Thread(target=run, name="watcher")
        self._thread.start()

    def stop(self) -> int | None:
        """Let it end; its exit code."""
        if self.service is not None and self._thread is not None:
            self.service.stop()
            self._thread.join(DEADLINE)
            assert not self._thread.is_alive()
            self._thread = None
        return self.code

    def rounds(self, *outcomes: str) -> list[RoundFinished]:
        """Rounds that have ended."""
        found = [event for event in self.events if isinstance(event, RoundFinished)]
        return [event for event in found if not outcomes or event.outcome in outcomes]

    def service_rests(self) -> bool:
        """Whether no round is under way, and none is due."""
        service = self.service
        idle = service is not None and service._under_way.is_idle and not service._settling.waiting
        return idle and len(self.of("RoundStarted")) == len(self.rounds()) > 0

    def stop_the_clock(self) -> Callable[[], None]:
        """Nothing settles and nothing is looked at twice until the clock goes on; what makes it go on."""
        service = self.service
        assert service is not None
        now, options = time.monotonic(), service._options
        service._settling.clock = lambda: now
        service._options = replace(options, settle=3600.0)

        def go_on() -> None:
            service._options = options
            service._settling.clock = time.monotonic

        return go_on

    def lags(self) -> dict[str, float]:
        """Of the streams whose jobs have ended."""
        return self.service._health.lags if self.service is not None else {}

    def of(self, kind: str) -> list[Any]:
        """Events of a class by its name."""
        return [event for event in self.events if type(event).__name__ == kind]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator", latency=0.0) as running:
        yield running


@pytest.fixture
def watched(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A project with an empty folder of images; not started."""
    monkeypatch.setenv("NUCLEUS_API_KEY", "live_watch")
    monkeypatch.setenv("NUCLEUS_ENDPOINT", emulator.endpoint)
    folder = tmp_path / "project"
    (folder / "export" / "images").mkdir(parents=True)
    (folder / "nucleus.yaml").write_text(SPEC)
    one = Watched(folder, emulator.endpoint)
    yield one
    one.stop()
    for event in one.events:
        print(event)  # shown where a test fails


@pytest.fixture
def held(emulator: Emulator) -> Callable[[], dict[str, Any]]:
    """The items that the emulator holds, by reference id."""

    def look() -> dict[str, Any]:
        datasets = emulator.dump()["datasets"]
        items = [item for dataset in datasets for item in dataset["items"]]
        found = {item["reference_id"]: item for item in items}
        assert len(found) == len(items), "something is there twice"
        return found

    return look
