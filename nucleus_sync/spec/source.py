"""The sources that a spec can declare, one model per format."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from nucleus_sync.spec import template
from nucleus_sync.spec.place import IMAGE_SUFFIXES
from nucleus_sync.spec.scene_source import FramesSource, Kitti3dSource
from nucleus_sync.spec.value import (
    KeyTemplate,
    PathText,
    ReadUrl,
    SpecPart,
    StoreUrl,
    Switch,
    TemplateText,
    TemplateValue,
    Text,
    Texts,
    UrlTemplate,
    refuse,
)

OnInvalid = Literal["error", "skip"]
OutOfBounds = Literal["keep", "clip", "reject"]

TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")

_TABLE_PATTERN = r"\.([cCtT][sS][vV](\.[gG][zZ])?|[pP][aA][rR][qQ][uU][eE][tT])$"

IMAGE_FIELDS = ("path", "parent", "name", "stem", "suffix")
"""What templates of an `images` source may name: `a/b.jpg` has path `a/b.jpg`, parent `a`, name `b.jpg`,
stem `b`, suffix `.jpg`."""


Geometry = Literal["box", "polygon", "keypoints", "mask"]


def _table_path(path: str) -> str:
    if not path.lower().endswith(TABLE_SUFFIXES):
        refuse("this is not the name of a table", f"allowed endings: {', '.join(TABLE_SUFFIXES)}")
    return path


def check_staging(image_url: str | None, upload_to: str | None, upload_url: str | None) -> None:
    """Refuse two ways to one image, and a place that Nucleus can't read."""
    if upload_to is None:
        if upload_url is not None:
            refuse("'upload_url' says how a place is read, but nothing is put there", "add upload_to")
        return
    if image_url is not None:
        refuse("the images are read at image_url, so there is nothing to upload", "remove image_url, or upload_to")
    if upload_url is None and upload_to.startswith(("az://", "file://")):
        refuse(f"Nucleus does not read {upload_to.partition('://')[0]}:// addresses", "add upload_url: https://…")


def _image_template(text: str) -> str:
    for field in template.parse(text).fields:
        if field not in IMAGE_FIELDS:
            refuse(
                f"an image file has no field {field!r}",
                "allowed: " + ", ".join(f"{{{name}}}" for name in IMAGE_FIELDS),
            )
    return text


def _image_value(value: object) -> object:
    match value:
        case str():
            _image_template(value)
        case list():
            for item in value:
                _image_value(item)
        case dict():
            for item in value.values():
                _image_value(item)
    return value


class ImagesSource(SpecPart):
    """A folder of image files; yields one item per file."""

    format: Literal["images"]
    """Which reader reads it."""
    path: PathText
    """The folder, searched with all folders below it."""
    include: Texts = ()
    """Patterns of the files to take, such as `**/*.jpg`; left out: every file named as an image."""
    exclude: Texts = ()
    """Patterns of files to leave out, stronger than `include`."""
    reference_id: Annotated[KeyTemplate, AfterValidator(_image_template)] = "{path}"
    """Template of each item's reference id; fields: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, AfterValidator(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    metadata: dict[Text, Annotated[TemplateValue, AfterValidator(_image_value)]] = Field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    follow_symlinks: Switch = False
    """Follow links to folders and files?"""
    on_invalid: OnInvalid = "error"
    """What an unusable file means: stop before anything is sent, or leave it out and count it."""

    @model_validator(mode="after")
    def _one_way_to_the_image(self) -> Self:
        check_staging(self.image_url, self.upload_to, self.upload_url)
        return self


def _field_or_template(value: object) -> object:
    """A bare name is that field of the file's own image entries: coco_url is {coco_url}."""
    return f"{{{value}}}" if isinstance(value, str) and value.isidentifier() else value


class CocoSource(SpecPart):
    """A COCO file with images and annotations; yields items and annotations."""

    format: Literal["coco"]
    """Which reader reads it."""
    path: PathText
    """The COCO JSON file."""
    images: PathText | None = None
    """Folder in which each file_name must exist; the files are uploaded unless `image_url` is given."""
    image_url: Annotated[UrlTemplate, BeforeValidator(_field_or_template)] | None = None
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
    metadata: dict[Text, TemplateValue] = Field(default_factory=dict)
    """Metadata of each item; texts are templates over the image entry."""
    annotation_metadata: dict[Text, TemplateValue] = Field(default_factory=dict)
    """Metadata of each annotation; texts are templates over the annotation."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""

    @model_validator(mode="after")
    def _one_way_to_the_image(self) -> Self:
        check_staging(self.image_url, self.upload_to, self.upload_url)
        return self


class CocoResultsSource(SpecPart):
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
    annotation_metadata: dict[Text, TemplateValue] = Field(default_factory=dict)
    """Metadata of each prediction; texts are templates over the detection."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class RecordsSource(SpecPart):
    """NDJSON whose lines are already in Nucleus's wire form; yields whatever it holds."""

    format: Literal["records"]
    """Which reader reads it."""
    path: PathText
    """The file (.jsonl, .jsonl.gz, .jsonl.zst), or `-` for standard input."""
    on_invalid: OnInvalid = "error"
    """What an unusable line means: stop before anything is sent, or leave it out and count it."""


class CocoPanopticSource(SpecPart):
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
    reference_id: KeyTemplate = "{file_name}"
    """Template over the image entry: the item's reference id."""
    metadata: dict[Text, TemplateValue] = Field(default_factory=dict)
    """Metadata of each item; texts are templates over the image entry."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class YoloSource(SpecPart):
    """A folder in YOLO's layouts, images with a text file each; yields items and annotations or predictions."""

    format: Literal["yolo"]
    """Which reader reads it."""
    path: PathText
    """The folder with the label files, and with the images unless `images` is given."""
    images: PathText | None = None
    """The folder with the images, where it is another one; left out: `path`."""
    data: PathText | None = None
    """The YAML file or list with the classes' names; left out: data.yaml, obj.names and the like in the folder."""
    names: tuple[Text, ...] = ()
    """The names of the classes from 0 on, where no file says them."""
    reference_id: Annotated[KeyTemplate, AfterValidator(_image_template)] = "{path}"
    """Template of each item's reference id, over the image's path: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, AfterValidator(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    metadata: dict[Text, Annotated[TemplateValue, AfterValidator(_image_value)]] = Field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    exclude: Texts = ()
    """Patterns of images and label files to leave out."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a geometry that reaches beyond its image."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class VocSource(SpecPart):
    """A folder of Pascal VOC XML files with their images; yields items and annotations."""

    format: Literal["voc"]
    """Which reader reads it."""
    path: PathText
    """The folder with the XML files, and with the images unless `images` is given."""
    images: PathText | None = None
    """The folder with the images, where it is another one; left out: `path`."""
    one_based: Switch = False
    """Do coordinates count pixels from 1, the last one included, as VOC's own do? Otherwise they are edges from 0."""
    reference_id: Annotated[KeyTemplate, AfterValidator(_image_template)] = "{path}"
    """Template of each item's reference id, over the image's path: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, AfterValidator(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    metadata: dict[Text, Annotated[TemplateValue, AfterValidator(_image_value)]] = Field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    exclude: Texts = ("SegmentationClass", "SegmentationObject")
    """Patterns of images and XML files to leave out."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a box that reaches beyond its image."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class KittiSource(SpecPart):
    """A folder of KITTI's 2D labels with their images; yields items and annotations or predictions."""

    format: Literal["kitti"]
    """Which reader reads it."""
    path: PathText
    """The folder with the label files (label_2), and with the images (image_2) unless `images` is given."""
    images: PathText | None = None
    """The folder with the images, where it is another one; left out: `path`."""
    reference_id: Annotated[KeyTemplate, AfterValidator(_image_template)] = "{path}"
    """Template of each item's reference id, over the image's path: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, AfterValidator(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    metadata: dict[Text, Annotated[TemplateValue, AfterValidator(_image_value)]] = Field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    exclude: Texts = ("image_3", "calib", "velodyne")
    """Patterns of images and label files to leave out."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a box that reaches beyond its image."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class TableSource(SpecPart):
    """A CSV, TSV or Parquet table with one image per row; yields items."""

    format: Literal["table"]
    """Which reader reads it."""
    path: Annotated[PathText, AfterValidator(_table_path), Field(json_schema_extra={"pattern": _TABLE_PATTERN})]
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
    types: dict[Text, Literal["text", "number", "bool"]] = Field(default_factory=dict)
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
    Field(discriminator="format"),
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
