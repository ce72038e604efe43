"""What a file seems to hold, told from its first kilobytes."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD_BYTES = 256 * 1024
_TAIL_BYTES = 64 * 1024
_SAMPLE = 20
_BY_SUFFIX = {
    ".pcd": "point clouds",
    ".bin": "point clouds",
    ".mp4": "video",
    ".mov": "video",
    ".avi": "video",
    ".mkv": "video",
    ".tfrecord": "TFRecord",
}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A COCO file with images and annotations."""

    path: Path
    file_names: tuple[str, ...]
    """Of the first images."""
    image_ids: frozenset[str]
    """As far as the head of the file shows them."""
    url_fields: tuple[str, ...]
    """Keys of the image entries that hold addresses."""


@dataclass(frozen=True, slots=True)
class PanopticFile(CocoFile):
    """A COCO panoptic file."""

    masks: tuple[str, ...] = ()
    """Names of the first PNGs, as far as the head of the file shows them."""


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """A list of scored COCO detections."""

    path: Path
    image_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class RecordsFile:
    """NDJSON in Nucleus's wire form; `yields` is items, annotations or predictions."""

    path: Path
    yields: str


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table with a column of image addresses."""

    path: Path
    reference_column: str
    url_column: str


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file of labels of one image, or the list of YOLO's classes; `format` is yolo, voc or kitti."""

    path: Path
    format: str
    names_classes: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """A file of a known format that this version does not read."""

    path: Path
    format: str


Seen = CocoFile | ResultsFile | RecordsFile | TableFile | LabelFile | Unread


def peek(path: Path) -> Seen | None:
    """Guess a file's format; None where nothing is recognised or the file can't be read."""
    name = path.name.lower()
    try:
        if name.endswith(".json"):
            return _json(path)
        if name.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".ndjson.gz")):
            return _lines(path)
        if name.endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")):
            return _table(path)
        if name.endswith(".parquet"):
            return _parquet(path)
        if name.endswith(".xml"):
            return _xml(path)
        if name.endswith(".txt"):
            return _label_lines(path)
        if name.endswith((".yaml", ".yml")):
            return LabelFile(path, "yolo", names_classes=True) if _names_classes(_head(path)) else None
    except (OSError, EOFError, ValueError, RecursionError, csv.Error):
        return None
    other = _BY_SUFFIX.get(path.suffix.lower())
    return Unread(path, other) if other else None


def _head(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(HEAD_BYTES)
        if raw[:2] == b"\x1f\x8b":
            file.seek(0)
            raw = gzip.GzipFile(fileobj=file).read(HEAD_BYTES)
    return raw.decode("utf-8-sig", "replace")


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read(_TAIL_BYTES).decode("utf-8", "replace")


# --- JSON -----------------------------------------------------------------------------------------------------


def _json(path: Path) -> Seen | None:
    head = _head(path)
    if head.lstrip().startswith("["):
        return _json_list(path, _objects(head, head.index("[") + 1))
    if not head.lstrip().startswith("{"):
        return None
    keys = top_level_keys(head)
    if "images" not in keys:
        return Unread(path, "CreateML or other JSON") if "annotations" in keys else None
    return _json_coco(path, head, keys)


def _json_list(path: Path, members: list[dict[str, Any]]) -> Seen | None:
    if not members:
        return None
    first = members[0]
    if "image_id" in first and ("score" in first or "category_id" in first):
        return ResultsFile(path, _ids(members, "image_id"))
    if "dataRow" in first or "DataRow ID" in first or "Labeled Data" in first or "row_data" in first:
        return Unread(path, "Labelbox")
    if "data" in first and ("annotations" in first or "predictions" in first):
        return Unread(path, "Label Studio")
    if "image" in first and "annotations" in first:
        return Unread(path, "CreateML")
    return None


def _json_coco(path: Path, head: str, keys: dict[str, int]) -> Seen | None:
    images = _objects(head, keys["images"])
    first = next(iter(_objects(head, keys["annotations"])), {}) if "annotations" in keys else {}
    is_panoptic = "segments_info" in first or (not first and '"segments_info"' in _tail(path))
    if "score" in first:
        return Unread(path, "COCO detections inside a COCO object (keep only the list under `annotations`)")
    if first and not {"bbox", "segmentation", "keypoints", "segments_info"} & set(first):
        return Unread(path, "COCO without boxes, such as captions")
    if not images or "file_name" not in images[0]:
        return None
    names = tuple(str(image["file_name"]) for image in images[:_SAMPLE] if "file_name" in image)
    url_fields = tuple(key for key, value in images[0].items() if _is_address(value))
    if is_panoptic:
        masks = (str(first["file_name"]),) if "file_name" in first else ()
        return PanopticFile(path, names, frozenset(), url_fields, masks)
    return CocoFile(path, names, _ids(images, "id"), url_fields)


def top_level_keys(head: str) -> dict[str, int]:
    """The keys of the outermost object, as far as the text goes, with the position after their value's bracket."""
    keys: dict[str, int] = {}
    depth, last = 0, ""
    for token in _TOKEN.finditer(head):
        text = token[0]
        if text in "{[":
            depth += 1
            if depth == 2 and last:
                keys[last] = token.end()
        elif text in "}]":
            depth -= 1
        elif depth == 1 and text.startswith('"'):
            last = text[1:-1]
    return keys


def _objects(head: str, start: int) -> list[dict[str, Any]]:
    """The objects of the list that begins at `start`, as many as the text holds whole."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    while True:
        while start < len(head) and head[start] in " \t\r\n,":
            start += 1
        try:
            member, start = decoder.raw_decode(head, start)
        except (ValueError, RecursionError):
            return found
        if not isinstance(member, dict):
            return found
        found.append(member)


def _ids(members: list[dict[str, Any]], key: str) -> frozenset[str]:
    return frozenset(str(member[key]) for member in members if key in member)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.lower().startswith(("http://", "https://", "s3://", "gs://"))


# --- lines and tables -----------------------------------------------------------------------------------------


def _lines(path: Path) -> Seen | None:
    if path.name.lower().endswith(".zst"):
        first = _zstandard_line(path)
    else:
        first = _head(path).split("\n", 1)[0]
    record = json.loads(first)
    if not isinstance(record, dict):
        return None
    if "data_row" in record or "dataRow" in record:
        return Unread(path, "Labelbox")
    if "reference_id" not in record:
        return None
    if "image_url" in record:
        return RecordsFile(path, "items")
    if "confidence" in record:
        return RecordsFile(path, "predictions")
    return RecordsFile(path, "annotations") if {"type", "geometry", "label"} & set(record) else None


def _zstandard_line(path: Path) -> str:
    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        try:
            return stream.read(HEAD_BYTES).decode("utf-8-sig", "replace").split("\n", 1)[0]
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from None


def _table(path: Path) -> Seen | None:
    separator = "\t" if ".tsv" in path.name.lower() else ","
    rows = csv.reader(_head(path).splitlines()[:2], delimiter=separator)
    columns = next(rows, [])
    first = next(rows, [])
    return _table_of(path, list(zip(columns, first, strict=False)))


def _parquet(path: Path) -> Seen | None:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        return Unread(path, "Parquet (needs: pip install 'nucleus-sync[parquet]')")
    try:
        with parquet.ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=1), None)
    except ArrowException:
        return None
    first = batch.to_pylist()[0] if batch is not None and batch.num_rows else {}
    return _table_of(path, list(first.items()))


def _table_of(path: Path, cells: list[tuple[str, Any]]) -> Seen | None:
    """A table of images, if one of its columns holds addresses."""
    addresses = [name for name, value in cells if name and name == name.strip() and _is_address(value)]
    if not addresses or any(set("{}") & set(name) for name, _ in cells):
        return Unread(path, "table without a column of image addresses") if cells else None
    columns = {name.casefold(): name for name, _ in cells}
    known = ("reference_id", "file_name", "filename", "image", "name", "id")
    reference = next((columns[name] for name in known if name in columns), addresses[0])
    return TableFile(path, reference, addresses[0])


def _xml(path: Path) -> Seen | None:
    head = _head(path)[:4096]
    if re.search(r"<annotation[\s>]", head) and "<filename>" in head:
        return LabelFile(path, "voc")
    if re.search(r"<annotations[\s>]", head):
        return Unread(path, "CVAT")
    return None


def _label_lines(path: Path) -> Seen | None:
    words = _head(path).split("\n", 1)[0].split()
    if len(words) >= 15 and re.fullmatch(r"[A-Za-z_]+", words[0]):
        return LabelFile(path, "kitti")
    if len(words) >= 5 and words[0].isdigit() and all(re.fullmatch(r"[0-9.eE-]+", word) for word in words):
        return LabelFile(path, "yolo")
    return None


def _names_classes(head: str) -> bool:
    """Whether YAML lists classes, and images for them."""
    return all(re.search(rf"^{key}\s*:", head, re.MULTILINE) for key in ("names", "(nc|path|train|val)"))


def walk(folder: Path, *, most: int) -> Iterator[Path]:
    """Files below a folder, in order of name, at most so many; hidden ones, links and tools' folders left out."""
    left = most
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name != "node_modules")
        for name in sorted(files):
            path = Path(parent, name)
            if name.startswith(".") or path.is_symlink():
                continue
            if left == 0:
                return
            left -= 1
            yield path
