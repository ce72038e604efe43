"""The JSON Schema of the spec, for editors; its descriptions are the docstrings of the models' fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.part import SpecPart

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a whole `nucleus.yaml`."""
    schema = TypeAdapter(Spec).json_schema(mode="validation")
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    for part in parts():
        described = schema if part is Spec else definitions.get(part.__name__)
        if described is not None:
            _describe(described, part)
    for definition in (schema, *definitions.values()):
        _close(definition)
    for section in ("settings", "sources", "datasets", "models", "evaluations"):
        schema["properties"][section] = _or_empty(schema["properties"][section])
    return {"$schema": DIALECT, **schema, "title": "nucleus.yaml"}


def parts() -> list[type[SpecPart]]:
    """Every model of the spec, each once, in the order of their declaration."""
    return [Spec, *(part for part in _below(SpecPart) if part is not Spec)]


def _below(part: type[SpecPart]) -> Iterator[type[SpecPart]]:
    for child in part.__subclasses__():
        if child.__module__.startswith("nucleus_sync.spec."):
            yield child
            yield from _below(child)


def _describe(schema: dict[str, Any], part: type[SpecPart]) -> None:
    """Put the docstrings in; pydantic could do it itself, but on every start of the program."""
    texts = field_docs(part)
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if name in texts:
            field["description"] = texts[name]


def field_docs(part: type[SpecPart]) -> dict[str, str]:
    """The docstring below each field of a model."""
    body = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101
    docs: dict[str, str] = {}
    for field, doc in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(doc, ast.Expr):
            docs[field.target.id] = inspect.cleandoc(str(ast.literal_eval(doc.value))).replace("\n", " ")
    return docs


def _close(schema: Any) -> None:
    """Refuse keys outside the pattern of a mapping's names, which pydantic leaves open."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for inner in schema.values():
            _close(inner)


def _or_empty(section: dict[str, Any]) -> dict[str, Any]:
    """A section may be there with nothing in it."""
    description = section.pop("description", None)
    return {"description": description, "anyOf": [section, {"type": "null"}]}
