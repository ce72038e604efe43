"""YAML text as a tree of nodes that know their positions, safe against bombs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from nucleus_sync.spec.locate import Mark, lines_of

MAX_DEPTH = 64
MAX_NODES = 100_000

_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class YamlProblem(Exception):
    """The text isn't YAML that a spec may hold; nothing after this place can be trusted."""

    def __init__(self, message: str, mark: Mark, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value, as text; `plain` means without quotes."""

    mark: Mark
    text: str
    plain: bool
    tag: str | None = None
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    mark: Mark
    items: tuple[Node, ...]
    tag: str | None
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with values, in the order of the text, duplicates included."""

    mark: Mark
    entries: tuple[tuple[Node, Node], ...]
    tag: str | None
    size: int
    depth: int


Node = Scalar | Sequence | Mapping


def compose(text: str) -> Node | None:
    """The text's only document, or None when it holds nothing. Raises YamlProblem."""
    try:
        return _Composer(iter(yaml.parse(text, Loader=_LOADER))).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_problem(error, text) from None
    except yaml.YAMLError:
        raise YamlProblem("is not YAML", Mark(1, 1)) from None


@dataclass(slots=True)
class _Composer:
    """Puts the parser's events together; anchors are shared, their expanded size is only counted."""

    events: Iterator[Any]
    anchors: dict[str, Node | None] = field(default_factory=dict)
    seen: int = 0

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YamlProblem(
                        "a second document begins here", _mark(event), "a spec is one document: remove this ---"
                    )
                root = self._node(next(self.events), 1)
        return root

    def _node(self, event: Any, level: int) -> Node:
        if level > MAX_DEPTH:
            raise YamlProblem(f"is nested more than {MAX_DEPTH} levels deep", _mark(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, level)
        self._count(1, event)
        if event.anchor:
            self.anchors[event.anchor] = None
        node = self._new(event, level)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _new(self, event: Any, level: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(_mark(event), event.value, event.implicit[0] and event.style in (None, ""), event.tag)
        mark = _mark(event)
        children = self._children(event, level)
        size = 1 + sum(child.size for child in children)
        depth = 1 + max((child.depth for child in children), default=0)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(mark, tuple(children), event.tag, size, depth)
        return Mapping(mark, tuple(zip(children[::2], children[1::2], strict=True)), event.tag, size, depth)

    def _children(self, event: Any, level: int) -> list[Node]:
        children: list[Node] = []
        while not isinstance(event := next(self.events), yaml.CollectionEndEvent):
            children.append(self._node(event, level + 1))
        return children

    def _alias(self, event: Any, level: int) -> Node:
        if event.anchor not in self.anchors:
            raise YamlProblem(
                f"no anchor &{event.anchor} before this *{event.anchor}",
                _mark(event),
                "put quotes around a text that begins with *",
            )
        node = self.anchors[event.anchor]
        if node is None:
            raise YamlProblem(f"*{event.anchor} stands inside what it refers to", _mark(event))
        if level + node.depth > MAX_DEPTH:
            raise YamlProblem(f"is nested more than {MAX_DEPTH} levels deep", _mark(event))
        self._count(node.size, event)
        return node

    def _count(self, nodes: int, event: Any) -> None:
        self.seen += nodes
        if self.seen > MAX_NODES:
            raise YamlProblem(
                f"holds more than {MAX_NODES:,} values, counting what its anchors repeat",
                _mark(event),
                "long lists belong in files of their own, such as a slice's `file`",
            )


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


# --- syntax errors in plain words -----------------------------------------------------------------------------


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> YamlProblem:
    at = error.problem_mark or error.context_mark
    lines = lines_of(text)
    if at is None:
        return YamlProblem(f"is not YAML: {error.problem}", Mark(1, 1))
    mark = Mark(min(at.line + 1, len(lines)), at.column + 1)
    return YamlProblem(f"is not YAML: {_cause(error)}", mark, _syntax_hint(error, lines, mark))


def _cause(error: yaml.MarkedYAMLError) -> str:
    context = f"{error.context}, " if error.context else ""
    return f"{context}{error.problem or 'it ends too early'}".replace("\t", "\\t")


def _syntax_hint(error: yaml.MarkedYAMLError, lines: list[str], mark: Mark) -> str | None:
    """What usually lies behind the error, from the line on which it shows."""
    line = lines[mark.line - 1]
    began = lines[error.context_mark.line] if error.context_mark and error.context_mark.line < len(lines) else line
    stripped = line[: len(line) - len(line.lstrip())]
    problem = error.problem or ""
    if "\t" in stripped or "'\\t'" in problem or "tab" in problem:
        return "indent with spaces: YAML allows no tabs there"
    if ": >" in line or ":>" in line:
        return 'put quotes around a comparison: ">= 0.60"'
    if "${" in line:
        return 'put quotes around ${…} inside [ ] and { }: "${NAME}"'
    if "alias" in (error.context or ""):
        return 'put quotes around a text that begins with *: "**/*.jpg"'
    if "escape" in problem:
        return r"use single quotes for a text with backslashes: 'C:\exports'"
    if "'@'" in problem or "'`'" in problem or "'%'" in problem:
        return "put quotes around a text that begins with this character"
    if re_opening(began):
        return 'put quotes around a template: "{path}"'
    if "mapping values are not allowed" in problem:
        return "put quotes around a text with a colon and a blank in it, or check the indentation"
    if "quoted scalar" in (error.context or ""):
        return "a closing quote is missing"
    return None


def re_opening(line: str) -> bool:
    """Whether a value on the line begins with a brace, as a template without quotes does."""
    return any(f"{before}{{" in line for before in (": ", "- ", "[", ", "))
