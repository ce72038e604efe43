"""The kinds of values that the spec's keys take, each checked in plain words."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from nucleus_sync.spec import template
from nucleus_sync.spec.rule import after, before, bounds, refuse, shown_as, strict

MAX_PAYLOAD_BYTES = 536_870_888
"""Longest NDJSON upload that Nucleus takes (the SDK's 0x1FFFFFE8)."""


# --- text -----------------------------------------------------------------------------------------------------

Text = Annotated[str, bounds(min_length=1), after(lambda text: _filled(text))]
Switch = Annotated[bool, strict()]
Whole = Annotated[int, strict()]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_TITLE = re.compile(r"\w(?:[\w -]*\w)?")


def _filled(text: str) -> str:
    if not text.strip():
        refuse("must not be blank")
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        refuse(
            f"{text!r} can't be a name: names become part of addresses",
            "use letters, digits, '_' and '-', and begin with a letter",
        )
    return text


def _title(text: str) -> str:
    if not _TITLE.fullmatch(text):
        refuse(
            f"{text!r} can't be a name: it becomes the end of an address",
            "use letters, digits, blanks, '_' and '-', and begin and end with a letter or digit",
        )
    return text


Name = Annotated[str, after(_name), shown_as({"type": "string", "pattern": f"^{NAME.pattern}$"})]
"""A name that other parts of the spec refer to, part of an address."""
Title = Annotated[str, after(_title)]
"""The name of a taxonomy or slice, as Nucleus shows it; the last part of an address."""


# --- paths ----------------------------------------------------------------------------------------------------

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def _path(text: str) -> str:
    if scheme := _SCHEME.match(text):
        refuse(
            f"sources can't be read from {scheme[1]}:// by this version",
            "copy or mount it to a folder; images themselves can stay there (image_url)",
        )
    if any(ord(char) < 32 for char in text):
        refuse(
            "a path can't hold control characters",
            "in double quotes a backslash begins an escape: write a path with backslashes in single quotes",
        )
    return text


PathText = Annotated[Text, after(_path)]
"""A path as written; relative ones start at the spec's folder."""


# --- templates ------------------------------------------------------------------------------------------------

_REMOTE = ("s3", "gs", "http", "https")
_CALLED_OTHERWISE = {
    "gcs": "write gs:// for Google Cloud Storage",
    "azure": "Azure blobs are read through their https:// address",
    "az": "Azure blobs are read through their https:// address",
    "abfs": "Azure blobs are read through their https:// address",
    "abfss": "Azure blobs are read through their https:// address",
    "file": "leave image_url out: the file itself is then uploaded",
}


def _template(text: str) -> str:
    try:
        template.parse(text)
    except template.TemplateSyntaxError as error:
        refuse(f"is not a template: {error}")
    return text


def _key_template(text: str) -> str:
    if not template.parse(_template(text)).fields:
        refuse(
            f"{text!r} is the same for every record, so all of them would be one",
            'name a field in braces, such as "{path}" or "{file_name}"',
        )
    return text


def _url_template(text: str) -> str:
    pieces = template.parse(_template(text)).pieces
    if not isinstance(pieces[0], str):
        return text  # the address begins with a field: its value decides
    scheme = _SCHEME.match(pieces[0])
    if scheme is None:
        refuse(
            "must be an address that Nucleus can read",
            "begin with s3://, gs://, https:// or http://, or with a field such as {coco_url}; "
            "leave image_url out to upload local files",
        )
    if scheme[1].lower() not in _REMOTE:
        usual = "allowed: s3://, gs://, https://, http://"
        refuse(f"Nucleus does not read {scheme[1]}:// addresses", _CALLED_OTHERWISE.get(scheme[1].lower(), usual))
    return text


_STORES = ("s3", "gs", "az", "file")


def _store_url(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1] not in _STORES:
        refuse(f"{text!r} is no place to put files", "allowed: s3://, gs://, az://, file://")
    return text


StoreUrl = Annotated[Text, after(_store_url)]
"""A bucket with a prefix, or a folder, into which files are put."""


def _read_url(text: str) -> str:
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1].lower() not in _REMOTE:
        refuse("must be an address that Nucleus can read", "allowed: s3://, gs://, https://, http://")
    return text


ReadUrl = Annotated[Text, after(_read_url)]
"""An address that Nucleus reads."""


def _value_templates(value: Any) -> Any:
    match value:
        case str():
            return _template(value)
        case list():
            return [_value_templates(item) for item in value]
        case dict():
            return {key: _value_templates(item) for key, item in value.items()}
        case _:
            return value


TemplateText = Annotated[Text, after(_template)]
KeyTemplate = Annotated[Text, after(_key_template)]
UrlTemplate = Annotated[Text, after(_url_template)]
TemplateValue = Annotated[Any, after(_value_templates)]
"""Any JSON value; the texts in it are templates."""


# --- numbers --------------------------------------------------------------------------------------------------

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_bytes(value: object) -> int:
    """Read a size in bytes: a whole number, or text such as 128MiB or 500MB."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        refuse("must be a size", "write a whole number of bytes, or a text such as 128MiB or 500MB")
    if isinstance(value, int):
        return value
    found = _SIZE.fullmatch(value.strip())
    if not found or found[2].lower() not in _UNITS:
        refuse(f"{value!r} is not a size", "allowed: a number, alone or with B, KB, MB, GB, KiB, MiB, GiB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _batch_size(value: int) -> int:
    if not 1024 <= value < MAX_PAYLOAD_BYTES:
        refuse(
            f"{value:,} bytes can't be the size of a batch",
            f"allowed: from 1KiB to below {MAX_PAYLOAD_BYTES:,} bytes, which is what Nucleus takes at most",
        )
    return value


BatchBytes = Annotated[
    int,
    before(parse_bytes),
    after(_batch_size),
    shown_as(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1024, "exclusiveMaximum": MAX_PAYLOAD_BYTES},
                {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([kKmMgG][iI]?)?[bB]?$"},
            ]
        }
    ),
]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse("must be a number")
    return float(value)


Number = Annotated[float, before(_number), shown_as({"type": "number"})]


def _plain(value: object) -> object:
    if not isinstance(value, str | bool | int | float):
        refuse("must be a text, a number, true or false")
    return value


PLAIN_SCHEMA = {"type": ["string", "number", "boolean"]}
Plain = Annotated[Any, after(_plain), shown_as(PLAIN_SCHEMA)]
"""A text, a number, true or false."""


def no_repeats(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a list that names something twice."""
    for position, name in enumerate(names):
        if name in names[:position]:
            refuse(f"{name!r} is listed twice")
    return names


def _slice_name(name: str) -> str:
    dataset, dot, title = name.partition(".")
    if not (dot and dataset and title):
        refuse(f"{name!r} names no slice", "write the dataset's name, a dot and the slice's: street.night")
    return name


SliceName = Annotated[Text, after(_slice_name)]
"""A slice of a dataset as other parts of the spec name it: `street.night`."""
Texts = Annotated[tuple[Text, ...], after(no_repeats)]
"""A list of texts, each once."""

# --- words ----------------------------------------------------------------------------------------------------

OnInvalid = Literal["error", "skip"]
"""What an unusable record means."""
OutOfBounds = Literal["keep", "clip", "reject"]
"""What to do with a geometry that reaches beyond its image."""
