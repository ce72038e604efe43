"""What an image file is, found out from its bytes without decoding the picture."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO
from unicodedata import normalize

from xxhash import xxh3_64_hexdigest, xxh3_128, xxh3_128_digest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.sources.walk import Found, shown

if TYPE_CHECKING:
    import imagesize

_HEAD = 1024
_BLOCK = 1 << 20
_MOST_IN_MEMORY = 16 << 20
_PNG_END = b"IEND\xaeB`\x82"
_GIF_END = b"\x00;"
_MOST_PIXELS_PER_BYTE = 1000
"""Pixels per byte above which a picture is suspiciously empty: 25 million in 3 kB."""

INCOMPLETE = ("empty file", "image data ends early")
"""What is `invalid` in the facts of a file whose writer may only have to finish."""

_CLOCK_GRANULARITY_NS = 2_000_000_000
"""Some file systems count in steps of two seconds."""

_KIND_OF_ENDING = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WebP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".avif": "AVIF",
}
_OWN_UPLOAD = "Nucleus's own client takes only PNG and JPEG from folders"
_NOTES = {
    "WebP": f"WebP: {_OWN_UPLOAD}; browsers show it",
    "GIF": f"GIF: {_OWN_UPLOAD}; browsers show it",
    "BMP": f"BMP: {_OWN_UPLOAD}; browsers show it",
    "AVIF": f"AVIF: {_OWN_UPLOAD}; browsers show it",
    "TIFF": f"TIFF: {_OWN_UPLOAD}; browsers can't show it: convert it",
    "HEIC": f"HEIC: {_OWN_UPLOAD}; most browsers can't show it: convert it",
    "JPEG 2000": f"JPEG 2000: {_OWN_UPLOAD}; browsers can't show it: convert it",
}
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIC"
)


@dataclass(frozen=True, slots=True)
class _Looked:
    width: int = 0
    height: int = 0
    invalid: str = ""
    findings: tuple[str, ...] = ()


def examine(path: str | os.PathLike[str], *, whole: bool) -> Facts:
    """Find out about one file; `whole` reads and hashes every byte, otherwise a few kilobytes are read.

    A file that can't be read has its reason in `invalid`. Raises SourceError when it changes meanwhile, as a file
    does that is still being written.
    """
    try:
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            looked, digest = _look_and_hash(file, before.st_size, os.fspath(path), whole=whole)
            after = os.fstat(file.fileno())
    except OSError as error:
        return unreadable(error)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        fix = "wait until it is complete, then try again"
        raise SourceError("the file changed while it was read", where=shown(os.fspath(path)), fix=fix)
    return Facts(
        size=before.st_size,
        mtime_ns=before.st_mtime_ns,
        inode=before.st_ino,
        digest=digest,
        width=looked.width,
        height=looked.height,
        invalid=looked.invalid,
        finding="\n".join(looked.findings),
    )


def findings(facts: Facts) -> list[tuple[str, str]]:
    """(cause, detail) of everything that the user should know of a file: the cause is the same for all of its kind."""
    return [cause_and_detail(line) for line in facts.finding.splitlines()]


def cause_and_detail(text: str) -> tuple[str, str]:
    """A complaint about a file, and the part of it that is the same for every such file."""
    return text.partition(": ")[0], text


def path_fields(path: str) -> dict[str, str]:
    """What templates may name of a file (spec.source.IMAGE_FIELDS), from its relative path."""
    parent, _, name = path.rpartition("/")
    stem, suffix = os.path.splitext(name)
    return {"path": path, "parent": parent, "name": name, "stem": stem, "suffix": suffix}


def upload_name(path: str) -> str:
    """A name for the multipart form: plain ASCII, different for different paths, readable, with the same ending."""
    fields = path_fields(path)
    plain = normalize("NFKD", fields["stem"]).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", plain)[:40].strip("-")
    suffix = re.sub(r"[^A-Za-z0-9.]", "", fields["suffix"])
    digest = xxh3_64_hexdigest(path.encode(errors="surrogatepass"))
    return f"{readable}-{digest}{suffix}" if readable else f"{digest}{suffix}"


def _look_and_hash(file: BinaryIO, size: int, path: str, *, whole: bool) -> tuple[_Looked, bytes]:
    if not whole:
        return _look(file, size, path), b""
    if size > _MOST_IN_MEMORY:
        return _look(file, size, path), _digest(file)
    # One read instead of dozens: several times faster, and threads get out of each other's way.
    content = file.read(size)
    return _look(BytesIO(content), len(content), path), xxh3_128_digest(content)


def _look(file: BinaryIO, size: int, path: str) -> _Looked:
    head = file.read(_HEAD)
    if not head:
        return _Looked(invalid="empty file")
    kind = _kind(head)
    if kind is None:
        return _Looked(invalid=f"not an image ({_likely(head)})")
    info = _info(file)
    if _ends_early(file, kind, head, size):
        return _Looked(invalid="image data ends early")
    if info is None:
        known_well = kind in ("JPEG", "PNG", "GIF")
        invalid = f"broken {kind}: its size can't be read" if known_well else ""
        unknown = () if known_well else (f"{kind} size unknown: width and height are left out",)
        return _Looked(invalid=invalid, findings=(*_remarks(kind, path), *unknown))
    return _Looked(info.width, info.height, findings=(*_remarks(kind, path), *_traits(kind, head, info, size)))


def _kind(head: bytes) -> str | None:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None


def _likely(head: bytes) -> str:
    """What a file is that isn't an image, as far as its beginning tells."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<"):
        return "HTML" if b"<html" in text or b"<!doctype html" in text else "XML"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer: run git lfs pull"
    if not head.strip(b"\x00"):
        return "only NUL bytes"
    if head[4:8] == b"ftyp":
        return "a video"
    for magic, kind in ((b"{", "JSON"), (b"[", "JSON"), (b"%pdf", "PDF"), (b"pk\x03\x04", "a ZIP archive")):
        if text.startswith(magic):
            return kind
    return "unknown content"


def _info(file: BinaryIO) -> imagesize.ImageInfo | None:
    """Stored size (EXIF rotation not applied), orientation and channels."""
    # It brings a whole HTTP client along, for images that it could fetch.
    import imagesize

    file.seek(0)
    try:
        info = imagesize.get_info(file, dpi=False, exif_rotation=False)
    except Exception:  # other people's parser on bytes that may be hostile: any failure is "size unknown"
        return None
    return info if info.width > 0 and info.height > 0 else None


def _remarks(kind: str, path: str) -> tuple[str, ...]:
    said = _KIND_OF_ENDING.get(os.path.splitext(path)[1].lower())
    wrong = (f"content is {kind}, name says {said}",) if said not in (None, kind) else ()
    return (*wrong, _NOTES[kind]) if kind in _NOTES else wrong


def _traits(kind: str, head: bytes, info: imagesize.ImageInfo, size: int) -> list[str]:
    traits = []
    width, height = info.width, info.height
    if kind == "JPEG" and info.channels == 4:
        traits.append("CMYK: browsers may show wrong colours")
    if kind == "PNG" and head[24] == 16:
        traits.append("16 bit per channel: viewers show 8")
    if info.rotation > 1:
        shape = f"{height}x{width}" if info.rotation >= 5 else f"{width}x{height}"
        traits.append(f"EXIF orientation {info.rotation}: stored {width}x{height}, shown {shape}")
    if width * height > _MOST_PIXELS_PER_BYTE * size:
        traits.append(f"very many pixels for its bytes: {width}x{height} pixels in {size:,} bytes")
    return traits


def _ends_early(file: BinaryIO, kind: str, head: bytes, size: int) -> bool:
    match kind:
        case "JPEG":
            return not _has_after(file, b"\xff\xd9", _jpeg_scan(file), size)
        case "PNG":
            return not _has_after(file, _PNG_END, 8, size)
        case "GIF":
            return not _has_after(file, _GIF_END, max(13, size - _HEAD), size)
        case "WebP":
            return size < int.from_bytes(head[4:8], "little") + 8
        case _:
            return False


def _jpeg_scan(file: BinaryIO) -> int:
    """Where the compressed data begin: an end marker before that is a thumbnail's."""
    offset = 2
    while True:
        file.seek(offset)
        segment = file.read(4)
        if len(segment) < 4 or segment[0] != 0xFF:
            return offset
        if segment[1] == 0xFF:
            offset += 1
            continue
        if segment[1] == 0xDA:
            return offset
        offset += 2 + int.from_bytes(segment[2:4])


def _has_after(file: BinaryIO, marker: bytes, start: int, size: int) -> bool:
    """Whether the file holds `marker` at or after `start`, searched from the end, where it should be."""
    end, step = size, 1 << 12
    while end > start:
        begin = max(start, end - step)
        file.seek(begin)
        if marker in file.read(end - begin + len(marker) - 1):
            return True
        end, step = begin, _BLOCK
    return False


def _digest(file: BinaryIO) -> bytes:
    file.seek(0)
    hasher = xxh3_128()
    while block := file.read(_BLOCK):
        hasher.update(block)
    return hasher.digest()


def facts_of(surroundings: Surroundings, folder: str, root: str, path: str, *, whole: bool) -> Facts:
    """Facts about `root`/`path`, remembered from an earlier run if the file's stat is still the same.

    `folder` names the root in the cache.
    """
    place = os.path.join(root, path)
    try:
        stat = os.stat(place)
    except OSError as error:
        return unreadable(error)
    found = Found(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    known = recalled(surroundings, folder, found, whole=whole)
    if known is not None:
        return known
    started = time.time_ns()
    facts = examine(place, whole=whole)
    remember(surroundings, folder, path, facts, started)
    return facts


def digest_of(surroundings: Surroundings, folder: str, root: str, path: str) -> Facts:
    """The digest of any file, remembered like the facts of images. Raises OSError."""
    place = os.path.join(root, path)
    stat = os.stat(place)
    known = recalled(surroundings, folder, Found(path, stat.st_size, stat.st_mtime_ns, stat.st_ino), whole=True)
    if known is not None:
        return known
    started = time.time_ns()
    with open(place, "rb") as file:
        stat = os.fstat(file.fileno())
        facts = Facts(stat.st_size, stat.st_mtime_ns, stat.st_ino, _digest(file), 0, 0)
    remember(surroundings, folder, path, facts, started)
    return facts


def recalled(surroundings: Surroundings, folder: str, found: Found, *, whole: bool) -> Facts | None:
    """What an earlier run found out about a file that hasn't changed since; `whole` asks for a digest too."""
    known = surroundings.facts.recall(folder, found.path) if surroundings.trust_facts else None
    return known if known and is_fresh(known, found) and (known.digest or not whole) else None


def remember(surroundings: Surroundings, folder: str, path: str, facts: Facts, started_ns: int) -> None:
    """Keep facts that were found out after `started_ns`.

    A file that changed within the clock's granularity before isn't remembered: it could change again without its stat
    showing it, as git knows.
    """
    if facts.inode and facts.mtime_ns < started_ns - _CLOCK_GRANULARITY_NS:
        surroundings.facts.remember(folder, path, facts)


def is_fresh(facts: Facts, found: Found) -> bool:
    """Whether a file's stat is still that of its facts."""
    return (facts.size, facts.mtime_ns, facts.inode) == (found.size, found.mtime_ns, found.inode)


def unreadable(error: OSError) -> Facts:
    """The facts about a file that can't be opened."""
    return Facts(0, 0, 0, b"", 0, 0, invalid=f"can't be read: {error.strerror}")
