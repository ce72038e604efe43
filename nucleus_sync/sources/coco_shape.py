"""From one label of COCO to one record: which geometry it is sent as, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType

from nucleus_sync.records.annotation import (
    Annotation,
    Box,
    BoxGeometry,
    Keypoint,
    Keypoints,
    KeypointsGeometry,
    Point,
    Polygon,
    Vertices,
)
from nucleus_sync.records.complaint import number_words
from nucleus_sync.sources import rle
from nucleus_sync.sources.bounds import clipped_box, clipped_ring, is_outside, overhang
from nucleus_sync.sources.coco_categories import Category
from nucleus_sync.sources.coco_label import Label, Notes, Rle

if TYPE_CHECKING:
    from nucleus_sync.spec.source import Geometry, OutOfBounds

MASK_FIX = "geometry: mask paints it, with all of its image, as a mask"
_NO_METADATA: dict[str, Any] = {}
_CROWD: dict[str, Any] = {"iscrowd": 1}


class Frame(Struct, gc=False):
    """What a record gets from elsewhere: its category, its image, its id, and which ring it is."""

    category: Category
    reference_id: str
    width: float
    height: float
    annotation_id: str
    part: int
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Shaping:
    """What the spec says about geometry; `scored` for results."""

    geometry: Geometry | None
    out_of_bounds: OutOfBounds
    scored: bool


def record_of(label: Label, frame: Frame, shaping: Shaping, notes: Notes) -> Annotation | None:
    """The record; None with a fault noted where the label has no geometry that can be sent."""
    segmentation = label.segmentation
    if segmentation.__class__ is Rle:
        _verify(segmentation, frame, notes)
    box = label.bbox
    if box is not None and not isfinite(box[0] + box[1] + box[2] + box[3]):
        _complain_of_infinity(box, notes)
        return None
    match _chosen(label, frame.category, shaping):
        case "keypoints":
            return _keypoints(label, frame, shaping, notes)
        case "polygon":
            return _polygon(label, frame, shaping, notes)
        case _:
            return _box(label, frame, shaping, notes)


def part_count(label: Label, category: Category, shaping: Shaping) -> int:
    """How many records a label makes: one for each ring of a polygon."""
    rings = label.segmentation
    is_polygon = isinstance(rings, list) and _chosen(label, category, shaping) == "polygon"
    return max(1, len(rings)) if is_polygon and isinstance(rings, list) else 1


def _chosen(label: Label, category: Category, shaping: Shaping) -> Geometry:
    """What is asked for, or else the most telling geometry that this label has."""
    if shaping.geometry is not None:
        return shaping.geometry
    if label.keypoints and (category.points or label.bbox is None):
        return "keypoints"
    if label.segmentation and label.segmentation.__class__ is list:
        return "polygon"
    return "box"


def _score(label: Label, shaping: Shaping, notes: Notes) -> float | UnsetType:
    if not shaping.scored:
        return UNSET
    if label.score is None:
        notes.fault("no score", fix="a prediction needs its score, a number from 0 to 1")
        return UNSET
    return label.score


def _metadata(label: Label, frame: Frame) -> dict[str, Any]:
    if frame.metadata is not None:
        return {**frame.metadata, **_CROWD} if label.iscrowd else frame.metadata
    return _CROWD if label.iscrowd else _NO_METADATA


# --- boxes ----------------------------------------------------------------------------------------------------


def _box(label: Label, frame: Frame, shaping: Shaping, notes: Notes) -> Box | None:
    box = label.bbox
    if box is None:
        _complain_of_no_box(label, notes)
        return None
    if shaping.geometry is None and label.segmentation.__class__ is Rle:
        notes.finding("RLE sent as its box", fix=MASK_FIX)
    x, y, width, height = box
    if frame.width and (x < 0 or y < 0 or x + width > frame.width or y + height > frame.height):
        x, y, width, height = _bounded_box(box, frame, shaping, notes)
    notes.has_sound_geometry = width > 0 < height  # and finite: see record_of
    return Box(
        label=frame.category.label,
        geometry=BoxGeometry(x, y, width, height),
        reference_id=frame.reference_id,
        annotation_id=frame.annotation_id,
        metadata=_metadata(label, frame),
        confidence=_score(label, shaping, notes),
    )


def _complain_of_no_box(label: Label, notes: Notes) -> None:
    if notes.faults:
        return
    if label.segmentation.__class__ is Rle:
        notes.fault("only a mask (RLE)", "only a mask (RLE): neither a box nor a polygon", MASK_FIX)
    elif label.segmentation or label.keypoints:
        held = "polygon" if label.segmentation else "keypoints"
        notes.fault("no bbox", f"no bbox, only {held}", f"set geometry: {held}")
    else:
        notes.fault("")  # the caller, who has the element itself, says what is missing


def _bounded_box(
    box: tuple[float, float, float, float], frame: Frame, shaping: Shaping, notes: Notes
) -> tuple[float, float, float, float]:
    x, y, width, height = box
    edges = (x, y, x + width, y + height)
    if width <= 0 or height <= 0 or not _note_overhang("box", edges, frame, shaping, notes):
        return box
    return clipped_box(box, frame.width, frame.height)


def _note_overhang(
    what: str, edges: tuple[float, float, float, float], frame: Frame, shaping: Shaping, notes: Notes
) -> bool:
    """Note how something reaches beyond its image; True if it is to be clipped."""
    if is_outside(*edges, frame.width, frame.height):
        image = f"x {edges[0]:g}, y {edges[1]:g} in an image of {frame.width:g}x{frame.height:g}"
        notes.fault(f"{what} wholly outside the image", f"wholly outside the image: {image}")
        return False
    said = overhang(*edges, frame.width, frame.height)
    if not said:
        return False
    cause = f"{what} reaches beyond the image"
    match shaping.out_of_bounds:
        case "reject":
            notes.fault(cause, said, "out_of_bounds: keep sends it as it is, clip cuts it off")
        case "clip":
            notes.finding(f"{cause}: clipped", f"{said}: clipped")
            return True
        case _:
            notes.finding(f"{cause}: kept", f"{said}: kept", "out_of_bounds: clip cuts it off, reject leaves it out")
    return False


def _complain_of_infinity(box: tuple[float, float, float, float], notes: Notes) -> None:
    wrong = [
        f"bbox {name} is {number_words(value)}"
        for name, value in zip(("x", "y", "width", "height"), box, strict=True)
        if not isfinite(value)
    ]
    notes.fault("number is not finite", ", ".join(wrong) or "bbox is too large a number")


# --- polygons -------------------------------------------------------------------------------------------------


def _polygon(label: Label, frame: Frame, shaping: Shaping, notes: Notes) -> Polygon | None:
    rings = label.segmentation
    if rings.__class__ is not list or not rings:
        _complain_of_no_ring(label, notes)
        return None
    if frame.part >= len(rings):
        notes.fault("segmentation is not a list of rings")
        return None
    ring: list[float] = rings[frame.part]
    if len(ring) % 2:
        notes.fault("odd number of coordinates", f"ring of {len(ring)} numbers, odd: x and y are missing a partner")
        return None
    if frame.width and ring:
        ring = _bounded_ring(ring, frame, shaping, notes)
    notes.has_sound_geometry = len(ring) > 5 and _spans_triangle(ring) and isfinite(sum(ring))
    if len(ring) > 6 and ring[0] == ring[-2] and ring[1] == ring[-1]:
        ring = ring[:-2]  # Nucleus closes rings itself
    numbers = iter(ring)
    return Polygon(
        label=frame.category.label,
        geometry=Vertices(list(map(Point, numbers, numbers))),
        reference_id=frame.reference_id,
        annotation_id=frame.annotation_id,
        metadata=_metadata(label, frame),
        confidence=_score(label, shaping, notes),
    )


def _spans_triangle(ring: list[float]) -> bool:
    """Whether the first three points aren't on one line."""
    x, y = ring[0], ring[1]
    return (ring[2] - x) * (ring[5] - y) != (ring[4] - x) * (ring[3] - y)


def _complain_of_no_ring(label: Label, notes: Notes) -> None:
    if notes.faults:
        return
    if label.segmentation.__class__ is Rle:
        way_out = "geometry: mask paints it; leave geometry out to send its box"
        notes.fault("no polygon, but a mask (RLE)", fix=way_out)
    elif label.bbox is not None:
        notes.fault("no polygon, only a box", fix="leave geometry out, or set geometry: box")
    else:
        notes.fault("")


def _bounded_ring(ring: list[float], frame: Frame, shaping: Shaping, notes: Notes) -> list[float]:
    xs, ys = ring[::2], ring[1::2]
    edges = (min(xs), min(ys), max(xs), max(ys))
    if edges[0] >= 0 and edges[1] >= 0 and edges[2] <= frame.width and edges[3] <= frame.height:
        return ring
    if not isfinite(sum(ring)) or not _note_overhang("polygon", edges, frame, shaping, notes):
        return ring
    return clipped_ring(ring, frame.width, frame.height)


# --- keypoints ------------------------------------------------------------------------------------------------


def _keypoints(label: Label, frame: Frame, shaping: Shaping, notes: Notes) -> Keypoints | None:
    numbers = label.keypoints
    if not numbers:
        if not notes.faults:
            _complain_of_no_keypoints(label, notes)
        return None
    if len(numbers) % 3:
        notes.fault("keypoints not in threes", f"keypoints has {len(numbers)} numbers, not a multiple of 3")
        return None
    points = [_point(x, y, v) for x, y, v in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)]
    _look_at(points, frame, shaping, notes)
    names = frame.category.points
    if not names:
        notes.finding("the category names no keypoints: numbered")
        names = tuple(str(number) for number in range(len(points)))
    return Keypoints(
        label=frame.category.label,
        geometry=KeypointsGeometry(points, list(names), [list(pair) for pair in frame.category.skeleton] or None),
        reference_id=frame.reference_id,
        annotation_id=frame.annotation_id,
        metadata=_metadata(label, frame),
        confidence=_score(label, shaping, notes),
    )


def _complain_of_no_keypoints(label: Label, notes: Notes) -> None:
    if label.bbox is None and not label.segmentation:
        notes.fault("")
    else:
        notes.fault("no keypoints", fix="leave geometry out, or set geometry: box")


def _point(x: float, y: float, v: float) -> Keypoint:
    """COCO's flag: 0 not labelled, 1 labelled but hidden, 2 visible; some results have the point's score there."""
    if v <= 0:
        return Keypoint(None, None, False)
    return Keypoint(x, y, v != 1)


def _look_at(points: list[Keypoint], frame: Frame, shaping: Shaping, notes: Notes) -> None:
    xs = [point.x for point in points if point.x is not None and isfinite(point.x)]
    ys = [point.y for point in points if point.y is not None and isfinite(point.y)]
    if not xs or not ys:
        notes.finding("no labelled keypoint", "none of its keypoints is labelled: sent with none")
        return
    edges = (min(xs), min(ys), max(xs), max(ys))
    if frame.width and (edges[0] < 0 or edges[1] < 0 or edges[2] > frame.width or edges[3] > frame.height):
        kept = "keep" if shaping.out_of_bounds == "clip" else shaping.out_of_bounds  # a point has nothing to cut off
        _note_overhang("skeleton", edges, frame, Shaping(shaping.geometry, kept, shaping.scored), notes)


# --- masks ----------------------------------------------------------------------------------------------------


def _verify(mask: Rle, frame: Frame, notes: Notes) -> None:
    if wrong := rle.fault(mask.size, mask.counts, (frame.width, frame.height)):
        notes.fault(*wrong)
