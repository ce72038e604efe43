"""The line that a watcher writes for each round."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from nucleus_sync.render.watch import happening_text
from nucleus_sync.watch.happenings import RoundFinished


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (RoundFinished(3, "good", create=2, unchanged=9), "round 3: good  2 created; 9 unchanged, in 0.0 s"),
        (RoundFinished(4, "held", message="would lose 4 of 6"), "round 4: held  would lose 4 of 6"),
        (RoundFinished(5, "held"), "round 5: held  as before"),
        (
            RoundFinished(6, "failed", failed_steps=1, next_try=2.0, message="the key was refused"),
            "round 6: failed  1 step failed; next try in 2.0 s; the key was refused",
        ),
    ],
)
def test_what_it_says(event: RoundFinished, line: str) -> None:
    said = happening_text("round_finished", asdict(event), 0.0)
    assert said[9:] == line  # without the time
