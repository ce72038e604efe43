"""After a stream was sent: reads back what Nucleus holds of it and says how much is as it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nucleus_sync.apply.perform import perform
from nucleus_sync.events import Verified
from nucleus_sync.plan.steps import Action, Holds
from nucleus_sync.refresh.compare import Comparison, What
from nucleus_sync.refresh.look import Look
from nucleus_sync.refresh.write import write
from nucleus_sync.survey.declared import declared_streams

if TYPE_CHECKING:
    from nucleus_sync.apply.runtime import Runtime, StepTally
    from nucleus_sync.plan.steps import Step

READ_WHOLE = 2_000
"""Streams of so many records are read back whole."""
SAMPLED_ITEMS = 200
"""Of larger ones the records of so many items, drawn at random."""
_SENT = (Action.INGEST, Action.DELETE)


async def perform_and_verify(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """Carry out one step, then look at what it did."""
    await perform(runtime, step, tally)
    if step.action in _SENT and step.address in {stream.address for stream in declared_streams(runtime.spec)}:
        await verify(runtime, step, tally)


async def verify(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """Differences are written down for the next plan, and count as an error of this step."""
    look = Look(
        spec=runtime.spec,
        ledger=runtime.ledger,
        api=runtime.api,
        scratch=runtime.scratch,
        targets=(step.address,),
        sample=SAMPLED_ITEMS if runtime.ledger.count(step.address) > READ_WHOLE else None,
    )
    report = await look.run()
    for comparison in report.streams:
        total = runtime.ledger.count(comparison.address)
        runtime.emit(_verified(comparison, total, await _held(runtime, step)))
        if _differing(comparison):
            tally.errors.append(
                f"{_differing(comparison):,} of {comparison.looked_at:,} records are not at Nucleus as they were sent;"
                " the next apply sends them again"
            )
    # What others have added is no failure of this step, and none of its business.
    report.streams = [_without_added(one, runtime) for one in report.streams if _differing(one)]
    if report.streams:
        write(runtime.ledger, replace(report, resources=[], unchanged=[step.address]))


def _differing(comparison: Comparison) -> int:
    return comparison.counts[What.CHANGED] + comparison.counts[What.DELETED]


def _verified(comparison: Comparison, total: int, held: int | None) -> Verified:
    return Verified(
        comparison.address,
        verified=comparison.verified,
        looked_at=comparison.looked_at,
        total=total,
        held=held,
        remarks=tuple(comparison.remarks),
    )


async def _held(runtime: Runtime, step: Step) -> int | None:
    """How many records Nucleus counts, where it does: items only."""
    if step.holds is not Holds.ITEMS:
        return None
    return await runtime.api.datasets.size(runtime.nucleus_id(step.address.removesuffix(".items")))


def _without_added(comparison: Comparison, runtime: Runtime) -> Comparison:
    kept = Comparison(comparison.address, comparison.kind, runtime.scratch)
    for row in comparison.rows:
        if row[1] != What.ADDED:
            kept.rows.add(row)
    return kept
