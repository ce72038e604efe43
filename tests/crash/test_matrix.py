"""Killed at any point, an apply leaves nothing that one more plain apply doesn't bring to the same end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Scene
from .points import POINTS

IS_SOAK = bool(os.environ.get("NUCLEUS_SYNC_SOAK"))
FEW = {
    "create": [
        ("after POST dataset/create", 1),
        ("after POST models/add", 1),
        ("creation begun", 2),
        ("batch prepared", 2),
        ("before POST dataset/*/append", 3),
        ("after POST dataset/*/append", 2),
        ("batch finished", 4),
        ("after POST dataset/*/annotate", 1),
        ("after POST dataset/*/model/*/uploadPredictions", 1),
        ("after POST dataset/*/create_slice", 1),
        ("after POST benchmarks", 1),
        ("after POST benchmarks/*/evaluationsV2", 1),
    ],
    "change": [
        ("before POST dataset/*/append", 2),
        ("after DELETE dataset/*/refloc/*", 1),
        ("after DELETE annotation/*", 1),
        ("records doubted", 1),
        ("after DELETE modelRun/*", 1),
        ("resource forgotten", 1),
        ("after POST slice/*/append", 1),
        ("result put", 1),
    ],
}


def _cases() -> Iterator[tuple[str, str, int]]:
    if not IS_SOAK:
        yield from ((scene, *point) for scene, points in FEW.items() for point in points)
        return
    for scene, points in POINTS.items():
        for point, times in points.items():
            yield from ((scene, point, nth) for nth in sorted({1, 2, (times + 1) // 2, times}) if nth <= times)


@pytest.mark.parametrize("scene", POINTS)
def test_the_points_are_those_that_an_apply_passes(scene: str, scenes: dict[str, Scene]) -> None:
    passed = scenes[scene][2].passed
    assert set(passed) == set(POINTS[scene])
    assert [point for point, times in POINTS[scene].items() if passed[point] < times] == []


@pytest.mark.parametrize(("scene", "point", "nth"), list(_cases()))
def test_killed_at(scene: str, point: str, nth: int, scenes: dict[str, Scene], tmp_path: Path) -> None:
    place, town, end = scenes[scene]
    with place.copy_to(tmp_path) as copy:
        copy.killed_at(point, nth)
        copy.assert_honest()
        assert copy.apply() == 0
        copy.assert_ended(town, end.world)
        assert copy.created_twice() == []


@pytest.mark.skipif(not IS_SOAK, reason="long")
@pytest.mark.parametrize("seed", range(12))
def test_killed_again_and_again(seed: int, scenes: dict[str, Scene], tmp_path: Path) -> None:
    scene = list(POINTS)[seed % 2]
    place, town, end = scenes[scene]
    points = sorted(POINTS[scene])
    with place.copy_to(tmp_path) as copy:
        for number in range(5):
            process = copy.start(points[(31 * seed + 17 * number) % len(points)], "1")
            process.communicate(timeout=100)
            copy.assert_honest()
        assert copy.apply() == 0
        copy.assert_ended(town, end.world)
