"""The command line as a user types it, in this process or as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.cli.main import main


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call printed and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Stdout as one document."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Stdout as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Typed:
    """Types commands in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Answer:
        self._capsys.readouterr()
        code = main(["-C", str(self.folder), *arguments])
        captured = self._capsys.readouterr()
        for stream in (captured.out, captured.err):
            assert "Traceback" not in stream
        return Answer(code, captured.out, captured.err)


def process(*arguments: str, cwd: Path, **environ: str) -> Answer:
    """The same as a real process, with nothing on stdin."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NUCLEUS", "FORCE_COLOR"))}
    done = subprocess.run(
        [sys.executable, "-m", "nucleus_sync", *arguments],
        cwd=cwd,
        env=env | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "Traceback" not in done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)
