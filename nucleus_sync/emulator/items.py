"""Taking in top-level images, and changing or deleting items."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .records import metadata_kinds
from .refusals import Refused, UserFault, missing
from .shapes import Item
from .tally import Sabotage, Tally
from .validate import MetadataKinds, is_remote
from .world import World, from_json, to_json

_decoder = msgspec.json.Decoder(Item)

_INSERT = (
    "INSERT INTO items (dataset, reference_id, url, type, width, height, metadata, embedding, sha256, size)"
    " VALUES (?, ?, ?, 'image', ?, ?, ?, ?, ?, ?) ON CONFLICT (dataset, reference_id) DO "
)
# Sizes are kept when they are left out: the server measured them, and an upload cannot unmeasure them.
_OVERWRITE = (
    "UPDATE SET url = excluded.url, metadata = excluded.metadata, width = coalesce(excluded.width, width),"
    " height = coalesce(excluded.height, height), embedding = coalesce(excluded.embedding, embedding),"
    " sha256 = excluded.sha256, size = excluded.size"
)


# Whether Nucleus takes a new image under a known reference id is not known (6.1): a rule can make this server refuse.
_OVERWRITE_BUT_IMAGES = "UPDATE SET metadata = excluded.metadata, embedding = coalesce(excluded.embedding, embedding)"


@dataclass(frozen=True)
class LocalImage:
    """The bytes of one multipart part, already on disk."""

    sha256: str
    size: int


def take_in(
    c: sqlite3.Connection,
    dataset: int,
    batches: Iterable[list[bytes]],
    sabotage: Sabotage,
    *,
    update: bool,
    images: Mapping[str, LocalImage] | None = None,
) -> Tally:
    """Read all batches into the open transaction; `images` are those of a multipart upload, by `image_url`."""
    held = c.execute("SELECT privacy FROM datasets WHERE pk = ?", (dataset,)).fetchone()
    if held is None:
        raise UserFault("The dataset does not exist.")
    intake = _Intake(metadata_kinds(c, dataset, "item"), sabotage, images, privacy=bool(held[0]))
    overwrite = _OVERWRITE_BUT_IMAGES if sabotage.keeps_images else _OVERWRITE
    statement = _INSERT + (overwrite if update else "NOTHING")
    for batch in batches:
        rows = [(dataset, *row) for row in map(intake.row, batch) if row is not None]
        stored = c.executemany(statement, rows).rowcount if rows else 0
        intake.tally.processed += stored
        intake.tally.ignored += len(rows) - stored
    learned = [(dataset, key, kind) for key, kind in intake.kinds.learned.items()]
    c.executemany("INSERT OR IGNORE INTO metadata_kinds VALUES (?, 'item', ?, ?)", learned)
    return intake.tally


class _Intake:
    def __init__(
        self,
        kinds: MetadataKinds,
        sabotage: Sabotage,
        images: Mapping[str, LocalImage] | None,
        *,
        privacy: bool,
    ) -> None:
        self.tally = Tally()
        self.kinds = kinds
        self._sabotage = sabotage
        self._images = images
        self._privacy = privacy

    def row(self, line: bytes) -> tuple[Any, ...] | None:
        """The columns of one item after the dataset, or None when it is refused."""
        index = self.tally.total
        self.tally.total += 1
        try:
            item = _decoder.decode(line)
        except msgspec.ValidationError as error:
            self.tally.refuse(f"Input validation failed for item {index}: {error}")
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UserFault(f"Line {index + 1} is not valid JSON: {error}") from error
        if fault := self._fault(item, index):
            self.tally.refuse(fault)
            return None
        image = None if self._images is None else self._images.get(item.image_url)
        return (
            item.reference_id,
            item.image_url,
            item.width,
            item.height,
            to_json(item.metadata or {}),
            None if item.embedding_info is None else to_json(item.embedding_info),
            None if image is None else image.sha256,
            None if image is None else image.size,
        )

    def _fault(self, item: Item, index: int) -> str | None:
        sabotage = self._sabotage
        if sabotage.refuses is not None and sabotage.refuses(index):
            return f"Item {item.reference_id}: {sabotage.text}"
        if sabotage.cannot_read(item.image_url) and not self._privacy:
            self.tally.unreachable += 1
            return f"Failed to fetch image from {item.image_url}"
        if self._images is None and not is_remote(item.image_url):
            self.tally.unreachable += 1
            return f"Failed to fetch image from {item.image_url}"
        if self._privacy and (item.width is None or item.height is None):
            return f"Item {item.reference_id}: width and height are required in privacy mode."
        fault = self.kinds.fault(item.metadata)
        return fault and f"Item {item.reference_id}: {fault}"


def find(world: World, dataset: int, reference_id: str) -> sqlite3.Row:
    """An item by its reference id, or 404."""
    query = "SELECT * FROM items WHERE dataset = ? AND reference_id = ?"
    row = world.held.reader().execute(query, (dataset, reference_id)).fetchone()
    if row is None:
        raise missing("Item", reference_id)
    return row  # type: ignore[no-any-return]


def find_by_id(world: World, item_id: str, dataset: int | None = None) -> sqlite3.Row:
    """An item by its `di_` id, of any dataset when none is given, or 404."""
    pk = world.ids.read("di", item_id)
    row = world.held.reader().execute("SELECT * FROM items WHERE pk = ?", (pk,)).fetchone()
    if row is None or dataset not in (None, row["dataset"]):
        raise missing("Item", item_id)
    return row  # type: ignore[no-any-return]


def find_by_position(world: World, dataset: int, position: str) -> sqlite3.Row:
    """An item by its place in creation order, or 404."""
    if not position.isdigit():
        raise Refused(400, f"{position} is not a position.")
    query = "SELECT * FROM items WHERE dataset = ? ORDER BY pk LIMIT 1 OFFSET ?"
    row = world.held.reader().execute(query, (dataset, int(position))).fetchone()
    if row is None:
        raise missing("Item at position", position)
    return row  # type: ignore[no-any-return]


def delete(world: World, dataset: int, reference_id: str) -> None:
    """Remove an item with all that hangs on it, at once; an item of a scene cannot go alone."""
    row = find(world, dataset, reference_id)
    if row["scene"] is not None:
        raise Refused(400, f"Item {reference_id} belongs to a scene and cannot be deleted alone.")
    with world.held.transaction() as c:
        c.execute("DELETE FROM items WHERE pk = ?", (row["pk"],))


def merge_metadata(c: sqlite3.Connection, dataset: int, body: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Merge metadata into items or scenes (9.4); gives how many were changed, and errors."""
    level = body.get("level")
    kinds = metadata_kinds(c, dataset, str(level))
    table = "scenes" if level == "scene" else "items"
    errors: list[str] = []
    changed = 0
    for entry in body["metadata"]:
        name = entry.get("reference_id")
        query = f"SELECT pk, metadata FROM {table} WHERE dataset = ? AND reference_id = ?"
        row = c.execute(query, (dataset, name)).fetchone()
        new = dict(entry.get("metadata") or {})
        if entry.get("camera_params") and level == "item":
            new["camera_params"] = entry["camera_params"]
        if row is None:
            errors.append(f"{str(level).capitalize()} with id {name} does not exist.")
            continue
        if fault := kinds.fault(new):
            errors.append(f"{str(level).capitalize()} {name}: {fault}")
            continue
        merged = to_json(from_json(row["metadata"]) | new)
        c.execute(f"UPDATE {table} SET metadata = ? WHERE pk = ?", (merged, row["pk"]))
        changed += 1
    learned = [(dataset, str(level), key, kind) for key, kind in kinds.learned.items()]
    c.executemany("INSERT OR IGNORE INTO metadata_kinds VALUES (?, ?, ?, ?)", learned)
    return changed, errors
