"""A destroy that is killed anywhere leaves nothing that another one, or an apply, doesn't put right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .project import Project

_DESTROY = """
import os
import sys
from pathlib import Path

from crash.driver import Fuse
from nucleus_sync import upkeep
from nucleus_sync.workspace import Workspace

fuse = Fuse(open(os.devnull, "w"), sys.argv[2], int(sys.argv[3]))
with Workspace(Path(sys.argv[1]) / "nucleus.yaml", environ=os.environ, checkpoint=fuse) as space:
    upkeep.destroy(
        space,
        lambda event: None,
        targets=(),
        include_imported=False,
        allow_deletes=False,
        approve=lambda destruction: None,
    )
"""
POINTS = [
    ("resource put", 1),
    ("resource put", 2),
    ("before DELETE model/*", 1),
    ("after DELETE model/*", 1),
    ("resource put", 3),
    ("before DELETE dataset/*", 1),
    ("after DELETE dataset/*", 1),
    ("resource forgotten", 1),
    ("resource forgotten", 2),
    ("resource forgotten", 3),
]


def killed_at(project: Project, point: str, nth: int) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUCLEUS")}
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", _DESTROY, str(project.folder), point, str(nth)],
        env=kept | project.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_another_destroy_finishes_it(applied: Project, point: str, nth: int) -> None:
    killed_at(applied, point, nth)
    applied.ok("destroy", "--auto-approve")
    assert (applied.world()["datasets"], applied.world()["models"]) == ([], [])
    assert applied.ok("state", "list", "--json").json()["entries"] == []


@pytest.mark.parametrize(("point", "nth"), POINTS[3:7:3] + POINTS[4:6])
def test_an_apply_makes_anew_what_is_gone(applied: Project, point: str, nth: int) -> None:
    killed_at(applied, point, nth)
    assert applied.apply()["exit_code"] == 0
    assert len(applied.world()["models"]) == 1
    assert len(applied.dataset("Tiny")["annotations"]) == 6
    assert applied.ok("refresh", "--json").json()["drift"] == 0
    applied.assert_settled()
