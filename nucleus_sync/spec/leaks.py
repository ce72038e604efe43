"""API keys in a spec: found wherever they stand, and kept out of every message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nucleus_sync.errors import SpecProblem
from nucleus_sync.spec.access import KEY_VARIABLES, telling_keys
from nucleus_sync.spec.document import Document
from nucleus_sync.spec.locate import Complaint, Mark, Route

_LOOKS_LIKE_KEY = re.compile(r"(?<![\w./-])(?:live|test)_[0-9a-fA-F]{24,}(?![\w./-])")
_NAMES_KEY = re.compile(r"(?:\w+[_-])?(?:api|access)[_-]?key", re.IGNORECASE)
_GIVEN_KEY = re.compile(r"(?:api|access)[_-]?key[\"']?\s*[:=]\s*[\"']?([^\s\"'#,}\]]+)", re.IGNORECASE)
_HINT = f"leave it out of the spec: keys come from {' or '.join(KEY_VARIABLES)} in the environment"


def find(document: Document, lines: list[str], environ: Mapping[str, str]) -> list[Complaint]:
    """Every API key in the text, in its comments, or brought in by a variable."""
    return [*_in_text(lines, environ), *_in_values(document, environ)]


def _in_text(lines: list[str], environ: Mapping[str, str]) -> Iterable[Complaint]:
    known = telling_keys(environ)
    for number, line in enumerate(lines, start=1):
        at = [match.start() for match in _LOOKS_LIKE_KEY.finditer(line)]
        at += [line.find(key) for key in known if key in line]
        for column in at[:1]:
            yield Complaint((), "an API key stands in the spec", _HINT, Mark(number, column + 1))


def _in_values(document: Document, environ: Mapping[str, str]) -> Iterable[Complaint]:
    known = telling_keys(environ)
    for path, value in _leaves(document.value, ()):
        if path and isinstance(path[-1], str) and _NAMES_KEY.fullmatch(path[-1]):
            yield Complaint(path, f"{path[-1]!r} can't be in a spec", _HINT, at_key=True)
        elif _came_in(document.variables.get(path, set()), value, known):
            yield Complaint(path, "this brings an API key into the spec", _HINT)


def _came_in(variables: set[str], value: object, known: Iterable[str]) -> bool:
    return bool(variables & set(KEY_VARIABLES)) or (
        bool(variables) and isinstance(value, str) and _holds_key(value, known)
    )


def _leaves(value: object, path: Route) -> Iterable[tuple[Route, object]]:
    """Every entry with its path, mappings and lists included."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))


def _holds_key(text: str, known: Iterable[str]) -> bool:
    return bool(_LOOKS_LIKE_KEY.search(text)) or any(key in text for key in known)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Blots out of a message whatever may be a key."""

    secrets: tuple[str, ...]

    @classmethod
    def of(cls, text: str, environ: Mapping[str, str], document: Document | None) -> Redaction:
        """All that must not be shown: known keys, what looks like one, and values of keys named like one."""
        secrets = {*telling_keys(environ), *_LOOKS_LIKE_KEY.findall(text), *_GIVEN_KEY.findall(text)}
        if document is not None:
            secrets |= _secret_values(document)
        return cls(tuple(sorted(filter(None, secrets), key=len, reverse=True)))

    def apply(self, problem: SpecProblem) -> SpecProblem:
        """The problem without secrets; the caret stays where it was."""
        return SpecProblem(
            self._blot(problem.message),
            self._blot(problem.path),
            problem.file,
            problem.line,
            problem.column,
            self._blot(problem.excerpt) if problem.excerpt else None,
            self._blot(problem.hint) if problem.hint else None,
        )

    def _blot(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "*" * len(secret))
        return text


def _secret_values(document: Document) -> set[str]:
    """The lines of values that stand under a key named like a key, or came from a variable that holds one."""
    secret: set[str] = set()
    for path, value in _leaves(document.value, ()):
        named = any(isinstance(part, str) and _NAMES_KEY.fullmatch(part) for part in path)
        if named and not isinstance(value, dict | list | bool | None):
            secret |= {line.strip() for line in str(value).splitlines() if len(line.strip()) > 1}
        elif document.variables.get(path, set()) & set(KEY_VARIABLES):
            secret |= {str(value)} if len(str(value)) > 3 else set()
    return secret
