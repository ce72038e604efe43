"""What Nucleus answers, as frozen values; what it may leave out has a default, what we don't know is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Raw, Struct, ValidationError, field
from msgspec.json import decode

from nucleus_sync.errors import ApiError

Json = dict[str, Any]


class CreatedDataset(Struct, frozen=True, kw_only=True):
    dataset_id: str


class DatasetSummary(Struct, frozen=True, kw_only=True):
    """One of the datasets that this key sees; names repeat."""

    id: str
    name: str | None = None
    is_public: bool | None = None


class DatasetDetails(Struct, frozen=True, kw_only=True):
    """`dataset/{ds}/info`; `length` counts items."""

    dataset_id: str
    name: str
    length: int = 0
    model_run_ids: list[str] | None = None
    slice_ids: list[str] | None = None
    annotation_metadata_schema: Json | None = None
    item_metadata_schema: Json | None = None
    tags: list[str] | None = None


class LabelSchema(Struct, frozen=True, kw_only=True):
    gt_labels: list[str] = []
    prediction_labels: list[str] = []


class SceneSummary(Struct, frozen=True, kw_only=True):
    id: str
    reference_id: str
    type: str | None = None
    metadata: Json | None = None


class TaxonomyAnswer(Struct, frozen=True, kw_only=True):
    """`status` is a sentence: "Taxonomy created", "… already exists", "… updated", "… successfully deleted"."""

    dataset_id: str | None = None
    taxonomy_name: str | None = None
    status: str = ""

    @property
    def existed(self) -> bool:
        """Whether the taxonomy was there before and was left as it was."""
        return "already exists" in self.status.lower()


class Track(Struct, frozen=True, kw_only=True):
    reference_id: str
    dataset_id: str | None = None
    metadata: Json | None = None


class Job(Struct, frozen=True, kw_only=True):
    """What every trigger answers (docs/wire.md §7.1)."""

    job_id: str
    job_last_known_status: str = ""
    job_type: str = ""
    job_creation_time: str = ""


class RemoteItem(Struct, frozen=True, kw_only=True):
    """An item as read back (docs/wire.md §8.2); sizes may be missing although they were sent."""

    spelled_long: str | None = field(default=None, name="reference_id")
    spelled_short: str | None = field(default=None, name="ref_id")
    dataset_item_id: str | None = None
    id: str | None = None
    image_url: str | None = None
    original_image_url: str | None = None
    pointcloud_url: str | None = None
    processed_url: str | None = None
    url: str | None = None
    type: str | None = None
    metadata: Json | None = None
    width: float | None = None
    height: float | None = None

    @property
    def reference_id(self) -> str:
        """The user's key; the short spelling wins where both are there, as in the SDK."""
        return self.spelled_short or self.spelled_long or ""

    @property
    def item_id(self) -> str | None:
        """Nucleus's own id, `di_…`."""
        return self.dataset_item_id or self.id

    @property
    def source_url(self) -> str | None:
        """The URL as it was uploaded."""
        return self.original_image_url or self.image_url or self.pointcloud_url or self.url


class ItemRecords(Struct, frozen=True, kw_only=True):
    """An item with what is on it: annotations or predictions in wire form, each with `type` and `reference_id`."""

    item: RemoteItem
    records: list[Json]


class UploadTally(Struct, frozen=True, kw_only=True):
    """Answer to a small synchronous upload; refused records are in neither count but in `errors`."""

    dataset_id: str | None = None
    model_id: str | None = None
    model_run_id: str | None = None
    annotations_processed: int = 0
    annotations_ignored: int = 0
    predictions_processed: int = 0
    predictions_ignored: int = 0
    errors: list[str] | None = None


class Model(Struct, frozen=True, kw_only=True):
    id: str
    name: str | None = None
    ref_id: str | None = None
    reference_id: str | None = None
    metadata: Json | None = None
    tags: list[str] | None = None
    trained_slice_ids: list[str] | None = None

    @property
    def key(self) -> str | None:
        """The user's reference id, whichever way it was spelled."""
        return self.ref_id or self.reference_id


class Run(Struct, frozen=True, kw_only=True):
    """A model run; it need not belong to a dataset."""

    model_id: str | None = None
    name: str | None = None
    status: str | None = None
    metadata: Json | None = None


class MergedRun(Struct, frozen=True, kw_only=True):
    """The new run exists at once and is filled by the job."""

    job_id: str
    model_run_id: str
    dataset_ids: list[str] = []


class CopiedPredictions(Struct, frozen=True, kw_only=True):
    model_id: str | None = None
    model_run_ids: list[str] = []
    predictions_copied: int = 0
    predictions_skipped_unsupported: int = 0


class Slice(Struct, frozen=True, kw_only=True):
    """A slice as listed (`id`) or described (`slice_id`)."""

    id: str | None = None
    slice_id: str | None = None
    name: str | None = None
    dataset_id: str | None = None
    type: str | None = None
    created_at: str | None = None
    pending_job_count: int | None = None
    description: str | None = None
    tags: list[str] | None = None

    @property
    def key(self) -> str:
        """The `slc_…` id."""
        return self.slice_id or self.id or ""


class AppendedMembers(Struct, frozen=True, kw_only=True):
    slice_id: str | None = None
    new_items: list[str] | None = None


class Benchmark(Struct, frozen=True, kw_only=True):
    """`status` is draft, building, ready or failed; anything but a draft is frozen."""

    benchmark_id: str
    name: str | None = None
    description: str | None = None
    metadata: Json | None = None
    status: str | None = None
    item_count: int | None = None
    dataset_count: int | None = None
    skipped_items_without_ground_truth: int | None = None
    parent_benchmark_id: str | None = None
    version_major: int | None = None
    version_minor: int | None = None
    version_label: str | None = None
    allowed_label_matches_id: str | None = None
    class_agnostic: bool | None = None
    created_by_user_id: str | None = None
    created_at: str | None = None


class StartedBenchmark(Struct, frozen=True, kw_only=True):
    """`job_id` is null for an empty draft."""

    benchmark_id: str
    job_id: str | None = None


class BenchmarkItems(Struct, frozen=True, kw_only=True):
    item_ids: list[str] = []
    total: int = 0


class StartedEvaluation(Struct, frozen=True, kw_only=True):
    evaluation_id: str
    status: str | None = None
    workflow_id: str | None = None


class Evaluation(Struct, frozen=True, kw_only=True):
    """`status` is pending, computing, succeeded, failed or cancelled. Not a job: read it again until it is settled."""

    id: str
    status: str = ""
    name: str | None = None
    model_id: str | None = None
    model_run_id: str | None = None
    benchmark_id: str | None = None
    slice_id: str | None = None
    error_message: str | None = None
    temporal_workflow_id: str | None = None
    created_at: str | None = None
    rollup_groups: Any = None
    exclusion_rules: Any = None
    exclusion_stats: Any = None

    @property
    def is_settled(self) -> bool:
        """Whether it will not change any more by itself."""
        return self.status in {"succeeded", "failed", "cancelled"}


class MapSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    map_at50: float | None = field(default=None, name="mapAt50")
    map_at75: float | None = field(default=None, name="mapAt75")
    map_at5095: float | None = field(default=None, name="mapAt5095")


class ClassPrecision(Struct, frozen=True, kw_only=True, rename="camel"):
    class_label: str
    ap: float | None = None


class SizePrecision(Struct, frozen=True, kw_only=True, rename="camel"):
    small: float | None = None
    medium: float | None = None
    large: float | None = None


class MatchCounts(Struct, frozen=True, kw_only=True, rename="camel"):
    tp: int = 0
    fp: int = 0
    fn: int = 0
    preds_with_confidence: int = 0


class CurvePoint(Struct, frozen=True, kw_only=True, rename="camel"):
    class_label: str | None = None
    recall: float | None = None
    precision: float | None = None


class Charts(Struct, frozen=True, kw_only=True, rename="camel"):
    """An evaluation's numbers; null where nothing could be computed."""

    map_summary: MapSummary = MapSummary()
    per_class_ap: list[ClassPrecision] = []
    ap_by_size: SizePrecision = SizePrecision()
    total_counts: MatchCounts = MatchCounts()
    pr_curve: list[CurvePoint] = []
    confusion_matrix: list[Json] = []
    score_histogram: list[Json] = []
    computed_iou_ranges: list[Any] = []
    tide_attribution: Json = {}


class ExampleRows(Struct, frozen=True, kw_only=True):
    rows: list[Json] = []
    total: int = 0


class FilterSchema(Struct, frozen=True, kw_only=True):
    gt_labels: list[str] = []
    pred_labels: list[str] = []
    metadata_fields: list[Json] = []


class Preset(Struct, frozen=True, kw_only=True):
    """A named set of rollup groups and exclusion rules, private to the user."""

    id: str
    name: str
    rollup_groups: Any = None
    exclusion_rules: Any = None
    created_at: str | None = None
    updated_at: str | None = None


def stamped(item: Json, by_type: Json) -> list[Json]:
    """The records of an export row or a single read, each with its type and its item's reference id.

    Segmentations come back under `segmentation` and go in as `mask`; a row holds one or null, a single read a list.
    """
    reference_id = item.get("ref_id") or item.get("reference_id")
    records: list[Json] = []
    for kind in RECORD_TYPES:
        found = by_type.get(kind)
        each = [found] if isinstance(found, dict) else found or []
        records += [{"reference_id": reference_id, **record, "type": _kind_in(kind)} for record in each]
    return records


def stamped_one_by_one(by_type: dict[str, Raw]) -> Iterator[Json]:
    """The same for an answer of any length, which stays the text that it is; records name their items themselves.

    Raises ApiError for what is no list of objects.
    """
    try:
        for kind in RECORD_TYPES:
            raw = by_type.get(kind)
            for record in decode(raw, type=list[Raw] | None) or () if raw else ():
                yield {"reference_id": None, **decode(record, type=Json), "type": _kind_in(kind)}
    except ValidationError as error:
        raise ApiError(f"an answer without usable records: {error}") from None


def _kind_in(kind: str) -> str:
    return "mask" if kind == "segmentation" else kind


RECORD_TYPES = ("box", "line", "polygon", "keypoints", "cuboid", "category", "multicategory", "segmentation")
