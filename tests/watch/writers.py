"""The ways in which real tools write files."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def image(number: int, width: int = 16, height: int = 12) -> bytes:
    """A small PNG like no other."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + bytes([number % 256]) * width) * height)
    text = b"number\x00" + str(number).encode()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"tEXt", text), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    )


def in_pieces(path: Path, content: bytes, *, pieces: int = 4, pause: float = 0.05) -> None:
    """In place and slowly, as a browser or a camera does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = max(1, len(content) // pieces)
    with path.open("wb") as file:
        for start in range(0, len(content), size):
            file.write(content[start : start + size])
            file.flush()
            time.sleep(pause)


def renamed(path: Path, content: bytes, *, ending: str = ".part") -> None:
    """Under another name, then renamed into place, as rsync and careful tools do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}{ending}")
    beside.write_bytes(content)
    os.replace(beside, path)


def copied(folder: Path, contents: dict[str, bytes], aside: Path) -> None:
    """A tree that is copied with its times kept."""
    shutil.rmtree(aside, ignore_errors=True)
    for name, content in contents.items():
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (aside / name).write_bytes(content)
        os.utime(aside / name, (1_500_000_000, 1_500_000_000))
    shutil.copytree(aside, folder, dirs_exist_ok=True)


def moved(folder: Path, contents: dict[str, bytes], aside: Path) -> None:
    """A tree that is moved in as a whole."""
    shutil.rmtree(aside, ignore_errors=True)
    for name, content in contents.items():
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (aside / name).write_bytes(content)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside.rename(folder)


def unzipped(folder: Path, contents: dict[str, bytes], aside: Path) -> None:
    """Out of an archive."""
    aside.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(aside, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    with zipfile.ZipFile(aside) as archive:
        archive.extractall(folder)


def rewritten(path: Path, content: bytes, *, pause: float = 0.05) -> None:
    """Deleted, then written anew, as many exporters do."""
    path.unlink(missing_ok=True)
    time.sleep(pause)
    path.write_bytes(content)


def coco(names: Iterable[str], shift: int = 0) -> dict[str, Any]:
    """Labels of these images: a box on each."""
    listed = sorted(names)
    return {
        "images": [
            {"id": number, "file_name": name, "width": 16, "height": 12} for number, name in enumerate(listed, 1)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": [1 + shift % 5, 2, 6, 5],
                "area": 30,
                "iscrowd": 0,
            }
            for number in range(1, len(listed) + 1)
        ],
        "categories": [{"id": 1, "name": "car"}],
    }


def write_labels(path: Path, labels: dict[str, Any], write: Callable[[Path, bytes], None] = renamed) -> None:
    """A COCO file."""
    write(path, json.dumps(labels).encode())
