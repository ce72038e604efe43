"""The items of a COCO file: one for each image entry."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import LOOK_AGAIN, raw_hash, seed_of
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.key import item_key
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.quick_check import is_plainly_sound
from nucleus_sync.records.record import Record
from nucleus_sync.sources.coco_file import CocoFile
from nucleus_sync.sources.coco_images import Image, ImageEntries, Place, Plain, add_plain
from nucleus_sync.sources.coco_item import ItemTemplates, local_item, orientation_words, remote_item, size_note
from nucleus_sync.sources.coco_naming import Naming
from nucleus_sync.sources.image_table import ImageRows
from nucleus_sync.sources.judge import is_sound
from nucleus_sync.sources.media import cause_and_detail, findings
from nucleus_sync.sources.reader import Pick, Say, Seen, SeenAndRead, Surroundings
from nucleus_sync.sources.template import FieldError

if TYPE_CHECKING:
    from nucleus_sync.spec.source import CocoSource

_VERSION = 1
_EXAMINED = 256
_EXAMINERS = 8
_MOST_HELD = 10_000
_LOCATOR = struct.Struct(">QIQ")
_pack_facts = msgspec.msgpack.Encoder().encode
_unpack_facts = msgspec.msgpack.Decoder(Facts | None).decode
_NO_FACTS = _pack_facts(None)


class CocoItems:
    """Reads the section `images` for the records in it."""

    def __init__(self, spec: CocoSource, surroundings: Surroundings, file: CocoFile) -> None:
        self._spec = spec
        self._naming = Naming(surroundings.name, "image", spec.path, "images")
        self._file = file
        self._make = ItemTemplates(spec.metadata, spec.image_url)
        self._item_seed = seed_of(_VERSION, "items", spec.reference_id, spec.image_url, spec.metadata, spec.strict)

    @property
    def are_remote(self) -> bool:
        """Whether entries are all that there is of them here: then several processes can read."""
        return self._spec.images is None and self._spec.image_url is not None

    def check_place(self) -> None:
        """Raise SourceError where nothing says where the images are."""
        if self._spec.image_url is None and self._spec.images is None:
            raise SourceError(
                "nothing says where the images are",
                where=self._spec.path,
                fix='set `images` to their folder to upload them, or image_url to a template such as "{coco_url}"',
            )

    def report_sharers(self, report: Report) -> None:
        """Images that share an id are sound as items: it is their annotations that can't tell them apart."""
        for image_id, names in self._file.table().sharers.items():
            words = f"{'two' if len(names) == 2 else len(names)} images share it: {', '.join(names)}"
            where, record, cause = Where(self._spec.path, "images"), f"image id {image_id}", "images share an id"
            fix = "give each image an id of its own; until then their annotations are ambiguous"
            report(Problem(self._naming.source, where, record, cause, words, fix=fix, count=0))

    def where(self, locator: bytes) -> Where:
        """The entry's place in its section."""
        return self._naming.where(_LOCATOR.unpack_from(locator)[2])

    # --- scanning -----------------------------------------------------------------------------------------------

    def scan(self, report: Report, which: range | None = None) -> Iterator[Seen]:
        """Plain tuples in the shape of Seen: of all entries, or of those in some windows."""
        if self.are_remote:
            for key, digest, locator, _, _, _ in self._seen(report, which):
                yield key, digest, locator  # type: ignore[misc]
            return
        for place, raw, image, facts in self._examined(self._file.entries()):
            if problem := self._unusable(image, facts, place.number):
                report(problem)
            else:
                yield Seen(item_key(image.reference_id), self._raw(raw, image, facts), _locator(place, facts))

    def scan_and_read(self, report: Report, say: Say, which: range) -> Iterator[SeenAndRead]:
        """What `scan` and `read` give of some windows, from one decoding: key, raw hash, locator and record."""
        entries = self._file.entries()
        for key, digest, locator, raw, place, image in self._seen(report, which):
            record: Record | None = None
            if isinstance(image, Plain):
                record = self._plain_record(entries, image, raw, place.offset)
                image = image if record else entries.image(raw, place.offset)
            if isinstance(image, Image):
                record = self._record(entries, image, None, key, raw, place, partial(say, locator))
            yield key, digest, locator, record

    def _seen(
        self, report: Report, which: range | None
    ) -> Iterator[tuple[bytes, bytes, bytes, bytes, Place, Image | Plain]]:
        """Key, raw hash, locator, bytes and place of entries that make remote items; the others are reported.

        What was looked at in some windows is put aside for the table of images.
        """
        entries, rows, pack = self._file.entries(), ImageRows(), _LOCATOR.pack
        is_part = which is not None
        for place, raw in entries.all(which):
            plain = entries.plain(raw)
            if plain is None:
                image = entries.image(raw, place.offset)
                if is_part:
                    entries.add(rows, image)
                if problem := self._unusable(image, None, place.number):
                    report(problem)
                else:
                    key, digest = item_key(image.reference_id), self._raw(raw, image, None)
                    yield key, digest, _locator(place, None), raw, place, image
                continue
            if is_part:
                add_plain(rows, plain)
            key, digest = self._plain_key(plain, raw)
            yield key, digest, pack(*place) + _NO_FACTS, raw, place, plain
        if which is not None:
            self._file.put_aside(which, rows)

    def _examined(self, entries: ImageEntries) -> Iterator[tuple[Place, bytes, Image, Facts | None]]:
        """All entries with the facts of their files, new ones read a few at a time side by side."""
        found = ((place, raw, entries.image(raw, place.offset)) for place, raw in entries.all())
        with ThreadPoolExecutor(_EXAMINERS, thread_name_prefix="coco") as examiners:
            while batch := list(islice(found, _EXAMINED)):
                for each, facts in zip(batch, examiners.map(self._facts, batch), strict=True):
                    yield (*each, facts)

    def _facts(self, found: tuple[Place, bytes, Image]) -> Facts | None:
        image = found[2]
        return None if image.state else self._file.facts(image.path, whole=self._spec.image_url is None)

    def _raw(self, content: bytes, image: Image, facts: Facts | None) -> bytes:
        if image.note or (facts and (facts.finding or facts.invalid or size_note(image, facts))):
            return LOOK_AGAIN
        return raw_hash(content, self._seed(image, facts))

    def _seed(self, image: Image, facts: Facts | None) -> int:
        file = (facts.digest, facts.width, facts.height) if facts else None
        return seed_of(self._item_seed, image.reference_id, image.path, file)

    # --- reading ------------------------------------------------------------------------------------------------

    def read(self, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked items, in the order of the picks."""
        entries = self._file.entries()
        for pick in picks:
            place = Place(*_LOCATOR.unpack_from(pick[2]))
            content = self._file.document.bytes_at(place.offset, place.length)
            record: Record | None = self._plain_item(entries, pick, content, place) if self.are_remote else None
            record = record or self._item(entries, pick, content, place, report)
            if record is not None:
                yield pick, record

    def _plain_item(self, entries: ImageEntries, pick: Pick, content: bytes, place: Place) -> Item | None:
        """An item about which there is nothing to say; None where a closer look has to be taken."""
        entry = entries.plain(content)
        if entry is None or self._plain_key(entry, content) != pick[:2]:
            return None
        return self._plain_record(entries, entry, content, place.offset)

    def _plain_key(self, entry: Plain, content: bytes) -> tuple[bytes, bytes]:
        name = entry.file_name
        return name.encode(), raw_hash(content, seed_of(self._item_seed, name, name, None))

    def _plain_record(self, entries: ImageEntries, entry: Plain, content: bytes, offset: int) -> Item | None:
        make, name = self._make, entry.file_name
        try:
            fields = entries.fields(content, offset, name) if make.need_entry else make.fields(name)
            item = make.remote_item(entry, fields)
        except FieldError:
            return None
        return item if is_plainly_sound(item) else None

    def _item(
        self, entries: ImageEntries, pick: Pick, content: bytes, place: Place, report: Report
    ) -> Item | LocalItem | None:
        facts = _unpack_facts(pick[2][_LOCATOR.size :])
        image = entries.image(content, place.offset)
        if image.state or item_key(image.reference_id) != pick[0]:
            raise self._file.changed(place.number)
        if pick[1] != LOOK_AGAIN and raw_hash(content, self._seed(image, facts)) != pick[1]:
            raise self._file.changed(place.number)
        self._file.confirm(image.path, facts, place.number)
        return self._record(entries, image, facts, pick[0], content, place, report)

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
            metadata = self._make.metadata(fields)
            url = self._make.image_url(fields) if self._make.image_url else ""
        except FieldError as error:
            report(self._naming.problem(image.called, place.number, "a template can't be filled", str(error), key=key))
            return None
        for cause, detail in self._findings(image, facts):
            report(self._naming.problem(image.called, place.number, cause, detail, severity=Severity.FINDING, key=key))
        record: Item | LocalItem
        if self._make.image_url or facts is None:
            record = remote_item(image, metadata, url, facts)
        else:
            record = local_item(image, metadata, self._file.place(image.path), facts)
        is_sent = is_sound(record, key, self._naming.source, self._naming.where(place.number), image.called, report)
        return record if is_sent else None

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
            return self._naming.problem(image.called, index, image.cause, image.detail, key=meant, fix=image.fix)
        key = item_key(image.reference_id)
        if facts and facts.invalid:
            return self._naming.problem(image.called, index, *cause_and_detail(facts.invalid), key=key)
        if facts and self._spec.strict and (note := size_note(image, facts)):
            return self._naming.problem(
                image.called, index, *note, key=key, fix="correct the JSON, or set strict: false"
            )
        return None


class Sharing:
    """Says first which images share an id, which is known last: only when all of them were looked at."""

    def __init__(self, items: CocoItems, report: Report) -> None:
        self._items = items
        self._report = report
        self._held: list[Problem] | None = []

    def take(self, problem: Problem) -> None:
        """A problem of the scan."""
        if self._held is None:
            self._report(problem)
            return
        self._held.append(problem)
        if len(self._held) == _MOST_HELD:
            self.end()

    def end(self) -> None:
        """All was seen: say what was held back."""
        held, self._held = self._held, None
        if held is None:
            return
        self._items.report_sharers(self._report)
        for problem in held:
            self._report(problem)


def _locator(place: Place, facts: Facts | None) -> bytes:
    return _LOCATOR.pack(*place) + _pack_facts(facts)
