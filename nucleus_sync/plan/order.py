"""The order of an apply, written once as a table: what waits for what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from nucleus_sync.plan.steps import Action, Holds, Step

_A, _H = Action, Holds


class Row(NamedTuple):
    """One line of the table: steps of this kind wait for those of the kinds named."""

    holds: Holds
    action: Action
    waits_for: tuple[tuple[Holds, Action], ...]


_DATASET = ((_H.DATASET, _A.CREATE), (_H.DATASET, _A.UPDATE))
_TAXONOMY = ((_H.TAXONOMY, _A.DELETE), (_H.TAXONOMY, _A.CREATE), (_H.TAXONOMY, _A.UPDATE))
_MODEL = ((_H.MODEL, _A.CREATE), (_H.MODEL, _A.UPDATE))
_ITEMS = (
    *((_H.ITEMS, _A.PROBE), (_H.ITEMS, _A.INGEST), (_H.ITEMS, _A.DELETE)),
    *((_H.SCENES, _A.DELETE), (_H.SCENES, _A.PROBE), (_H.SCENES, _A.INGEST)),
)
_ANNOTATIONS = ((_H.ANNOTATIONS, _A.DELETE), (_H.ANNOTATIONS, _A.INGEST))
_PREDICTIONS = ((_H.PREDICTIONS, _A.DELETE), (_H.PREDICTIONS, _A.INGEST))
_SLICES = ((_H.SLICE, _A.DELETE), (_H.SLICE, _A.CREATE), (_H.SLICE, _A.UPDATE))
_TRACKS = ((_H.TRACK, _A.DELETE), (_H.TRACK, _A.CREATE), (_H.TRACK, _A.UPDATE))
_EVALUATIONS = ((_H.EVALUATION, _A.DELETE), (_H.EVALUATION, _A.EVALUATE))
_EVERYTHING = (*_TAXONOMY, *_MODEL, *_ITEMS, *_ANNOTATIONS, *_PREDICTIONS, *_SLICES, *_TRACKS, *_EVALUATIONS)

# Rows stand in the order in which a plan lists its steps. Items are ingested before others are deleted, so that a
# failed upload leaves everything that was there. Annotations of items that aren't in yet would be refused for good.
# Scenes are deleted first: one that is made anew must be gone before it comes again, and its items are nobody else's.
# A taxonomy takes its categories along: it goes before any are sent. Nucleus has a track once a record
# names it: tracks come after records. Whole datasets and models go last of all.
ORDER: tuple[Row, ...] = (
    Row(_H.DATASET, _A.CREATE, ()),
    Row(_H.DATASET, _A.UPDATE, ()),
    Row(_H.TAXONOMY, _A.DELETE, _DATASET),
    Row(_H.TAXONOMY, _A.CREATE, (*_DATASET, (_H.TAXONOMY, _A.DELETE))),
    Row(_H.TAXONOMY, _A.UPDATE, _DATASET),
    Row(_H.MODEL, _A.CREATE, ()),
    Row(_H.MODEL, _A.UPDATE, ()),
    Row(_H.ITEMS, _A.PROBE, _DATASET),
    Row(_H.ITEMS, _A.INGEST, (*_DATASET, (_H.ITEMS, _A.PROBE))),
    Row(_H.ITEMS, _A.DELETE, (*_DATASET, (_H.ITEMS, _A.INGEST))),
    Row(_H.SCENES, _A.DELETE, _DATASET),
    Row(_H.SCENES, _A.PROBE, (*_DATASET, (_H.SCENES, _A.DELETE))),
    Row(_H.SCENES, _A.INGEST, (*_DATASET, (_H.SCENES, _A.DELETE), (_H.SCENES, _A.PROBE))),
    Row(_H.ANNOTATIONS, _A.DELETE, (*_DATASET, *_ITEMS)),
    Row(_H.ANNOTATIONS, _A.INGEST, (*_DATASET, *_TAXONOMY, *_ITEMS, (_H.ANNOTATIONS, _A.DELETE))),
    Row(_H.PREDICTIONS, _A.DELETE, (*_DATASET, *_MODEL, *_ITEMS)),
    Row(_H.PREDICTIONS, _A.INGEST, (*_DATASET, *_TAXONOMY, *_MODEL, *_ITEMS, (_H.PREDICTIONS, _A.DELETE))),
    Row(_H.SLICE, _A.DELETE, (*_DATASET, *_ITEMS)),
    Row(_H.SLICE, _A.CREATE, (*_DATASET, *_ITEMS, (_H.SLICE, _A.DELETE))),
    Row(_H.SLICE, _A.UPDATE, (*_DATASET, *_ITEMS)),
    Row(_H.TRACK, _A.DELETE, (*_DATASET, *_ITEMS, *_ANNOTATIONS, *_PREDICTIONS)),
    Row(_H.TRACK, _A.CREATE, (*_DATASET, *_ITEMS, *_ANNOTATIONS, *_PREDICTIONS, (_H.TRACK, _A.DELETE))),
    Row(_H.TRACK, _A.UPDATE, (*_DATASET, *_ITEMS, *_ANNOTATIONS, *_PREDICTIONS, (_H.TRACK, _A.DELETE))),
    Row(_H.EVALUATION, _A.EVALUATE, (*_DATASET, *_MODEL, *_ITEMS, *_ANNOTATIONS, *_PREDICTIONS, *_SLICES)),
    Row(_H.EVALUATION, _A.DELETE, ()),
    Row(_H.MODEL, _A.DELETE, (*_PREDICTIONS, *_EVALUATIONS)),
    Row(_H.DATASET, _A.DELETE, (*_EVERYTHING, (_H.MODEL, _A.DELETE))),
)
_RANK = {(row.holds, row.action): rank for rank, row in enumerate(ORDER)}


class Placed(Struct, frozen=True):
    """A step with the dataset and the model that it belongs to; None where it belongs to none."""

    step: Step
    dataset: str | None = None
    model: str | None = None
    named: str | None = None
    """The taxonomy, slice or track that it is about: these wait for their own kind only under one name."""
    after: frozenset[str] = frozenset()
    """Addresses or steps beyond the table that it waits for, such as the slices that a model was trained on."""


def in_order(placed: Iterable[Placed]) -> tuple[Step, ...]:
    """The steps sorted as the table has them, each with the ids of those that it waits for.

    What waits for a step that the table has further down stands behind that one.
    """
    entries = sorted(placed, key=lambda entry: (_RANK[entry.step.holds, entry.step.action], entry.step.address))
    steps = [replace(entry.step, depends_on=_awaited(entry, entries)) for entry in entries]
    listed: dict[str, Step] = {}
    while steps:
        ready = next(step for step in steps if all(needed in listed for needed in step.depends_on))
        steps.remove(ready)
        listed[ready.id] = ready
    return tuple(listed.values())


def _awaited(entry: Placed, entries: Sequence[Placed]) -> tuple[str, ...]:
    kinds = ORDER[_RANK[entry.step.holds, entry.step.action]].waits_for
    return tuple(
        other.step.id
        for other in entries
        if ((other.step.holds, other.step.action) in kinds and _is_related(entry, other))
        or (not entry.after.isdisjoint((other.step.address, other.step.id)) and other is not entry)
    )


def _is_related(entry: Placed, other: Placed) -> bool:
    """Whether they have to do with one dataset and one model; what belongs to none has to do with all."""
    if None not in (entry.dataset, other.dataset) and other.dataset != entry.dataset:
        return False
    if None not in (entry.model, other.model) and other.model != entry.model:
        return False
    return entry.step.holds is not other.step.holds or entry.named == other.named


def closure(steps: Sequence[Step], wanted: Iterable[str]) -> tuple[Step, ...]:
    """These steps (by id) and all that they wait for, in the same order."""
    by_id = {step.id: step for step in steps}
    kept: set[str] = set()
    queue = list(wanted)
    while queue:
        step_id = queue.pop()
        if step_id not in kept:
            kept.add(step_id)
            queue.extend(by_id[step_id].depends_on)
    return tuple(step for step in steps if step.id in kept)
