"""What a watcher keeps of the rounds that are over: nothing that adds up."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

from .conftest import Watched, eventually
from .writers import image, renamed

ROUNDS = 6
NOT_ITS_OWN = ("nucleus_sync.emulator", "nucleus_sync.events", "nucleus_sync.watch.happenings")
"""The other end, and what this test keeps of what it was told."""


def test_rounds_leave_nothing_behind(watched: Watched, held: Callable[[], dict[str, Any]]) -> None:
    def after_a_round(number: int) -> Counter[str]:
        renamed(watched.images / "a.png", image(number))
        eventually(lambda: sum(one.update for one in watched.rounds("good")) == number)
        eventually(watched.service_rests)
        gc.collect()
        kinds = [type(each) for each in gc.get_objects()]
        ours = [kind for kind in kinds if str(kind.__module__).startswith("nucleus_sync.")]
        return Counter(kind.__qualname__ for kind in ours if not kind.__module__.startswith(NOT_ITS_OWN))

    renamed(watched.images / "a.png", image(0))
    watched.start(health_port=0)
    eventually(lambda: len(held()) == 1)
    eventually(watched.service_rests)
    counts = [after_a_round(number) for number in range(1, ROUNDS + 3)]
    before, after = counts[1], counts[-1]
    grown = {name: number - before[name] for name, number in after.items()}
    assert {name: number for name, number in grown.items() if number >= ROUNDS} == {}
