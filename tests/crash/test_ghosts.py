"""A job of a process that died may end long after it: nothing newer is sent before."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import httpx
import pytest
from simulation.town import held

from .conftest import Scene
from .scene import KEY, Place

SLOW = 1.5


def under_way(place: Place) -> list[str]:
    """The types of jobs that have no end yet."""
    asked = httpx.post(f"{place.emulator.endpoint}/jobs/", json={"show_completed": False}, auth=(KEY, ""))
    return [job["job_type"] for job in asked.raise_for_status().json()]


@pytest.mark.parametrize(
    ("point", "job"),
    [
        ("after POST dataset/*/annotate", "uploadAnnotations"),
        ("after POST dataset/*/append", "uploadDatasetItems"),
        ("after DELETE annotation/*", "annotationDeletion"),
        ("after POST dataset/*/model/*/uploadPredictions", "uploadPredictions"),
    ],
)
def test_older_records_never_come_last(point: str, job: str, scenes: dict[str, Scene], tmp_path: Path) -> None:
    place, town, _ = scenes["change"]
    newer = deepcopy(town)
    with place.copy_to(tmp_path) as copy:
        copy.emulator.inject([{"match": {"job": job}, "effect": {"slow": SLOW}}])
        copy.killed_at(point, 1)
        copy.emulator.inject(None)
        newer.boxes["r00", "b0"] = ("car", 50)
        newer.boxes["r01", "b1"] = ("car", 51)
        newer.predictions["r05", "x1"] = ("bus", 52, 0.5)
        newer.remote["r04"] = {"time": "day", "number": 53}
        newer.write(copy.project)
        assert copy.apply() == 0
        assert under_way(copy) == [], "it didn't wait for the older job"
        assert held(copy.world()) == newer.wanted()
        copy.assert_honest()
        assert copy.planned() == []
