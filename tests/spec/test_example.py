"""`nucleus.yaml.example` is sound, and shows every key there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.spec.load import load
from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.schema import field_docs, json_schema, parts
from nucleus_sync.spec.value import SpecPart

EXAMPLE = Path(__file__).parents[2] / "nucleus.yaml.example"
PARTS = [part for part in parts() if part.model_fields]


@pytest.fixture(scope="module")
def shown() -> dict[type, set[str]]:
    """The keys that the example sets, by model."""
    found: dict[type, set[str]] = {}

    def walk(value: Any) -> None:
        if isinstance(value, SpecPart):
            found.setdefault(type(value), set()).update(value.model_fields_set)
            for _, inner in value:
                walk(inner)
        elif isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, tuple):
            for inner in value:
                walk(inner)

    walk(load(EXAMPLE, {}).spec)
    return found


def test_the_example_is_sound() -> None:
    assert load(EXAMPLE, {}).warnings == ()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_the_example_shows_every_key(part: type[SpecPart], shown: dict[type, set[str]]) -> None:
    assert set(part.model_fields) - shown.get(part, set()) == set()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_key_is_described(part: type[SpecPart]) -> None:
    assert list(field_docs(part)) == list(part.model_fields)


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    described = {name: part["properties"] for name, part in schema["$defs"].items()}
    described[Spec.__name__] = schema["properties"]
    for part in PARTS:
        assert all(described[part.__name__][key].get("description") for key in part.model_fields), part
