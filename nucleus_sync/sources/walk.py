"""The files of a folder, in the byte order of their relative paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from nucleus_sync.errors import SourceError
from nucleus_sync.records.problem import Severity
from nucleus_sync.spec.place import IMAGE_SUFFIXES

IMAGE_ENDINGS = (*IMAGE_SUFFIXES, ".heic", ".heif", ".avif")
"""Endings of image files; HEIC and AVIF are taken up so that they can be complained about."""

_JUNK = re.compile(
    r"\..*|thumbs\.db|desktop\.ini|~\$.*|.*\.(?:part|partial|tmp|temp|crdownload|download|swp)|.*~", re.I | re.S
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Found(NamedTuple):
    """One file: its path relative to the folder with forward slashes, and what stat says of it."""

    path: str
    size: int
    mtime_ns: int
    inode: int


class Odd(Struct, frozen=True):
    """Something in a folder that isn't simply a file; `path` is fit for a message."""

    path: str
    cause: str
    detail: str
    severity: Severity
    fix: str | None = None


Report = Callable[[Odd], None]
Wanted = Callable[[str], bool]


Waits = Callable[[str, os.stat_result], bool]


def never_waits(_path: str, _stat: os.stat_result) -> bool:
    """Every file counts at once."""
    return False


def walk(
    root: str,
    wanted: Wanted,
    report: Report,
    *,
    skipped: Wanted,
    follow_symlinks: bool = False,
    waits: Waits = never_waits,
) -> Iterator[Found]:
    """Every wanted file below `root`; `wanted` and `skipped` (folders) are asked with relative paths.

    Junk (dot files, editors' and browsers' leftovers) is left out silently. Links never lead out of the root; those
    inside are reported and skipped unless `follow_symlinks`. Raises SourceError when a folder can't be read, because
    its files would look deleted. A file that `waits` (asked with its relative path) is left out for now.
    """
    folder = _Folder(root, wanted, skipped, report, follow_symlinks, waits)
    open_folders = [iter(folder.entries("", ()))]
    while open_folders:
        for entry in open_folders[-1]:
            if isinstance(entry, Found):
                yield entry
            else:
                open_folders.append(iter(folder.entries(*entry)))
                break
        else:
            open_folders.pop()


class _Folder:
    """A walk under way; a folder to descend into is (relative path with a slash, folders that hold a link to it)."""

    def __init__(self, root: str, wanted: Wanted, skipped: Wanted, report: Report, follow: bool, waits: Waits) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._wanted = wanted
        self._skipped = skipped
        self._report = report
        self._follow = follow
        self._waits = waits

    def entries(self, prefix: str, above: tuple[str, ...]) -> Iterator[Found | tuple[str, tuple[str, ...]]]:
        """The files and folders directly below, in order; folders sort as if their names ended in a slash."""
        for name, is_folder, entry in self._listed(prefix):
            path = prefix + name
            if is_junk(name) or not self._is_utf8(path, is_folder):
                continue
            if entry.is_symlink():
                yield from self._link(path, entry, above)
            elif is_folder:
                if not self._skipped(path):
                    yield path + "/", above
            elif self._is_wanted(path) and (found := self._found(path, entry)):
                yield found

    def _listed(self, prefix: str) -> list[tuple[str, bool, os.DirEntry[str]]]:
        try:
            with os.scandir(os.path.join(self._root, prefix)) as entries:
                listed = [(entry.name, self._is_folder(entry), entry) for entry in entries]
        except OSError as error:
            raise SourceError(
                f"the folder can't be read: {error.strerror}",
                where=shown(os.path.join(self._root, prefix)),
                fix="make it readable, or leave it out with exclude",
            ) from error
        listed.sort(key=lambda each: each[0] + "/" if each[1] else each[0])
        return listed

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        if self._follow and entry.is_symlink():
            return os.path.isdir(entry.path)
        return entry.is_dir(follow_symlinks=False)

    def _is_utf8(self, path: str, is_folder: bool) -> bool:
        try:
            path.encode()
        except UnicodeEncodeError:
            if is_folder or self._wanted(path):
                fix = "rename it: a reference id is Unicode text"
                self._say(path, "name is not UTF-8", f"name {shown(path)} is not UTF-8", Severity.INVALID, fix)
            return False
        return True

    def _is_wanted(self, path: str) -> bool:
        if self._wanted(path):
            return True
        # Such a name looks right in a listing, so silence would be a riddle.
        if path != path.rstrip() and path.rstrip().lower().endswith(IMAGE_ENDINGS) and self._wanted(path.rstrip()):
            detail = f"name {path.rpartition('/')[2]!r} ends in a blank, so it has no image ending: left out"
            self._say(path, "name ends in a blank: no image ending", detail, Severity.FINDING, "rename it")
        return False

    def _found(self, path: str, entry: os.DirEntry[str], *, through_link: bool = False) -> Found | None:
        try:
            stat = entry.stat(follow_symlinks=through_link)
        except OSError:
            return None  # gone between listing and asking: it's not there
        if not through_link and not entry.is_file(follow_symlinks=False):
            self._say(
                path, "not a file", "neither a file nor a folder (a pipe, a socket or a device)", Severity.INVALID
            )
            return None
        if self._waits(path, stat):
            return None
        return Found(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def _link(
        self, path: str, entry: os.DirEntry[str], above: tuple[str, ...]
    ) -> Iterator[Found | tuple[str, tuple[str, ...]]]:
        target = os.path.realpath(entry.path)
        is_folder = os.path.isdir(target)
        if self._skipped(path) if is_folder else not self._wanted(path):
            return
        around = (*above, os.path.dirname(entry.path))
        if not is_inside(target, self._real_root):
            detail, fix = (
                f"link leaves the folder: {_link_words(entry)}",
                "never followed: copy the file, or exclude it",
            )
            self._say(path, "link leaves the folder", detail, Severity.INVALID, fix)
        elif not os.path.exists(target):
            self._say(path, "link to nothing", f"link to nothing: {_link_words(entry)}", Severity.INVALID)
        elif is_folder and any(is_inside(os.path.realpath(each), target) for each in around):
            detail = f"link cycle: {_link_words(entry)} is a folder around it"
            self._say(path, "link cycle", detail, Severity.INVALID, "never followed: exclude it")
        elif not self._follow:
            detail = f"symbolic link skipped: {_link_words(entry)}"
            self._say(path, "symbolic link skipped", detail, Severity.FINDING, "follow_symlinks: true takes it up")
        else:
            self._say(path, "symbolic link followed", f"symbolic link followed: {_link_words(entry)}", Severity.FINDING)
            if is_folder:
                yield path + "/", around
            elif os.path.isfile(target) and (found := self._found(path, entry, through_link=True)):
                yield found

    def _say(self, path: str, cause: str, detail: str, severity: Severity, fix: str | None = None) -> None:
        self._report(Odd(shown(path), cause, detail, severity, fix))


def is_inside(path: str, folder: str) -> bool:
    """Whether a real path is a folder or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def shown(name: str) -> str:
    """A name fit for a message: control characters and bytes that aren't UTF-8 escaped as `\\n`, `\\xe9`."""
    return _CONTROL.sub(_escape, name)


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is nobody's data."""
    return _JUNK.fullmatch(name) is not None


def chooser(include: Iterable[str], exclude: Iterable[str]) -> tuple[Wanted, Wanted]:
    """(wanted, skipped): which files are taken, and which folders needn't be looked into.

    Patterns as in gitignore: `*` and `?` stay within a name, `**` spans folders, a pattern without a slash fits at any
    depth, one that fits a folder takes all below it. Without `include`, every file named as an image is taken.
    """
    left_out = _any_of(tuple(exclude))
    patterns = tuple(include)
    taken = _any_of(patterns) if patterns else _is_image_name
    return (lambda path: taken(path) and not left_out(path)), left_out


def _is_image_name(path: str) -> bool:
    return path.lower().endswith(IMAGE_ENDINGS)


@lru_cache
def _any_of(patterns: tuple[str, ...]) -> Wanted:
    if not patterns:
        return lambda _: False
    matches = re.compile("|".join(f"(?:{_expression(pattern)})" for pattern in patterns), re.S).fullmatch
    return lambda path: matches(path) is not None


def _expression(pattern: str) -> str:
    anchored = "/" in pattern.rstrip("/")
    text = pattern.strip("/").removeprefix("./")
    pieces = re.findall(r"(?:^|(?<=/))\*\*/|/\*\*$|\[[!^]?\]?[^\]]*\]|.", text, re.S)
    body = "".join(map(_piece, pieces))
    below = "(?:/.*)?"
    return (body if anchored else f"(?:.*/)?{body}") + below


def _piece(piece: str) -> str:
    match piece:
        case "**/":
            return "(?:.*/)?"
        case "/**":
            return "/.*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        return _character_class(piece[1:-1])
    return re.escape(piece)


def _character_class(inner: str) -> str:
    negated = inner[0] in "!^"
    letters = inner[1:] if negated else inner
    escaped = re.sub(r"[\\\[\]&~|^]", lambda found: "\\" + found[0], letters)
    expression = f"[{'^/' if negated else ''}{escaped}]"
    try:
        re.compile(expression)
    except re.error:
        return re.escape(f"[{inner}]")
    return expression


def _link_words(entry: os.DirEntry[str]) -> str:
    try:
        return f"-> {shown(os.readlink(entry.path))}"
    except OSError:
        return "-> ?"


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0]) or (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )
