"""A folder of image files as items."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from itertools import chain, islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from msgspec import UNSET, Struct, msgpack

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.media import (
    INCOMPLETE,
    cause_and_detail,
    examine,
    findings,
    is_fresh,
    path_fields,
    recalled,
    remember,
    upload_name,
)
from nucleus_sync.sources.reader import FileState, Pick, Seen, Surroundings
from nucleus_sync.sources.template import Template, value_template
from nucleus_sync.sources.walk import Found, Odd, Waits, chooser, never_waits, shown, walk
from nucleus_sync.spec.place import resolve
from nucleus_sync.spec.source import ImagesSource

_VERSION = 1
_TOGETHER = 256
_READERS = 8
_PROBED = 8
_SLOW_SECONDS = 0.002
_MOST_DIGESTS = 100_000
_LOCATOR = struct.Struct(">QI")


class _Listed(Struct, array_like=True, frozen=True, gc=False):
    """One line of the listing that a scan leaves behind for reading."""

    found: Found
    facts: Facts


_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(_Listed).decode


class ImagesReader:
    """One item per image file: uploaded, or read by Nucleus from an address where `image_url` is given.

    In an http or https address the fields are percent-encoded (slashes stay), because such an address can't hold blanks
    or `#`; in s3 and gs addresses they stay as they are, because there a percent sign is part of the object's name.

    Locators point into a listing in the scratch folder, so that memory doesn't grow with the number of files.
    """

    def __init__(self, spec: ImagesSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._root = os.path.abspath(resolve(surroundings.folder, spec.path))
        self._wanted, self._skipped = chooser(spec.include, spec.exclude)
        self._reference_id = Template(spec.reference_id).render
        self._metadata: Callable[[Mapping[str, Any]], Any] = value_template(spec.metadata)
        self._image_url = url_template(spec.image_url) if spec.image_url else None
        self._seed = seed_of(_VERSION, spec.reference_id, spec.image_url, spec.metadata)
        self._listing = surroundings.scratch / f"{surroundings.name}.listing"

    def state(self) -> FileState:
        """Raises SourceError when the folder is gone."""
        return FileState.of(self._walk(lambda _: None))

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every image file, in the byte order of the paths; those that are new are read and hashed."""
        if kind is not Kind.ITEMS:
            return
        copies = _Copies()
        with open(self._listing, "ab", buffering=0) as listing:
            for found, facts in self._examined(report):
                locator = _append(listing, _Listed(found, facts))
                if original := copies.original(found.path, facts):
                    report(self._same_bytes(found.path, original))
                if key := item_key(self._reference_id(path_fields(found.path))):
                    yield Seen(key, self._raw(found, facts), locator)
                else:
                    report(self._problem(found.path, "reference_id is empty", "reference_id is empty"))

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """Raises SourceError when a file has changed since the scan."""
        if kind is not Kind.ITEMS:
            return
        with _opened(self._listing) as listing:
            for pick in picks:
                listed = _listed(listing, pick.locator)
                if self._is_usable(listed, pick.key, report):
                    record = self._record(listed.found.path, listed.facts)
                    where, name = self._where(listed.found.path), shown(listed.found.path)
                    if is_sound(record, pick.key, self._surroundings.name, where, name, report):
                        yield pick, record

    def where(self, kind: Kind, locator: bytes) -> Where:  # noqa: ARG002 - every locator is an item's
        """The file."""
        with _opened(self._listing) as listing:
            return self._where(_listed(listing, locator).found.path)

    # --- looking at the files ---------------------------------------------------------------------------------

    def _walk(self, note: Callable[[Odd], None], waits: Waits = never_waits) -> Iterator[Found]:
        if not os.path.isdir(self._root):
            what = "is not a folder" if os.path.exists(self._root) else "there is no such folder"
            raise SourceError(what, where=self._spec.path, fix="correct `path`, or bring the files back")
        if self._surroundings.only is not None:
            return self._these(self._surroundings.only, waits)
        return walk(
            self._root,
            self._wanted,
            note,
            skipped=self._skipped,
            follow_symlinks=self._spec.follow_symlinks,
            waits=waits,
        )

    def _these(self, paths: Iterable[str], waits: Waits) -> Iterator[Found]:
        """Single files, as the walk would have found them."""
        for path in sorted(paths):
            try:
                stat = os.lstat(os.path.join(self._root, path))
            except OSError:
                continue
            if S_ISREG(stat.st_mode) and self._wanted(path) and not waits(path, stat):
                yield Found(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def _waits(self, report: Report) -> Waits:
        """Leaves out what is still being written, and sees to it that its record isn't taken for gone."""
        patience = self._surroundings.patience
        if patience is None:
            return never_waits

        def waits(path: str, stat: os.stat_result) -> bool:
            if not patience.waits_for(os.path.join(self._root, path), stat):
                return False
            report(self._waiting(path, "still being written"))
            return True

        return waits

    def _waiting(self, path: str, why: str) -> Problem:
        key = item_key(self._reference_id(path_fields(path)))
        return self._problem(path, why, why, severity=Severity.WAITING, key=key)

    def _is_incomplete(self, found: Found, facts: Facts, report: Report) -> bool:
        """A file without its end, where somebody has the patience to wait for it."""
        patience = self._surroundings.patience
        if patience is None or facts.invalid not in INCOMPLETE:
            return False
        patience.incomplete(os.path.join(self._root, found.path), facts.invalid)
        report(self._waiting(found.path, facts.invalid))
        return True

    def _examined(self, report: Report) -> Iterator[tuple[Found, Facts]]:
        """All files with their facts, a few at a time."""
        self._report_absent(report)
        files = self._walk(lambda odd: report(self._odd(odd)), self._waits(report))
        with _Examiners(self._examine) as examiners:
            while batch := list(islice(files, _TOGETHER)):
                known = [recalled(self._surroundings, self._spec.path, each, whole=self._is_local) for each in batch]
                started = time.time_ns()
                new = examiners.all([each for each, facts in zip(batch, known, strict=True) if facts is None])
                for found, facts in zip(batch, known, strict=True):
                    if facts is None:
                        facts = next(new)
                        remember(self._surroundings, self._spec.path, found.path, facts, started)
                    if not self._is_incomplete(found, facts, report):
                        yield found, facts

    def _report_absent(self, report: Report) -> None:
        """Files that went away a moment ago are often written anew: their records aren't taken for gone."""
        patience = self._surroundings.patience
        for path in patience.absent(self._root) if patience else ():
            name = os.path.relpath(path, self._root)
            if self._wanted(name):
                report(self._waiting(name, "went away just now"))

    def _examine(self, found: Found) -> Facts:
        return examine(os.path.join(self._root, found.path), whole=self._is_local)

    @property
    def _is_local(self) -> bool:
        return self._image_url is None

    # --- making records ---------------------------------------------------------------------------------------

    def _raw(self, found: Found, facts: Facts) -> bytes:
        if facts.invalid or facts.finding:
            return LOOK_AGAIN
        content = f"{found.path}\0{facts.width}\0{facts.height}\0".encode() + facts.digest
        return raw_hash(content, self._seed)

    def _is_usable(self, listed: _Listed, key: bytes, report: Report) -> bool:
        found, facts = listed.found, listed.facts
        if facts.invalid:
            report(self._problem(found.path, *cause_and_detail(facts.invalid), key=key))
            return False
        if not self._is_unchanged(found, facts):
            raise SourceError(
                "the file changed while its folder was read",
                where=str(self._where(found.path)),
                fix="wait until it is complete, then try again",
            )
        for cause, detail in findings(facts):
            report(self._problem(found.path, cause, detail, severity=Severity.FINDING, key=key))
        return True

    def _is_unchanged(self, found: Found, facts: Facts) -> bool:
        try:
            stat = os.stat(os.path.join(self._root, found.path))
        except OSError:
            return False
        return is_fresh(facts, Found(found.path, stat.st_size, stat.st_mtime_ns, stat.st_ino))

    def _record(self, path: str, facts: Facts) -> Record:
        fields = path_fields(path)
        item = Item(
            reference_id=self._reference_id(fields),
            image_url=self._image_url(fields) if self._image_url else upload_name(path),
            width=facts.width or UNSET,
            height=facts.height or UNSET,
            metadata=self._metadata(fields),
        )
        if self._image_url:
            return item
        return LocalItem(item=item, path=os.path.join(self._root, path), size=facts.size, digest=facts.digest)

    # --- saying what is wrong ---------------------------------------------------------------------------------

    def _where(self, path: str) -> Where:
        return Where(shown(f"{self._spec.path.rstrip('/')}/{path}"))

    def _problem(
        self,
        path: str,
        cause: str,
        detail: str,
        *,
        severity: Severity = Severity.INVALID,
        key: bytes | None = None,
        fix: str | None = None,
    ) -> Problem:
        return Problem(self._surroundings.name, self._where(path), shown(path), cause, detail, severity, key, fix)

    def _odd(self, odd: Odd) -> Problem:
        return self._problem(odd.path, odd.cause, odd.detail, severity=odd.severity, fix=odd.fix)

    def _same_bytes(self, path: str, original: str) -> Problem:
        detail = f"same bytes as {shown(original)}: both are sent"
        return self._problem(path, "same bytes as another file", detail, severity=Severity.FINDING)


class _Examiners:
    """Looks at files one after the other, or side by side once waiting for the disk turns out to be what takes time.

    Small files in the system's cache are read faster by one thread than by several.
    """

    def __init__(self, examine: Callable[[Found], Facts]) -> None:
        self._examine = examine
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="images")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def all(self, files: list[Found]) -> Iterator[Facts]:
        """The facts of all these files, in their order."""
        started = time.perf_counter()
        probed = [self._examine(found) for found in files[:_PROBED]]
        is_slow = time.perf_counter() - started > _SLOW_SECONDS * _PROBED
        rest = files[_PROBED:]
        return chain(probed, self._threads.map(self._examine, rest) if is_slow else map(self._examine, rest))


class _Copies:
    """Finds files of the same bytes among the first hundred thousand; beyond that it costs more than it tells."""

    def __init__(self) -> None:
        self._first: dict[bytes, str] = {}

    def original(self, path: str, facts: Facts) -> str | None:
        """The first file of these bytes, if there was one."""
        if not facts.digest or facts.invalid or len(self._first) >= _MOST_DIGESTS:
            return None
        first = self._first.setdefault(facts.digest, path)
        return first if first != path else None


def url_template(text: str) -> Callable[[Mapping[str, str]], str]:
    """What fills an address; see ImagesReader for what is encoded."""
    render = Template(text).render
    if not text.lower().startswith(("http://", "https://")):
        return render
    return lambda fields: render({name: quote(value, safe="/") for name, value in fields.items()})


def _opened(listing: Path) -> BinaryIO:
    try:
        return open(listing, "rb")
    except OSError as error:
        raise SourceError("the listing of the scan is gone", where=str(listing), fix="run it again") from error


def _append(listing: FileIO, listed: _Listed) -> bytes:
    """Asks afterwards where the line went, because another reader of this source may write at the same time."""
    line = _pack(listed)
    listing.write(line)
    return _LOCATOR.pack(listing.tell() - len(line), len(line))


def _listed(listing: BinaryIO, locator: bytes) -> _Listed:
    offset, length = _LOCATOR.unpack(locator)
    listing.seek(offset)
    return _unpack(listing.read(length))
