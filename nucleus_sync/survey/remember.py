"""Writes down what a survey found out, so that the next one has less to read and `errors` has something to show."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import declared_streams
from nucleus_sync.survey.standing import standing_counts, standing_state
from nucleus_sync.survey.survey import Surveyed

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.model import Spec

_TOUCHED_AT_ONCE = 50_000


def remember(spec: Spec, ledger: Ledger, surveyed: Surveyed) -> None:
    """Problems of all streams; stamps of records in other bytes; the standing of streams that equal their sources.

    Call it under the lock: between the survey and now nobody else may have applied anything.
    """
    for declared in declared_streams(spec):
        changes = surveyed.changes.get(declared.address)
        if changes is None or changes.stream is None or changes.partial:
            continue
        source = changes.source
        ledger.set_problems(declared.address, source.invalid, source.findings, changes.listed)
        _touch(ledger, changes)
        _place(ledger, changes)
        if changes.outlived:
            ledger.forget_rejections(declared.address, changes.outlived)
        if changes.is_empty and changes.token:
            state = standing_state(ledger, declared, changes.token)
            ledger.set_standing(declared.address, state, standing_counts(changes), serial=surveyed.plan.serial)

    for members in surveyed.slices.values():
        if members.is_empty and members.state:
            counts = {"members": members.unchanged}
            ledger.set_standing(members.address, members.state, counts, serial=surveyed.plan.serial)


def remember_applied(spec: Spec, ledger: Ledger, surveyed: Surveyed, ended: Mapping[str, str]) -> None:
    """After an apply: streams of which every change was confirmed stand equal to their sources.

    `ended` says of each step, by its id, how it did. Counts alone prove nothing: an update that failed leaves as many
    records as one that went through.
    """
    unsure = {step.address for step in surveyed.plan.steps if ended.get(step.id) != "done"}
    for declared in declared_streams(spec):
        changes = surveyed.changes.get(declared.address)
        if changes is None or changes.stream is None or not changes.token or declared.address in unsure:
            continue
        counts = standing_counts(changes)
        if ledger.count(declared.address) == counts["unchanged"] + counts["orphaned"] and not _rests_more(
            ledger, changes
        ):
            ledger.set_standing(declared.address, standing_state(ledger, declared, changes.token), counts)


def _rests_more(ledger: Ledger, changes: ChangeSet) -> bool:
    """Whether Nucleus refused records in this apply that the survey doesn't count."""
    return ledger.rejected_count(changes.address) != changes.counts["resting"]


def _place(ledger: Ledger, changes: ChangeSet) -> None:
    """Where refused records lie: a job that outlived its apply is settled without knowing it, and files move on."""
    rows = iter(changes.resting)
    while portion := list(islice(rows, _TOUCHED_AT_ONCE)):
        ledger.place_rejections(changes.address, portion)


def _touch(ledger: Ledger, changes: ChangeSet) -> None:
    rows = iter(changes.touched)
    while portion := list(islice(rows, _TOUCHED_AT_ONCE)):
        ledger.touch(changes.address, [(key, stamp) for key, stamp in portion])
