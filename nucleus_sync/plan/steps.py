"""Steps of a plan as data: one reader explains them, another performs them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import Struct, field

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Action(StrEnum):
    """What a step does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PROBE = "probe"
    INGEST = "ingest"
    EVALUATE = "evaluate"


class Holds(StrEnum):
    """What lies at an address; the order of an apply is a table over these and the actions."""

    DATASET = "dataset"
    TAXONOMY = "taxonomy"
    ITEMS = "items"
    SCENES = "scenes"
    ANNOTATIONS = "annotations"
    SLICE = "slice"
    TRACK = "track"
    MODEL = "model"
    PREDICTIONS = "predictions"
    EVALUATION = "evaluation"


class RecordCounts(Struct, frozen=True):
    """Records of one stream by what happens to them.

    `resent` are unchanged ones that must be sent again because Nucleus can only clear a whole item's annotations;
    they are part of `unchanged`. `resting` were refused by Nucleus before and haven't changed since. `orphaned` are
    in Nucleus but no longer in a source, and stay because the stream isn't pruned.
    """

    create: int = 0
    update: int = 0
    delete: int = 0
    unchanged: int = 0
    resent: int = 0
    resting: int = 0
    orphaned: int = 0

    @property
    def sent(self) -> int:
        """How many records go out."""
        return self.create + self.update + self.resent


class Step(Struct, frozen=True):
    """One entry of a plan. `id` is `address:action`; `reasons` counts why, record by record or field by field."""

    action: Action
    address: str
    holds: Holds
    depends_on: tuple[str, ...] = ()
    records: RecordCounts | None = None
    reasons: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    wanted: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    """What a resource should be; plain values."""

    @property
    def id(self) -> str:
        """The step's name in a plan."""
        return f"{self.address}:{self.action}"
