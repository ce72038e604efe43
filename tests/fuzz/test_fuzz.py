"""Readers and the spec loader take any bytes: a plan or an error of ours comes of them, never another exception."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .mutate import mutated
from .probe import probed
from .samples import projects

PROJECTS = projects()


@pytest.mark.parametrize("name", PROJECTS)
def test_the_samples_are_sound(name: str) -> None:
    assert probed(PROJECTS[name]) == "planned"


@pytest.mark.parametrize("name", PROJECTS)
def test_mutated_files(name: str) -> None:
    for seed in range(25):
        chance = random.Random(f"{name} {seed}")
        files = dict(PROJECTS[name])
        broken = chance.choice(sorted(files))
        files[broken] = mutated(files[broken], chance)
        try:
            probed(files)
        except BaseException as error:
            raise AssertionError(f"{name}, seed {seed}, {broken}: {files[broken][:500]!r}") from error


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(PROJECTS)), content=st.binary(max_size=300), number=st.integers(0, 5))
def test_any_bytes(name: str, content: bytes, number: int) -> None:
    files = dict(PROJECTS[name])
    files[sorted(files)[number % len(files)]] = content
    probed(files)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(["coco", "records", "coco results"]), value=_plain, where=st.integers(0, 40))
def test_any_value_anywhere(name: str, value: object, where: int) -> None:
    """Sound JSON of a shape that nobody expects."""
    import json

    files = dict(PROJECTS[name])
    texts = [file for file in sorted(files) if file.endswith((".json", ".jsonl"))]
    broken = texts[where % len(texts)]
    lines = files[broken].decode().splitlines()
    document = json.loads(lines[0])
    _put(document, where, value)
    files[broken] = "\n".join([json.dumps(document), *lines[1:]]).encode()
    probed(files)


def _put(document: object, where: int, value: object) -> None:
    places: list[tuple[object, object]] = []

    def walk(at: object) -> None:
        for key in list(at) if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ():
            places.append((at, key))
            walk(at[key])  # type: ignore[index]

    walk(document)
    holder, key = places[where * 7 % len(places)]
    holder[key] = value  # type: ignore[index]
