"""An emulator for each test, projects that talk to it, and the folder of real input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nucleus
import pytest
import tqdm

from nucleus_sync.emulator.server import Emulator

from .project import KEY, Project
from .tiny import write_tiny

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator", latency=0.0) as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, emulator: Emulator) -> Project:
    """An empty project."""
    return Project(tmp_path / "project", emulator)


@pytest.fixture
def tiny(project: Project) -> Project:
    """A project with a small COCO export, nothing of it applied."""
    write_tiny(project)
    return project


@pytest.fixture
def applied(tiny: Project) -> Project:
    """The small project after its first apply."""
    assert tiny.apply()["exit_code"] == 0
    return tiny


@pytest.fixture
def client(emulator: Emulator) -> nucleus.NucleusClient:
    """The official SDK, looking at the same emulator."""
    made = nucleus.NucleusClient(KEY, endpoint=emulator.endpoint)
    made.tqdm_bar = lambda *args, **kwargs: tqdm.tqdm(*args, **{**kwargs, "disable": True})
    return made


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """A folder of real input beside the repository; tests that need it are skipped where it isn't."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.exists():
            pytest.skip(f"the input folder {name} is not beside the repository")
        return folder

    return find
