"""COCO's run-length masks: whether one fits its image, without painting it."""

from __future__ import annotations

from collections.abc import Sequence

Counts = Sequence[int] | str


def fault(size: Sequence[int], counts: Counts, image: tuple[float, float]) -> tuple[str, str] | None:
    """(cause, detail) of what is wrong with a mask on an image of (width, height), zeros where that isn't known."""
    if len(size) != 2:
        return "RLE size is not [height, width]", f"RLE size has {len(size)} numbers, not height and width"
    height, width = size
    if all(image) and (width, height) != image:
        detail = f"RLE size {height}x{width} is not the image size {image[1]:g}x{image[0]:g} (height x width)"
        return "RLE of another size than the image", detail
    try:
        runs = decompressed(counts) if isinstance(counts, str) else counts
    except ValueError as error:
        return "RLE counts can't be decoded", str(error)
    if any(run < 0 for run in runs):
        return "RLE counts can't be decoded", "RLE counts hold a negative number"
    total = sum(runs)
    if total != height * width:
        expected = f"height x width ({height} x {width} = {height * width})"
        return "RLE counts don't fill the image", f"RLE counts add up to {total}, not {expected}"
    return None


def decompressed(text: str) -> list[int]:
    """The runs in COCO's text form: groups of five bits from 48 up, from the third run on as differences.

    Raises ValueError for characters outside that range and for a text that ends within a number.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"RLE counts hold the character {letter!r}, which their text form doesn't have")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("RLE counts end in the middle of a number")
    return runs
