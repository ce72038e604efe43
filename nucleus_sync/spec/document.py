"""A node tree as plain values with their places; what YAML allows and a spec doesn't becomes a complaint."""

from __future__ import annotations

import re
from collections.abc import Mapping as Environ
from dataclasses import dataclass, field
from typing import Any

from nucleus_sync.spec import scalar
from nucleus_sync.spec.locate import Complaint, Mark, Place, Places, Route
from nucleus_sync.spec.node import Mapping, Node, Scalar, Sequence

_TAGS = "tag:yaml.org,2002:"
_TEXT_TAGS = ("!", _TAGS + "str")
_KNOWN_TAGS = {None, "!", *(_TAGS + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))}


@dataclass(slots=True)
class Document:
    """What a spec's text says before it is checked against the models."""

    value: Any = None
    places: Places = field(default_factory=Places)
    complaints: list[Complaint] = field(default_factory=list)
    variables: dict[Route, set[str]] = field(default_factory=dict)
    """The environment variables that were referred to, by the value that they went into."""


def read(root: Node, lines: list[str], environ: Environ[str, str]) -> Document:
    """Turn the tree into values."""
    reading = _Reading(lines, environ)
    reading.document.value = reading.value(root, (), None)
    return reading.document


@dataclass(slots=True)
class _Reading:
    lines: list[str]
    environ: Environ[str, str]
    document: Document = field(default_factory=Document)

    def value(self, node: Node, path: Route, key: Mark | None) -> Any:
        # An empty value stands nowhere; its key does.
        empty = isinstance(node, Scalar) and node.plain and not node.text and key is not None
        self.document.places.by_path[path] = Place(key, key if empty and key else node.mark)
        if node.tag not in _KNOWN_TAGS:
            self._complain(path, f"the tag {_tag_name(node.tag)} means nothing in a spec", "remove it")
            return None
        match node:
            case Scalar():
                return self._scalar(node, path)
            case Sequence():
                return [self.value(item, (*path, index), None) for index, item in enumerate(node.items)]
            case Mapping():
                return self._mapping(node, path)

    def _scalar(self, node: Scalar, path: Route) -> Any:
        try:
            text = scalar.interpolate(node.text, self.environ)
            if names := scalar.variables(node.text):
                self.document.variables[path] = names
            changed = text != node.text and not scalar.is_one_reference(node.text)
            return text if changed or not _is_typed(node) else scalar.typed(text)
        except scalar.ScalarProblem as problem:
            at = self._variable_mark(node, problem.name) if problem.name else node.mark
            self._complain(path, problem.message, problem.hint, at)
            return node.text

    def _variable_mark(self, node: Scalar, name: str) -> Mark:
        """Where `${name}` itself stands, if the text shows it on the scalar's own line."""
        line = self.lines[node.mark.line - 1] if node.mark.line <= len(self.lines) else ""
        found = line.find("${" + name, node.mark.column - 1)
        return Mark(node.mark.line, found + 1) if found >= 0 else node.mark

    def _mapping(self, node: Mapping, path: Route) -> dict[str, Any]:
        values: dict[str, Any] = {}
        first: dict[str, Mark] = {}
        merged: list[Node] = []
        for key, value in node.entries:
            if isinstance(key, Scalar) and key.plain and key.text == "<<":
                merged.append(value)
            elif not isinstance(key, Scalar):
                self._complain(path, "a key must be text", 'put quotes around a template: "{path}"', key.mark)
            elif key.text in first:
                said = f"the key {key.text!r} is given twice, first in line {first[key.text].line}"
                self._complain((*path, key.text), said, "keep one of them", key.mark)
            else:
                first[key.text] = key.mark
                values[key.text] = self.value(value, (*path, key.text), key.mark)
        for value in merged:
            self._merge(value, values, path)
        return values

    def _merge(self, node: Node, values: dict[str, Any], path: Route) -> None:
        """Add the entries of `<<` that are not given beside it."""
        if isinstance(node, Sequence):
            for item in node.items:
                self._merge(item, values, path)
        elif isinstance(node, Mapping):
            for key, value in node.entries:
                if isinstance(key, Scalar) and key.plain and key.text == "<<":
                    self._merge(value, values, path)
                elif isinstance(key, Scalar) and key.text not in values:
                    values[key.text] = self.value(value, (*path, key.text), key.mark)
        else:
            self._complain(path, "<< takes a mapping, or a list of them", None, node.mark)

    def _complain(self, path: Route, message: str, hint: str | None, mark: Mark | None = None) -> None:
        self.document.complaints.append(Complaint(path, message, hint, mark))


def _is_typed(node: Scalar) -> bool:
    return node.tag not in _TEXT_TAGS and (node.plain or node.tag is not None)


def _tag_name(tag: str | None) -> str:
    return re.sub(f"^{re.escape(_TAGS)}", "!!", tag or "")
