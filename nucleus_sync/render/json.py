"""Values as JSON documents and JSON Lines: the shapes that programs rely on."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from nucleus_sync.errors import NucleusSyncError, SpecError, SpecProblem, StalePlan, Undecided

FORMAT_VERSION = 1
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def document(values: Mapping[str, Any]) -> str:
    """One indented JSON document with a closing newline."""
    return _escaped(json.dumps(_finite(values), indent=1, ensure_ascii=False, default=str)) + "\n"


def line(values: Mapping[str, Any]) -> str:
    """One line of JSON Lines."""
    return _escaped(json.dumps(_finite(values), ensure_ascii=False, separators=(",", ":"), default=str)) + "\n"


def _escaped(text: str) -> str:
    # A name on disk that is no UTF-8 reaches us with lone surrogates, which no JSON text may hold raw.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _finite(value: Any) -> Any:
    # JSON has no NaN and no infinity; a metric that can't be computed is null.
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case _:
            return value


def event_values(event: object) -> dict[str, Any]:
    """An event of a run with its name in `event`: `step_started`, `job_submitted`, …, `summary`."""
    if not dataclasses.is_dataclass(event) or isinstance(event, type):
        raise TypeError(f"not an event: {event!r}")
    name = type(event).__name__
    return {"event": _EVENT_NAMES.get(name) or _CAPITAL.sub("_", name).lower(), **dataclasses.asdict(event)}


_EVENT_NAMES = {"Finished": "summary"}


def error_values(error: NucleusSyncError) -> dict[str, Any]:
    """A fatal error as the last JSON document or event: `error`, `exit_code`, and what belongs to it."""
    values: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "event": "error",
        "error": error.what,
        "kind": type(error).__name__,
        "where": error.where,
        "fix": error.fix,
        "exit_code": int(error.exit_code),
    }
    match error:
        case SpecError():
            values["problems"] = [spec_problem_values(problem) for problem in error.problems]
        case StalePlan():
            values["moved"] = list(error.moved)
        case Undecided():
            values["candidates"] = [dataclasses.asdict(candidate) for candidate in error.candidates]
    return values


def spec_problem_values(problem: SpecProblem) -> dict[str, Any]:
    """One complaint about the spec."""
    return dataclasses.asdict(problem)
