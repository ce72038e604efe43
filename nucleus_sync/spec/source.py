"""The sources that a spec can declare, one model per format."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from nucleus_sync.spec.coco_source import CocoPanopticSource, CocoResultsSource, CocoSource, Geometry
from nucleus_sync.spec.image_source import IMAGE_FIELDS, ImagesSource, KittiSource, VocSource, YoloSource
from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.place import IMAGE_SUFFIXES
from nucleus_sync.spec.rule import after, refuse, shown_as, told_by
from nucleus_sync.spec.scene_source import FramesSource, Kitti3dSource
from nucleus_sync.spec.value import (
    KeyTemplate,
    OnInvalid,
    OutOfBounds,
    PathText,
    TemplateText,
    TemplateValue,
    Text,
    UrlTemplate,
)

TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")

_TABLE_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "pattern": r"\.([cCtT][sS][vV](\.[gG][zZ])?|[pP][aA][rR][qQ][uU][eE][tT])$",
}


def _table_path(path: str) -> str:
    if not path.lower().endswith(TABLE_SUFFIXES):
        refuse("this is not the name of a table", f"allowed endings: {', '.join(TABLE_SUFFIXES)}")
    return path


class RecordsSource(SpecPart, frozen=True, kw_only=True):
    """NDJSON whose lines are already in Nucleus's wire form; yields whatever it holds."""

    format: Literal["records"]
    """Which reader reads it."""
    path: PathText
    """The file (.jsonl, .jsonl.gz, .jsonl.zst), or `-` for standard input."""
    on_invalid: OnInvalid = "error"
    """What an unusable line means: stop before anything is sent, or leave it out and count it."""


class TableSource(SpecPart, frozen=True, kw_only=True):
    """A CSV, TSV or Parquet table with one image per row; yields items."""

    format: Literal["table"]
    """Which reader reads it."""
    path: Annotated[PathText, after(_table_path), shown_as(_TABLE_SCHEMA)]
    """The table (.csv, .tsv, either with .gz, or .parquet)."""
    reference_id: KeyTemplate = "{reference_id}"
    """Template over the columns: the item's reference id."""
    image_url: UrlTemplate = "{image_url}"
    """Template over the columns: the address at which Nucleus reads the image."""
    width: TemplateText | None = None
    """Template over the columns: the image's width in pixels."""
    height: TemplateText | None = None
    """Template over the columns: the image's height in pixels."""
    metadata: dict[Text, TemplateValue] | None = None
    """Metadata of each item; texts are templates over the columns. Left out: every column not used above."""
    types: dict[Text, Literal["text", "number", "bool"]] = field(default_factory=dict)
    """What the cells of a CSV column mean; a column that is not named is text. Parquet knows its own types."""
    on_invalid: OnInvalid = "error"
    """What an unusable row means: stop before anything is sent, or leave it out and count it."""


Source = Annotated[
    ImagesSource
    | CocoSource
    | CocoResultsSource
    | CocoPanopticSource
    | YoloSource
    | VocSource
    | KittiSource
    | RecordsSource
    | TableSource
    | FramesSource
    | Kitti3dSource,
    told_by("format"),
]
"""Any source; `format` says which."""

YIELDS: dict[str, frozenset[str]] = {
    "images": frozenset({"items"}),
    "coco": frozenset({"items", "annotations"}),
    "coco-results": frozenset({"predictions"}),
    "coco-panoptic": frozenset({"items", "annotations", "predictions"}),
    "yolo": frozenset({"items", "annotations", "predictions"}),
    "voc": frozenset({"items", "annotations"}),
    "kitti": frozenset({"items", "annotations", "predictions"}),
    "records": frozenset({"items", "annotations", "predictions", "lidar", "video"}),
    "table": frozenset({"items"}),
    "frames": frozenset({"video"}),
    "kitti-3d": frozenset({"lidar", "annotations", "predictions"}),
}
"""Which records a format can yield; lidar and video are scenes."""

NOT_YET = frozenset({"label-studio", "labelbox", "cvat"})
"""Formats that people will try, and that this version has no reader for."""

__all__ = [
    "IMAGE_FIELDS",
    "IMAGE_SUFFIXES",
    "NOT_YET",
    "TABLE_SUFFIXES",
    "YIELDS",
    "CocoPanopticSource",
    "CocoResultsSource",
    "CocoSource",
    "FramesSource",
    "Geometry",
    "ImagesSource",
    "Kitti3dSource",
    "KittiSource",
    "OnInvalid",
    "OutOfBounds",
    "RecordsSource",
    "Source",
    "TableSource",
    "VocSource",
    "YoloSource",
]
