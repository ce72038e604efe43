"""A track that a killed apply has described, or deleted, is so after the next one, and nothing is left to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .scene import Place

BOX = {
    "type": "box",
    "reference_id": "a",
    "annotation_id": "1",
    "label": "car",
    "track_reference_id": "t",
    "geometry": {"x": 1, "y": 1, "width": 4, "height": 4},
}


def declare(place: Place, tracks: dict[str, Any], *, named: bool = True) -> None:
    """One item with a box that names a track, or names none any more."""
    place.project.mkdir(exist_ok=True)
    files = {
        "items": [{"reference_id": "a", "image_url": "s3://b/a.jpg"}],
        "boxes": [{**BOX, "track_reference_id": "t" if named else None}],
    }
    for name, lines in files.items():
        (place.project / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    spec = {
        "version": 1,
        "sources": {name: {"format": "records", "path": f"{name}.jsonl"} for name in files},
        "datasets": {
            "set": {"name": "Set", "items": ["items"], "annotations": ["boxes"], "tracks": tracks, "prune": True}
        },
    }
    (place.project / "nucleus.yaml").write_text(yaml.safe_dump(spec))


def held(place: Place) -> dict[str, Any]:
    (dataset,) = place.world()["datasets"]
    return {track["reference_id"]: track["metadata"] for track in dataset["tracks"]}


def test_killed_after_each_call(tmp_path: Path) -> None:
    with Place(tmp_path) as place:
        for call, tracks, wanted in (
            ("POST", {"t": {"metadata": {"n": 1}}}, {"t": {"n": 1}}),
            ("DELETE", {}, {}),
        ):
            declare(place, tracks, named=bool(tracks))
            place.killed_at(f"after {call} dataset/*/tracks", 1)
            assert place.apply() == 0
            assert (held(place), place.planned()) == (wanted, [])
