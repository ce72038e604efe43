"""File names as exports write them, matched to the files of a folder."""

from __future__ import annotations

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from unicodedata import normalize
from urllib.parse import unquote

from xxhash import xxh3_64_intdigest

from nucleus_sync.sources.walk import Odd, shown, walk

_DRIVE = re.compile(r"[A-Za-z]:")
_OFFSET_BITS = 40
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True)
class Match:
    """A file that a name means: its path relative to the folder, and how it was found.

    `how` is `exact`, `normalised` (Unicode), `decoded` (percent signs), `slashes` (backslashes), `own folder` (the name
    starts with the folder's own), `path end` or `base name` (an absolute path of another machine).
    """

    path: str
    how: str
    note: str = ""
    """What the user should be told of it; empty when exact."""


@dataclass(frozen=True, slots=True)
class Miss:
    """No file that a name means; `near` is the path of one that it may mean, `note` says it all."""

    near: str | None
    note: str


class Listing:
    """All files below a folder, held in about 70 bytes each. Raises SourceError when the folder can't be read."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        self._odd: dict[str, str] = {}
        self._names = bytearray()
        exact, stems = _Index(), _Index()
        for path in self._walk():
            offset = len(self._names)
            self._names += path.encode() + b"\x00"
            exact.add(path, offset)
            stems.add(_folded_stem(path), offset)
        self._exact, self._stems = exact.sorted(), stems.sorted()

    def __len__(self) -> int:
        return len(self._exact)

    def __contains__(self, path: str) -> bool:
        return any(self._path(offset) == path for offset in _offsets(self._exact, path))

    def match(self, name: str) -> Match | Miss:
        """The file that `name` means, or the one that it nearly means: a difference in case is only near."""
        if name in self:
            return Match(name, "exact")
        for path, how in _spellings(name, self.folder):
            if found := self._same(path):
                return _said(name, found, how if found == path or how != "exact" else "normalised")
        return self._by_its_end(name) or self._miss(name)

    def of_stem(self, name: str) -> list[str]:
        """The files with the stem of this name, whatever their folder, case, Unicode form and ending."""
        return sorted(self._near(name))

    def _walk(self) -> Iterator[str]:
        for found in walk(self.folder, lambda _: True, self._note, skipped=lambda _: False, follow_symlinks=True):
            yield found.path

    def _note(self, odd: Odd) -> None:
        if len(self._odd) < 10_000 and odd.cause != "symbolic link followed":
            self._odd[odd.path] = odd.detail

    def _path(self, offset: int) -> str:
        return self._names[offset : self._names.index(0, offset)].decode()

    def _same(self, path: str) -> str | None:
        """The only file of this path, byte for byte or else but for its Unicode form."""
        if path in self:
            return path
        composed = normalize("NFC", path)
        fits = [found for found in self._near(path) if normalize("NFC", found) == composed]
        return fits[0] if len(fits) == 1 else None

    def _near(self, path: str) -> list[str]:
        """The files with this stem, whatever their folder, case, Unicode form and ending."""
        stem = _folded_stem(path)
        found = (self._path(offset) for offset in _offsets(self._stems, stem))
        return [each for each in found if _folded_stem(each) == stem]

    def _by_its_end(self, name: str) -> Match | None:
        """An absolute path is another machine's: its longest end that is here, if its base name isn't ambiguous."""
        if not is_absolute(name):
            return None
        parts = clean(name).split("/")
        for start in range(1, len(parts)):
            if found := self._same("/".join(parts[start:])):
                return _said(name, found, "base name" if start == len(parts) - 1 else "path end")
        base = normalize("NFC", parts[-1])
        fits = [each for each in self._near(base) if normalize("NFC", each.rpartition("/")[2]) == base]
        return _said(name, fits[0], "base name") if len(fits) == 1 else None

    def _miss(self, name: str) -> Miss:
        path = clean(name)
        if odd := self._odd.get(shown(name)):
            return Miss(None, f"{shown(name)}: {odd}")
        near = sorted(self._near(unquote(path)), key=lambda each: _distance(each, path))
        if not near:
            return Miss(None, f"file not found: no {shown(name)}")
        more = f" (and {len(near) - 1} more of that name)" if len(near) > 1 else ""
        return Miss(near[0], f"file not found: no {shown(name)}; there is {shown(near[0])}{more}")


def clean(name: str) -> str:
    """A name as a relative path with forward slashes: no drive letter, backslash, leading slash or `..` in it."""
    parts: list[str] = []
    for part in _parts(name):
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
    return "/".join(parts)


def is_absolute(name: str) -> bool:
    """Whether a name is a whole path, of this system or of Windows, or climbs out of its folder with `..`."""
    text = name.replace("\\", "/")
    return text.startswith("/") or bool(_DRIVE.match(text)) or _climbs_out(name)


def _parts(name: str) -> list[str]:
    text = name.replace("\\", "/")
    text = text[2:] if _DRIVE.match(text) else text
    return [part for part in text.split("/") if part not in ("", ".")]


def _climbs_out(name: str) -> bool:
    depth = 0
    for part in _parts(name):
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


class _Index:
    """Numbers that hold a hash above and an offset below, 8 bytes each; equal hashes are told apart by the reader."""

    def __init__(self) -> None:
        self._entries = array("Q")

    def add(self, key: str, offset: int) -> None:
        self._entries.append(_hashed(key) | offset)

    def sorted(self) -> array[int]:
        return array("Q", sorted(self._entries))


def _hashed(key: str) -> int:
    return xxh3_64_intdigest(key.encode(errors="surrogatepass")) & ~_OFFSET_MASK


def _offsets(index: array[int], key: str) -> Iterator[int]:
    wanted = _hashed(key)
    position = bisect_left(index, wanted)
    while position < len(index) and index[position] & ~_OFFSET_MASK == wanted:
        yield index[position] & _OFFSET_MASK
        position += 1


def _folded_stem(path: str) -> str:
    base = path.rpartition("/")[2]
    return normalize("NFC", os.path.splitext(base)[0]).casefold()


def _spellings(name: str, folder: str) -> Iterable[tuple[str, str]]:
    """Other ways to write a name that mean the same file, the most alike first."""
    yield name, "exact"
    if is_absolute(name):
        return
    path = clean(name)
    yield path, "slashes" if "\\" in name else "exact"
    if "%" in path:
        yield clean(unquote(path)), "decoded"
    own = os.path.basename(os.path.abspath(folder))
    if path.startswith(own + "/"):
        yield path.removeprefix(own + "/"), "own folder"


def _said(name: str, path: str, how: str) -> Match:
    words = {
        "exact": "",
        "normalised": "but for its Unicode form",
        "decoded": "after decoding its percent signs",
        "slashes": "with forward slashes",
        "own folder": "without the folder's own name",
        "path end": f"by the end of an absolute {_system(name)}path",
        "base name": f"absolute {_system(name)}path: matched by base name",
    }[how]
    if how == "base name":
        return Match(path, how, f"{words}: {shown(name)} is {shown(path)}")
    return Match(path, how, f"{shown(name)} matched {words}: {shown(path)}" if words else "")


def _system(name: str) -> str:
    return "Windows " if _DRIVE.match(name) or "\\" in name else ""


def _distance(candidate: str, path: str) -> tuple[bool, bool, str]:
    """Same path but for case first, then same folder, then by name."""
    folded, wanted = candidate.casefold(), normalize("NFC", path).casefold()
    return folded != wanted, folded.rpartition("/")[0] != wanted.rpartition("/")[0], candidate
