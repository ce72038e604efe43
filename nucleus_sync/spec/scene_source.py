"""The sources that yield scenes, one model per format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import field

from nucleus_sync.spec import template
from nucleus_sync.spec.rule import after, refuse
from nucleus_sync.spec.staging import StagedSource
from nucleus_sync.spec.value import (
    KeyTemplate,
    OnInvalid,
    PathText,
    ReadUrl,
    StoreUrl,
    TemplateText,
    TemplateValue,
    Text,
    Texts,
    UrlTemplate,
    Whole,
)

FRAME_FIELDS = ("path", "parent", "name", "stem", "suffix")
"""What templates may name of a frame or video file: `a/7.jpg` has path `a/7.jpg`, parent `a`, name `7.jpg`, stem `7`,
suffix `.jpg`."""


KITTI_FIELDS = ("path", "folder", "frame")
"""What templates may name of a frame: `training/velodyne/000001.bin` is of path `training/000001`, folder `training`,
frame `000001`."""


def _naming(fields: tuple[str, ...], what: str) -> Callable[[object], object]:
    """Refuses templates, also those inside of a value, that name other fields."""

    def check(value: object) -> object:
        match value:
            case str():
                for field in template.parse(value).fields:
                    if field not in fields:
                        allowed = ", ".join(f"{{{name}}}" for name in fields)
                        refuse(f"{what} has no field {field!r}", f"allowed: {allowed}")
            case list():
                for inner in value:
                    check(inner)
            case dict():
                for inner in value.values():
                    check(inner)
        return value

    return check


_of_file = after(_naming(FRAME_FIELDS, "a file"))
_of_video = after(_naming(("scene", *FRAME_FIELDS), "a scene"))


_of_frame = after(_naming(KITTI_FIELDS, "a frame"))
_of_sensor = after(_naming(("sensor", *KITTI_FIELDS), "an item of a frame"))
_of_image = after(_naming(("sensor", "file", *KITTI_FIELDS), "an image of a frame"))
_of_drive = after(_naming(("scene", *KITTI_FIELDS), "a scene"))


def _frame_rate(value: int) -> int:
    if value < 1:
        refuse(f"{value} is no frame rate", "write how many frames a second has, 1 or more")
    return value


class FramesSource(StagedSource, frozen=True, kw_only=True):
    """A folder of frames for each scene, or of video files; yields video scenes."""

    format: Literal["frames"]
    """Which reader reads it."""
    path: PathText
    """The folder, searched with all folders below it."""
    include: Texts = ()
    """Patterns of the files to take; left out: every file named as an image, or as a video with `video_url`."""
    exclude: Texts = ()
    """Patterns of files to leave out, stronger than `include`."""
    scene: Annotated[TemplateText, _of_file] | None = None
    """Template of the scene's reference id; left out: `{parent}`, so that every folder is a scene, or `{path}` for
    video files."""
    reference_id: Annotated[TemplateText, _of_file] = "{path}"
    """Template of each frame's reference id. Nucleus names the frames of a video file itself."""
    frame_rate: Annotated[Whole, after(_frame_rate)] | None = None
    """Frames a second; belongs to `image_url`. With `upload_to` it says that the files are frames, and not videos."""
    image_url: Annotated[UrlTemplate, _of_file] | None = None
    """Template of the address at which Nucleus reads a frame: the files of scenes are never sent to Nucleus itself."""
    video_url: Annotated[UrlTemplate, _of_file] | None = None
    """Template of the address at which Nucleus reads a video file, where those are the scenes."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    metadata: dict[Text, Annotated[TemplateValue, _of_video]] = field(default_factory=dict)
    """Metadata of each scene; texts are templates over `scene` and its first file."""
    on_invalid: OnInvalid = "error"
    """What an unusable scene means: stop before anything is sent, or leave it out and count it."""

    @property
    def is_of_videos(self) -> bool:
        """Whether each file is a scene, and not a frame of one."""
        return self.video_url is not None or (self.upload_to is not None and self.frame_rate is None)

    def _read_elsewhere(self) -> tuple[str, ...]:
        return ("image_url", "video_url")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.upload_to is not None:
            return
        if (self.image_url is None) == (self.video_url is None):
            said = (
                "does not say where Nucleus reads it" if self.image_url is None else "says twice where Nucleus reads it"
            )
            refuse(
                f"the source {said}",
                "give exactly one of: image_url (folders of frames), video_url (video files), upload_to (either)",
            )
        if (self.image_url is None) != (self.frame_rate is None):
            needed = "needs its frame_rate" if self.frame_rate is None else "takes no frame_rate: the file has its own"
            refuse(f"{'image_url' if self.image_url else 'video_url'} {needed}")


class Kitti3dSource(StagedSource, frozen=True, kw_only=True):
    """A folder in KITTI's layout (velodyne, image_2, calib, label_2); yields lidar scenes and cuboids."""

    format: Literal["kitti-3d"]
    """Which reader reads it."""
    path: PathText
    """The folder; velodyne and the others lie in it or in folders below."""
    calib: PathText | None = None
    """The folder with calib, where it is another one, as for a model's labels; left out: `path`."""
    scene: Annotated[TemplateText, _of_frame] = "{path}"
    """Template of the scene's reference id; frames of one scene stand in the order in which people count. KITTI's own
    frames have nothing to do with each other, so that each is a scene."""
    reference_id: Annotated[KeyTemplate, _of_sensor] = "{path}/{sensor}"
    """Template of the items' reference ids; `sensor` is the folder: velodyne, image_2."""
    pointcloud_url: Annotated[UrlTemplate, _of_sensor] | None = None
    """Template of the address at which Nucleus reads a point cloud as JSON; scenes need it, or `upload_to`."""
    image_url: Annotated[UrlTemplate, _of_image] | None = None
    """Template of the address at which Nucleus reads an image; `file` is its path. Left out, and without `upload_to`:
    scenes have no cameras."""
    upload_to: StoreUrl | None = None
    """Put the files here first (s3, gs, az, file), where Nucleus then reads them; the way for more than thousands."""
    upload_url: ReadUrl | None = None
    """The address of that place as Nucleus reads it; left out: the same. Needed for az:// and file://."""
    convert_to: PathText | None = None
    """Folder for the point clouds as Nucleus's JSON, each as `{path}.json`; copy it to where `pointcloud_url` says.
    Needed by `upload_to`, which puts them where Nucleus reads them."""
    metadata: dict[Text, Annotated[TemplateValue, _of_drive]] = field(default_factory=dict)
    """Metadata of each scene; texts are templates over `scene` and its first frame."""
    on_invalid: OnInvalid = "error"
    """What an unusable record means: stop before anything is sent, or leave it out and count it."""

    def _read_elsewhere(self) -> tuple[str, ...]:
        return ("pointcloud_url",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.upload_to is not None and self.convert_to is None:
            refuse("upload_to needs a folder for the point clouds as Nucleus's JSON", "add convert_to: converted")
