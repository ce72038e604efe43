"""The sources that are folders of images, alone or with files of labels, one model per format."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from nucleus_sync.spec import template
from nucleus_sync.spec.rule import after, refuse
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
    Texts,
    UrlTemplate,
)

IMAGE_FIELDS = ("path", "parent", "name", "stem", "suffix")
"""What templates of an `images` source may name: `a/b.jpg` has path `a/b.jpg`, parent `a`, name `b.jpg`,
stem `b`, suffix `.jpg`."""


def _image_template(text: str) -> str:
    for name in template.parse(text).fields:
        if name not in IMAGE_FIELDS:
            refuse(
                f"an image file has no field {name!r}",
                "allowed: " + ", ".join(f"{{{known}}}" for known in IMAGE_FIELDS),
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


class ImagesSource(StagedSource, frozen=True, kw_only=True):
    """A folder of image files; yields one item per file."""

    format: Literal["images"]
    """Which reader reads it."""
    path: PathText
    """The folder, searched with all folders below it."""
    include: Texts = ()
    """Patterns of the files to take, such as `**/*.jpg`; left out: every file named as an image."""
    exclude: Texts = ()
    """Patterns of files to leave out, stronger than `include`."""
    reference_id: Annotated[KeyTemplate, after(_image_template)] = "{path}"
    """Template of each item's reference id; fields: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, after(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    metadata: dict[Text, Annotated[TemplateValue, after(_image_value)]] = field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    follow_symlinks: Switch = False
    """Follow links to folders and files?"""
    on_invalid: OnInvalid = "error"
    """What an unusable file means: stop before anything is sent, or leave it out and count it."""


class YoloSource(StagedSource, frozen=True, kw_only=True):
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
    reference_id: Annotated[KeyTemplate, after(_image_template)] = "{path}"
    """Template of each item's reference id, over the image's path: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, after(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    metadata: dict[Text, Annotated[TemplateValue, after(_image_value)]] = field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    exclude: Texts = ()
    """Patterns of images and label files to leave out."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a geometry that reaches beyond its image."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class VocSource(StagedSource, frozen=True, kw_only=True):
    """A folder of Pascal VOC XML files with their images; yields items and annotations."""

    format: Literal["voc"]
    """Which reader reads it."""
    path: PathText
    """The folder with the XML files, and with the images unless `images` is given."""
    images: PathText | None = None
    """The folder with the images, where it is another one; left out: `path`."""
    one_based: Switch = False
    """Do coordinates count pixels from 1, the last one included, as VOC's own do? Otherwise they are edges from 0."""
    reference_id: Annotated[KeyTemplate, after(_image_template)] = "{path}"
    """Template of each item's reference id, over the image's path: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, after(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    metadata: dict[Text, Annotated[TemplateValue, after(_image_value)]] = field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    exclude: Texts = ("SegmentationClass", "SegmentationObject")
    """Patterns of images and XML files to leave out."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a box that reaches beyond its image."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""


class KittiSource(StagedSource, frozen=True, kw_only=True):
    """A folder of KITTI's 2D labels with their images; yields items and annotations or predictions."""

    format: Literal["kitti"]
    """Which reader reads it."""
    path: PathText
    """The folder with the label files (label_2), and with the images (image_2) unless `images` is given."""
    images: PathText | None = None
    """The folder with the images, where it is another one; left out: `path`."""
    reference_id: Annotated[KeyTemplate, after(_image_template)] = "{path}"
    """Template of each item's reference id, over the image's path: path, parent, name, stem, suffix."""
    image_url: Annotated[UrlTemplate, after(_image_template)] | None = None
    """Template of the address at which Nucleus reads the image; left out: the file itself is uploaded."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    metadata: dict[Text, Annotated[TemplateValue, after(_image_value)]] = field(default_factory=dict)
    """Metadata of each item; texts are templates."""
    exclude: Texts = ("image_3", "calib", "velodyne")
    """Patterns of images and label files to leave out."""
    out_of_bounds: OutOfBounds = "keep"
    """What to do with a box that reaches beyond its image."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""
