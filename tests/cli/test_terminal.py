"""On a terminal: bars on stderr, the answer on stdout, a question that one Ctrl-C ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .typed import Typed


class Terminal:
    """A process whose stdin, stdout and stderr are one pseudo-terminal."""

    def __init__(self, cwd: Path, *arguments: str, to_file: Path | None = None) -> None:
        self._ours, theirs = pty.openpty()
        hidden = ("NUCLEUS", "FORCE_COLOR", "NO_COLOR", "CI", "GITHUB", "GITLAB", "TF_BUILD")
        env = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        out = to_file.open("wb") if to_file else theirs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nucleus_sync", *arguments],
            cwd=cwd,
            env=env | {"TERM": "xterm", "COLUMNS": "120"},
            stdin=theirs,
            stdout=out,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def read(self) -> bool:
        """Read what there is; False once the process has gone."""
        try:
            found = os.read(self._ours, 65536)
        except OSError:
            return False
        self.seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", found.decode(errors="replace"))
        return bool(found)

    def wait_for(self, text: str) -> None:
        """Read until a text has come."""
        end = time.monotonic() + 90
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            assert self.read(), self.seen

    def answer(self, line: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{line}\n".encode())

    def end(self) -> int:
        """Read the rest; the exit code."""
        while self.read():
            pass
        os.close(self._ours)
        return self.process.wait(90)


@pytest.fixture
def folder(quickstart: Typed) -> Iterator[Path]:
    return quickstart.folder


def test_the_plan_is_shown_the_question_asked_and_yes_taken(folder: Path) -> None:
    terminal = Terminal(folder, "--embedded", "apply")
    terminal.wait_for("Only 'yes' is taken for it: ")
    assert "Plan: " in terminal.seen
    terminal.answer("yes")
    assert terminal.end() == 0
    assert "Done: " in terminal.seen


def test_any_other_word_does_nothing(folder: Path) -> None:
    terminal = Terminal(folder, "--embedded", "apply")
    terminal.wait_for("Only 'yes' is taken for it: ")
    terminal.answer("y")
    assert terminal.end() == 1
    assert "nothing was done" in terminal.seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_a_question(folder: Path, number: signal.Signals) -> None:
    terminal = Terminal(folder, "--embedded", "apply")
    terminal.wait_for("Only 'yes' is taken for it: ")
    terminal.process.send_signal(number)
    assert terminal.end() == 130


def test_bars_never_reach_a_file_that_takes_stdout(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answer.txt"
    terminal = Terminal(folder, "--embedded", "apply", "-y", to_file=out)
    assert terminal.end() == 0
    text = out.read_text()
    assert "━" not in text
    assert "\x1b" not in text
    assert "mAP50" in text
    assert text.splitlines()[-1].startswith("Done: ")
    assert "━" in terminal.seen
