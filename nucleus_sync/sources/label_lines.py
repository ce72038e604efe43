"""Label files of plain lines, each beside an image of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.problem import Problem, Report, Severity, Where
from nucleus_sync.sources.label_folder import (
    LabelSource,
    Mark,
    Pair,
    bytes_of,
    folder_files,
    image_files,
    root_of,
    text_of,
)
from nucleus_sync.sources.label_pairs import Joined, joined
from nucleus_sync.sources.media import facts_of, path_fields
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.sources.template import Template
from nucleus_sync.sources.walk import chooser, shown

_LABEL_FOLDERS = ("labels", "labeltxt", "label_2", "label_02")

Parse = Callable[[int, str, Pair, bool], Mark | None]
"""Number, text, its file's pair, whether confidences are wanted: the label, or None for a line that is none."""


@dataclass
class LineFiles:
    """All text files of a folder that belong to an image, or look as if they should."""

    spec: LabelSource
    surroundings: Surroundings
    parse: Parse
    looks_like_labels: Callable[[str], bool]
    begin: Callable[[Report], None]
    """Called before every scan."""
    noun: str = "line"

    def __post_init__(self) -> None:
        self._reference_id = Template(self.spec.reference_id).render
        self._images_root = root_of(self.surroundings, self.spec.images or self.spec.path)

    def all(self, report: Report, *, scored: bool) -> Iterator[tuple[Pair, list[Mark]]]:
        """Every label file with its labels. Raises SourceError where there is none."""
        self.begin(report)
        files = 0
        images = (found.path for found in image_files(self.spec, self.surroundings))
        for found in joined(images, self._label_files(), self.surroundings.scratch):
            files += found.labels is not None
            if found.labels is None:
                self._report_unlabelled(found, report)
            elif found.image is None:
                self._report_homeless(found, report)
            else:
                yield from self._one(found.image, found.labels, report, scored=scored, by_name=found.by_name)
        if not files:
            raise SourceError("holds no label files (.txt)", where=self.spec.path, fix="correct `path`")

    def again(self, pair: Pair, *, scored: bool) -> list[Mark]:
        """The labels of a file that was seen before."""
        return self._marks(pair, text_of(bytes_of(self.surroundings, self.spec.path, pair.labels)), scored=scored)

    def _label_files(self) -> Iterator[str]:
        _, excluded = chooser((), self.spec.exclude)
        files = folder_files(self.surroundings, self.spec.path, lambda path: path.lower().endswith(".txt"))
        return (found.path for found in files if not excluded(found.path))

    def _one(
        self, image: str, labels: str, report: Report, *, scored: bool, by_name: bool
    ) -> Iterator[tuple[Pair, list[Mark]]]:
        folder = self.spec.images or self.spec.path
        facts = facts_of(self.surroundings, folder, self._images_root, image, whole=False)
        pair = Pair(labels, image, self._reference_id(path_fields(image)), facts.width, facts.height)
        try:
            marks = self._marks(pair, text_of(bytes_of(self.surroundings, self.spec.path, labels)), scored=scored)
        except ValueError as error:
            report(self._problem(labels, "can't be read as labels", str(error)))
            return
        if by_name:
            said = f"{shown(labels)} is of {shown(image)}: matched by name, in whatever folder"
            report(self._problem(labels, "matched by name, in whatever folder", said, Severity.FINDING))
        if not marks:
            said = "empty: an image without objects"
            report(self._problem(labels, said, f"{said}, not an error", Severity.FINDING))
        elif facts.invalid:
            self._report_unusable(labels, facts, len(marks), report)
        else:
            yield pair, marks

    def _marks(self, pair: Pair, text: str, *, scored: bool) -> list[Mark]:
        lines = enumerate(text.splitlines(), start=1)
        marks = (self.parse(number, line, pair, scored) for number, line in lines)
        return [mark for mark in marks if mark is not None]

    # --- saying what is wrong ---------------------------------------------------------------------------------

    def _report_unlabelled(self, found: Joined, report: Report) -> None:
        assert found.image is not None  # noqa: S101  (a join has one side at least)
        where = Where(shown(f"{(self.spec.images or self.spec.path).rstrip('/')}/{found.image}"))
        cause = "no label file"
        detail = "no label file: an image without objects"
        report(Problem(self.surroundings.name, where, shown(found.image), cause, detail, Severity.FINDING))

    def _report_homeless(self, found: Joined, report: Report) -> None:
        """A file without an image is labels if it lies among such, or looks like them."""
        labels = found.labels
        assert labels is not None  # noqa: S101  (a join has one side at least)
        folders = labels.lower().split("/")[:-1]
        if not any(folder in _LABEL_FOLDERS for folder in folders) and not self._looks_like_labels(labels):
            return
        near = f"; there is {shown(found.near)}" if found.near else ""
        stem = path_fields(labels)["stem"]
        fix = "bring the image, or take the label file away"
        report(self._problem(labels, "no image of that name", f"no image {shown(stem)}.*{near}", fix=fix))

    def _looks_like_labels(self, labels: str) -> bool:
        try:
            return self.looks_like_labels(text_of(bytes_of(self.surroundings, self.spec.path, labels)))
        except ValueError:
            return False

    def _report_unusable(self, labels: str, facts: Facts, count: int, report: Report) -> None:
        detail = f"its image is unusable: {facts.invalid}"
        report(self._problem(labels, "its image is unusable", detail, count=count))

    def _problem(
        self,
        labels: str,
        cause: str,
        detail: str,
        severity: Severity = Severity.INVALID,
        *,
        fix: str | None = None,
        count: int = 1,
    ) -> Problem:
        where = Where(shown(f"{self.spec.path.rstrip('/')}/{labels}"))
        name = self.surroundings.name
        return Problem(name, where, shown(labels), cause, detail, severity, fix=fix, count=count)
