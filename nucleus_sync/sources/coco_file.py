"""A COCO file with the folder that its images lie in."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.sources.json_slices import JsonFile, Section, unreadable
from nucleus_sync.sources.reader import FileState, Surroundings
from nucleus_sync.sources.template import Template
from nucleus_sync.sources.walk import Found, walk
from nucleus_sync.spec.place import resolve

if TYPE_CHECKING:
    from nucleus_sync.sources.coco_images import ImageEntries
    from nucleus_sync.sources.image_table import ImageRows, ImageTable
    from nucleus_sync.sources.names import Listing


class CocoFile:
    """A COCO file with the folder of its images, opened when first used and again when the file has changed.

    One serves one run: the folder is listed once.
    """

    def __init__(self, path: str, images: str | None, reference_id: Template, surroundings: Surroundings) -> None:
        self._shown = path
        self._images = images
        self._reference_id = reference_id
        self._surroundings = surroundings
        self.document = JsonFile(resolve(surroundings.folder, path), path)
        self._folder = os.fspath(resolve(surroundings.folder, images)) if images is not None else ""
        self._made: _Made | None = None
        self._carried: ImageTable | None = None
        self._aside: _Aside | None = None

    def section(self, name: str, way_out: str) -> Section:
        """A list of the file. Raises SourceError where there is none."""
        sections = self.document.sections()
        found = sections.get(name)
        if found is not None and found.kind == "array":
            return found
        if "" in sections:
            what = 'holds a list, so the section "images" of a COCO file is missing'
            way_out = "it may be a results file: format: coco-results reads those"
        elif found is not None:
            what = f'its section "{name}" is not a list'
        else:
            what = f'has no section "{name}"'
        raise SourceError(what, where=self._shown, fix=way_out)

    def image_section(self) -> Section:
        """The list of images. Raises SourceError where there is none."""
        return self.section("images", 'a COCO file lists its images under "images"')

    def entries(self) -> ImageEntries:
        """The image entries."""
        return self._opened().entries

    def table(self) -> ImageTable:
        """The images by id."""
        if self._carried is not None:
            self._carried.let_go()  # what the last stretch looked at
            return self._carried
        made = self._opened()
        if made.table is not None:
            return made.table
        table = self._made_table(made)
        self._made = _Made(made.section, made.entries, made.listing, table)
        return table

    def _made_table(self, made: _Made) -> ImageTable:
        """The table, from what other processes have put aside as far as there is such."""
        from nucleus_sync.sources.image_table import TableParts

        seams, parts = made.section.seams, TableParts(made.section.seams.firsts[-1])
        aside = self._aside if self._aside is not None and self._aside.section is made.section else None
        window = 0
        while window < len(seams):
            found = aside.taken(window) if aside else None
            window, rows = found or (window + 1, made.entries.rows(window))
            parts.extend(rows)
        return parts.settled(self._surroundings.scratch)

    def luggage(self, *, for_labels: bool = True) -> Any:
        """What another process would take long to find out: where the sections lie and, for labels, the images.

        For images a folder instead, in which it is to put what it sees of them.
        """
        index = self.document.index()
        if for_labels:
            return index, self.table(), None
        if self._made is not None and self._made.table is not None and self._made.section is self.image_section():
            return index, None, None
        folder = Path(tempfile.mkdtemp(prefix="images-", dir=self._surroundings.scratch))
        self._aside = _Aside(self.image_section(), folder)
        return index, None, folder

    def take_up(self, luggage: Any) -> None:
        """Take over what `luggage` gave."""
        index, self._carried, folder = luggage
        self.document.adopt(index)
        self._aside = None if folder is None else _Aside(index[1]["images"], folder)

    def put_aside(self, which: range, rows: ImageRows) -> None:
        """Keep what was seen of the images in some windows for the process that makes their table."""
        # Where the file is another one by now, windows have other numbers.
        if self._aside is not None and self._aside.section is self.image_section():
            self._aside.put(which, rows)

    def place(self, path: str) -> str:
        """Where a matched image lies on this machine."""
        listing = self._opened().listing
        return os.path.join(listing.folder if listing else "", path)

    def facts(self, path: str, *, whole: bool) -> Facts | None:
        """Facts of a matched image; None where the source has no folder."""
        if self._opened().listing is None:
            return None
        found = self._found(path)
        if found is None:
            return Facts(0, 0, 0, b"", 0, 0, invalid="file not found: it went away meanwhile")
        from nucleus_sync.sources.media import examine, recalled, remember

        known = recalled(self._surroundings, self._images or "", found, whole=whole)
        if known is not None:
            return known
        started = time.time_ns()
        facts = examine(self.place(path), whole=whole)
        remember(self._surroundings, self._images or "", path, facts, started)
        return facts

    def confirm(self, path: str, facts: Facts | None, index: int) -> None:
        """Raise SourceError where an image is no longer the file that its facts are of."""
        if facts is None:
            return
        from nucleus_sync.sources.media import is_fresh

        found = self._found(path)
        if found is None or not is_fresh(facts, found):
            raise self.changed(index, f"its image {path} changed while it was read")

    def changed(self, index: int, what: str = "changed while it was read") -> SourceError:
        """The error for a file that is being written."""
        where = f"{self._shown}: images[{index}]"
        return SourceError(what, where=where, fix="wait until its writer is done, then try again")

    def state(self) -> FileState:
        """What stat says of the file and of everything in the folder. Raises SourceError when either is gone."""
        try:
            stat = os.stat(self.document.path)
        except OSError as error:
            raise unreadable(error, self._shown) from None
        return FileState.of(self._walk(), beside=stat)

    def _walk(self) -> Iterator[Found]:
        if self._images is None:
            return iter(())
        self._check_folder()
        return walk(self._folder, lambda _: True, lambda _: None, skipped=lambda _: False, follow_symlinks=True)

    def _check_folder(self) -> None:
        if not os.path.isdir(self._folder):
            what = "is not a folder" if os.path.exists(self._folder) else "there is no such folder"
            raise SourceError(what, where=self._images, fix="correct `images`, or bring the files back")

    def _found(self, path: str) -> Found | None:
        try:
            stat = os.stat(self.place(path))
        except OSError:
            return None
        return Found(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)

    def _opened(self) -> _Made:
        """The entries and the folder's listing, made anew when the section is no longer the one they are of."""
        section = self.image_section()
        if self._made is None or self._made.section is not section:
            from nucleus_sync.sources.coco_images import ImageEntries
            from nucleus_sync.sources.names import Listing

            listing = None
            if self._images is not None:
                self._check_folder()
                listing = Listing(self._folder)
            entries = ImageEntries(self.document, section, self._reference_id, listing)
            self._made = _Made(section, entries, listing, None)
        return self._made


@dataclass(frozen=True, slots=True)
class _Aside:
    """Rows of the table of images that processes have put into files of a folder, by the windows they are of."""

    section: Section
    folder: Path

    def put(self, which: range, rows: ImageRows) -> None:
        (self.folder / str(which.start)).write_bytes(pickle.dumps((which.stop, rows), pickle.HIGHEST_PROTOCOL))

    def taken(self, window: int) -> tuple[int, ImageRows] | None:
        """The window behind those whose rows begin with this one, and the rows; None where there are none."""
        file = self.folder / str(window)
        try:
            content = file.read_bytes()
        except OSError:
            return None
        file.unlink(missing_ok=True)
        found: tuple[int, ImageRows] = pickle.loads(content)
        return found


@dataclass(frozen=True, slots=True)
class _Made:
    section: Section
    entries: ImageEntries
    listing: Listing | None
    table: ImageTable | None
