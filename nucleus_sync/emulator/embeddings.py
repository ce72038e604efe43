"""The embedding vectors that items were uploaded with, read back and exported."""

from __future__ import annotations

import hashlib
from typing import Any

from .world import World, from_json, to_json

_OF_DATASET = "SELECT reference_id, embedding FROM items WHERE dataset = ? AND embedding IS NOT NULL ORDER BY pk"
_OF_SLICE = (
    "SELECT i.reference_id, i.embedding FROM slice_members m JOIN items i ON i.pk = m.member"
    " WHERE m.slice = ? AND m.kind = 'di' AND i.embedding IS NOT NULL ORDER BY m.pk"
)


def of_dataset(world: World, dataset: int) -> list[dict[str, Any]]:
    """The answer of `dataset/{ds}/embeddings`."""
    return _vectors(world, _OF_DATASET, dataset)


def of_slice(world: World, slice_pk: int) -> list[dict[str, Any]]:
    """The answer of `slice/{slc}/embeddings`."""
    return _vectors(world, _OF_SLICE, slice_pk)


def _vectors(world: World, query: str, owner: int) -> list[dict[str, Any]]:
    rows = world.held.reader().execute(query, (owner,))
    return [
        {"reference_id": row["reference_id"], "embedding_vector": from_json(row["embedding"])["embedding_vector"]}
        for row in rows
    ]


def indexes(world: World, dataset: int) -> dict[str, Any]:
    """The answer of `dataset/{ds}/embeddingIndexes`: one index for each id that items were uploaded with."""
    found: dict[str, int] = {}
    for row in world.held.reader().execute(_OF_DATASET, (dataset,)):
        info = from_json(row["embedding"])
        found.setdefault(info["index_id"], len(info["embedding_vector"]))
    return {
        "embedding_indexes": [
            {
                "id": name,
                "status": "Completed",
                "index_type": "Custom",
                "index_level": "Image",
                "embedding_type": "custom",
                "embedding_dimension": size,
            }
            for name, size in found.items()
        ]
    }


def export(world: World, dataset: int) -> str:
    """Write a dataset's vectors to a file in the media folder, and give its name there."""
    content = to_json(of_dataset(world, dataset)).encode()
    name = hashlib.sha256(content).hexdigest()
    (world.folder / "media" / name).write_bytes(content)
    return name
