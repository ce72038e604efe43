"""`nucleus.yaml.example` is sound, and shows every key there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nucleus_sync.spec.load import load
from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.schema import field_docs, json_schema, parts

EXAMPLE = Path(__file__).parents[2] / "nucleus.yaml.example"
PARTS = [part for part in parts() if part.known_keys()]


@pytest.fixture(scope="module")
def shown() -> dict[type, set[str]]:
    """The keys that the example sets, by part."""
    found: dict[type, set[str]] = {}

    def walk(value: Any, written: Any) -> None:
        if isinstance(value, SpecPart):
            found.setdefault(type(value), set()).update(written)
            further = getattr(value, value.further) if value.further else {}
            for key, inner in written.items():
                walk(further[key] if key in further else getattr(value, key), inner)
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, written[key])
        elif isinstance(value, tuple):
            for inner, entry in zip(value, written, strict=True):
                walk(inner, entry)

    walk(load(EXAMPLE, {}).spec, yaml.safe_load(EXAMPLE.read_text()))
    return found


def test_the_example_is_sound() -> None:
    assert load(EXAMPLE, {}).warnings == ()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_the_example_shows_every_key(part: type[SpecPart], shown: dict[type, set[str]]) -> None:
    assert set(part.known_keys()) - shown.get(part, set()) == set()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_key_is_described(part: type[SpecPart]) -> None:
    assert list(field_docs(part)) == list(part.__struct_fields__)


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    described = {name: part["properties"] for name, part in schema["$defs"].items()}
    described[Spec.__name__] = schema["properties"]
    for part in PARTS:
        assert all(described[part.__name__][key].get("description") for key in part.known_keys()), part
