"""The sources that are COCO files, one model per format."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.rule import before
from nucleus_sync.spec.staging import StagedSource
from nucleus_sync.spec.value import (
    KeyTemplate,
    OnInvalid,
    OutOfBounds,
    PathText,
    ReadUrl,
    StoreUrl,
    Switch,
    TemplateValue,
    Text,
    UrlTemplate,
)

Geometry = Literal["box", "polygon", "keypoints", "mask"]


def _field_or_template(value: object) -> object:
    """A bare name is that field of the file's own image entries: coco_url is {coco_url}."""
    return f"{{{value}}}" if isinstance(value, str) and value.isidentifier() else value


class CocoSource(StagedSource, frozen=True, kw_only=True):
    """A COCO file with images and annotations; yields items and annotations."""

    format: Literal["coco"]
    """Which reader reads it."""
    path: PathText
    """The COCO JSON file."""
    images: PathText | None = None
    """Folder in which each file_name must exist; the files are uploaded unless `image_url` is given."""
    image_url: Annotated[UrlTemplate, before(_field_or_template)] | None = None
    """Template over the file's own image entries, such as `{coco_url}` or `s3://acme/{file_name}`."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    reference_id: KeyTemplate = "{file_name}"
    """Template over the image entry: the item's reference id."""
    annotation_id: KeyTemplate | None = None
    """Template over the annotation; left out: its own id, or else its position within the item."""
    geometry: Geometry | None = None
    """What to send of each annotation; left out: what the file holds, polygons before boxes."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a geometry that reaches beyond its image."""
    strict: Switch = False
    """Reject images whose size in the file differs from the JSON's? Otherwise they are only reported."""
    metadata: dict[Text, TemplateValue] = field(default_factory=dict)
    """Metadata of each item; texts are templates over the image entry."""
    annotation_metadata: dict[Text, TemplateValue] = field(default_factory=dict)
    """Metadata of each annotation; texts are templates over the annotation."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class CocoResultsSource(SpecPart, frozen=True, kw_only=True):
    """A COCO results file (a list of scored detections); yields predictions."""

    format: Literal["coco-results"]
    """Which reader reads it."""
    path: PathText
    """The results JSON file."""
    ground_truth: PathText
    """The COCO file from which image names and category names come."""
    images: PathText | None = None
    """Folder against which file names are matched, as in the ground truth's own source."""
    reference_id: KeyTemplate = "{file_name}"
    """Template over the ground truth's image entry: the item's reference id."""
    annotation_id: KeyTemplate | None = None
    """Template over the detection; left out: its own id, or else its position within the item."""
    geometry: Geometry | None = None
    """What to send of each detection; left out: what the file holds, polygons before boxes."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a geometry that reaches beyond its image."""
    annotation_metadata: dict[Text, TemplateValue] = field(default_factory=dict)
    """Metadata of each prediction; texts are templates over the detection."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class CocoPanopticSource(StagedSource, frozen=True, kw_only=True):
    """A COCO panoptic file with its PNGs of segments; yields items and masks, as annotations or predictions."""

    format: Literal["coco-panoptic"]
    """Which reader reads it."""
    path: PathText
    """The panoptic JSON file."""
    masks: PathText | None = None
    """Folder with the PNGs; left out: the folder beside the file that has its name without the ending."""
    images: PathText | None = None
    """Folder in which each image's file_name must exist; the files are uploaded unless `image_url` is given."""
    image_url: UrlTemplate | None = None
    """Template over the file's own image entries, such as `{coco_url}` or `s3://acme/{file_name}`."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    reference_id: KeyTemplate = "{file_name}"
    """Template over the image entry: the item's reference id."""
    metadata: dict[Text, TemplateValue] = field(default_factory=dict)
    """Metadata of each item; texts are templates over the image entry."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""
