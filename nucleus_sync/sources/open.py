"""The reader for a source of the spec."""

from __future__ import annotations

from typing import assert_never

from nucleus_sync.records.record import Kind
from nucleus_sync.sources.reader import Reader, Surroundings
from nucleus_sync.spec.source import (
    YIELDS,
    CocoPanopticSource,
    CocoResultsSource,
    CocoSource,
    FramesSource,
    ImagesSource,
    Kitti3dSource,
    KittiSource,
    RecordsSource,
    Source,
    TableSource,
    VocSource,
    YoloSource,
)
from nucleus_sync.spec.staging import read_at, staged_in

_KINDS = {"lidar": Kind.SCENES, "video": Kind.SCENES}


def open_reader(source: Source, surroundings: Surroundings) -> Reader:
    """What reads this source. Nothing is read yet, and only its format's code is imported."""
    reader = _reader(source, surroundings)
    place = staged_in(source)
    if place is None or isinstance(source, FramesSource | Kitti3dSource):
        return reader  # a scene's own reader knows which of its files are put there
    from nucleus_sync.sources.staged import StagedReader

    return StagedReader(reader, read_at(source))


def _reader(source: Source, surroundings: Surroundings) -> Reader:
    match source:
        case ImagesSource():
            from nucleus_sync.sources.images import ImagesReader

            return ImagesReader(source, surroundings)
        case CocoSource():
            from nucleus_sync.sources.coco import CocoReader

            return CocoReader(source, surroundings)
        case CocoResultsSource():
            from nucleus_sync.sources.coco_results import CocoResultsReader

            return CocoResultsReader(source, surroundings)
        case CocoPanopticSource():
            from nucleus_sync.sources.coco_panoptic import CocoPanopticReader

            return CocoPanopticReader(source, surroundings)
        case YoloSource():
            from nucleus_sync.sources.yolo import yolo_reader

            return yolo_reader(source, surroundings)
        case VocSource():
            from nucleus_sync.sources.voc import voc_reader

            return voc_reader(source, surroundings)
        case KittiSource():
            from nucleus_sync.sources.kitti import kitti_reader

            return kitti_reader(source, surroundings)
        case RecordsSource():
            from nucleus_sync.sources.ndjson import RecordsReader

            return RecordsReader(source, surroundings)
        case FramesSource():
            from nucleus_sync.sources.frames import FramesReader

            return FramesReader(source, surroundings)
        case Kitti3dSource():
            from nucleus_sync.sources.kitti_3d import Kitti3dReader

            return Kitti3dReader(source, surroundings)
        case TableSource():
            from nucleus_sync.sources.table import TableReader

            return TableReader(source, surroundings)
        case _:
            assert_never(source)


def yields(source: Source) -> frozenset[Kind]:
    """The kinds of records that a source of this format can hold."""
    return frozenset(_KINDS.get(kind) or Kind(kind) for kind in YIELDS[source.format])
