"""The part of Nucleus's query language that is known: comparisons, joined by AND."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .refusals import Refused

_COMPARISON = re.compile(
    r"""\s*(?P<field>[A-Za-z_][\w.\-]*)\s*(?P<op>!=|>=|<=|=|>|<)\s*
    (?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'()]+))\s*""",
    re.VERBOSE,
)
_AND = re.compile(r"and\b", re.IGNORECASE)
_BEYOND = re.compile(r"\b(or|in|not|like|contains)\b|[()]", re.IGNORECASE)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_FIELDS = ("metadata.", "annotations.label", "predictions.label", "reference_id")


@dataclass(frozen=True)
class Comparison:
    """One condition, such as `metadata.night = 1`."""

    field: str
    op: str
    value: Any

    def holds(self, held: Any) -> bool:
        """Whether it is true of a value; of values of different kinds only `!=` is."""
        try:
            return bool(_OPERATORS[self.op](held, self.value))
        except TypeError:
            return False


@dataclass(frozen=True)
class Subject:
    """What a query is asked about. `labels` are those of its annotations, or of its predictions, by field."""

    reference_id: str
    metadata: Mapping[str, Any]
    labels: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Query:
    """Conditions that must all hold; none holds of everything."""

    conditions: tuple[Comparison, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def holds(self, subject: Subject) -> bool:
        """Whether everything is true of it."""
        return all(_holds(condition, subject) for condition in self.conditions)


def _holds(condition: Comparison, subject: Subject) -> bool:
    if condition.field == "reference_id":
        return condition.holds(subject.reference_id)
    if condition.field.startswith("metadata."):
        key = condition.field.removeprefix("metadata.")
        return key in subject.metadata and condition.holds(subject.metadata[key])
    return any(condition.holds(label) for label in subject.labels.get(condition.field, ()))


def parse(text: object, call: str) -> Query:
    """The query, or 400 for none of the language, or 501 naming the `call` for what goes beyond the known part."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return Query()
    if not isinstance(text, str):
        raise Refused(400, "query must be a string.")
    conditions: list[Comparison] = []
    at = 0
    while True:
        found = _COMPARISON.match(text, at)
        if found is None:
            raise _unreadable(text, at, call)
        conditions.append(_comparison(found, call))
        at = found.end()
        if at == len(text):
            return Query(tuple(conditions))
        joined = _AND.match(text, at)
        if joined is None:
            raise _unreadable(text, at, call)
        at = joined.end()


def _unreadable(text: str, at: int, call: str) -> Refused:
    if _BEYOND.search(text[at:]):
        return Refused(501, f"{call} with more than comparisons joined by AND is not emulated")
    return Refused(400, f"The query can't be understood from character {at + 1} on: {text[at : at + 40]}")


def _comparison(found: re.Match[str], call: str) -> Comparison:
    field = found["field"]
    if not any(field == one or (one.endswith(".") and field.startswith(one)) for one in _FIELDS):
        raise Refused(501, f"{call} with a query about {field} is not emulated")
    quoted = found["double"] if found["double"] is not None else found["single"]
    return Comparison(field, found["op"], quoted if quoted is not None else _bare(found["bare"]))


def _bare(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        raise Refused(400, f"{text} is neither a number nor quoted.") from None
