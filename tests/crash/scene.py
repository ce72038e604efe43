"""A place to crash in: an emulator that survives, a project beside it, and the end that every story must come to."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.claims import false_claims
from simulation.haste import hasty
from simulation.town import Town, edit, first_town, held

from nucleus_sync.emulator.server import Emulator
from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.events import Event, StepFinished
from nucleus_sync.workspace import Choices, Workspace

from . import driver

KEY = "live_crash_key"
SCENES = ("create", "change")
_CREATING = ("dataset/create", "models/add", "create_slice", "benchmarks", "evaluationsV2")


@dataclass(frozen=True)
class End:
    """What an uninterrupted run passes and leaves behind."""

    passed: Counter[str]
    world: dict[str, Any]


class Place:
    """A folder with a project and the data of an emulator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.ledger = self.project / ".nucleus-sync" / "ledger.db"
        self.trace = folder / "trace"
        self.emulator = Emulator(folder / "emulator", latency=0.0)

    def copy_to(self, folder: Path) -> Place:
        """The same somewhere else; its emulator must not run meanwhile."""
        shutil.copytree(self.project, folder / "project", copy_function=shutil.copy2)
        if (self.folder / "emulator").exists():
            shutil.copytree(self.folder / "emulator", folder / "emulator")
        return Place(folder)

    def __enter__(self) -> Place:
        self.emulator.start()
        if self.ledger.exists():
            with closing(sqlite3.connect(self.ledger)) as conn, conn:
                conn.execute("UPDATE meta SET value = ? WHERE name = 'endpoint'", (self.emulator.endpoint,))
        return self

    def __exit__(self, *_: object) -> None:
        self.emulator.stop()

    @property
    def environ(self) -> dict[str, str]:
        """What a process needs to talk to the emulator, and to nothing else."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")}
        return kept | {"NUCLEUS_API_KEY": KEY, "NUCLEUS_ENDPOINT": self.emulator.endpoint}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """An apply in a process of its own, which may do something to itself at a point."""
        command = [sys.executable, driver.__file__, str(self.project), str(self.trace), *arguments]
        path = os.pathsep.join([str(Path(driver.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        environ = self.environ | {"PYTHONPATH": path}
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def killed_at(self, point: str, nth: int) -> None:
        """An apply that dies there, without a word to anybody."""
        process = self.start(point, str(nth))
        _, said = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL, (process.returncode, said)

    def apply(self) -> int:
        """A plain apply."""
        errors: list[str] = []

        def emit(event: Event) -> None:
            if isinstance(event, StepFinished) and event.error:
                errors.append(f"{event.step}: {event.error}")

        with self.workspace() as space:
            code = int(space.apply(Choices(), lambda plan: True, emit).exit_code)
        assert not errors, errors
        return code

    def hasten(self, *, retry_rejected: bool = False) -> int:
        """An apply that waits for nothing, whatever comes of it; Nucleus's errors are told by the exit code."""
        choices = Choices(retry_rejected=retry_rejected)
        try:
            with hasty(self.project / "nucleus.yaml", self.environment()) as space:
                return int(space.apply(choices, lambda plan: True, lambda event: None).exit_code)
        except NucleusSyncError as error:
            return int(error.exit_code)

    def wait_for(self, *, retry_rejected: bool = False) -> int:
        """An apply in real time, whatever comes of it: for jobs that are long for an emulator."""
        with self.workspace() as space:
            choices = Choices(retry_rejected=retry_rejected)
            return int(space.apply(choices, lambda plan: True, lambda event: None).exit_code)

    def environment(self) -> dict[str, str]:
        """Makes this process's environment one that knows the emulator, and gives what it put there."""
        for name in [name for name in os.environ if name.startswith("NUCLEUS")]:
            del os.environ[name]
        found = {"NUCLEUS_API_KEY": KEY, "NUCLEUS_ENDPOINT": self.emulator.endpoint}
        os.environ.update(found)
        return found

    def workspace(self) -> Workspace:
        """The project, in this process."""
        return Workspace(self.project / "nucleus.yaml", environ=self.environment())

    def planned(self) -> list[str]:
        """The ids of the steps that a plan would take."""
        with self.workspace() as space:
            return [step.id for step in space.prepare(Choices()).plan.steps]

    def world(self) -> dict[str, Any]:
        """What is held, without what differs from run to run: times in names, a metric computed twice."""
        world = self.emulator.dump()
        for benchmark in world["benchmarks"]:
            benchmark["name"] = benchmark["name"].split(" ")[0]
        return world

    def created_twice(self) -> list[str]:
        """What was asked for in the same words, with success, more than once: datasets, models, slices, benchmarks."""
        made = Counter(
            f"{one['path']} {(one['body'] or {}).get('name')}"
            for one in self.emulator.requests()
            if _asks_to_create(one) and _took_effect(one["status"])
        )
        return [what for what, number in made.items() if number > 1]

    def assert_honest(self) -> None:
        """The ledger claims nothing that the world doesn't hold."""
        wrong = false_claims(self.ledger, self.emulator.dump())
        assert not wrong, wrong

    def assert_ended(self, town: Town, end: dict[str, Any], but: Sequence[str] = ()) -> None:
        """Everything is as it is without a crash, and nothing is left to do; parts of the world may be left out."""
        world = self.world()
        found, wanted = held(world), town.wanted()
        wrong = {part: (found[part], wanted[part]) for part in wanted if found[part] != wanted[part]}
        assert not wrong, wrong
        for part in set(end) - set(but):
            assert world[part] == end[part], part
        self.assert_honest()
        assert self.planned() == []


def _asks_to_create(request: dict[str, Any]) -> bool:
    """An answer that was injected has seen no body, and did nothing."""
    return request["method"] == "POST" and request["path"].endswith(_CREATING) and bool(request["body"])


def _took_effect(status: object) -> bool:
    return str(status).removeprefix("reset after ") in ("200", "202", "disconnected")


def prepared(folder: Path, scene: str) -> tuple[Place, Town]:
    """A place before its apply: with nothing there yet, or with everything there and one of each edited."""
    place, town = Place(folder), first_town()
    town.write(place.project)
    if scene == "change":
        with place:
            assert place.apply() == 0
        edit(town)
        town.write(place.project)
    return place, town


def uninterrupted(place: Place, folder: Path, town: Town) -> End:
    """The end that all others are measured by."""
    with place.copy_to(folder) as copy:
        process = copy.start()
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        passed = Counter(copy.trace.read_text("utf-8").splitlines())
        copy.assert_ended(town, copy.world())
        return End(passed, copy.world())
