"""What is said of a label of COCO whose image or category can't be found, and the key that it would have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nucleus_sync.records.key import annotation_key
from nucleus_sync.records.problem import Problem
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Id, Keys, Label, has_two_lists, named, quoted_id, storable
from nucleus_sync.sources.coco_naming import Naming
from nucleus_sync.sources.image_table import ImageTable, State


@dataclass(frozen=True, slots=True)
class Homeless:
    """Looks at one label after the other."""

    images: ImageTable
    categories: Mapping[Id, Category]
    naming: Naming
    has_own_ids: bool
    """Whether labels are called by their ids, not by a template's text."""

    def problem(self, keys: Keys | Label, raw: bytes, element: Any, index: int) -> Problem:
        """A label without a sound image or category: its keys, its bytes, and what these were decoded to."""
        name = self.naming.record(keys.id, index)
        if not isinstance(element, dict):
            return self.naming.problem(name, index, "not an object", f"is {named(element)}, not an object")
        said = [*self._image_words(keys, element), *self._category_words(keys, element)]
        fix = next((fix for _, _, fix in said if fix), None)
        details, key = "; ".join(detail for _, detail, _ in said), self._meant_key(keys, raw)
        problem = self.naming.problem(name, index, said[0][0], details, key=key, fix=fix)
        return replace(problem, unknown=tuple(self._unknown_ids(keys)))

    def _meant_key(self, keys: Keys | Label, raw: bytes) -> bytes | None:
        """The key that a label would have, so that its record isn't taken for gone; None where it can't be told."""
        place, own = self.images.place(keys.image_id), keys.id
        if place is None or own is None or own == "" or not self.has_own_ids or has_two_lists(raw):
            return None
        is_told = self.images.states[place] in (State.SOUND, State.MISSING)
        return annotation_key(self.images.called(place), storable(str(own))) if is_told else None

    def _unknown_ids(self, keys: Keys | Label) -> Iterator[tuple[str, Id]]:
        if keys.image_id is not None and keys.image_id not in self.images:
            yield "image_id", keys.image_id
        if keys.category_id is not None and keys.category_id not in self.categories:
            yield "category_id", keys.category_id

    def _image_words(self, keys: Keys | Label, element: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
        image_id = keys.image_id
        if image_id is None:
            yield from _no_id("image_id", element)
            return
        place = self.images.place(image_id)
        if place is None:
            twin = self.images.twin(image_id)
            detail, fix = f"image_id {quoted_id(image_id)} is not in images: no such image", None
            if twin is not None:
                kinds = ("text", "number") if isinstance(image_id, str) else ("number", "text")
                detail += f"; it is a {kinds[0]}, and an image {quoted_id(twin)} ({kinds[1]}) exists"
                fix = "write both ids the same way, with quotes or without"
            yield "image_id is not in images", detail, fix
        elif self.images.states[place] == State.AMBIGUOUS:
            sharers = ", ".join(self.images.sharers[image_id])
            yield "image_id is ambiguous", f"image_id {image_id} is ambiguous: images {sharers} share it", None
        elif self.images.states[place]:
            reason = self.images.reason(place)
            yield "its image is missing", f"its image is missing: {reason}" if reason else "its image is missing", None

    def _category_words(self, keys: Keys | Label, element: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
        if keys.category_id is None:
            yield from _no_id("category_id", element)
        elif keys.category_id not in self.categories:
            yield (
                "category_id is not in categories",
                f"category_id {quoted_id(keys.category_id)} is not in categories",
                None,
            )


def _no_id(name: str, element: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    if element.get(name) is None:
        yield f"no {name}", f"no {name}", None
    else:
        yield f"{name} is no id", f"{name} is {named(element[name])}, not a whole number or a text", None
