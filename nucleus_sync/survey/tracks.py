"""Judges tracks that the spec no longer declares: one that records still name loses its metadata, any other goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nucleus_sync.plan.order import Placed
from nucleus_sync.plan.steps import Holds, Step
from nucleus_sync.records.record import Record
from nucleus_sync.records.scene import LidarScene, SceneItem, VideoScene

if TYPE_CHECKING:
    from nucleus_sync.spec.model import Spec


def without_named_tracks(
    placed: Iterable[Placed],
    spec: Spec,
    records: Callable[[str], Iterable[Record | SceneItem]],
    with_orphans: Collection[str],
) -> list[Placed]:
    """The deletions with those of tracks that something may still name turned into taking their metadata away.

    Deleting such a track would unlink records that the sources say are linked, or that stay at Nucleus without any
    source. `records` are all of a dataset's; `with_orphans` are the datasets that have such as stay.
    """
    placed = list(placed)
    named = {
        dataset: {one.named for one in placed if one.named}
        if dataset in with_orphans
        else _still_named(placed, dataset, spec, records)
        for dataset in _datasets_of(placed)
    }
    return [_judged(one, named) for one in placed]


def _datasets_of(placed: Iterable[Placed]) -> set[str]:
    return {one.dataset for one in placed if one.step.holds is Holds.TRACK and one.dataset is not None}


def _still_named(
    placed: Iterable[Placed], dataset: str, spec: Spec, records: Callable[[str], Iterable[Record | SceneItem]]
) -> set[str]:
    asked = {one.named for one in placed if one.step.holds is Holds.TRACK and one.dataset == dataset}
    tracks = spec.datasets[dataset].tracks
    found = {track.reference_id or title for title, track in tracks.items()} & asked
    for record in records(dataset) if asked - found else ():
        found.update(name for name in _tracks_of(record) if name in asked)
        if found == asked:
            break
    return {name for name in found if name is not None}


def _tracks_of(record: Record | SceneItem) -> Iterator[str]:
    if isinstance(record, LidarScene | VideoScene):
        yield from (track.reference_id for track in record.tracks)
    elif isinstance(name := getattr(record, "track_reference_id", None), str):
        yield name


def _judged(one: Placed, named: dict[str, set[str]]) -> Placed:
    if one.step.holds is not Holds.TRACK or one.named not in named.get(one.dataset or "", ()):
        return one
    return replace(one, step=_emptied(one.step))


def _emptied(step: Step) -> Step:
    reasons = {**step.reasons, "records may still name it: only its metadata go": 1}
    return replace(step, reasons=reasons, wanted={**step.wanted, "still_named": True})
