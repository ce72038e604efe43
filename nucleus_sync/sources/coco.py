"""A COCO file as items and annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.coco_file import CocoFile
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
)
from nucleus_sync.sources.template import Template

if TYPE_CHECKING:
    from nucleus_sync.sources.coco_items import CocoItems
    from nucleus_sync.sources.coco_labels import Labels
    from nucleus_sync.sources.coco_masks import Masks
    from nucleus_sync.spec.source import CocoSource

_VERSION = 1

# A plan looks at a file's state and, where that is as it was, at nothing else: what reads is imported when it reads.


class CocoReader:
    """Items from the section `images`, annotations from the section `annotations`."""

    says_numbers = False

    def __init__(self, spec: CocoSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._file = CocoFile(spec.path, spec.images, Template(spec.reference_id), surroundings)

    @cached_property
    def _items(self) -> CocoItems:
        from nucleus_sync.sources.coco_items import CocoItems

        return CocoItems(self._spec, self._surroundings, self._file)

    def state(self) -> FileState:
        """The file's state with that of all images in the folder."""
        return self._file.state()

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every record of the kind, in the order of the file."""
        match kind:
            case Kind.ITEMS:
                self._items.check_place()
                self._items.report_sharers(report)
                yield from self._items.scan(report)
            case Kind.ANNOTATIONS:
                self._report_shared_names(report)
                yield from self._labelled(self._labels()).scan(report)

    def hearing(self, kind: Kind, report: Report) -> Hearing:
        """Says which images share an id, and which categories a name."""
        if kind is Kind.ITEMS:
            from nucleus_sync.sources.coco_items import Sharing

            self._items.check_place()
            return Sharing(self._items, report)
        self._report_shared_names(report)
        return Straight(report)

    def _report_shared_names(self, report: Report) -> None:
        from nucleus_sync.sources.coco_categories import shared_names

        for words in shared_names(self._labels().categories):
            where, cause = Where(self._spec.path, "categories"), "categories have one name"
            report(Problem(self._surroundings.name, where, "categories", cause, words, Severity.FINDING))

    def stretches(self, kind: Kind) -> list[Stretch]:
        """For what several processes can read."""
        if not self._is_portable(kind):
            return []
        from nucleus_sync.sources.coco_labels import TOGETHER

        section = self._file.image_section() if kind is Kind.ITEMS else self._labels().section
        return [Stretch(count, which) for count, which in section.seams.stretches(TOGETHER)]

    def scan_stretch(self, kind: Kind, part: Any, report: Report) -> Iterator[Seen]:
        """Some windows of a section."""
        return self._items.scan(report, part) if kind is Kind.ITEMS else self._labels().scan(report, part)

    def scan_and_read(self, kind: Kind, part: Any, report: Report, say: Say) -> Iterator[SeenAndRead]:
        """Some windows of a section, their elements decoded once."""
        if kind is Kind.ITEMS:
            return self._items.scan_and_read(report, say, part)
        return self._labels().scan_and_read(report, say, part)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked records."""
        match kind:
            case Kind.ITEMS:
                yield from self._items.read(picks, report)
            case Kind.ANNOTATIONS:
                yield from self._labelled(self._labels()).read(picks, report)

    def where(self, kind: Kind, locator: bytes) -> Where:
        """The element's place in its section."""
        if kind is Kind.ANNOTATIONS and self._spec.geometry == "mask":
            return self._masks(self._labels()).where(locator)
        if kind is Kind.ITEMS:
            return self._items.where(locator)
        from nucleus_sync.sources.coco_labels import LOCATOR

        return Where(self._spec.path, f"annotations[{LOCATOR.unpack_from(locator)[2]}]")

    def portable(self, kind: Kind) -> Portable | None:
        """For labels, and for images that lie elsewhere."""
        if not self._is_portable(kind):
            return None
        luggage = self._file.luggage(for_labels=kind is Kind.ANNOTATIONS)
        return Portable(CocoReader, self._spec, self._surroundings.elsewhere(), luggage)

    def _is_portable(self, kind: Kind) -> bool:
        """Whether several processes can read: threads look at files of images, and one process paints masks."""
        if kind is Kind.ITEMS:
            return self._items.are_remote
        return kind is Kind.ANNOTATIONS and self._spec.geometry != "mask"

    def take_up(self, luggage: Any) -> None:
        """Begin with what another process found out."""
        self._file.take_up(luggage)

    def _labelled(self, labels: Labels) -> Labels | Masks:
        """What makes records of the labels."""
        return self._masks(labels) if self._spec.geometry == "mask" else labels

    def _masks(self, labels: Labels) -> Masks:
        from nucleus_sync.sources.coco_masks import Masks

        scratch = self._surroundings.scratch
        return Masks(labels, scratch / f"{self._surroundings.name}.masks", scratch)

    # --- annotations --------------------------------------------------------------------------------------------

    def _labels(self) -> Labels:
        from nucleus_sync.records.fingerprint import seed_of
        from nucleus_sync.sources.coco_categories import categories_of
        from nucleus_sync.sources.coco_labels import Labels, Rules
        from nucleus_sync.sources.coco_naming import Naming
        from nucleus_sync.sources.coco_shape import Shaping
        from nucleus_sync.sources.template import value_template

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
