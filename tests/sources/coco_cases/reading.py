"""Reading a source as the engine does: scan, number what has no id, read in the order of the locators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from nucleus_sync.records.annotation import Box, Keypoints, Polygon
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.key import annotation_key, is_unnumbered, reference_id
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.coco import CocoReader
from nucleus_sync.sources.coco_results import CocoResultsReader
from nucleus_sync.sources.reader import Pick, Reader, Seen, Surroundings
from nucleus_sync.spec.source import CocoResultsSource, CocoSource

SHARED = Path(__file__).parents[4] / "shared" / "data"
"""Real exports; tests on them are skipped where they aren't."""


@dataclass
class Remembering:
    """Facts of files, remembered in memory."""

    facts: dict[tuple[str, str], Facts] = field(default_factory=dict)

    def recall(self, folder: str, path: str) -> Facts | None:
        return self.facts.get((folder, path))

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        self.facts[folder, path] = facts


@dataclass
class Reading:
    """What came of reading one kind of record."""

    seen: list[Seen]
    records: list[Any]
    problems: list[Problem]

    @property
    def invalid(self) -> list[Problem]:
        return [each for each in self.problems if each.severity is Severity.INVALID]

    @property
    def findings(self) -> list[Problem]:
        return [each for each in self.problems if each.severity is Severity.FINDING]

    @property
    def boxes(self) -> list[Box]:
        return [each for each in self.records if isinstance(each, Box)]

    @property
    def polygons(self) -> list[Polygon]:
        return [each for each in self.records if isinstance(each, Polygon)]

    @property
    def keypoints(self) -> list[Keypoints]:
        return [each for each in self.records if isinstance(each, Keypoints)]

    def by_id(self, annotation_id: str) -> Any:
        return next(each for each in self.records if each.annotation_id == annotation_id)

    def text(self) -> str:
        """All problems, one a line."""
        return "\n".join(f"{each.severity} {each.where} {each.record}: {each.detail}" for each in self.problems)


def surroundings(folder: Path, scratch: Path | None = None) -> Surroundings:
    return Surroundings("labels", folder, scratch or folder, Remembering())


def coco(folder: Path, path: str = "annotations.json", **options: Any) -> CocoReader:
    source = TypeAdapter(CocoSource).validate_python({"format": "coco", "path": path, **options})
    return CocoReader(source, surroundings(folder))


def results(folder: Path, path: str, ground_truth: str, **options: Any) -> CocoResultsReader:
    source = TypeAdapter(CocoResultsSource).validate_python(
        {"format": "coco-results", "path": path, "ground_truth": ground_truth, **options}
    )
    return CocoResultsReader(source, surroundings(folder))


def read(reader: Reader, kind: Kind) -> Reading:
    problems: list[Problem] = []
    seen = [Seen(*each) for each in reader.scan(kind, problems.append)]
    picks = sorted(_numbered(seen), key=lambda pick: pick.locator)
    assert [pick.locator for pick in picks] == [each.locator for each in seen], "locators sort in reading order"
    got = list(reader.read(kind, picks, problems.append))
    wanted = iter(picks)
    assert all(pick in wanted for pick, _ in got), "records come in the order of the picks"
    return Reading(seen, [record for _, record in got], problems)


def _numbered(seen: list[Seen]) -> Iterator[Pick]:
    """Records without an id get their position among their item's."""
    counts: dict[str, int] = {}
    for key, raw, locator in sorted(seen):
        if not is_unnumbered(key):
            yield Pick(key, raw, locator)
            continue
        reference = reference_id(key)
        position = counts.get(reference, 0)
        counts[reference] = position + 1
        yield Pick(annotation_key(reference, f"#{position}"), raw, locator)


def settled(path: Path) -> None:
    """Make a file old enough for its facts to be remembered."""
    os.utime(path, (1_600_000_000, 1_600_000_000))
