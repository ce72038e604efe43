"""A small spec with everything that an apply does: a value to edit, which writes files and says what must be held."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml

Key = tuple[str, str]
LABELS = ["car", "bus", "tram"]
_ages = count(1)


@dataclass
class Town:
    """What is declared. Keys of boxes and predictions are (reference id, annotation id)."""

    remote: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Metadata of items whose images Nucleus reads, by reference id."""
    local: dict[str, int] = field(default_factory=dict)
    """Shades of pictures that are uploaded, by reference id."""
    boxes: dict[Key, tuple[str, int]] = field(default_factory=dict)
    """Label and left edge."""
    weather: dict[str, str] = field(default_factory=dict)
    """A label of the taxonomy, by reference id."""
    predictions: dict[Key, tuple[str, int, float]] = field(default_factory=dict)
    """Label, left edge and confidence."""
    tags: list[str] = field(default_factory=lambda: ["a", "b"])
    model_tags: list[str] = field(default_factory=lambda: ["m"])
    kinds_of_weather: list[str] = field(default_factory=lambda: ["sun", "rain"])
    picked: list[str] = field(default_factory=list)
    """Members of a slice by name; none declares no such slice."""
    slice_by_time: bool = True
    benchmark: bool = True
    prune: bool = True
    max_records: int = 8
    concurrency: int = 4
    reverse: bool = False
    """Write the sources in another order."""

    def write(self, folder: Path) -> None:
        """All sources and nucleus.yaml. Files are dated back, so that an untouched one is trusted."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lines(folder / "items.jsonl", self._items())
        self._lines(folder / "truth.jsonl", self._truth())
        self._lines(folder / "cnn.jsonl", self._predicted())
        pictures = folder / "pictures"
        pictures.mkdir(exist_ok=True)
        for path in pictures.iterdir():
            if path.name not in self.local:
                path.unlink()
        for name, shade in self.local.items():
            _written(pictures / name, picture(64, 48, shade))
        _written(folder / "nucleus.yaml", yaml.safe_dump(self.spec(), sort_keys=False).encode())

    def _lines(self, path: Path, records: Iterable[dict[str, Any]]) -> None:
        ordered = list(records)
        if self.reverse:
            ordered.reverse()
        _written(path, "".join(json.dumps(record) + "\n" for record in ordered).encode())

    def _items(self) -> Iterable[dict[str, Any]]:
        for reference, metadata in self.remote.items():
            yield {"reference_id": reference, "image_url": f"s3://town/{reference}.jpg", "metadata": metadata}

    def _truth(self) -> Iterable[dict[str, Any]]:
        for key, (label, x) in self.boxes.items():
            if self.has_item(key[0]):
                yield _box(key, label, x)
        for reference, label in self.weather.items():
            if self.has_item(reference):
                yield {"reference_id": reference, "type": "category", "taxonomy_name": "weather", "label": label}

    def _predicted(self) -> Iterable[dict[str, Any]]:
        for key, (label, x, confidence) in self.predictions.items():
            if self.has_item(key[0]):
                yield _box(key, label, x) | {"confidence": confidence}

    def has_item(self, reference: str) -> bool:
        """Whether an item is declared."""
        return reference in self.remote or reference in self.local

    def spec(self) -> dict[str, Any]:
        """The document."""
        slices: dict[str, Any] = {"day": {"where": {"metadata.time": "day"}}} if self.slice_by_time else {}
        picked = [reference for reference in self.picked if self.has_item(reference)]
        if picked:
            slices["picked"] = {"reference_ids": picked}
        document: dict[str, Any] = {
            "version": 1,
            "settings": {
                "batch": {"max_records": self.max_records},
                "concurrency": self.concurrency,
                "delete_limit": {"records": 100_000, "fraction": 1.0},
            },
            "sources": {
                "items": {"format": "records", "path": "items.jsonl"},
                "pictures": {"format": "images", "path": "pictures"},
                "truth": {"format": "records", "path": "truth.jsonl"},
                "cnn": {"format": "records", "path": "cnn.jsonl"},
            },
            "datasets": {
                "town": {
                    "name": "Town",
                    "tags": self.tags,
                    "taxonomies": {"weather": {"labels": self.kinds_of_weather}},
                    "items": ["items", "pictures"],
                    "annotations": ["truth"],
                    "prune": self.prune,
                    "slices": slices,
                }
            },
            "models": {
                "cnn": {
                    "name": "CNN",
                    "reference_id": "cnn",
                    "tags": self.model_tags,
                    "predictions": {"town": ["cnn"]},
                }
            },
        }
        if self.benchmark:
            document["evaluations"] = {"quality": {"kind": "benchmark", "model": "cnn", "dataset": "town"}}
        return document

    def wanted(self) -> dict[str, Any]:
        """What must be held once everything is applied, in the shape of `held`."""
        pictures = {name: ("local", {}) for name in self.local}
        remote = {name: (f"s3://town/{name}.jpg", metadata) for name, metadata in self.remote.items()}
        truth = {(*key, label, x) for key, (label, x) in self.boxes.items() if self.has_item(key[0])}
        slices = {"day": sorted(name for name, metadata in self.remote.items() if metadata.get("time") == "day")}
        picked = sorted(reference for reference in self.picked if self.has_item(reference))
        return {
            "tags": sorted(self.tags),
            "items": pictures | remote,
            "boxes": truth,
            "weather": {name: label for name, label in self.weather.items() if self.has_item(name)},
            "predictions": {
                (*key, label, x, confidence)
                for key, (label, x, confidence) in self.predictions.items()
                if self.has_item(key[0])
            },
            "slices": (slices if self.slice_by_time else {}) | ({"picked": picked} if picked else {}),
            "model tags": sorted(self.model_tags),
        }


def held(world: dict[str, Any]) -> dict[str, Any]:
    """What an emulator holds of the town. Fails where anything is there twice."""
    (dataset,) = (one for one in world["datasets"] if one["name"] == "Town")
    (model,) = (one for one in world["models"] if one["reference_id"] == "cnn")
    assert_nothing_twice(dataset, model)
    boxes = [one for one in dataset["annotations"] if one["type"] == "box"]
    kinds = [one for one in dataset["annotations"] if one["type"] == "category"]
    return {
        "tags": sorted(dataset["tags"]),
        "items": {
            one["reference_id"]: ("local" if one["sha256"] else one["url"], one["metadata"] or {})
            for one in dataset["items"]
        },
        "boxes": {_as_key(one) for one in boxes},
        "weather": {one["reference_id"]: one["label"] for one in kinds},
        "predictions": {(*_as_key(one), one["confidence"]) for one in model["predictions"]},
        "slices": {one["name"]: one["items"] for one in dataset["slices"]},
        "model tags": sorted(model["tags"]),
    }


def assert_nothing_twice(dataset: dict[str, Any], model: dict[str, Any]) -> None:
    """Every item, annotation, prediction and slice once; one run."""
    for records in (dataset["items"], dataset["annotations"], model["predictions"]):
        names = Counter(
            (one["reference_id"], one.get("annotation_id"), one.get("type"), one.get("run")) for one in records
        )
        assert not [name for name, number in names.items() if number > 1]
    names = Counter(one["name"] for one in dataset["slices"])
    assert set(names.values()) <= {1}, names
    assert model["runs"] <= 1


def first_town() -> Town:
    """Two batches of remote items, two requests of pictures, and records on all of them."""
    town = Town()
    for number in range(11):
        town.remote[f"r{number:02}"] = {"time": "day" if number % 2 else "night", "number": number}
        town.local[f"p{number:02}.png"] = 10 * number
    for number, reference in enumerate([*town.remote, *town.local]):
        for side in range(2):
            town.boxes[reference, f"b{side}"] = (LABELS[(number + side) % 3], number + side)
        town.predictions[reference, "x0"] = (LABELS[number % 3], number, 0.5)
    town.weather = {"r00": "sun", "r01": "rain", "p00.png": "rain"}
    town.picked = ["r01", "r02", "r03", "p00.png"]
    return town


def edit(town: Town) -> None:
    """One of everything: changed, added and taken away."""
    town.boxes["r00", "b0"] = ("tram", 30)
    town.boxes["p01.png", "b1"] = ("tram", 31)
    del town.boxes["r01", "b0"]
    del town.boxes["p02.png", "b1"]
    del town.remote["r02"]
    del town.local["p03.png"]
    del town.predictions["r03", "x0"]
    town.predictions["r04", "x0"] = ("bus", 20, 0.75)
    town.predictions["r05", "x1"] = ("car", 21, 0.25)
    town.remote["r04"] = {"time": "day", "number": 40}
    town.remote["r05"] = {"time": "night", "number": 5}
    town.remote["r20"] = {"time": "day", "number": 20}
    town.boxes["r20", "b0"] = ("car", 1)
    town.local["p20.png"] = 200
    town.local["p00.png"] = 201
    town.weather["r00"] = "snow"
    town.kinds_of_weather = [*town.kinds_of_weather, "snow"]
    town.tags = ["b", "c"]
    town.model_tags = ["m", "n"]
    town.picked = ["r01", "r02", "r03", "p00.png", "r20"]


def picture(width: int, height: int, shade: int) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + bytes([shade % 256]) * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _box(key: Key, label: str, x: int) -> dict[str, Any]:
    geometry = {"x": x, "y": 2, "width": 10, "height": 10}
    return {"reference_id": key[0], "annotation_id": key[1], "type": "box", "label": label, "geometry": geometry}


def _as_key(one: dict[str, Any]) -> tuple[str, str, str, int]:
    return one["reference_id"], one["annotation_id"], one["label"], one["geometry"]["x"]


def _written(path: Path, content: bytes) -> None:
    """Write what is new, under a time of its own and long ago."""
    if path.exists() and path.read_bytes() == content:
        return
    path.write_bytes(content)
    then = 1_700_000_000 + next(_ages)
    os.utime(path, (then, then))
