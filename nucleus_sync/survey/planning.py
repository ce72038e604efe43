"""Orders what a survey has found into a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nucleus_sync.plan.order import Placed, closure, in_order
from nucleus_sync.plan.plan import Failure, Plan
from nucleus_sync.plan.steps import Action, RecordCounts, Step
from nucleus_sync.spec.staging import staged_in
from nucleus_sync.survey.changes import ChangeSet
from nucleus_sync.survey.declared import HOLDS, STANDING_ALONE, DeclaredStream, declared_streams, is_under
from nucleus_sync.survey.evaluations import place_evaluation
from nucleus_sync.survey.resources import ResourceChanges, compare_models

if TYPE_CHECKING:
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.spec.loaded import LoadedSpec
    from nucleus_sync.spec.model import Spec
    from nucleus_sync.survey.removed import Removed
    from nucleus_sync.survey.slices import SliceChanges
    from nucleus_sync.survey.weights import WeightsFile


def held_resources(ledger: Ledger | None) -> dict[str, Mapping[str, Any]]:
    """What the ledger says of every resource, by address."""
    return {resource.address: resource.details for resource in ledger.resources()} if ledger else {}


def shared_run(spec: Spec, model: str, looked_at: Collection[str]) -> list[str]:
    """The streams, among those that were looked at, of a model whose predictions are all in one run."""
    declared = spec.models[model].run
    prefix = f"model.{model}.predictions."
    return [one for one in looked_at if one.startswith(prefix)] if declared not in (None, "none") else []


@dataclass
class Planning:
    """What was found, by address (weights by the name of the model); `plan` it once."""

    loaded: LoadedSpec
    ledger: Ledger | None
    endpoint: str
    targets: tuple[str, ...]
    changes: Mapping[str, ChangeSet]
    slices: Mapping[str, SliceChanges]
    weights: Mapping[str, WeightsFile]
    resources: ResourceChanges
    removed: Removed
    emptied: list[DeclaredStream]
    """Streams that are no longer declared, and lose all of their records."""
    failures: list[Failure]

    def plan(self) -> Plan:
        """The steps in order, with everything that is worth saying of them."""
        resources = self.resources
        new_slices = {changes.address for changes in self.slices.values() if changes.is_made_anew}
        compare_models(
            self.loaded.spec, held_resources(self.ledger), resources, new_slices=new_slices, weights=self.weights
        )
        placed = [*resources.placed, *self.removed.placed, *self._stream_steps()]
        placed += (entry for changes in self.slices.values() for entry in changes.placed())
        placed += self._evaluation_steps({entry.step.address for entry in placed})
        steps = in_order(placed)
        if self.targets:
            chosen = [s.id for s in steps if any(is_under(s.address, target) for target in self.targets)]
            steps = closure(steps, chosen)
        return self._plan_of(steps, resources)

    def _plan_of(self, steps: tuple[Step, ...], resources: ResourceChanges) -> Plan:
        ledger = self.ledger
        counts = {address: changes.record_counts() for address, changes in self.changes.items()}
        unchanged = {address: c.unchanged for address, c in counts.items()}
        unchanged |= dict.fromkeys(resources.unchanged, 1)
        unchanged |= {address: 1 for address, changes in self.slices.items() if changes.is_empty}
        return Plan(
            spec_path=str(self.loaded.path),
            spec_sha256=self.loaded.sha256,
            lineage=ledger.lineage if ledger else "",
            serial=ledger.serial if ledger else 0,
            steps=steps,
            unchanged=unchanged,
            resting={address: c.resting for address, c in counts.items() if c.resting},
            orphaned={address: c.orphaned for address, c in counts.items() if c.orphaned} | self.removed.orphaned,
            sources=tuple(changes.source for changes in self.changes.values() if changes.source.causes),
            failures=(*resources.failures, *self.failures),
            contents={address: changes.content for address, changes in self.changes.items() if not changes.is_empty},
            endpoint=self.endpoint,
            targets=self.targets,
        )

    def _stream_steps(self) -> Iterator[Placed]:
        for declared in chain(self.emptied, declared_streams(self.loaded.spec)):
            changes = self.changes.get(declared.address)
            if changes is None or changes.is_empty:
                continue
            for step in self._steps_of(declared, changes):
                after = self._emptied_first(declared) if step.action is Action.INGEST else frozenset[str]()
                yield Placed(step, declared.dataset, declared.model, after=after)

    def _emptied_first(self, declared: DeclaredStream) -> frozenset[str]:
        """A run that several streams share is deleted as a whole before any of them is sent into the next one."""
        if declared.model is None or declared.model not in self.loaded.spec.models:
            return frozenset()
        streams = shared_run(self.loaded.spec, declared.model, self.changes)
        return frozenset(f"{one}:{Action.DELETE}" for one in streams)

    def _steps_of(self, declared: DeclaredStream, changes: ChangeSet) -> Iterator[Step]:
        address, holds, counts = declared.address, HOLDS[declared.kind], changes.record_counts()
        probed = self.ledger.probed(address) if self.ledger else frozenset()
        unprobed = sorted(set(changes.remote) - probed)
        if unprobed:
            yield Step(Action.PROBE, address, holds, wanted={"sources": unprobed})
        if len(changes.sent):
            reasons = changes.sent_reasons | self._staged(declared, changes)
            records = replace(counts, delete=changes.deleted_first)
            yield Step(Action.INGEST, address, holds, records=records, reasons=reasons)
        if len(changes.gone):
            yield Step(
                Action.DELETE,
                address,
                holds,
                records=RecordCounts(delete=counts.delete - changes.deleted_first),
                reasons=changes.gone_reasons | self._taken_along(declared),
            )

    def _taken_along(self, declared: DeclaredStream) -> dict[str, int]:
        """What Nucleus deletes with the items: annotations and predictions that the ledger knows."""
        if declared.kind not in STANDING_ALONE:
            return {}
        streams = (one for one in declared_streams(self.loaded.spec) if one.dataset == declared.dataset)
        number = sum(self.changes[one.address].along for one in streams if one.address in self.changes)
        return {"annotations and predictions go along": number} if number else {}

    def _staged(self, declared: DeclaredStream, changes: ChangeSet) -> dict[str, int]:
        """How many items or scenes have files that are put somewhere first, by the place."""
        if declared.kind not in STANDING_ALONE:
            return {}
        sources = self.loaded.spec.sources
        places = [staged_in(sources[name]) for name in declared.sources]
        if not any(places):
            return {}
        counts = Counter(places[row[0][0]] for row in changes.sent)
        return {f"staged in {place}": number for place, number in counts.items() if place}

    def _evaluation_steps(self, moving: set[str]) -> Iterator[Placed]:
        applied: dict[str, Mapping[str, Any]] = {}
        if self.ledger:
            applied = {resource.address: resource.details for resource in self.ledger.resources("evaluation")}
        for name, evaluation in self.loaded.spec.evaluations.items():
            placed = place_evaluation(
                name,
                evaluation,
                moving=moving,
                version=self.ledger.version if self.ledger else lambda _: 0,
                applied=applied.get(f"evaluation.{name}"),
            )
            if placed:
                yield placed
