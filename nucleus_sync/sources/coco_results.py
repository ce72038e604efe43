"""A COCO results file as predictions, joined to its ground truth by image and by category name."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nucleus_sync.errors import SourceError
from nucleus_sync.records.fingerprint import seed_of
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.records.record import Kind, Record
from nucleus_sync.sources.coco_categories import categories_of
from nucleus_sync.sources.coco_file import CocoFile
from nucleus_sync.sources.coco_label import Id
from nucleus_sync.sources.coco_labels import LOCATOR, TOGETHER, Labels, Rules
from nucleus_sync.sources.coco_masks import Masks
from nucleus_sync.sources.coco_naming import Naming
from nucleus_sync.sources.coco_shape import Shaping
from nucleus_sync.sources.json_slices import JsonFile, Section
from nucleus_sync.sources.reader import (
    FileState,
    Hearing,
    Pick,
    Portable,
    Say,
    Seen,
    SeenAndRead,
    Stretch,
    Surroundings,
)
from nucleus_sync.sources.template import Template, value_template
from nucleus_sync.spec.place import resolve

if TYPE_CHECKING:
    from nucleus_sync.spec.source import CocoResultsSource

_VERSION = 1
_MOST_HELD = 10_000


class CocoResultsReader:
    """Predictions from a list of scored detections. A reader serves one run."""

    says_numbers = False

    def __init__(self, spec: CocoResultsSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._document = JsonFile(resolve(surroundings.folder, spec.path), spec.path)
        self._truth = CocoFile(spec.ground_truth, spec.images, Template(spec.reference_id), surroundings)

    def state(self) -> FileState:
        """The state of the results with that of their ground truth and its images."""
        results = CocoFile(self._spec.path, None, Template(self._spec.reference_id), self._surroundings).state()
        truth = self._truth.state()
        return FileState(
            results.digest + truth.digest,
            max(results.newest_mtime_ns, truth.newest_mtime_ns),
            results.files + truth.files,
            results.bytes + truth.bytes,
        )

    def scan(self, kind: Kind, report: Report) -> Iterator[Seen]:
        """Every result, in the order of the file."""
        if kind is not Kind.PREDICTIONS:
            return
        heard = self.hearing(kind, report)
        yield from self._labelled(self._labels()).scan(heard.take)
        heard.end()

    def stretches(self, kind: Kind) -> list[Stretch]:
        """For all results; masks are painted by one process."""
        is_ours = kind is Kind.PREDICTIONS and self._spec.geometry != "mask"
        return [Stretch(*found) for found in self._section().seams.stretches(TOGETHER)] if is_ours else []

    def scan_stretch(self, kind: Kind, part: Any, report: Report) -> Iterator[Seen]:  # noqa: ARG002  (of one kind)
        """Some windows of the list."""
        return self._labels().scan(report, part)

    def scan_and_read(
        self,
        kind: Kind,  # noqa: ARG002  (of one kind)
        part: Any,
        report: Report,
        say: Say,
    ) -> Iterator[SeenAndRead]:
        """Some windows, their labels decoded once."""
        return self._labels().scan_and_read(report, say, part)

    def hearing(self, kind: Kind, report: Report) -> Hearing:  # noqa: ARG002  (a results file has one kind)
        """Holds back what is unknown until it shows whether there is a pattern in it."""
        labels = self._labels()
        if labels.section.name:
            said = 'is a COCO object whose "annotations" hold the results, not a list: read all the same'
            where = Where(self._spec.path)
            report(Problem(self._surroundings.name, where, "the file", said, said, Severity.FINDING))
        return _Unknown(labels, report)

    def read(self, kind: Kind, picks: Iterable[Pick], report: Report) -> Iterator[tuple[Pick, Record]]:
        """The picked results as predictions."""
        if kind is Kind.PREDICTIONS:
            yield from self._labelled(self._labels()).read(picks, report)

    def where(self, kind: Kind, locator: bytes) -> Where:  # noqa: ARG002  (a results file has one kind)
        """The result's place in its list."""
        if self._spec.geometry == "mask":
            return self._masks(self._labels()).where(locator)
        return Where(self._spec.path, f"{self._section().name}[{LOCATOR.unpack(locator)[2]}]")

    def portable(self, kind: Kind) -> Portable | None:  # noqa: ARG002  (a results file has one kind)
        """For all results; masks are painted by one process."""
        if self._spec.geometry == "mask":
            return None
        luggage = (self._document.index(), self._truth.luggage())
        return Portable(CocoResultsReader, self._spec, self._surroundings.elsewhere(), luggage)

    def take_up(self, luggage: Any) -> None:
        """Begin with what another process found out."""
        index, truth = luggage
        self._document.adopt(index)
        self._truth.take_up(truth)

    def _labels(self) -> Labels:
        spec = self._spec
        section = self._section()
        categories = self._truth.section("categories", "predictions get their labels from it")
        rules = Rules(
            Shaping(spec.geometry, spec.out_of_bounds, scored=True),
            Template(spec.annotation_id) if spec.annotation_id else None,
            value_template(spec.annotation_metadata) if spec.annotation_metadata else None,
        )
        options = (spec.geometry, spec.out_of_bounds, spec.annotation_id, spec.annotation_metadata)
        seed = seed_of(_VERSION, "results", *options)
        found = categories_of(self._truth.document, categories, spec.ground_truth, seed)
        naming = Naming(self._surroundings.name, "result", spec.path, section.name)
        return Labels(self._document, section, self._truth.table(), found, rules, naming)

    def _labelled(self, labels: Labels) -> Labels | Masks:
        """What makes records of the results."""
        return self._masks(labels) if self._spec.geometry == "mask" else labels

    def _masks(self, labels: Labels) -> Masks:
        scratch = self._surroundings.scratch
        return Masks(labels, scratch / f"{self._surroundings.name}.masks", scratch)

    def _section(self) -> Section:
        """The list itself, or the annotations of a COCO object that was written instead of it."""
        sections = self._document.sections()
        found = sections.get("") or sections.get("annotations")
        if found is None or found.kind != "array":
            names = ", ".join(sections) or "nothing"
            raise SourceError(
                f"is an object with {names}, not a list of results",
                where=self._spec.path,
                fix='a results file is a list: [{"image_id": 1, "category_id": 1, "bbox": [x, y, w, h], "score": 0.9}]',
            )
        return found


class _Unknown:
    """Holds problems of unknown ids back until it shows whether all are off by one."""

    def __init__(self, labels: Labels, report: Report) -> None:
        self._report = report
        self._known: dict[str, Container[Id]] = {"image_id": labels.images, "category_id": labels.categories}
        self._held: list[Problem] = []

    def take(self, problem: Problem) -> None:
        """A problem of the scan."""
        if not problem.unknown:
            self._report(problem)
            return
        self._held.append(problem)
        if len(self._held) == _MOST_HELD:
            self.end()

    def end(self) -> None:
        """Report what was held, with a hint where there is a pattern."""
        hints = {name: self._hint(name, known) for name, known in self._known.items()}
        for problem in self._held:
            said = [hint for name, _ in problem.unknown if (hint := hints[name])]
            self._report(replace(problem, fix="; ".join(said)) if said else problem)
        self._held.clear()

    def _hint(self, name: str, known: Container[Id]) -> str | None:
        """What to say where every unknown id lies one beside a known one, always on the same side."""
        unknown = {own for problem in self._held for about, own in problem.unknown if about == name}
        for step, words in ((1, "one too small: do the results count from 0?"), (-1, "one too large")):
            if unknown and all(isinstance(each, int) and each + step in known for each in unknown):
                return f"every unknown {name} is off by one, {words}; if so, the known ones mean other things, too"
        return None
