"""What a watcher writes for people."""

from __future__ import annotations

import pytest

from nucleus_sync.cli.progress import REJECTED_SHOWN
from nucleus_sync.cli.screen import Screen
from nucleus_sync.cli.watch import _Teller
from nucleus_sync.events import RecordRejected
from nucleus_sync.records.problem import Where
from nucleus_sync.watch.happenings import RoundStarted


def test_every_round_names_its_first_rejected_records(capsys: pytest.CaptureFixture[str]) -> None:
    teller = _Teller(Screen(no_color=True))
    for number in range(3):
        teller.tell(RoundStarted(number, "files have settled", 1))
        for each in range(REJECTED_SHOWN + 2):
            key = {"reference_id": f"round{number}-{each}.png"}
            teller.tell(RecordRejected("dataset.street.items", key, "too large", Where("labels.json")))
    said = capsys.readouterr().err
    assert [said.count(f"round{number}-") for number in range(3)] == [REJECTED_SHOWN] * 3
