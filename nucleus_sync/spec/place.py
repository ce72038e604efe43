"""Paths that a spec names, and which files it takes for images."""

from __future__ import annotations

from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""What a folder source takes for an image when `include` is left out; compared without regard to case."""


def resolve(folder: Path, path: str) -> Path:
    """A path of the spec as one to open: relative ones start at the spec's folder, `~` is the home folder."""
    return folder / Path(path).expanduser()
