"""Rules of the spec's values, of which pydantic hears only when a document is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NoReturn


class Rule:
    """Metadata of an annotation: a `GroupedMetadata`, which pydantic asks for what is inside when it checks."""

    __is_annotated_types_grouped_metadata__: Literal[True] = True
    __slots__ = ("_inside",)

    def __init__(self, inside: Callable[[], list[Any]]) -> None:
        self._inside = inside

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inside())


def after(check: Callable[[Any], Any]) -> Rule:
    """The value as `check` returns it; it is of its type already."""

    def inside() -> list[Any]:
        from pydantic import AfterValidator

        return [AfterValidator(check)]

    return Rule(inside)


def before(read: Callable[[Any], Any]) -> Rule:
    """The value as `read` makes it of what the document has, whatever that is."""

    def inside() -> list[Any]:
        from pydantic import BeforeValidator

        return [BeforeValidator(read)]

    return Rule(inside)


def made(make: Callable[[Any], Any]) -> Rule:
    """The value that `make` makes of what the document has; pydantic need not know its type."""

    def inside() -> list[Any]:
        from pydantic import PlainValidator

        return [PlainValidator(make)]

    return Rule(inside)


def bounds(**limits: float) -> Rule:
    """`ge` and `le` for numbers, `min_length` for texts, lists and mappings."""

    def inside() -> list[Any]:
        from pydantic import Field

        known: dict[str, Any] = limits
        return list(Field(**known).metadata)

    return Rule(inside)


def strict() -> Rule:
    """No value of another type that could be taken for it."""

    def inside() -> list[Any]:
        from pydantic import Strict

        return [Strict()]

    return Rule(inside)


def told_by(key: str) -> Rule:
    """Which part of a union it is, `key` says."""

    def inside() -> list[Any]:
        from pydantic import Discriminator

        return [Discriminator(key)]

    return Rule(inside)


def shown_as(schema: dict[str, Any]) -> Rule:
    """The JSON Schema of the value, where its type and rules don't say enough."""

    def inside() -> list[Any]:
        from pydantic import WithJsonSchema

        return [WithJsonSchema(schema)]

    return Rule(inside)


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Reject a value with a sentence for the user and, where there is one, the way out."""
    from pydantic_core import PydanticCustomError

    # The texts go in as context, because pydantic would take braces in a template for its own.
    raise PydanticCustomError("spec", "{message}", {"message": message, "hint": hint})
