"""The shape of the spec: which keys and words the models allow at a place in the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from nucleus_sync.spec.evaluation import Expect, LabelExpect
from nucleus_sync.spec.locate import Route
from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.part import SpecPart


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that an error points at: its path in the document, and the model of the mapping there, if any."""

    path: Route
    part: type[SpecPart] | None
    at_key: bool = False


def follow(loc: Sequence[str | int]) -> Spot:
    """Go down an error location of pydantic, which names union members that the document doesn't."""
    annotation: Any = Spec
    path: Route = ()
    for step in loc:
        annotation = _bare(annotation)
        if step == "[key]":
            return Spot(path, None, at_key=True)
        if members := _members(annotation):
            if step in members:
                annotation = members[str(step)]
                continue
            return Spot(path, None)
        inner = _inside(annotation, step)
        if inner is None and not _is_part(annotation):
            return Spot(path, None)
        path = (*path, step)
        annotation = inner
    bare = _bare(annotation)
    return Spot(path, bare if _is_part(bare) else None)


def members(annotation: Any) -> dict[str, type[SpecPart]]:
    """The models of a union by the word that chooses among them; empty for anything else."""
    return _members(_bare(annotation))


def keys(part: type[SpecPart]) -> list[str]:
    """The keys that a mapping of this kind takes, in the order of their declaration."""
    return list(part.known_keys())


def _bare(annotation: Any) -> Any:
    """The annotation without Annotated and without None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        if get_origin(annotation) in (Union, UnionType):
            rest = [member for member in get_args(annotation) if member is not NoneType]
            if len(rest) == 1:
                annotation = rest[0]
                continue
        return annotation


def _members(annotation: Any) -> dict[str, type[SpecPart]]:
    if get_origin(annotation) not in (Union, UnionType):
        return {}
    found: dict[str, type[SpecPart]] = {}
    for member in get_args(annotation):
        for field in member.known_keys().values() if _is_part(member) else ():
            if get_origin(field.type) is Literal:
                found[str(get_args(field.type)[0])] = member
                break
    return found


def _inside(annotation: Any, step: str | int) -> Any:
    """The annotation one step further down; None where the step is not known."""
    if _is_part(annotation):
        field = annotation.known_keys().get(str(step))
        if field is None:
            return LabelExpect if annotation is Expect else None
        return field.type
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return arguments[1]
    if get_origin(annotation) is tuple and isinstance(step, int):
        return arguments[0]
    return None


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, SpecPart)
