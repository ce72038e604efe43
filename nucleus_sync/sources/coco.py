"""A COCO file as items and annotations."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.coco_categories import categories_of, shared_names
from nucleus_sync.sources.coco_file import CocoFile
from nucleus_sync.sources.coco_images import (
    Image,
    ImageEntries,
    MakeUrl,
    Place,
    local_item,
    orientation_words,
    remote_item,
    size_note,
    url_template,
)
from nucleus_sync.sources.coco_labels import TOGETHER, Labels, Naming, Rules
from nucleus_sync.sources.coco_masks import Masks
from nucleus_sync.sources.coco_shape import Shaping
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.media import cause_and_detail, findings
from nucleus_sync.sources.reader import (
    FileState,
    Hearing,
    Pick,
    Portable,
    Say,
    Seen,
    SeenAndRead,
    Straight,
    Stretch,
    Surroundings,
    packed,
)
from nucleus_sync.sources.template import FieldError, Template, value_template

if TYPE_CHECKING:
    from nucleus_sync.spec.source import CocoSource

_VERSION = 1
_EXAMINED = 256
_EXAMINERS = 8
_ITEM_LOCATOR = struct.Struct(">QIQ")
_pack_facts = msgspec.msgpack.Encoder().encode
_unpack_facts = msgspec.msgpack.Decoder(Facts | None).decode


def _item_locator(place: Place, facts: Facts | None) -> bytes:
    return _ITEM_LOCATOR.pack(*place) + _pack_facts(facts)


class CocoReader:
    """Items from the section `images`, annotations from the section `annotations`."""

    says_numbers = False

    def __init__(self, spec: CocoSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._file = CocoFile(spec.path, spec.images, Template(spec.reference_id), surroundings)
        self._metadata = value_template(spec.metadata)
        self._image_url: MakeUrl | None = url_template(spec.image_url) if spec.image_url else None
        self._item_seed = seed_of(_VERSION, "items", spec.reference_id, spec.image_url, spec.metadata, spec.strict)

    def state(self) -> FileState:
        """The file's state with that of all images in the folder."""
        return self._file.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every record of the kind, in the order of the file."""
        self.hearing(kind, report)
        match kind:
            case Kind.ITEMS:
                yield from self._scan_items(report)
            case Kind.ANNOTATIONS:
                yield from self._labelled(self._labels()).scan(report)

    def hearing(self, kind: Kind, report: Report) -> Hearing:
        """Says which images share an id, and which categories a name."""
        match kind:
            case Kind.ITEMS:
                self._check_place()
                self._report_sharers(report)
            case Kind.ANNOTATIONS:
                for words in shared_names(self._labels().categories):
                    where, cause = Where(self._spec.path, "categories"), "categories have one name"
                    report(Problem(self._surroundings.name, where, "categories", cause, words, Severity.FINDING))
        return Straight(report)

    def stretches(self, kind: Kind) -> list[Stretch]:
        """For what several processes can read."""
        if not self._is_portable(kind):
            return []
        section = self._file.image_section() if kind is Kind.ITEMS else self._labels().section
        return [Stretch(count, which) for count, which in section.seams.stretches(TOGETHER)]

    def scan_stretch(self, kind: Kind, part: Any, report: Report) -> Iterator[Seen]:
        """Some windows of a section."""
        return self._scan_items(report, part) if kind is Kind.ITEMS else self._labels().scan(report, part)

    def scan_and_read(self, kind: Kind, part: Any, report: Report, say: Say) -> Iterator[SeenAndRead]:
        """Some windows of a section, their elements decoded once."""
        if kind is Kind.ANNOTATIONS:
            yield from self._labels().scan_and_read(report, say, part)
            return
        entries = self._file.entries()
        for place, raw, image, _ in self._usable(entries, report, part):
            key, locator = item_key(image.reference_id), _item_locator(place, None)
            record = self._record(entries, image, None, key, raw, place, partial(say, locator))
            yield key, self._raw(raw, image, None), locator, record

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked records."""
        match kind:
            case Kind.ITEMS:
                yield from self._read_items(picks, report)
            case Kind.ANNOTATIONS:
                yield from self._labelled(self._labels()).read(picks, report)

    def where(self, kind: Kind, locator: bytes) -> Where:
        """The element's place in its section."""
        if kind is Kind.ANNOTATIONS and self._spec.geometry == "mask":
            return self._masks(self._labels()).where(locator)
        index = _ITEM_LOCATOR.unpack_from(locator)[2]
        return Where(self._spec.path, f"{'images' if kind is Kind.ITEMS else 'annotations'}[{index}]")

    def portable(self, kind: Kind) -> Portable | None:
        """For labels, and for images that lie elsewhere."""
        if not self._is_portable(kind):
            return None
        luggage = self._file.luggage(for_labels=kind is Kind.ANNOTATIONS)
        return Portable(CocoReader, packed(self._spec), self._surroundings.elsewhere(), luggage)

    def _is_portable(self, kind: Kind) -> bool:
        """Whether several processes can read: threads look at files of images, and one process paints masks."""
        spec = self._spec
        if kind is Kind.ITEMS:
            return spec.images is None and spec.image_url is not None
        return kind is Kind.ANNOTATIONS and spec.geometry != "mask"

    def take_up(self, luggage: Any) -> None:
        """Begin with what another process found out."""
        self._file.take_up(luggage)

    def _labelled(self, labels: Labels) -> Labels | Masks:
        """What makes records of the labels."""
        return self._masks(labels) if self._spec.geometry == "mask" else labels

    def _masks(self, labels: Labels) -> Masks:
        scratch = self._surroundings.scratch
        return Masks(labels, scratch / f"{self._surroundings.name}.masks", scratch)

    # --- annotations --------------------------------------------------------------------------------------------

    def _labels(self) -> Labels:
        spec, file = self._spec, self._file
        section = file.section("annotations", "the file has no annotations: list it under items only")
        categories = file.section("categories", "annotations get their labels from it")
        rules = Rules(
            Shaping(spec.geometry, spec.out_of_bounds, scored=False),
            Template(spec.annotation_id) if spec.annotation_id else None,
            value_template(spec.annotation_metadata) if spec.annotation_metadata else None,
        )
        options = (spec.geometry, spec.out_of_bounds, spec.annotation_id, spec.annotation_metadata)
        seed = seed_of(_VERSION, "annotations", *options)
        found = categories_of(file.document, categories, spec.path, seed)
        naming = Naming(self._surroundings.name, "annotation", spec.path, "annotations")
        return Labels(file.document, section, file.table(), found, rules, naming)

    # --- items --------------------------------------------------------------------------------------------------

    def _scan_items(self, report: Report, which: range | None = None) -> Iterator[Seen]:
        for place, raw, image, facts in self._usable(self._file.entries(), report, which):
            yield Seen(item_key(image.reference_id), self._raw(raw, image, facts), _item_locator(place, facts))

    def _usable(
        self, entries: ImageEntries, report: Report, which: range | None
    ) -> Iterator[tuple[Place, bytes, Image, Facts | None]]:
        """The entries that make items, of all windows or of some; the others are reported."""
        for place, raw, image, facts in self._examined(entries, which):
            if problem := self._unusable(image, facts, place.number):
                report(problem)
            else:
                yield place, raw, image, facts

    def _check_place(self) -> None:
        if self._image_url is None and self._spec.images is None:
            raise SourceError(
                "nothing says where the images are",
                where=self._spec.path,
                fix='set `images` to their folder to upload them, or image_url to a template such as "{coco_url}"',
            )

    def _report_sharers(self, report: Report) -> None:
        """Images that share an id are sound as items: it is their annotations that can't tell them apart."""
        for image_id, names in self._file.table().sharers.items():
            words = f"{'two' if len(names) == 2 else len(names)} images share it: {', '.join(names)}"
            where, record, cause = Where(self._spec.path, "images"), f"image id {image_id}", "images share an id"
            fix = "give each image an id of its own; until then their annotations are ambiguous"
            report(Problem(self._surroundings.name, where, record, cause, words, fix=fix, count=0))

    def _examined(
        self, entries: ImageEntries, which: range | None
    ) -> Iterator[tuple[Place, bytes, Image, Facts | None]]:
        """All entries with the facts of their files, new ones read a few at a time side by side."""
        found = ((place, raw, entries.image(raw, place.offset)) for place, raw in entries.all(which))
        if self._spec.images is None:
            yield from ((*each, None) for each in found)
            return
        with ThreadPoolExecutor(_EXAMINERS, thread_name_prefix="coco") as examiners:
            while batch := list(islice(found, _EXAMINED)):
                for each, facts in zip(batch, examiners.map(self._facts, batch), strict=True):
                    yield (*each, facts)

    def _facts(self, found: tuple[Place, bytes, Image]) -> Facts | None:
        image = found[2]
        return None if image.state else self._file.facts(image.path, whole=self._image_url is None)

    def _raw(self, content: bytes, image: Image, facts: Facts | None) -> bytes:
        if image.note or (facts and (facts.finding or facts.invalid or size_note(image, facts))):
            return LOOK_AGAIN
        return raw_hash(content, self._seed(image, facts))

    def _seed(self, image: Image, facts: Facts | None) -> int:
        file = (facts.digest, facts.width, facts.height) if facts else None
        return seed_of(self._item_seed, image.reference_id, image.path, file)

    def _read_items(self, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        entries = self._file.entries()
        for pick in picks:
            offset, length, index = _ITEM_LOCATOR.unpack_from(pick[2])
            facts = _unpack_facts(pick[2][_ITEM_LOCATOR.size :])
            content = self._file.document.bytes_at(offset, length)
            image = entries.image(content, offset)
            if image.state or item_key(image.reference_id) != pick[0]:
                raise self._file.changed(index)
            if pick[1] != LOOK_AGAIN and raw_hash(content, self._seed(image, facts)) != pick[1]:
                raise self._file.changed(index)
            self._file.confirm(image.path, facts, index)
            record = self._record(entries, image, facts, pick[0], content, Place(offset, length, index), report)
            if record is not None:
                yield pick, record

    def _record(
        self,
        entries: ImageEntries,
        image: Image,
        facts: Facts | None,
        key: bytes,
        content: bytes,
        place: Place,
        report: Report,
    ) -> Item | LocalItem | None:
        try:
            fields = entries.fields(content, place.offset, image.path)
            metadata = self._metadata(fields)
            url = self._image_url(fields) if self._image_url else ""
        except FieldError as error:
            report(self._problem(image, place.number, "a template can't be filled", str(error), key=key))
            return None
        for cause, detail in self._findings(image, facts):
            report(self._problem(image, place.number, cause, detail, severity=Severity.FINDING, key=key))
        record: Item | LocalItem
        if self._image_url or facts is None:
            record = remote_item(image, metadata, url, facts)
        else:
            record = local_item(image, metadata, self._file.place(image.path), facts)
        where = Where(self._spec.path, f"images[{place.number}]")
        return record if is_sound(record, key, self._surroundings.name, where, image.called, report) else None

    def _findings(self, image: Image, facts: Facts | None) -> Iterator[tuple[str, str]]:
        if image.note:
            yield image.note
        if facts is None:
            return
        for cause, detail in findings(facts):
            yield cause, detail + orientation_words(image, facts) if "orientation" in cause else detail
        if note := size_note(image, facts):
            yield note

    def _unusable(self, image: Image, facts: Facts | None, index: int) -> Problem | None:
        if image.state:
            meant = item_key(image.reference_id) if image.reference_id else None
            return self._problem(image, index, image.cause, image.detail, key=meant, fix=image.fix)
        key = item_key(image.reference_id)
        if facts and facts.invalid:
            return self._problem(image, index, *cause_and_detail(facts.invalid), key=key)
        if facts and self._spec.strict and (note := size_note(image, facts)):
            return self._problem(image, index, *note, key=key, fix="correct the JSON, or set strict: false")
        return None

    def _problem(
        self,
        image: Image,
        index: int,
        cause: str,
        detail: str,
        *,
        severity: Severity = Severity.INVALID,
        key: bytes | None = None,
        fix: str | None = None,
    ) -> Problem:
        where = Where(self._spec.path, f"images[{index}]")
        return Problem(self._surroundings.name, where, image.called, cause, detail, severity, key, fix)
