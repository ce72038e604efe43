"""A folder in the layouts of YOLO, as Ultralytics, Roboflow and Darknet write them."""

from __future__ import annotations

from nucleus_sync.records.problem import Report
from nucleus_sync.sources.label_folder import LabelFolderReader, Mark, Pair, is_image
from nucleus_sync.sources.label_lines import LineFiles
from nucleus_sync.sources.reader import Surroundings
from nucleus_sync.sources.yolo_line import looks_like_labels, mark_of
from nucleus_sync.sources.yolo_names import Classes, classes_of, is_names_file
from nucleus_sync.spec.source import YoloSource


def yolo_reader(spec: YoloSource, surroundings: Surroundings) -> LabelFolderReader:
    """Boxes, polygons, oriented boxes and keypoints, mixed as the lines have them."""
    names = _Names(spec, surroundings)

    def parse(number: int, line: str, pair: Pair, scored: bool) -> Mark | None:
        return mark_of(number, line, names.classes, pair.width, pair.height, scored=scored)

    files = LineFiles(spec, surroundings, parse, looks_like_labels, names.read)
    return LabelFolderReader(spec, surroundings, files, _is_watched)


class _Names:
    """The classes as the last scan found them."""

    def __init__(self, spec: YoloSource, surroundings: Surroundings) -> None:
        self._spec = spec
        self._surroundings = surroundings
        self._classes: Classes | None = None

    def read(self, report: Report) -> None:
        self._classes = classes_of(self._spec, self._surroundings, report)

    @property
    def classes(self) -> Classes:
        if self._classes is None:
            self.read(lambda _: None)
        assert self._classes is not None  # noqa: S101  (just read)
        return self._classes


def _is_watched(path: str) -> bool:
    return is_image(path) or path.lower().endswith(".txt") or is_names_file(path)
