"""Looks at Nucleus and says what is not as the ledger has it: resources first, then their records."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus_sync.errors import NotFound, Unreachable
from nucleus_sync.plan.diff import Presence
from nucleus_sync.records.key import item_of
from nucleus_sync.records.record import Kind
from nucleus_sync.refresh import remote
from nucleus_sync.refresh.compare import Comparison, What
from nucleus_sync.refresh.report import Report, ResourceFinding
from nucleus_sync.refresh.sample import Sampler
from nucleus_sync.refresh.streams import Looked, holds_scenes, is_wanted, streams_of
from nucleus_sync.spool import Sorter
from nucleus_sync.survey.metadata_names import key_sets

if TYPE_CHECKING:
    from nucleus_sync.api.client import Api
    from nucleus_sync.ledger.ledger import Ledger
    from nucleus_sync.ledger.resources import Resource
    from nucleus_sync.spec.model import Spec

PREDICTIONS_AT_ONCE = 100_000
"""More are not asked for in one answer: it has no pages, has to fit into memory and into Nucleus's minute."""


@dataclass
class Look:
    """One look at everything that the ledger has, or at what the targets name; `run` it once."""

    spec: Spec
    ledger: Ledger
    api: Api
    scratch: Path
    targets: Sequence[str] = ()
    sample: int | None = None
    say: Callable[[str, str], None] = lambda _address, _text: None
    chance: random.Random = field(default_factory=random.Random)
    report: Report = field(init=False)
    _scenes: Sorter = field(init=False)
    """What Nucleus lists as the scenes of the dataset that is being looked at; none where it holds images."""

    async def run(self) -> Report:
        """Raises ApiError when Nucleus can't be asked."""
        self.report = Report(sample=self.sample)
        for resource in self.ledger.resources():
            if resource.kind == "model" and is_wanted(resource.address, self.targets):
                await self._model(resource)
        for resource in self.ledger.resources():
            if resource.kind == "dataset" and self._concerns(resource):
                await self._dataset(resource)
        return self.report

    def _concerns(self, dataset: Resource) -> bool:
        """Whether a target names the dataset, something of it, or predictions on it."""
        name = dataset.address.partition(".")[2]
        under = (target.startswith(f"{dataset.address}.") for target in self.targets)
        predictions = any(
            is_wanted(stream.address, self.targets) for stream in streams_of(self.ledger, self.spec, name, "")
        )
        return is_wanted(dataset.address, self.targets) or any(under) or predictions

    async def _model(self, resource: Resource) -> None:
        model_id = resource.nucleus_id or ""
        try:
            found = await self.api.models.get(model_id)
        except NotFound:
            self._gone(resource)
            return
        self._compare(resource, found.name, found.tags)

    async def _dataset(self, resource: Resource) -> None:
        name, dataset_id = resource.address.partition(".")[2], resource.nucleus_id or ""
        try:
            found = await self.api.datasets.details(dataset_id)
        except NotFound:
            self._gone(resource)
            return
        if is_wanted(resource.address, self.targets):
            tags = found.tags if found.tags is not None else await self.api.datasets.tags(dataset_id)
            self._compare(resource, found.name, tags)
        wanted = [
            stream
            for stream in streams_of(self.ledger, self.spec, name, dataset_id)
            if is_wanted(stream.address, self.targets) and await self._has_its_model(stream)
        ]
        self._scenes = Sorter(self.scratch)
        if holds_scenes(self.ledger, name) and self.sample is None:
            keys = key_sets(self.spec, self.ledger, name)
            await remote.read_scenes(self.api, dataset_id, keys, self._scenes)
        if self.sample is None:
            await self._streams(wanted)
        else:
            await self._sampled(name, wanted, self.sample)
        self._scenes.close()
        await self._beneath(resource)

    async def _has_its_model(self, stream: Looked) -> bool:
        if stream.model_id is None:
            return True
        try:
            await self.api.models.get(stream.model_id)
        except NotFound:
            self.report.remarks.append((stream.address, "its model is not at Nucleus any more"))
            return False
        return True

    def _gone(self, resource: Resource) -> None:
        finding = ResourceFinding(resource.address, What.DELETED, f"{resource.nucleus_id} is not at Nucleus any more")
        self.report.resources.append(finding)

    def _compare(self, resource: Resource, name: str | None, tags: Sequence[str] | None) -> None:
        """Only tags can be brought back; a name can't be changed through the API."""
        wanted = resource.details.get("wanted", {})
        findings = []
        if name is not None and name != wanted.get("name"):
            detail = f"it is called {name!r} there, not {wanted.get('name')!r}; Nucleus has no call that renames"
            findings.append(ResourceFinding(resource.address, What.CHANGED, detail, ("name",), repairable=False))
        there = tuple(sorted(tags or ()))
        if there != tuple(wanted.get("tags", ())):
            detail = f"its tags are {_listed(there)} there, not {_listed(wanted.get('tags', ()))}"
            findings.append(
                ResourceFinding(resource.address, What.CHANGED, detail, ("tags",), seen={"tags": list(there)})
            )
        self.report.resources += findings
        if not findings:
            self.report.unchanged.append(resource.address)

    async def _streams(self, wanted: Sequence[Looked]) -> None:
        by_kind = {stream.kind: stream for stream in wanted if stream.kind is not Kind.PREDICTIONS}
        scenes, annotations = by_kind.get(Kind.SCENES), by_kind.get(Kind.ANNOTATIONS)
        if scenes:
            self._compared(scenes).weigh_all(self._scenes.sorted(), self.ledger.known(scenes.address))
        if Kind.ITEMS in by_kind or annotations:
            await self._items_and_annotations(by_kind.get(Kind.ITEMS), annotations)
        for stream in wanted:
            if stream.kind is Kind.PREDICTIONS:
                await self._predictions(stream)

    async def _items_and_annotations(self, items: Looked | None, annotations: Looked | None) -> None:
        """One listing holds both."""
        either = items or annotations
        assert either is not None  # noqa: S101  (called with one of them)
        self.say(either.address, "reading what Nucleus holds")
        item_rows, record_rows = Sorter(self.scratch), Sorter(self.scratch)
        keys = items.keys if items else None
        if annotations is None:
            await remote.read_items(self.api, either.dataset_id, keys, item_rows)
        else:
            await remote.read_export(self.api, either.dataset_id, keys, item_rows, record_rows)
        if items:
            self._compared(items).weigh_all(item_rows.sorted(), self.ledger.known(items.address))
        if annotations:
            self._weigh_all(self._compared(annotations), record_rows)
        item_rows.close()
        record_rows.close()

    def _compared(self, stream: Looked) -> Comparison:
        comparison = Comparison(stream.address, stream.kind, self.scratch, stream.urls, stream.keys is not None)
        if stream.keys is None:
            comparison.remarks.append(
                "metadata is not compared: with so many sets of keys, ours can't be told from others'"
            )
        if stream.kind is Kind.ITEMS and not stream.urls:
            comparison.remarks.append("uploaded images come back under Nucleus's own URL: only metadata is compared")
        if stream.kind is Kind.SCENES:
            comparison.remarks.append("of scenes only their metadata is compared: frames are frozen at Nucleus")
        if any(batch.address == stream.address for batch in self.ledger.open_batches()):
            comparison.remarks.append("batches are in flight: what they carry may look like drift")
        self.report.streams.append(comparison)
        return comparison

    async def _predictions(self, stream: Looked) -> None:
        """In one answer where there are few enough; else as far as the dataset's slices reach."""
        assert stream.model_id is not None  # noqa: S101  (predictions belong to a model)
        if stream.run_free:
            self._unlisted(self._compared(stream))
            return
        self.say(stream.address, "reading what Nucleus holds")
        rows = Sorter(self.scratch)
        if self.ledger.count(stream.address) <= PREDICTIONS_AT_ONCE:
            try:
                await remote.read_all_predictions(self.api, stream.dataset_id, stream.model_id, rows)
            except Unreachable:
                rows.close()
                rows = Sorter(self.scratch)
            else:
                self._weigh_all(self._compared(stream), rows)
                return
        covered = Sorter(self.scratch)
        for slice_ in self.ledger.resources(f"dataset.{stream.dataset}"):
            if slice_.kind == "slice" and slice_.nucleus_id:
                await self._through_slice(slice_.nucleus_id, stream.model_id, covered, rows)
        why = "Nucleus pages predictions only through a slice, and no slice of ours holds their items"
        self._weigh_covered(self._compared(stream), covered, rows, why)

    def _unlisted(self, comparison: Comparison) -> None:
        comparison.unverified = self.ledger.count(comparison.address)
        comparison.remarks.append(
            "Nucleus has no call that lists predictions without a run; --sample reads those of single items"
        )

    async def _through_slice(self, slice_id: str, model_id: str, covered: Sorter, rows: Sorter) -> None:
        try:
            await remote.read_predictions_of_slice(self.api, slice_id, model_id, covered, rows)
        except NotFound:
            return

    def _weigh_all(self, comparison: Comparison, rows: Sorter) -> None:
        """All records on items; what is on a scene as a whole does not come back with them."""
        on_scenes = Presence(row[0] for row in self._scenes.sorted())
        self._weigh_some(comparison, rows, lambda item: item not in on_scenes, "they are on scenes as a whole")

    def _weigh_covered(self, comparison: Comparison, covered: Sorter, rows: Sorter, why: str) -> None:
        """Only what lies on items that were read can be compared; of the rest nothing is claimed."""
        present = Presence(row[0] for row in covered.sorted())
        self._weigh_some(comparison, rows, lambda item: item in present, why)

    def _weigh_some(self, comparison: Comparison, rows: Sorter, is_told: Callable[[bytes], bool], why: str) -> None:
        def told() -> Iterator[tuple[bytes, bytes]]:
            for key, stamp in self.ledger.known(comparison.address):
                if is_told(item_of(key)):
                    yield key, stamp
                else:
                    comparison.unverified += 1

        comparison.weigh_all(rows.sorted(), told())
        if comparison.unverified:
            comparison.remarks.append(f"{comparison.unverified:,} were not verified: {why}")

    async def _sampled(self, dataset: str, wanted: Sequence[Looked], size: int) -> None:
        scenes = holds_scenes(self.ledger, dataset)
        sampler = Sampler(self.ledger, self.api, size, self.chance, scenes=scenes)
        for stream in wanted:
            self.say(stream.address, f"reading a sample of {size:,} items")
            await sampler.compare(stream, self._compared(stream))

    async def _beneath(self, dataset: Resource) -> None:
        await self._tracks(dataset)
        for resource in self.ledger.resources(dataset.address):
            if not is_wanted(resource.address, self.targets):
                continue
            if resource.kind == "slice":
                await self._slice(resource)
            elif resource.kind == "taxonomy":
                self.report.remarks.append((resource.address, "Nucleus has no call that reads a taxonomy"))

    async def _tracks(self, dataset: Resource) -> None:
        """One listing holds all of them."""
        known = [one for one in self.ledger.resources(dataset.address) if one.kind == "track"]
        known = [one for one in known if is_wanted(one.address, self.targets)]
        there = await self.api.datasets.tracks(dataset.nucleus_id or "") if known else []
        metadata = {track.reference_id: track.metadata or {} for track in there}
        for resource in known:
            wanted = resource.details["wanted"]
            found = metadata.get(wanted["reference_id"])
            if found is None:
                detail = f"the track {wanted['reference_id']!r} is not at Nucleus any more"
                self.report.resources.append(ResourceFinding(resource.address, What.DELETED, detail))
            elif found != wanted["metadata"]:
                detail = f"its metadata are {found} there, not {wanted['metadata']}"
                seen = ResourceFinding(resource.address, What.CHANGED, detail, ("metadata",), seen={"metadata": found})
                self.report.resources.append(seen)
            else:
                self.report.unchanged.append(resource.address)

    async def _slice(self, resource: Resource) -> None:
        slice_id = resource.nucleus_id or ""
        members = Sorter(self.scratch)
        try:
            await self.api.slices.get(slice_id)
            if self.sample is None:
                await remote.read_members(self.api, slice_id, members)
        except NotFound:
            self._gone(resource)
            return
        if self.sample is not None:
            self.report.remarks.append((resource.address, "a slice's members are not sampled"))
            return
        comparison = Comparison(resource.address, Kind.ITEMS, self.scratch)
        comparison.weigh_members((key for (key,) in members.sorted()), self.ledger.known(resource.address))
        self.report.slices.append(comparison)


def _listed(tags: Sequence[str]) -> str:
    return ", ".join(tags) or "none"
