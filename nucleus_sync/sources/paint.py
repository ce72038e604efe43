"""Masks of one byte a pixel, painted from the shapes of objects or made of a panoptic picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from xxhash import xxh3_128_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.annotation import Mask, Segment
from nucleus_sync.records.painted import PaintedMask
from nucleus_sync.sources.coco_label import Rle
from nucleus_sync.sources.media import upload_name

MOST_OBJECTS = 255
"""Values of a byte but 0, which is what belongs to no object."""
MOST_PIXELS = 1 << 28
"""Of one mask: more than any camera has."""

Rings = list[list[float]]


@dataclass(frozen=True, slots=True)
class Layer:
    """One object's shape; a higher `rank` lies further up, and of equal ones the smaller."""

    shape: Rle | Rings
    rank: float


def painted(width: int, height: int, layers: Sequence[Layer]) -> tuple[bytes, list[int], list[int]]:
    """The pixels with value n + 1 for the nth layer; how many each layer has, and how many of them are seen.

    Raises SourceError where the library for it isn't installed, ValueError where a shape can't be painted.
    """
    tools = _tools()
    try:
        encoded = [_encoded(tools.mask, layer.shape, width, height) for layer in layers]
        areas = [int(tools.mask.area(each)) for each in encoded]
        canvas = tools.numpy.zeros((height, width), dtype="uint8")
        for number in sorted(range(len(layers)), key=lambda number: (layers[number].rank, -areas[number], number)):
            canvas[tools.mask.decode(encoded[number]).astype(bool)] = number + 1
    except (TypeError, SystemError) as error:
        raise ValueError(f"can't be painted: {error}") from None
    seen = tools.numpy.bincount(canvas.ravel(), minlength=len(layers) + 1)[1:]
    return canvas.tobytes(), areas, [int(count) for count in seen]


def _encoded(mask: Any, shape: Rle | Rings, width: int, height: int) -> Any:
    if not isinstance(shape, Rle):
        return mask.merge(mask.frPyObjects([list(map(float, ring)) for ring in shape], height, width))
    if isinstance(shape.counts, str):
        return {"size": [height, width], "counts": shape.counts.encode()}
    return mask.frPyObjects({"size": [height, width], "counts": list(shape.counts)}, height, width)


def segments_of_picture(
    path: str | os.PathLike[str], numbers: Mapping[int, int]
) -> tuple[bytes, tuple[int, int], set[int], set[int]]:
    """The pixels of a panoptic PNG with `numbers[segment id]` for values, and its width and height.

    Then the ids of the picture that `numbers` hasn't, and those that are in the picture. An id is the sum of red,
    256 times green and 65536 times blue. Raises ValueError where the picture can't be read.
    """
    tools = _tools()
    try:
        with tools.image.open(path) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"{width}x{height} pixels are too many for a mask")
            colours = tools.numpy.asarray(picture.convert("RGB"), dtype="uint32")
    except (OSError, SyntaxError, tools.image.DecompressionBombError) as error:
        raise ValueError(f"can't be decoded: {error}") from None
    ids = colours[:, :, 0] + 256 * colours[:, :, 1] + 65536 * colours[:, :, 2]
    found, places = tools.numpy.unique(ids, return_inverse=True)
    values = tools.numpy.array([numbers.get(int(each), 0) for each in found], dtype="uint8")
    known = {int(each) for each in found}
    return values[places].tobytes(), (width, height), known - numbers.keys() - {0}, known


def mask_record(reference_id: str, segments: Iterable[Segment], pixels: bytes, size: tuple[int, int]) -> PaintedMask:
    """A painted mask as a record."""
    width, height = size
    mask = Mask(mask_url=upload_name(f"{reference_id}.png"), annotations=list(segments), reference_id=reference_id)
    digest = xxh3_128_digest(pixels, seed=width << 32 | height)
    return PaintedMask(mask=mask, pixels=pixels, width=width, height=height, digest=digest)


def write_png(mask: PaintedMask, path: Path) -> int:
    """Write a mask as a grey PNG; how many bytes it has."""
    picture = _tools().image.frombytes("L", (mask.width, mask.height), mask.pixels)
    picture.save(path, format="PNG")
    return path.stat().st_size


def _tools() -> SimpleNamespace:
    """What paints, imported when something is painted."""
    try:
        import numpy
        from PIL import Image
        from pycocotools import mask
    except ImportError as error:
        raise SourceError(
            f"masks can't be painted without {error.name}", fix="pip install 'nucleus-sync[masks]'"
        ) from None
    return SimpleNamespace(numpy=numpy, image=Image, mask=mask)
