"""A folder of Pascal VOC files with their images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unicodedata import normalize

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.sources.label_folder import (
    LabelFolderReader,
    Mark,
    Pair,
    bytes_of,
    folder_files,
    is_image,
    root_of,
)
from nucleus_sync.sources.media import facts_of, path_fields
from nucleus_sync.sources.names import Listing, Match, Miss, clean
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.sources.template import Template
from nucleus_sync.sources.voc_xml import VocFile, parsed
from nucleus_sync.sources.walk import chooser, shown
from nucleus_sync.spec.source import VocSource

_XML_FOLDERS = ("annotations", "labels", "xml", "xmls")
_IMAGE_FOLDERS = ("JPEGImages", "images", "Images")


def voc_reader(spec: VocSource, surroundings: Surroundings) -> LabelFolderReader:
    """Boxes, each with what its object says of itself as metadata."""
    files = _VocFiles(spec, surroundings)
    return LabelFolderReader(spec, surroundings, files, lambda path: is_image(path) or _is_xml(path))


@dataclass(frozen=True, slots=True)
class _Found:
    """An image, and how its name was matched where that wasn't to the letter."""

    image: str
    note: tuple[str, str] | None = None


class _VocFiles:
    """The XML files of a folder."""

    noun = "object"

    def __init__(self, spec: VocSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._images = spec.images or spec.path
        self._images_root = root_of(surroundings, self._images)
        self._reference_id = Template(spec.reference_id).render
        _, self._is_excluded = chooser((), spec.exclude)

    def all(self, report: Report, *, scored: bool) -> Iterator[tuple[Pair, list[Mark]]]:  # noqa: ARG002  (VOC has no confidences)
        """Every XML file with its objects, in the order of the names. Raises SourceError where there is none."""
        names = _ImageNames(self._images_root, self._is_excluded)
        files = 0
        for found in folder_files(self._surroundings, self._spec.path, _is_xml):
            if not self._is_excluded(found.path):
                files += 1
                yield from self._one(found.path, names, report)
        if not files:
            raise SourceError("holds no XML files", where=self._spec.path, fix="correct `path`")

    def again(self, pair: Pair, *, scored: bool) -> list[Mark]:  # noqa: ARG002  (VOC has no confidences)
        """The objects of a file that was seen before."""
        file = self._parsed(pair.labels)
        return file.marks if file else []

    def _parsed(self, path: str) -> VocFile | None:
        content = bytes_of(self._surroundings, self._spec.path, path)
        return parsed(content, one_based=self._spec.one_based)

    def _one(self, path: str, names: _ImageNames, report: Report) -> Iterator[tuple[Pair, list[Mark]]]:
        try:
            file = self._parsed(path)
        except ValueError as error:
            cause, _, rest = str(error).partition(": ")
            report(self._problem(path, cause, f"{cause}: {rest}" if rest else cause))
            return
        if file is None:
            said = "XML, but no VOC annotation: ignored"
            report(self._problem(path, said, said, Severity.FINDING))
            return
        found = names.image_of(path, file.filename)
        if isinstance(found, Miss):
            fix = "bring the image, or correct <filename>"
            report(self._problem(path, "file not found", found.note, fix=fix, count=max(1, len(file.marks))))
            return
        yield from self._matched(path, file, found, report)

    def _matched(self, path: str, file: VocFile, found: _Found, report: Report) -> Iterator[tuple[Pair, list[Mark]]]:
        facts = facts_of(self._surroundings, self._images, self._images_root, found.image, whole=False)
        if facts.invalid:
            detail = f"its image is unusable: {facts.invalid}"
            report(self._problem(path, "its image is unusable", detail, count=max(1, len(file.marks))))
            return
        for cause, detail in _remarks(file, found, facts):
            report(self._problem(path, cause, detail, Severity.FINDING))
        if file.marks:
            width, height = (facts.width, facts.height) if facts.width else map(int, file.size or (0, 0))
            yield Pair(path, found.image, self._reference_id(path_fields(found.image)), width, height), file.marks

    def _problem(
        self,
        path: str,
        cause: str,
        detail: str,
        severity: Severity = Severity.INVALID,
        *,
        fix: str | None = None,
        count: int = 1,
    ) -> Problem:
        where = Where(shown(f"{self._spec.path.rstrip('/')}/{path}"))
        return Problem(self._surroundings.name, where, shown(path), cause, detail, severity, fix=fix, count=count)


class _ImageNames:
    """Finds an annotation's image by its <filename>, or else by the XML file's own name."""

    def __init__(self, root: str, is_excluded: Callable[[str], bool]) -> None:
        self._listing = Listing(root)
        self._is_excluded = is_excluded

    def image_of(self, xml: str, filename: str) -> _Found | Miss:
        """An image beside the XML file comes before one elsewhere."""
        parent = os.path.dirname(xml)
        named = clean(filename)
        if named and is_image(named):
            for path in _places(parent, named, filename):
                match = self._listing.match(path)
                if isinstance(match, Match) and self._is_usable(match.path):
                    return _Found(match.path, ("filename matched: " + match.how, match.note) if match.note else None)
        elif named and (image := self._of_stem(parent, os.path.basename(named))):
            return _Found(image, ("filename without its ending", f"{shown(filename)} is taken as {shown(image)}"))
        own = path_fields(xml)["stem"]
        if image := self._of_stem(parent, own):
            said = f"no {shown(filename)}; " if filename else "no <filename>; "
            return _Found(
                image, ("matched by the XML file's own name", f"{said}matched by the XML stem: {shown(image)}")
            )
        return self._miss(filename or own)

    def _of_stem(self, parent: str, stem: str) -> str | None:
        """The only image of exactly this stem in the XML file's folder, or else the only one anywhere."""
        wanted = normalize("NFC", stem)
        fits = [
            path
            for path in self._listing.of_stem(f"{stem}.")
            if self._is_usable(path) and normalize("NFC", path_fields(path)["stem"]) == wanted
        ]
        beside = [path for path in fits if os.path.dirname(path) == parent]
        found = beside or fits
        return found[0] if len(found) == 1 else None

    def _is_usable(self, path: str) -> bool:
        return is_image(path) and not self._is_excluded(path)

    def _miss(self, name: str) -> Miss:
        """The near miss is an image: the XML file has the same stem, too."""
        near = [path for path in self._listing.of_stem(name if is_image(name) else f"{name}.") if self._is_usable(path)]
        ending = "" if is_image(name) else ".*"
        words = f"file not found: no {shown(clean(name))}{ending}"
        return Miss(near[0], f"{words}; there is {shown(near[0])}") if near else Miss(None, words)


def _places(parent: str, named: str, filename: str) -> list[str]:
    """Where an annotation's image may lie: beside it, in the folder that VOC or others keep images in, at the path."""
    above, _, last = parent.rpartition("/")
    prefix = f"{above}/" if above else ""
    siblings = [f"{prefix}{folder}/{named}" for folder in _IMAGE_FOLDERS] if last.lower() in _XML_FOLDERS else []
    return list(dict.fromkeys([f"{parent}/{named}" if parent else named, *siblings, filename]))


def _remarks(file: VocFile, found: _Found, facts: Facts) -> Iterator[tuple[str, str]]:
    if found.note:
        yield found.note
    said, own = file.size, (facts.width, facts.height)
    if said and facts.width and not all(said):
        yield "size 0 in the XML", f"size 0 in the XML: read from the file, {own[0]}x{own[1]}"
    elif said and facts.width and said != own:
        yield "size differs from the file's", f"XML says {said[0]:g}x{said[1]:g}, the file is {own[0]}x{own[1]}"
    if not file.marks:
        yield "no objects", "no objects: an image without objects"


def _is_xml(path: str) -> bool:
    return path.lower().endswith(".xml")
