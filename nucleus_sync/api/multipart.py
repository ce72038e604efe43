"""Multipart bodies whose length is known before they are read from disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

PNG = "image/png"
_MAGIC = (
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, PNG),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"BM", 0, "image/bmp"),
    (b"II*\x00", 0, "image/tiff"),
    (b"MM\x00*", 0, "image/tiff"),
    (b"ftypavif", 4, "image/avif"),
)
SNIFFED_BYTES = 16


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file as one part; `size` is what it had when it was read, in bytes."""

    field: str
    name: str
    path: Path
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Multipart:
    """A JSON part first, then the files in order (docs/wire.md §3.2, §3.3)."""

    json_field: str
    json: bytes
    files: tuple[FilePart, ...]
    boundary: str

    @property
    def content_type(self) -> str:
        """The header that names the boundary."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in self.pieces())

    def pieces(self) -> Iterator[bytes | FilePart]:
        """The body in order: bytes as they are, files to be read."""
        yield self._head(f'name="{self.json_field}"', "application/json") + self.json
        for part in self.files:
            yield b"\r\n" + self._head(f'name="{part.field}"; filename="{part.name}"', part.content_type)
            yield part
        yield f"\r\n--{self.boundary}--\r\n".encode()

    def _head(self, disposition: str, content_type: str) -> bytes:
        lines = f"--{self.boundary}\r\nContent-Disposition: form-data; {disposition}\r\n"
        return f"{lines}Content-Type: {content_type}\r\n\r\n".encode("ascii")


def image_type(start: bytes) -> str | None:
    """The content type that the first bytes of a file show; None for what is no image."""
    return next((kind for magic, offset, kind in _MAGIC if start[offset : offset + len(magic)] == magic), None)


def file_names(wanted: Sequence[str]) -> list[str]:
    """Plain ASCII file names, one for each wanted name, without repetition.

    How the server pairs files with items is not known, so a name must survive servers that drop folders, that
    percent-decode, and that look at nothing but the name.
    """
    names: list[str] = []
    for number, name in enumerate(wanted):
        plain = _plain(name) or "file"
        while plain in names:
            plain = f"{number}-{plain}"
        names.append(plain)
    return names


def _plain(name: str) -> str:
    return quote(name, safe="").replace("%2F", "_").replace("%", "=").replace("~", "=7E")
