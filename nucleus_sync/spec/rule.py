"""Rules of the spec's values, of which pydantic hears only when a document is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NoReturn


class Rule:
    """Metadata of an annotation: a `GroupedMetadata`, which pydantic asks for what is inside when it checks.

    `inside` is given pydantic itself, so that no module which declares values has to import it.
    """

    __is_annotated_types_grouped_metadata__: Literal[True] = True
    __slots__ = ("_inside",)

    def __init__(self, inside: Callable[[Any], list[Any]]) -> None:
        self._inside = inside

    def __iter__(self) -> Iterator[Any]:
        import pydantic

        return iter(self._inside(pydantic))


def after(check: Callable[[Any], Any]) -> Rule:
    """The value as `check` returns it; it is of its type already."""
    return Rule(lambda pydantic: [pydantic.AfterValidator(check)])


def before(read: Callable[[Any], Any]) -> Rule:
    """The value as `read` makes it of what the document has, whatever that is."""
    return Rule(lambda pydantic: [pydantic.BeforeValidator(read)])


def made(make: Callable[[Any], Any]) -> Rule:
    """The value that `make` makes of what the document has; pydantic need not know its type."""
    return Rule(lambda pydantic: [pydantic.PlainValidator(make)])


def bounds(**limits: float) -> Rule:
    """`ge` and `le` for numbers, `min_length` for texts, lists and mappings."""
    return Rule(lambda pydantic: pydantic.Field(**limits).metadata)


def strict() -> Rule:
    """No value of another type that could be taken for it."""
    return Rule(lambda pydantic: [pydantic.Strict()])


def told_by(key: str) -> Rule:
    """Which part of a union it is, `key` says."""
    return Rule(lambda pydantic: [pydantic.Discriminator(key)])


def shown_as(schema: dict[str, Any]) -> Rule:
    """The JSON Schema of the value, where its type and rules don't say enough."""
    return Rule(lambda pydantic: [pydantic.WithJsonSchema(schema)])


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Reject a value with a sentence for the user and, where there is one, the way out."""
    from pydantic_core import PydanticCustomError

    # The texts go in as context, because pydantic would take braces in a template for its own.
    raise PydanticCustomError("spec", "{message}", {"message": message, "hint": hint})
