"""Writes the inputs of the benchmarks, the same for the same sizes; what is there already is kept."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

_LABELS = [f"category {number}" for number in range(1, 81)]
_WIDTH, _HEIGHT = 1280, 960
PER_IMAGE = 10
"""Annotations and predictions of one image."""


def _made(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        write(part)
        part.rename(path)
    return path


def _image_count(records: int) -> int:
    return max(1, records // PER_IMAGE)


def _head(records: int) -> str:
    images = ", ".join(
        f'{{"id": {number}, "file_name": "{number:012d}.jpg", "width": {_WIDTH}, "height": {_HEIGHT}}}'
        for number in range(1, _image_count(records) + 1)
    )
    categories = ", ".join(json.dumps({"id": number, "name": name}) for number, name in enumerate(_LABELS, 1))
    return f'{{"info": {{}}, "licenses": [], "images": [{images}], "categories": [{categories}], "annotations": [\n'


def _polygon(chance: random.Random, x: float, y: float, width: float, height: float) -> str:
    """Six to fifteen points around a box, with two decimals as COCO has them."""
    points = []
    for number in range(chance.randrange(6, 16)):
        across = chance.random()
        points.append(f"{x + width * across:.2f}, {y + height * ((number % 2 + chance.random()) / 2):.2f}")
    return ", ".join(points)


def _annotations(records: int) -> Iterator[str]:
    chance = random.Random(records)
    images = _image_count(records)
    for number in range(1, records + 1):
        x, y = round(chance.uniform(0, 900), 2), round(chance.uniform(0, 700), 2)
        width, height = round(chance.uniform(8, 300), 2), round(chance.uniform(8, 200), 2)
        yield (
            f'{{"segmentation": [[{_polygon(chance, x, y, width, height)}]], "area": {width * height / 2 + 1e-9:.13f},'
            f' "iscrowd": 0, "image_id": {(number - 1) % images + 1}, "bbox": [{x}, {y}, {width}, {height}],'
            f' "category_id": {chance.randrange(1, 81)}, "id": {number}}}'
        )


def _write_coco(path: Path, records: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(_head(records))
        for number, line in enumerate(_annotations(records)):
            file.write(",\n" + line if number else line)
        file.write("\n]}\n")


def coco(folder: Path, records: int) -> Path:
    """A COCO file of polygons: about 335 bytes an annotation, ten an image, in no order of images."""
    return _made(folder / f"coco-{records}.json", lambda path: _write_coco(path, records))


def coco_changed(folder: Path, records: int) -> Path:
    """The same file with one annotation of another category."""

    def write(path: Path) -> None:
        text = coco(folder, records).read_bytes()
        start = text.rindex(b'"category_id": ') + len(b'"category_id": ')
        end = text.index(b",", start)
        path.write_bytes(text[:start] + (b"1" if text[start:end] != b"1" else b"2") + text[end:])

    return _made(folder / f"coco-{records}-changed.json", write)


def truth(folder: Path, records: int) -> Path:
    """The ground truth that predictions refer to: images and categories only."""
    return _made(folder / f"truth-{records}.json", lambda path: path.write_text(_head(records) + "]}\n"))


def results(folder: Path, records: int) -> Path:
    """Boxes with scores as COCO results."""

    def write(path: Path) -> None:
        chance = random.Random(records + 1)
        images = _image_count(records)
        with path.open("w", encoding="utf-8") as file:
            for number in range(records):
                x, y = chance.uniform(0, 900), chance.uniform(0, 700)
                file.write(",\n" if number else "[")
                file.write(
                    f'{{"image_id": {number % images + 1}, "category_id":'
                    f' {chance.randrange(1, 81)}, "bbox": [{x:.2f}, {y:.2f}, {chance.uniform(8, 300):.2f},'
                    f' {chance.uniform(8, 200):.2f}], "score": {chance.random():.4f}}}'
                )
            file.write("]\n")

    return _made(folder / f"results-{records}.json", write)


def _items(records: int) -> Iterator[dict[str, object]]:
    chance = random.Random(records + 2)
    for number in range(records):
        folder = f"drive-{number // 1000:05d}"
        yield {
            "reference_id": f"{folder}/{number:09d}.jpg",
            "image_url": f"s3://bucket/street/{folder}/{number:09d}.jpg",
            "camera": ("front", "rear", "left", "right")[number % 4],
            "speed": round(chance.uniform(0, 40), 2),
        }


def items_ndjson(folder: Path, records: int) -> Path:
    """Remote items in wire form, one a line."""

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8") as file:
            for item in _items(records):
                metadata = {"camera": item["camera"], "speed": item["speed"]}
                line = {"reference_id": item["reference_id"], "image_url": item["image_url"], "metadata": metadata}
                file.write(json.dumps(line) + "\n")

    return _made(folder / f"items-{records}.jsonl", write)


def items_parquet(folder: Path, records: int) -> Path:
    """Remote items as a table."""

    def write(path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(_items(records))), path, row_group_size=100_000)

    return _made(folder / f"items-{records}.parquet", write)


def photos(folder: Path, count: int) -> Path:
    """JPEGs of 20 to 100 KB: one small picture each, followed by a comment of random bytes."""

    def write(path: Path) -> None:
        import io

        from PIL import Image

        path.mkdir()
        chance = random.Random(count)
        for number in range(count):
            small = io.BytesIO()
            Image.new("RGB", (640, 480), (number % 256, number // 256 % 256, 99)).save(small, "JPEG")
            jpeg, filling = small.getvalue(), chance.randbytes(chance.randrange(15_000, 60_000))
            comment = b"\xff\xfe" + (len(filling) + 2).to_bytes(2) + filling
            (path / f"{number:06d}.jpg").write_bytes(jpeg[:2] + comment + jpeg[2:])

    return _made(folder / f"photos-{count}", write)
