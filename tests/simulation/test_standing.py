"""A stream stands equal to its sources only when everything that was to be done about it was done."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash.conftest import _own_environment  # noqa: F401  (a fixture)
from crash.scene import Place

from simulation.town import first_town, held


@pytest.mark.parametrize("effect", [{"status": 400}, {"status": 403}])
def test_an_update_that_was_refused_is_planned_again(effect: dict[str, int], tmp_path: Path) -> None:
    """As many records are known before as after it: their number says nothing."""
    place, town = Place(tmp_path), first_town()
    town.write(place.project)
    with place:
        assert place.apply() == 0
        town.boxes["r00", "b0"] = ("tram", 30)
        town.write(place.project)
        place.emulator.inject([{"match": {"path": "annotate$"}, "effect": effect}])
        assert place.hasten() != 0
        place.emulator.inject(None)
        assert "dataset.town.annotations:ingest" in place.planned()
        assert place.apply() == 0
        assert held(place.world()) == town.wanted()
