"""A first spec for a folder: what was recognised there, written as a commented `nucleus.yaml` that validates."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nucleus_sync.spec.discover_labels import LabelFolder, label_folders
from nucleus_sync.spec.peek import (
    CocoFile,
    LabelFile,
    PanopticFile,
    RecordsFile,
    ResultsFile,
    Seen,
    TableFile,
    Unread,
    peek,
    walk,
)
from nucleus_sync.spec.scalar import typed
from nucleus_sync.spec.source import IMAGE_SUFFIXES

T = TypeVar("T")

MOST_FILES = 200_000
_MOST_PEEKS = 20
"""Files looked into per folder and ending: a folder of a million labels is known by its first ones."""
_COMMON_STEMS = ("annotations", "instances", "labels", "results", "coco", "data", "items", "train", "val", "test")
_BARE = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./ -]*(?<! )")


@dataclass(slots=True)
class Survey:
    """What a folder holds; all paths are relative to it."""

    folder: Path
    image_folders: Counter[Path] = field(default_factory=Counter)
    seen: list[Seen] = field(default_factory=list)
    truncated: bool = False


@dataclass(slots=True)
class Draft:
    """The sections of the spec to be, as lines of YAML."""

    sources: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    evaluations: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


def discover(folder: Path) -> str:
    """The text of a spec for what lies in the folder. Reads no file whole; raises OSError if it is no folder."""
    return _text(_draft(survey(folder)))


def survey(folder: Path) -> Survey:
    """Look at the files of a folder."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    found = Survey(folder)
    peeked: Counter[tuple[Path, str]] = Counter()
    for count, path in enumerate(walk(folder, most=MOST_FILES), start=1):
        relative = path.relative_to(folder)
        group = (path.parent, path.suffix.lower())
        if not _writable(relative):
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.image_folders[relative.parent] += 1
        elif peeked[group] < _MOST_PEEKS:
            peeked[group] += 1
            if (seen := peek(path)) is not None:
                found.seen.append(seen)
        found.truncated = count == MOST_FILES
    return found


def _writable(path: Path) -> bool:
    """Whether a name can stand in YAML: names that aren't UTF-8 can't."""
    return all(part.isprintable() for part in path.parts)


# --- from what was seen to a draft ----------------------------------------------------------------------------


def _draft(found: Survey) -> Draft:
    draft = Draft()
    covered: set[Path] = set()
    named: dict[Path, str] = {}
    for coco in _of(found, CocoFile):
        images, complete = _images_of(coco, found)
        if images is not None:
            covered.add(images)
        local = images if complete or not coco.url_fields else None
        if isinstance(coco, PanopticFile):
            _add_coco(draft, found, coco, local, _masks_of(coco, found))
        else:
            named[coco.path] = _add_coco(draft, found, coco, local)
    for labels in label_folders(_of(found, LabelFile), found.image_folders, found.folder):
        covered.add(labels.covers)
        _add_labels(draft, found, labels)
    for root in _image_roots(found, covered):
        _add_images(draft, found, root)
    for table in _of(found, TableFile):
        _add_table(draft, found, table)
    _add_records(draft, found)
    for results in _of(found, ResultsFile):
        _add_results(draft, found, results, named)
    _remark(draft, found)
    return draft


def _of(found: Survey, kind: type[T]) -> list[T]:
    return [seen for seen in found.seen if isinstance(seen, kind)]


def _images_of(coco: CocoFile, found: Survey) -> tuple[Path | None, bool]:
    """The folder that holds most of a COCO file's first images, if any does, and whether it holds all of them."""
    folders = dict.fromkeys(parent for images in found.image_folders for parent in (images, *images.parents))
    hits = {images: sum(_holds(found.folder / images, name) for name in coco.file_names) for images in folders}
    best = max(hits, key=lambda images: (hits[images], images == coco.path.parent), default=None)
    if best is None or hits[best] == 0:
        return None, False
    return best, hits[best] == len(coco.file_names)


def _holds(folder: Path, name: str) -> bool:
    """Whether a file of that name is in the folder; ways out of it are never followed, only their last part."""
    inside = not (os.path.isabs(name) or ".." in Path(name).parts)
    last = re.split(r"[\\/]", name)[-1]
    try:
        return (inside and (folder / name).is_file()) or (last != "" and (folder / last).is_file())
    except (OSError, ValueError):
        return False  # too long for a name, or with a character that none can have


def _image_roots(found: Survey, covered: set[Path]) -> list[Path]:
    """One folder per top-level folder with images that no COCO file speaks for."""
    groups: dict[str, list[Path]] = {}
    for images in found.image_folders:
        spoken_for = any(images == other or other in images.parents for other in covered)
        if not spoken_for and "mask" not in str(images).lower():
            groups.setdefault(images.parts[0] if images.parts else ".", []).append(images)
    if "." in groups:
        return [Path()]
    return [Path(os.path.commonpath(folders)) for folders in groups.values()]


def _masks_of(coco: PanopticFile, found: Survey) -> Path | None:
    """The folder of a panoptic file's PNGs, where one was seen."""
    usual = coco.path.relative_to(found.folder).with_suffix("")
    if usual in found.image_folders or not coco.masks:
        return usual if usual in found.image_folders else None
    return next((images for images in found.image_folders if _holds(found.folder / images, coco.masks[0])), None)


def _add_coco(draft: Draft, found: Survey, coco: CocoFile, images: Path | None, masks: Path | None = None) -> str:
    name = _name(draft, found.folder, coco.path)
    kind = "coco-panoptic" if isinstance(coco, PanopticFile) else "coco"
    draft.sources += [f"{name}:", f"  format: {kind}", f"  path: {_quote(coco.path.relative_to(found.folder))}"]
    if masks is not None:
        draft.sources.append(f"  masks: {_quote(masks)}")
    elif isinstance(coco, PanopticFile):
        draft.sources.append("  masks: panoptic  # CHANGE: the PNGs were not found here")
    if images is not None:
        draft.sources.append(f"  images: {_quote(images)}  # uploaded; if Nucleus can read them, give image_url")
    elif coco.url_fields:
        url = "coco_url" if "coco_url" in coco.url_fields else coco.url_fields[0]
        draft.sources.append(f'  image_url: "{{{url}}}"  # where Nucleus reads the images')
    else:
        draft.sources.append('  image_url: "https://example.com/{file_name}"  # CHANGE: the images were not found here')
    _add_dataset(draft, name, items=[name], annotations=[name])
    return name


def _add_labels(draft: Draft, found: Survey, labels: LabelFolder) -> None:
    name = _name(draft, found.folder, labels.path)
    draft.sources += [f"{name}:", f"  format: {labels.format}", f"  path: {_quote(labels.path)}"]
    if labels.images is not None:
        draft.sources.append(f"  images: {_quote(labels.images)}")
    if not labels.is_named:
        draft.sources.append("  names: [class 0, class 1]  # CHANGE: nothing here names the classes")
    if labels.format == "voc":
        draft.sources.append("  # one_based: true  # where coordinates count pixels from 1")
    draft.sources.append('  # image_url: "s3://bucket/{path}"  # left out: the images are uploaded')
    _add_dataset(draft, name, items=[name], annotations=[name])


def _add_images(draft: Draft, found: Survey, root: Path) -> None:
    name = _name(draft, found.folder, root)
    draft.sources += [
        f"{name}:",
        "  format: images",
        f"  path: {_quote(root)}",
        '  # image_url: "s3://bucket/{path}"  # where Nucleus can read them; left out: the files are uploaded',
    ]
    _add_dataset(draft, name, items=[name])


def _add_table(draft: Draft, found: Survey, table: TableFile) -> None:
    name = _name(draft, found.folder, table.path)
    draft.sources += [
        f"{name}:",
        "  format: table",
        f"  path: {_quote(table.path.relative_to(found.folder))}",
        f"  reference_id: {_quote(f'{{{table.reference_column}}}')}",
        f"  image_url: {_quote(f'{{{table.url_column}}}')}",
        "  # metadata: {}  # left out: every other column; types: {column: number} makes numbers of text",
    ]
    _add_dataset(draft, name, items=[name])


def _add_records(draft: Draft, found: Survey) -> None:
    """One dataset for all wire-form files of a folder, with a model for each file of predictions."""
    groups: dict[Path, list[tuple[str, RecordsFile]]] = {}
    for records in _of(found, RecordsFile):
        name = _name(draft, found.folder, records.path)
        path = _quote(records.path.relative_to(found.folder))
        draft.sources += [f"{name}:", "  format: records", f"  path: {path}  # {records.yields}"]
        groups.setdefault(records.path.parent, []).append((name, records))
    for folder, members in groups.items():
        by_yield = {kind: [name for name, file in members if file.yields == kind] for kind in _YIELDS}
        dataset = _name(draft, found.folder, folder)
        _add_dataset(draft, dataset, items=by_yield["items"], annotations=by_yield["annotations"])
        for predictions in by_yield["predictions"]:
            _add_model(draft, predictions, dataset)


_YIELDS = ("items", "annotations", "predictions")


def _add_results(draft: Draft, found: Survey, results: ResultsFile, named: dict[Path, str]) -> None:
    path = results.path.relative_to(found.folder)
    truths = [coco for coco in _of(found, CocoFile) if not isinstance(coco, PanopticFile)]
    candidates = {coco: len(coco.image_ids & results.image_ids) for coco in truths}
    if not candidates:
        draft.remarks.append(f"{_quote(path)}: COCO results, but no COCO file with their images was found")
        return
    truth = max(candidates, key=lambda coco: (candidates[coco], coco.path.parent == results.path.parent))
    name = _name(draft, found.folder, results.path)
    doubt = "" if candidates[truth] else "  # CHANGE? no image of the results was seen in it"
    draft.sources += [
        f"{name}:",
        "  format: coco-results",
        f"  path: {_quote(path)}",
        f"  ground_truth: {_quote(truth.path.relative_to(found.folder))}{doubt}",
    ]
    _add_model(draft, name, named[truth.path])


def _add_dataset(draft: Draft, name: str, *, items: Iterable[str], annotations: Iterable[str] = ()) -> None:
    draft.datasets += [f"{name}:", f"  name: {_quote(name)}", f"  items: [{', '.join(items)}]"]
    if names := ", ".join(annotations):
        draft.datasets.append(f"  annotations: [{names}]")


def _add_model(draft: Draft, name: str, dataset: str) -> None:
    """A model with its predictions, and an evaluation of it."""
    draft.models += [
        f"{name}:",
        f"  name: {_quote(name)}",
        f"  reference_id: {_quote(name)}  # unique in your account",
        "  predictions:",
        f"    {dataset}: [{name}]",
    ]
    draft.evaluations += [
        f"{name}:",
        "  kind: benchmark",
        f"  model: {name}",
        f"  dataset: {dataset}",
        '  # expect: {mAP50: ">= 0.60"}  # a gate: apply exits 5 when it fails',
    ]


def _remark(draft: Draft, found: Survey) -> None:
    """Name what was seen and isn't used, so that nobody takes silence for support."""
    by_format: dict[str, list[Path]] = {}
    for unread in _of(found, Unread):
        by_format.setdefault(unread.format, []).append(unread.path.relative_to(found.folder))
    for name, paths in sorted(by_format.items()):
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        draft.remarks.append(f"{name}: {_quote(paths[0])}{more}")
    masks = [images for images in found.image_folders if "mask" in str(images).lower()]
    masks = [images for images in masks if f"  masks: {_quote(images)}" not in draft.sources]
    draft.remarks += [f"images that look like masks: {_quote(images)}" for images in masks]
    if found.truncated:
        draft.remarks.append(f"only the first {MOST_FILES:,} files were looked at")


# --- names and quotes -----------------------------------------------------------------------------------------


def _name(draft: Draft, folder: Path, path: Path) -> str:
    """A name for something at a path, unlike all others in the draft."""
    relative = path.relative_to(folder) if path.is_absolute() or folder in path.parents else path
    stem = _slug(relative.name.split(".")[0] or relative.name)
    parent = _slug(relative.parent.name or folder.absolute().name)
    if stem.lower() in _COMMON_STEMS and parent and relative.name != stem:
        stem = f"{parent}-{stem}"
    stem = stem or _slug(folder.absolute().name) or "images"
    if not stem[0].isalpha() or not isinstance(typed(stem), str):
        stem = f"s-{stem}"  # a name begins with a letter, and must not read as true or null in a list
    name, count = stem, 1
    while name in draft.names:
        count += 1
        name = f"{stem}-{count}"
    draft.names.add(name)
    return name


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-_")


def _quote(value: Path | str) -> str:
    """A text as YAML reads it back: bare where that is safe, else in double quotes."""
    text = value.as_posix() if isinstance(value, Path) else value
    bare = _BARE.fullmatch(text) and isinstance(typed(text), str) and not text.startswith(("-", "."))
    return text if bare or text == "." else json.dumps(text.replace("${", "$${"), ensure_ascii=False)


# --- the text -------------------------------------------------------------------------------------------------

_TOP = """\
# yaml-language-server: $schema=nucleus.schema.json
#
# What should be in Nucleus. Made by `nucleus-sync init` from what it found here: read it, change it, then
#   nucleus-sync validate --sources    check every record; nothing is sent
#   nucleus-sync plan                  see what would be done
#   nucleus-sync apply                 do it
# `nucleus-sync schema > nucleus.schema.json` gives editors the schema that the first line names.

version: 1

# settings:
#   prune: false                       # delete what a source no longer yields?
#   concurrency: 4                     # jobs and uploads in flight
"""

_STARTER = """
# Nothing that can be synced was recognised in this folder. A source is one of
#   images         a folder of image files
#   coco           a COCO file with images and annotations
#   coco-results   a list of COCO detections
#   coco-panoptic  a COCO panoptic file with its PNGs
#   yolo           a folder of images with text files of labels
#   voc            a folder of images with Pascal VOC files
#   kitti          a folder of images with KITTI's 2D labels
#   table          a CSV, TSV or Parquet file with a column of image addresses
#   records        NDJSON in Nucleus's own wire form
# and a spec looks like this:
#
# sources:
#   labels:
#     format: coco
#     path: exports/instances.json
#     images: exports/images
#
# datasets:
#   street:
#     name: Street scenes
#     items: [labels]
#     annotations: [labels]
"""


def _text(draft: Draft) -> str:
    parts = [_TOP]
    if draft.remarks:
        parts.append("\n# Seen here, and not read by this version or not usable as it is:\n")
        parts += [f"#   {remark}\n" for remark in draft.remarks]
    if not draft.sources:
        return "".join([*parts, _STARTER])
    for title in ("sources", "datasets", "models", "evaluations"):
        parts += _section(title, getattr(draft, title))
    return "".join(parts)


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"\n{title}:\n"
    for index, line in enumerate(lines):
        if index and not line.startswith(" "):
            yield "\n"
        yield f"  {line}\n"
