"""The evaluations that a spec can declare, with the gates on their numbers."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from msgspec import Struct, field

from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.rule import after, bounds, made, refuse, shown_as, told_by
from nucleus_sync.spec.value import (
    PLAIN_SCHEMA,
    Name,
    Number,
    SliceName,
    Switch,
    Text,
    Texts,
    no_repeats,
)

Op = Literal[">=", ">", "<=", "<", "=="]
MetricName = Literal["mAP", "mAP50", "mAP75", "AP_small", "AP_medium", "AP_large", "precision", "recall", "F1", "AP"]

_COMPARES: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_COMPARISON = re.compile(r"(>=|>|<=|<|==)\s*(\d+(?:\.\d*)?|\.\d+)")


class Comparison(Struct, frozen=True):
    """A bound on a number, such as `>= 0.60`."""

    op: Op
    number: float

    def holds(self, value: float) -> bool:
        """Whether the value keeps the bound; NaN keeps none."""
        return _COMPARES[self.op](value, self.number)

    def __str__(self) -> str:
        return f"{self.op} {self.number:g}"


class Gate(Struct, frozen=True):
    """One number that an evaluation must reach; `label` is None for the whole."""

    metric: str
    label: str | None
    bound: Comparison

    def __str__(self) -> str:
        return f"{f'{self.label} ' if self.label else ''}{self.metric} {self.bound}"


def parse_comparison(value: object) -> Comparison:
    """Read a bound such as `>= 0.60`; metrics run from 0 to 1."""
    if isinstance(value, Comparison):
        return value
    found = _COMPARISON.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        refuse(f"{value!r} is not a bound", f'write a comparison in quotes, such as ">= 0.60"; allowed: {_OPS}')
    number = float(found[2])
    if not (math.isfinite(number) and number <= 1):
        refuse(f"no metric can be {value!r}", "metrics run from 0 to 1: write 0.6 for 60 %")
    op: Any = found[1]
    return Comparison(op, number)


_OPS = ", ".join(get_args(Op))

Bound = Annotated[
    Comparison,
    made(parse_comparison),
    shown_as({"type": "string", "pattern": r"^\s*(>=|>|<=|<|==)\s*(\d+(\.\d*)?|\.\d+)\s*$"}),
]


class LabelExpect(SpecPart, frozen=True, kw_only=True):
    """Bounds on the numbers of one label."""

    AP: Bound
    """Average precision of the label, over IoU 0.50 to 0.95."""


class Expect(SpecPart, frozen=True, kw_only=True):
    """Bounds on the numbers of an evaluation; `apply` exits 5 when one is not kept. Other keys are labels."""

    further = "by_label"

    mAP: Bound | None = None
    """Mean average precision over IoU 0.50 to 0.95, as COCO has it."""
    mAP50: Bound | None = None
    """Mean average precision at IoU 0.50."""
    mAP75: Bound | None = None
    """Mean average precision at IoU 0.75."""
    AP_small: Bound | None = None
    """Mean average precision of small objects."""
    AP_medium: Bound | None = None
    """Mean average precision of medium objects."""
    AP_large: Bound | None = None
    """Mean average precision of large objects."""
    precision: Bound | None = None
    """True positives among the predictions."""
    recall: Bound | None = None
    """True positives among the ground truth."""
    F1: Bound | None = None
    """Harmonic mean of precision and recall."""
    no_worse_than: Literal["previous"] | None = None
    """Compare each number with the evaluation's previous run, too."""
    by: Annotated[Number, bounds(ge=0, le=1)] | None = None
    """How much worse than the previous run is still good enough; left out: 0."""
    by_label: dict[str, LabelExpect] = field(default_factory=dict)
    """Bounds on the numbers of single labels."""

    def __post_init__(self) -> None:
        if self.by is not None and self.no_worse_than is None:
            refuse("'by' says how much, but nothing says than what", "add no_worse_than: previous")
        if not self.gates and self.no_worse_than is None:
            refuse("expects nothing", 'name a metric and its bound: {mAP50: ">= 0.60"}')

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The bounds, metrics before labels."""
        metrics = [(name, getattr(self, name)) for name in self.__struct_fields__]
        whole = [Gate(name, None, bound) for name, bound in metrics if isinstance(bound, Comparison)]
        labels = [Gate("AP", label, expect.AP) for label, expect in self.by_label.items()]
        return tuple(whole + labels)


class LabelMatch(SpecPart, frozen=True, kw_only=True):
    """Two labels that count as the same when predictions are matched."""

    ground_truth_label: Text
    """Label of the annotation."""
    model_prediction_label: Text
    """Label of the prediction."""


def _comparand(value: object) -> object:
    members = value if isinstance(value, list) else [value]
    if not members or not all(isinstance(member, str | bool | int | float) for member in members):
        refuse("must be a text, a number, true or false, or a list of them")
    return value


_COMPARAND_SCHEMA = {"anyOf": [PLAIN_SCHEMA, {"type": "array", "items": PLAIN_SCHEMA, "minItems": 1}]}


class MetadataRule(SpecPart, frozen=True, kw_only=True):
    """Leaves out items by their metadata."""

    type: Literal["metadata"]
    """Which kind of rule it is."""
    key: Text
    """The metadata key."""
    op: Literal["eq", "in", "gt", "lt"] = "eq"
    """How the value is compared."""
    value: Annotated[Any, after(_comparand), shown_as(_COMPARAND_SCHEMA)]
    """What it is compared with; a list for `in`."""

    def __post_init__(self) -> None:
        if isinstance(self.value, list) != (self.op == "in"):
            refuse("a list of values goes with op: in, and only with it", "write op: in and value: [first, second]")


class LabelsRule(SpecPart, frozen=True, kw_only=True):
    """Leaves out annotations or predictions by their label, or the items that hold them."""

    type: Literal["labels"]
    """Which kind of rule it is."""
    scope: Literal["item", "annotation"] = "annotation"
    """Leave out the object, or its whole item."""
    target: Literal["ground_truth", "prediction"]
    """Which side's label is looked at."""
    labels: Annotated[Texts, bounds(min_length=1)]
    """The labels."""


class BoxAreaRule(SpecPart, frozen=True, kw_only=True):
    """Leaves out objects whose box is smaller or larger than wanted, or the items that hold them."""

    type: Literal["box_area"]
    """Which kind of rule it is."""
    scope: Literal["item", "annotation"] = "annotation"
    """Leave out the object, or its whole item."""
    target: Literal["ground_truth", "prediction"]
    """Which side's box is measured."""
    min: Annotated[Number, bounds(ge=0)] | None = None
    """Smaller areas are left out, in square pixels."""
    max: Annotated[Number, bounds(ge=0)] | None = None
    """Larger areas are left out, in square pixels."""

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            refuse("a box_area rule without min and max says nothing", "give min, max or both")


ExclusionRule = Annotated[MetadataRule | LabelsRule | BoxAreaRule, told_by("type")]


class MetricsEvaluation(SpecPart, frozen=True, kw_only=True):
    """Nucleus's own matching of predictions and ground truth, shown in its dashboard."""

    kind: Literal["metrics"]
    """Which kind of evaluation it is."""
    model: Name
    """The model whose predictions are evaluated."""
    dataset: Name
    """The dataset on which they are evaluated."""
    class_agnostic: Switch = False
    """Match regardless of label?"""
    allowed_label_matches: tuple[LabelMatch, ...] = ()
    """Labels that count as the same."""
    expect: Expect | None = None
    """Bounds on the numbers; apply exits 5 when one is not kept."""

    def __post_init__(self) -> None:
        if self.class_agnostic and self.allowed_label_matches:
            refuse("with class_agnostic every label matches every other", "remove allowed_label_matches, or it")


class Benchmark(SpecPart, frozen=True, kw_only=True):
    """The set of items that an evaluation is made on: of datasets, slices or single items, in any mixture."""

    datasets: Annotated[tuple[Name, ...], after(no_repeats)] = ()
    """Whole datasets."""
    slices: Annotated[tuple[SliceName, ...], after(no_repeats)] = ()
    """Slices, each as `dataset.slice`."""
    items: dict[Name, Annotated[Texts, bounds(min_length=1)]] = field(default_factory=dict)
    """By dataset, reference ids of single items."""
    name: Text | None = None
    """Its name at Nucleus, followed by the time; left out: the evaluation's address."""
    description: Text | None = None
    """A sentence shown beside it."""
    label: Text | None = None
    """Label of its version; a new one makes a new version."""
    bump: Literal["minor", "major"] | None = None
    """Which number a new version raises; left out: minor."""
    draft: Switch = False
    """Keep it as a draft, which changes in place and isn't evaluated until this is false again?"""

    @property
    def has_sources(self) -> bool:
        """Whether it says what is in it."""
        return bool(self.datasets or self.slices or self.items)

    @property
    def slice_addresses(self) -> tuple[str, ...]:
        """The addresses of its slices."""
        pairs = (name.partition(".") for name in self.slices)
        return tuple(f"dataset.{dataset}.slice.{title}" for dataset, _, title in pairs)


class BenchmarkEvaluation(SpecPart, frozen=True, kw_only=True):
    """An evaluation on a frozen benchmark, whose numbers can be read back."""

    kind: Literal["benchmark"]
    """Which kind of evaluation it is."""
    model: Name
    """The model whose predictions are evaluated."""
    dataset: Name | None = None
    """The dataset of which the benchmark is made, unless `benchmark` says what is in it."""
    benchmark: Benchmark | None = None
    """What the benchmark is made of, and how it is called."""
    class_agnostic: Switch = False
    """Match regardless of label?"""
    rollup_groups: dict[Text, Annotated[Texts, bounds(min_length=1)]] = field(default_factory=dict)
    """Labels that count as one: `{vehicle: [car, bus]}`."""
    exclusion_rules: tuple[ExclusionRule, ...] = ()
    """What is left out of the numbers."""
    preset: Text | None = None
    """Name of a preset at Nucleus whose rollup groups and exclusion rules are taken."""
    save_as_preset: Text | None = None
    """Name of a preset at Nucleus that is kept equal to these groups and rules; with `prune` it goes with them."""
    expect: Expect | None = None
    """Bounds on the numbers; apply exits 5 when one is not kept."""

    def __post_init__(self) -> None:
        if self.class_agnostic and self.rollup_groups:
            refuse("with class_agnostic every label matches every other", "remove rollup_groups, or it")
        own = bool(self.rollup_groups or self.exclusion_rules)
        if self.preset is not None and (own or self.save_as_preset is not None):
            refuse("a preset brings its own rollup groups and exclusion rules", "remove preset, or what is beside it")
        if self.save_as_preset is not None and not own:
            refuse("there is nothing to save as a preset", "give rollup_groups or exclusion_rules")
        told = self.benchmark is not None and self.benchmark.has_sources
        if told == (self.dataset is not None):
            said = "says twice what is in its benchmark" if told else "does not say what is in its benchmark"
            refuse(f"an evaluation {said}", "give either dataset, or benchmark with datasets, slices or items")


Evaluation = Annotated[MetricsEvaluation | BenchmarkEvaluation, told_by("kind")]
"""Any evaluation; `kind` says which."""
