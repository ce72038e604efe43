"""What a scalar of the spec means: `${VAR}` filled in, then typed by the YAML 1.2 core schema."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<broken>\$\{)")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MOST_DIGITS = 300


class ScalarProblem(ValueError):
    """A scalar that can't be used; `at` is where in its text, `name` the variable that it is about."""

    def __init__(self, message: str, hint: str | None = None, *, name: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.name = name


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Fill in `${VAR}` and `${VAR:-default}` (used when unset or empty); `$${` stands for `${`."""

    def value_of(found: re.Match[str]) -> str:
        if found["broken"]:
            raise ScalarProblem("'${' is not followed by a name and '}'", "write $${ if you mean the characters")
        if found["name"] is None:
            return "${"
        value = environ.get(found["name"])
        if found["default"] is not None:
            return value or found["default"][2:]
        if value is None:
            raise ScalarProblem(
                f"the environment variable {found['name']} is not set",
                f"set it, or give a default: ${{{found['name']}:-…}}",
                name=found["name"],
            )
        return value

    return _REFERENCE.sub(value_of, text)


def variables(text: str) -> set[str]:
    """The names of the variables that a text refers to."""
    return {found["name"] for found in _REFERENCE.finditer(text) if found["name"]}


def is_one_reference(text: str) -> bool:
    """Whether the text is nothing but one `${…}`: its value is then typed as if it stood there."""
    found = _REFERENCE.fullmatch(text)
    return found is not None and found["name"] is not None


def typed(text: str) -> str | int | float | bool | None:
    """The value of a text without quotes. `yes`, `012`, `1:30`, `2024-01-01` stay text; 1e3 is a number."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ScalarProblem(f"{text} is no number that Nucleus takes", "put quotes around it if you mean the text")
    if len(text) > _MOST_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    return text


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ScalarProblem(f"{text} is too large a number", "put quotes around it if you mean the text")
    return value
