"""Both scenes, prepared once for each worker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from simulation.town import Town

from .scene import SCENES, End, Place, prepared, uninterrupted

Scene = tuple[Place, Town, End]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    """Place, declaration and end by name."""
    found = {}
    for name in SCENES:
        place, town = prepared(tmp_path_factory.mktemp(name), name)
        found[name] = (place, town, uninterrupted(place, tmp_path_factory.mktemp(f"{name}-end"), town))
    return found


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
