"""Taking in annotations and predictions: check, find the item, insert or overwrite."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from .refusals import UserFault
from .shapes import AnyRecord, Category, Mask, Multicategory
from .tally import Sabotage, Tally, missing_item, record_error
from .validate import MetadataKinds, Taxonomies, fault_of_record
from .world import World, from_json

_decoder = msgspec.json.Decoder(AnyRecord)


@dataclass(frozen=True)
class Target:
    """Where records go: `dataset` 0 means that each record names its own; `run` None means ground truth."""

    dataset: int
    run: int | None
    types: frozenset[str]
    update: bool


ANNOTATIONS = frozenset({"box", "line", "polygon", "keypoints", "cuboid", "category", "multicategory", "mask"})
PREDICTIONS = ANNOTATIONS - {"multicategory"}
ANYWHERE = -1
RUN_FREE = frozenset({"box", "polygon", "cuboid"})


def take_in(
    c: sqlite3.Connection, world: World, target: Target, batches: Iterable[list[bytes]], sabotage: Sabotage
) -> Tally:
    """Read all batches into the open transaction."""
    intake = _Intake(c, world, target, sabotage)
    for batch in batches:
        intake.take_batch(batch)
    intake.finish()
    return intake.tally


class _Intake:
    def __init__(self, c: sqlite3.Connection, world: World, target: Target, sabotage: Sabotage) -> None:
        self.tally = Tally()
        self._c = c
        self._world = world
        self._target = target
        self._sabotage = sabotage
        self._topic = "annotation" if target.run is None else "prediction"
        self._kinds: dict[int, MetadataKinds] = {}
        self._taxonomies: dict[int, Taxonomies] = {}
        self._has_scenes: dict[int, bool] = {}
        self._tracks: set[tuple[int, str]] = set()
        self._datasets: set[int] = set()
        self._insert, self._insert_scene = _statements(target)

    def take_batch(self, batch: list[bytes]) -> None:
        records = self._decode(batch)
        items = self._items(records)
        rows: list[tuple[Any, ...]] = []
        masks: list[tuple[Any, ...]] = []
        scenes: list[tuple[Any, ...]] = []
        for line, record in records:
            dataset, item = items.get(self._address(record), (0, 0))
            scene = 0
            if not item:
                dataset, scene = self._scene(record)
                if not scene:
                    name = record.item_id if record.reference_id is None else record.reference_id
                    self._refuse(line, missing_item(name or ""))
                    continue
            if fault := self._fault(record, dataset):
                self._refuse(line, fault)
                continue
            if record.track_reference_id is not None:
                self._tracks.add((dataset, record.track_reference_id))
            self._datasets.add(dataset)
            row = self._row(item or scene, record, line)
            (scenes if scene else masks if type(record) is Mask else rows).append(row)
        self._store(rows, masks, scenes)

    def finish(self) -> None:
        """Remember tracks, kinds of metadata, and which datasets the run covers now."""
        c = self._c
        c.executemany(
            "INSERT OR IGNORE INTO tracks (dataset, reference_id, metadata) VALUES (?, ?, '{}')", self._tracks
        )
        for dataset, kinds in self._kinds.items():
            learned = [(dataset, self._topic, key, kind) for key, kind in kinds.learned.items()]
            c.executemany("INSERT OR IGNORE INTO metadata_kinds VALUES (?, ?, ?, ?)", learned)
        if self._target.run is not None:
            pairs = [(self._target.run, dataset) for dataset in self._datasets]
            c.executemany("INSERT OR IGNORE INTO run_datasets VALUES (?, ?)", pairs)

    def _decode(self, batch: list[bytes]) -> list[tuple[bytes, AnyRecord]]:
        good: list[tuple[bytes, AnyRecord]] = []
        refuses = self._sabotage.refuses
        for line in batch:
            index = self.tally.total
            self.tally.total += 1
            try:
                record = _decoder.decode(line)
            except msgspec.ValidationError as error:
                self._refuse(line, f"Input validation failed: {error}")
                continue
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise UserFault(f"Line {index + 1} is not valid JSON: {error}") from error
            if refuses is not None and refuses(index):
                self._refuse(line, self._sabotage.text)
            else:
                good.append((line, record))
        return good

    def _address(self, record: AnyRecord) -> tuple[int, str]:
        """How the record names its item: (dataset, reference id), or (0, item id), or (ANYWHERE, reference id)."""
        if record.item_id is not None and self._target.run is not None:
            return 0, record.item_id
        if self._target.dataset or record.dataset_id is None:
            return self._target.dataset or ANYWHERE, record.reference_id or ""
        return self._world.ids.read("ds", record.dataset_id), record.reference_id or ""

    def _items(self, records: list[tuple[bytes, AnyRecord]]) -> dict[tuple[int, str], tuple[int, int]]:
        """(dataset, item) of every address that names an item."""
        wanted: dict[int, set[str]] = {}
        for _, record in records:
            dataset, name = self._address(record)
            wanted.setdefault(dataset, set()).add(name)
        found = {}
        for dataset, names in wanted.items():
            if dataset == ANYWHERE:
                rows = self._items_anywhere(names)
            elif dataset:
                rows = self._items_by_reference(dataset, names)
            else:
                rows = self._items_by_id(names)
            for name, owner, item in rows:
                if self._target.dataset in (0, owner):
                    found[dataset, name] = (owner, item)
        return found

    def _items_by_reference(self, dataset: int, names: set[str]) -> list[tuple[str, int, int]]:
        rows = self._c.execute(
            "SELECT reference_id, dataset, pk FROM items WHERE dataset = ?"
            " AND reference_id IN (SELECT value FROM json_each(?))",
            (dataset, msgspec.json.encode(list(names)).decode()),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def _items_anywhere(self, names: set[str]) -> list[tuple[str, int, int]]:
        """Items by a bare reference id: only where one dataset alone has it, for the name is ambiguous else."""
        rows = self._c.execute(
            "SELECT reference_id, max(dataset), max(pk) FROM items"
            " WHERE reference_id IN (SELECT value FROM json_each(?)) GROUP BY reference_id HAVING count(*) = 1",
            (msgspec.json.encode(list(names)).decode(),),
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def _items_by_id(self, names: set[str]) -> list[tuple[str, int, int]]:
        named = {self._world.ids.read("di", name): name for name in names}
        rows = self._c.execute(
            "SELECT pk, dataset FROM items WHERE pk IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(list(named)).decode(),),
        )
        return [(named[row[0]], row[1], row[0]) for row in rows]

    def _scene(self, record: AnyRecord) -> tuple[int, int]:
        """(dataset, scene) of a category that names a scene (5.5); a scene's name only counts where no item has it."""
        dataset, name = self._address(record)
        if dataset <= 0 or not isinstance(record, Category | Multicategory):
            return dataset, 0
        if dataset not in self._has_scenes:
            held = self._c.execute("SELECT is_scene FROM datasets WHERE pk = ?", (dataset,)).fetchone()
            self._has_scenes[dataset] = bool(held and held[0])
        if not self._has_scenes[dataset]:
            return dataset, 0
        query = "SELECT pk FROM scenes WHERE dataset = ? AND reference_id = ?"
        row = self._c.execute(query, (dataset, name)).fetchone()
        return dataset, row[0] if row else 0

    def _fault(self, record: AnyRecord, dataset: int) -> str | None:
        kind = _type_of(record)
        if kind not in self._target.types:
            return f"Input validation failed: the type {kind} is not supported here."
        if isinstance(record, Category | Multicategory):
            if dataset not in self._taxonomies:
                self._taxonomies[dataset] = taxonomies(self._c, self._world, dataset)
            if fault := self._taxonomies[dataset].fault(record):
                raise UserFault(fault)
        if dataset not in self._kinds:
            self._kinds[dataset] = metadata_kinds(self._c, dataset, self._topic)
        return fault_of_record(record) or self._kinds[dataset].fault(record.metadata)

    def _refuse(self, line: bytes, text: str) -> None:
        self.tally.refuse(record_error(line, text))

    def _row(self, owner: int, record: AnyRecord, line: bytes) -> tuple[Any, ...]:
        label = getattr(record, "label", None)
        row = (owner, _slot(record), _type_of(record), label, record.track_reference_id, line.strip().decode())
        return row if self._target.run is None else (self._target.run, *row)

    def _store(self, rows: list[Any], masks: list[Any], scenes: list[Any]) -> None:
        tally = self.tally
        stored = self._c.executemany(self._insert, rows).rowcount if rows else 0
        stored += self._c.executemany(self._insert_scene, scenes).rowcount if scenes else 0
        drawn = self._c.executemany(self._insert, masks).rowcount if masks else 0
        tally.processed += stored
        tally.ignored += len(rows) + len(scenes) - stored
        tally.masks_processed += drawn
        tally.masks_ignored += len(masks) - drawn


def _type_of(record: AnyRecord) -> str:
    return str(record.__struct_config__.tag)


def _slot(record: AnyRecord) -> str:
    """The key of a record within its item (2.2); see schema.sql."""
    if isinstance(record, Mask):
        return "m:"
    if isinstance(record, Category | Multicategory):
        return f"c:{record.taxonomy_name or ''}"
    if record.annotation_id is None:
        # Without an id the server makes one, and so doubles the record when it is sent again.
        return f"s:{uuid.uuid4().hex}"
    if record.task_id is not None:
        return f"t:{record.task_id}\n{record.annotation_id}"
    return f"i:{record.annotation_id}"


def _statements(target: Target) -> tuple[str, str]:
    """The insert into the table of items' records, and the one for categories of scenes."""
    run, table = ("", "annotations") if target.run is None else ("run, ", "predictions")
    marks = "?, " if run else ""
    action = "NOTHING"
    if target.update:
        action = "UPDATE SET type = excluded.type, label = excluded.label, record = excluded.record"
    tracked = action + (", track = excluded.track" if target.update else "")
    items = (
        f"INSERT INTO {table} ({run}item, slot, type, label, track, record) VALUES ({marks}?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT ({'item, run, slot' if run else 'item, slot'}) DO {tracked}"
    )
    # Types and tracks are not kept for scenes: a scene has categories only, and they have no track.
    where = "?1, ?2, ?3, ?5, ?7" if run else "0, ?1, ?2, ?4, ?6"
    names = "run, scene, slot, label, record"
    scene_action = "UPDATE SET label = excluded.label, record = excluded.record" if target.update else "NOTHING"
    scenes = f"INSERT INTO scene_categories ({names}) VALUES ({where}) ON CONFLICT (scene, run, slot) DO {scene_action}"
    return items, scenes


def metadata_kinds(c: sqlite3.Connection, dataset: int, topic: str) -> MetadataKinds:
    """What is known about the metadata keys of one topic of a dataset."""
    rows = c.execute("SELECT key, kind FROM metadata_kinds WHERE dataset = ? AND topic = ?", (dataset, topic))
    return MetadataKinds({row[0]: row[1] for row in rows})


def taxonomies(c: sqlite3.Connection, world: World, dataset: int) -> Taxonomies:
    """The dataset's taxonomies, to check against."""
    rows = c.execute("SELECT name, labels FROM taxonomies WHERE dataset = ?", (dataset,))
    labels = {row[0]: frozenset(from_json(row[1])) for row in rows}
    return Taxonomies(world.ids.spell("ds", dataset), labels)
