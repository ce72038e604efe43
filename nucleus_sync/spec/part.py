"""Mappings of a spec as plain values, which pydantic checks as their fields tell it when a document comes.

A spec that was checked before is put together without pydantic, whose import takes as long as all the rest of a small
plan: so it is imported where something is to be checked, and not by the modules of values.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from msgspec import NODEFAULT, Struct, to_builtins
from msgspec.structs import FieldInfo, fields

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import ModelField


class SpecPart(Struct, frozen=True):
    """A mapping in the spec: frozen, and closed to keys that it does not know.

    A part whose keys don't go together refuses to be made (`__post_init__`).
    """

    further: ClassVar[str | None] = None
    """The field that takes the keys which are no fields, if any does."""

    @classmethod
    def known_keys(cls) -> dict[str, FieldInfo]:
        """The keys that the mapping takes by name, in the order of their declaration."""
        return {field.name: field for field in _fields(cls) if field.name != cls.further}

    def said(self, *, but: Collection[str] = ()) -> dict[str, Any]:
        """As JSON values, without what is left at its default, and without the keys of `but`."""
        own = {field.name: (getattr(self, field.name), _default(field)) for field in _fields(type(self))}
        return {key: _said(value) for key, (value, default) in own.items() if value != default and key not in but}

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def made(found: tuple[dict[str, Any], dict[str, Any] | None, set[str]]) -> SpecPart:
            known, others, _ = found
            return cls(**known, **({cls.further: others} if cls.further and others else {}))

        others = next((field for field in _fields(cls) if field.name == cls.further), None)
        inside = core_schema.model_fields_schema(
            {name: _checked(field, handler) for name, field in cls.known_keys().items()},
            model_name=cls.__name__,
            extra_behavior="forbid" if others is None else "allow",
            extras_schema=handler.generate_schema(get_args(others.type)[1]) if others else None,
        )
        return core_schema.no_info_after_validator_function(
            made,
            inside,
            ref=f"{cls.__module__}.{cls.__qualname__}:{id(cls)}",
            serialization=core_schema.plain_serializer_function_ser_schema(to_builtins),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from inspect import cleandoc

        reference = handler(schema)
        described = handler.resolve_ref_schema(reference)
        described |= {"title": cls.__name__, "description": cleandoc(cls.__doc__ or "")}
        if cls.further is None:
            described["additionalProperties"] = False
        return reference


@cache
def _fields(part: type[SpecPart]) -> tuple[FieldInfo, ...]:
    # Once for each part: msgspec evaluates all of its annotations, half a millisecond for a source.
    return fields(part)


def _checked(field: FieldInfo, handler: GetCoreSchemaHandler) -> ModelField:
    from pydantic_core import core_schema

    schema = handler.generate_schema(field.type)
    if field.default_factory is not NODEFAULT:
        schema = core_schema.with_default_schema(schema, default_factory=field.default_factory)
    elif field.default is not NODEFAULT:
        schema = core_schema.with_default_schema(schema, default=field.default)
    return core_schema.model_field(schema)


def _default(field: FieldInfo) -> Any:
    """What the field is where a document doesn't say it; NODEFAULT where it must."""
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def _said(value: Any) -> Any:
    match value:
        case SpecPart():
            return value.said()
        case dict():
            return {key: _said(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_said(inner) for inner in value]
        case _:
            return to_builtins(value)
