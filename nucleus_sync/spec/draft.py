"""A spec in the making: sections that are filled source by source, and then written as commented YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nucleus_sync.spec.discover_labels import LabelFolder
from nucleus_sync.spec.discover_scenes import LidarFolder
from nucleus_sync.spec.peek import CocoFile, PanopticFile, RecordsFile, ResultsFile, TableFile
from nucleus_sync.spec.scalar import typed

_COMMON_STEMS = ("annotations", "instances", "labels", "results", "coco", "data", "items", "train", "val", "test")
_BARE = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./ -]*(?<! )")
_YIELDS = ("items", "annotations", "predictions")


@dataclass(slots=True)
class Draft:
    """The sections of the spec to be, as lines of YAML with paths relative to `folder`."""

    folder: Path
    """What was looked at; all that was seen lies in it."""
    sources: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    evaluations: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def add_coco(self, coco: CocoFile, images: Path | None, masks: Path | None = None) -> str:
        """A COCO file as a source and a dataset, with its folders where they were seen; returns their name."""
        name = self._name(coco.path)
        kind = "coco-panoptic" if isinstance(coco, PanopticFile) else "coco"
        self.sources += [f"{name}:", f"  format: {kind}", f"  path: {quote(coco.path.relative_to(self.folder))}"]
        if masks is not None:
            self.sources.append(f"  masks: {quote(masks)}")
        elif isinstance(coco, PanopticFile):
            self.sources.append("  masks: panoptic  # CHANGE: the PNGs were not found here")
        if images is not None:
            self.sources.append(f"  images: {quote(images)}  # uploaded; if Nucleus can read them, give image_url")
        elif coco.url_fields:
            url = "coco_url" if "coco_url" in coco.url_fields else coco.url_fields[0]
            self.sources.append(f'  image_url: "{{{url}}}"  # where Nucleus reads the images')
        else:
            self.sources.append(
                '  image_url: "https://example.com/{file_name}"  # CHANGE: the images were not found here'
            )
        self._add_dataset(name, items=[name], annotations=[name])
        return name

    def add_labels(self, labels: LabelFolder) -> None:
        """A folder of label files as a source and a dataset."""
        name = self._name(labels.path)
        self.sources += [f"{name}:", f"  format: {labels.format}", f"  path: {quote(labels.path)}"]
        if labels.images is not None:
            self.sources.append(f"  images: {quote(labels.images)}")
        if not labels.is_named:
            self.sources.append("  names: [class 0, class 1]  # CHANGE: nothing here names the classes")
        if labels.format == "voc":
            self.sources.append("  # one_based: true  # where coordinates count pixels from 1")
        self.sources.append('  # image_url: "s3://bucket/{path}"  # left out: the images are uploaded')
        self._add_dataset(name, items=[name], annotations=[name])

    def add_images(self, root: Path) -> None:
        """A folder of images alone as a source and a dataset."""
        name = self._name(root)
        self.sources += [
            f"{name}:",
            "  format: images",
            f"  path: {quote(root)}",
            '  # image_url: "s3://bucket/{path}"  # where Nucleus can read them; left out: the files are uploaded',
        ]
        self._add_dataset(name, items=[name])

    def add_lidar(self, lidar: LidarFolder) -> None:
        """A folder in KITTI's 3D layout as a source and a dataset of scenes."""
        name = self._name(lidar.path)
        self.sources += [
            f"{name}:",
            "  format: kitti-3d",
            f"  path: {quote(lidar.path)}",
            '  pointcloud_url: "s3://bucket/{path}.json"  # CHANGE: where Nucleus reads the point clouds as its JSON',
            f"  convert_to: {quote(f'{name}-json')}  # plan writes them there; copy them to where the line above says",
        ]
        if lidar.has_images:
            self.sources.append('  image_url: "s3://bucket/{file}"  # CHANGE: where it reads the images of cameras')
        self._add_dataset(name, items=[name], annotations=[name] * lidar.has_labels, kind="lidar")

    def add_frames(self, folder: Path) -> None:
        """Folders of frames, one for each scene, as a source and a dataset of scenes."""
        name = self._name(folder)
        self.sources += [
            f"{name}:",
            "  format: frames  # every folder is a scene",
            f"  path: {quote(folder)}",
            "  frame_rate: 10  # CHANGE: frames a second",
            '  image_url: "s3://bucket/{path}"  # CHANGE: where Nucleus reads the frames: scenes are never uploaded',
        ]
        self._add_dataset(name, items=[name], kind="video")

    def add_table(self, table: TableFile) -> None:
        """A table with a column of addresses as a source and a dataset."""
        name = self._name(table.path)
        self.sources += [
            f"{name}:",
            "  format: table",
            f"  path: {quote(table.path.relative_to(self.folder))}",
            f"  reference_id: {quote(f'{{{table.reference_column}}}')}",
            f"  image_url: {quote(f'{{{table.url_column}}}')}",
            "  # metadata: {}  # left out: every other column; types: {column: number} makes numbers of text",
        ]
        self._add_dataset(name, items=[name])

    def add_records(self, files: Iterable[RecordsFile]) -> None:
        """One dataset for all wire-form files of a folder, with a model for each file of predictions."""
        groups: dict[Path, list[tuple[str, RecordsFile]]] = {}
        for records in files:
            name = self._name(records.path)
            path = quote(records.path.relative_to(self.folder))
            self.sources += [f"{name}:", "  format: records", f"  path: {path}  # {records.yields}"]
            groups.setdefault(records.path.parent, []).append((name, records))
        for folder, members in groups.items():
            by_yield = {kind: [name for name, file in members if file.yields == kind] for kind in _YIELDS}
            dataset = self._name(folder)
            self._add_dataset(dataset, items=by_yield["items"], annotations=by_yield["annotations"])
            for predictions in by_yield["predictions"]:
                self._add_model(predictions, dataset)

    def add_results(self, results: ResultsFile, truths: Iterable[CocoFile], named: Mapping[Path, str]) -> None:
        """COCO results as the predictions of a model on the dataset of the ground truth that fits best."""
        path = results.path.relative_to(self.folder)
        candidates = {coco: len(coco.image_ids & results.image_ids) for coco in truths}
        if not candidates:
            self.remarks.append(f"{quote(path)}: COCO results, but no COCO file with their images was found")
            return
        truth = max(candidates, key=lambda coco: (candidates[coco], coco.path.parent == results.path.parent))
        name = self._name(results.path)
        doubt = "" if candidates[truth] else "  # CHANGE? no image of the results was seen in it"
        self.sources += [
            f"{name}:",
            "  format: coco-results",
            f"  path: {quote(path)}",
            f"  ground_truth: {quote(truth.path.relative_to(self.folder))}{doubt}",
        ]
        self._add_model(name, named[truth.path])

    def _add_dataset(self, name: str, *, items: Iterable[str], annotations: Iterable[str] = (), kind: str = "") -> None:
        self.datasets += [f"{name}:", f"  name: {quote(name)}"]
        self.datasets += [f"  kind: {kind}"] if kind else []
        self.datasets.append(f"  items: [{', '.join(items)}]")
        if names := ", ".join(annotations):
            self.datasets.append(f"  annotations: [{names}]")

    def _add_model(self, name: str, dataset: str) -> None:
        """A model with its predictions, and an evaluation of it."""
        self.models += [
            f"{name}:",
            f"  name: {quote(name)}",
            f"  reference_id: {quote(name)}  # unique in your account",
            "  predictions:",
            f"    {dataset}: [{name}]",
        ]
        self.evaluations += [
            f"{name}:",
            "  kind: benchmark",
            f"  model: {name}",
            f"  dataset: {dataset}",
            '  # expect: {mAP50: ">= 0.60"}  # a gate: apply exits 5 when it fails',
        ]

    def _name(self, path: Path) -> str:
        """A name for something at a path, unlike all others in the self."""
        relative = path.relative_to(self.folder) if path.is_absolute() or self.folder in path.parents else path
        stem = _slug(relative.name.split(".")[0] or relative.name)
        parent = _slug(relative.parent.name or self.folder.absolute().name)
        if stem.lower() in _COMMON_STEMS and parent and relative.name != stem:
            stem = f"{parent}-{stem}"
        stem = stem or _slug(self.folder.absolute().name) or "images"
        if not stem[0].isalpha() or not isinstance(typed(stem), str):
            stem = f"s-{stem}"  # a name begins with a letter, and must not read as true or null in a list
        name, count = stem, 1
        while name in self.names:
            count += 1
            name = f"{stem}-{count}"
        self.names.add(name)
        return name


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-_")


def quote(value: Path | str) -> str:
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
#   kitti-3d       a folder in KITTI's 3D layout, as lidar scenes
#   frames         a folder of frames for each video scene
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


def text_of(draft: Draft) -> str:
    """The spec that the draft has become, with comments that say how to go on."""
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
