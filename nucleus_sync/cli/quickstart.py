"""The quickstart example: small drawn street scenes with ground truth, predictions and a spec, made by code."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT, SCENES = 320, 240, 12
LABELS = ("car", "bus", "person")
_SIZES = {"car": (60, 34), "bus": (110, 70), "person": (16, 40)}
_COLORS = {"car": (196, 62, 48), "bus": (228, 178, 40), "person": (52, 96, 190)}
_SKY = {"day": (150, 190, 225), "night": (24, 28, 52)}
_ROAD = {"day": (110, 112, 116), "night": (48, 50, 58)}

SPEC = """\
# yaml-language-server: $schema=nucleus.schema.json
# Twelve drawn street scenes with ground truth and a model's predictions.
version: 1

sources:
  labels:
    format: coco                       # items and annotations
    path: ground-truth.json
    images: images                     # no image_url: the files themselves are uploaded
    metadata: {time: "{time}"}         # a field of the file's own image entries
  cnn:
    format: coco-results               # scored boxes; names come from the ground truth
    path: predictions.json
    ground_truth: ground-truth.json

datasets:
  street:
    name: Street scenes
    items: [labels]
    annotations: [labels]
    prune: true                        # what leaves the files leaves Nucleus
    slices:
      night: {where: {metadata.time: night}}

models:
  cnn:
    name: Small CNN
    reference_id: small-cnn
    metadata: {epochs: 12}
    predictions:
      street: [cnn]

evaluations:
  dashboard:
    kind: metrics                      # matches for Nucleus's dashboard
    model: cnn
    dataset: street
  quality:
    kind: benchmark                    # numbers that can be read back, and a gate on them
    model: cnn
    dataset: street
    expect: {mAP50: ">= 0.60"}
"""


@dataclass(frozen=True, slots=True)
class Thing:
    """A drawn object."""

    label: str
    box: tuple[int, int, int, int]
    """x, y, width, height in pixels."""


def write_quickstart(folder: Path) -> None:
    """Write the whole example; the same bytes every time."""
    chance = random.Random(7)
    scenes = [(_name(number), _time(number), list(_things(chance))) for number in range(1, SCENES + 1)]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name, time, things in scenes:
        (folder / "images" / name).write_bytes(_png(_drawn(time, things)))
    truth = _ground_truth(scenes)
    _write_json(folder / "ground-truth.json", truth)
    _write_json(folder / "predictions.json", list(_predictions(chance, truth["annotations"])))
    (folder / "nucleus.yaml").write_text(SPEC, encoding="utf-8")


def _name(number: int) -> str:
    return f"scene-{number:02d}.png"


def _time(number: int) -> str:
    return "night" if number % 3 == 0 else "day"


def _things(chance: random.Random) -> Iterator[Thing]:
    for lane in range(chance.randint(3, 5)):
        label = LABELS[(lane + chance.randint(0, 2)) % 3]
        width, height = (round(side * chance.uniform(0.7, 1.3)) for side in _SIZES[label])
        x = 8 + lane * 62 + chance.randint(0, 10)
        y = HEIGHT - height - chance.randint(10, 60)
        yield Thing(label, (x, y, min(width, WIDTH - x - 1), height))


def _drawn(time: str, things: Sequence[Thing]) -> list[bytes]:
    """Rows of RGB pixels: sky, road, and a filled box for each object."""
    horizon = HEIGHT // 2
    rows = [bytearray(bytes(_SKY[time] if y < horizon else _ROAD[time]) * WIDTH) for y in range(HEIGHT)]
    for thing in things:
        x, y, width, height = thing.box
        for row in rows[y : y + height]:
            row[3 * x : 3 * (x + width)] = bytes(_COLORS[thing.label]) * width
    return [bytes(row) for row in rows]


def _png(rows: Sequence[bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _ground_truth(scenes: Sequence[tuple[str, str, Sequence[Thing]]]) -> dict[str, list[dict[str, object]]]:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (name, time, things) in enumerate(scenes, 1):
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, "time": time})
        for thing in things:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": LABELS.index(thing.label) + 1,
                    "bbox": list(thing.box),
                    "area": thing.box[2] * thing.box[3],
                    "iscrowd": 0,
                }
            )
    categories: list[dict[str, object]] = [{"id": at, "name": label} for at, label in enumerate(LABELS, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _predictions(chance: random.Random, annotations: Sequence[dict[str, object]]) -> Iterator[dict[str, object]]:
    """What a middling model would say: most objects a little off, some missed, some taken for another label."""
    for annotation in annotations:
        if chance.random() < 0.08:
            continue
        box = annotation["bbox"]
        assert isinstance(box, list)  # noqa: S101
        category = annotation["category_id"]
        if chance.random() < 0.06:
            category = 1 + chance.randrange(len(LABELS))
        yield {
            "image_id": annotation["image_id"],
            "category_id": category,
            "bbox": [round(side + chance.uniform(-0.06, 0.06) * box[2 + at % 2], 1) for at, side in enumerate(box)],
            "score": round(chance.uniform(0.55, 0.99), 3),
        }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
