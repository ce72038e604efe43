"""A folder to type commands in, with no key and no colours in the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nucleus_sync.cli.quickstart import write_quickstart

from .typed import Typed


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NUCLEUS") or name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name)


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Types commands in an empty folder."""
    return Typed(tmp_path, capsys)


@pytest.fixture
def quickstart(typed: Typed) -> Typed:
    """Types commands in a folder with the quickstart example."""
    write_quickstart(typed.folder)
    return typed
