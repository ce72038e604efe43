"""Fixtures of the ledger's tests: real files, and a clock that stands still until it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nucleus_sync.ledger.ledger import Ledger


@dataclass
class HandClock:
    """A clock set by hand."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".nucleus-sync" / "ledger.db"


@pytest.fixture
def ledger(path: Path, clock: HandClock) -> Iterator[Ledger]:
    with Ledger.open(path, endpoint="embedded", clock=clock) as opened:
        yield opened
