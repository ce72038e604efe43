"""One image entry of a COCO file made into an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from msgspec import UNSET

from nucleus_sync.records.facts import Facts
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.sources.coco_images import PATH_FIELDS, Image, Plain, fields_of
from nucleus_sync.sources.media import upload_name
from nucleus_sync.sources.template import Template, fields_in, value_template

_NAMES = frozenset(("file_name", "path"))
MakeUrl = Callable[[Mapping[str, Any]], str]


class ItemTemplates:
    """The spec's templates for items."""

    def __init__(self, metadata: Any, image_url: str | None) -> None:
        self.metadata = value_template(metadata)
        self.image_url: MakeUrl | None = url_template(image_url) if image_url else None
        named = fields_in(metadata) | fields_in(image_url or "")
        self.need_entry = not named <= PATH_FIELDS
        """Whether they name more than what the path tells."""
        self._need_names = named <= _NAMES

    def fields(self, path: str) -> dict[str, Any]:
        """What they name of a path, where that is all they name."""
        return {"file_name": path, "path": path} if self._need_names else fields_of(path)

    def remote_item(self, entry: Plain, fields: Mapping[str, Any]) -> Item:
        """The item of an entry with a plain name that Nucleus reads itself. Raises FieldError."""
        width, height = entry.width, entry.height
        return Item(
            metadata=self.metadata(fields),
            reference_id=entry.file_name,
            width=_whole(width) if width and height else UNSET,
            height=_whole(height) if width and height else UNSET,
            image_url=self.image_url(fields) if self.image_url else "",
        )


def url_template(text: str) -> MakeUrl:
    """What makes an image's address. In http addresses the fields are percent-encoded, slashes stay."""
    render = Template(text).render
    if not text.lower().startswith(("http://", "https://")):
        return render
    return lambda fields: render({name: _quoted(value) for name, value in fields.items()})


def local_item(image: Image, metadata: dict[str, Any], place: str, facts: Facts) -> LocalItem:
    """The item of a file that is uploaded."""
    item = _item(image, metadata, upload_name(image.path), facts)
    return LocalItem(item=item, path=place, size=facts.size, digest=facts.digest)


def remote_item(image: Image, metadata: dict[str, Any], url: str, facts: Facts | None) -> Item:
    """The item of an image that Nucleus reads itself."""
    return _item(image, metadata, url, facts)


def size_note(image: Image, facts: Facts) -> tuple[str, str] | None:
    """(cause, detail) where the file's own size isn't the one that its entry says."""
    if not image.has_size or not facts.width or (image.width, image.height) == (facts.width, facts.height):
        return None
    if is_rotated(facts) and (image.height, image.width) == (facts.width, facts.height):
        return None  # said with the orientation
    detail = f"JSON says {image.width:g}x{image.height:g}, the file is {facts.width}x{facts.height}"
    return "size differs from the file's", detail


def is_rotated(facts: Facts) -> bool:
    """Whether EXIF turns the picture on its side."""
    return f"shown {facts.height}x{facts.width}" in facts.finding and facts.width != facts.height


def orientation_words(image: Image, facts: Facts) -> str:
    """Which of a turned picture's two sizes the file uses."""
    if not image.has_size or not is_rotated(facts):
        return ""
    shape = (image.width, image.height)
    if shape == (facts.width, facts.height):
        return "; JSON uses the stored size"
    return "; JSON uses the shown size" if shape == (facts.height, facts.width) else ""


def _item(image: Image, metadata: dict[str, Any], url: str, facts: Facts | None) -> Item:
    width, height = (image.width, image.height) if image.has_size else (facts.width, facts.height) if facts else (0, 0)
    return Item(
        metadata=metadata,
        reference_id=image.reference_id,
        width=_whole(width) or UNSET,
        height=_whole(height) or UNSET,
        image_url=url,
    )


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _quoted(value: Any) -> Any:
    return quote(value, safe="/") if isinstance(value, str) else value
