"""The spec as a value: what `nucleus.yaml` declares."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from msgspec import field

from nucleus_sync.spec.evaluation import (
    BenchmarkEvaluation,
    Comparison,
    Evaluation,
    Expect,
    Gate,
    LabelMatch,
    MetricsEvaluation,
)
from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.resource import Dataset, MetadataField, Model, Slice, Taxonomy, Track
from nucleus_sync.spec.rule import before, refuse
from nucleus_sync.spec.settings import BatchSettings, DeleteLimit, Settings
from nucleus_sync.spec.source import (
    CocoResultsSource,
    CocoSource,
    ImagesSource,
    RecordsSource,
    Source,
    TableSource,
)
from nucleus_sync.spec.value import Name

__all__ = [
    "BatchSettings",
    "BenchmarkEvaluation",
    "CocoResultsSource",
    "CocoSource",
    "Comparison",
    "Dataset",
    "DeleteLimit",
    "Evaluation",
    "Expect",
    "Gate",
    "ImagesSource",
    "LabelMatch",
    "MetadataField",
    "MetricsEvaluation",
    "Model",
    "RecordsSource",
    "Settings",
    "Slice",
    "Source",
    "Spec",
    "TableSource",
    "Taxonomy",
    "Track",
    "digest",
]


def _version(value: object) -> object:
    if value != 1 or isinstance(value, bool):
        refuse(f"this program reads version 1 of the spec, not {value!r}", "write version: 1")
    return value


def _section(value: object) -> object:
    # A section whose entries are all commented out is empty, not wrong.
    return {} if value is None else value


_Section = before(_section)


class Spec(SpecPart, frozen=True, kw_only=True):
    """What should be in Nucleus."""

    version: Annotated[Literal[1], before(_version)]
    """Version of the spec's language."""
    settings: Annotated[Settings, _Section] = Settings()
    """How to sync."""
    sources: Annotated[dict[Name, Source], _Section] = field(default_factory=dict)
    """Named exports that yield records."""
    datasets: Annotated[dict[Name, Dataset], _Section] = field(default_factory=dict)
    """Datasets that should be there."""
    models: Annotated[dict[Name, Model], _Section] = field(default_factory=dict)
    """Models that should be there."""
    evaluations: Annotated[dict[Name, Evaluation], _Section] = field(default_factory=dict)
    """Evaluations of a model on a dataset."""

    def prunes(self, dataset: str) -> bool:
        """Whether what the sources of a dataset no longer yield is deleted."""
        own = self.datasets[dataset].prune
        return self.settings.prune if own is None else own

    def prunes_stream(self, dataset: str, model: str | None) -> bool:
        """The same for a stream. A named run goes as a whole, so all of its datasets must agree; others can't go."""
        run = self.models[model].run if model is not None else None
        if model is None or run is None:
            return self.prunes(dataset)
        return run != "none" and all(self.prunes(name) for name in self.models[model].predictions)


def digest(spec: Spec) -> str:
    """SHA-256 of what the spec means: comments, order of keys and written-out defaults don't change it."""
    text = json.dumps(spec.said(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
