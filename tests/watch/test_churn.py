"""Files written in every way that real tools have, while the API misbehaves: at the end Nucleus equals the folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from nucleus_sync.emulator.server import Emulator

from .conftest import SPEC, Watched, eventually
from .writers import coco, copied, image, in_pieces, moved, renamed, rewritten, unzipped, write_labels

Held = Callable[[], dict[str, Any]]
# The last labels number their boxes anew, so that most of the first ones go: no question for the guard here.
LABELLED = (
    SPEC.replace("sources:", "settings: {delete_limit: {fraction: 1}}\nsources:")
    .replace("datasets:", "  labels: {format: coco, path: export/labels.json}\ndatasets:")
    .replace("items: [images]", "items: [images], annotations: [labels]")
)
FAULTS = [
    {"match": {"path": "dataset", "probability": 0.15, "seed": 1}, "effect": {"status": 503}},
    {"match": {"path": "append", "probability": 0.2, "seed": 2}, "effect": {"reset": "after"}},
    {"match": {"path": "job", "probability": 0.2, "seed": 3}, "effect": {"reset": "before"}},
    {"match": {"job": "*", "nth": [2, 5, 9]}, "effect": {"state": "Errored_Server", "keep_work": False}},
    {"match": {"job": "*", "probability": 0.2, "seed": 4}, "effect": {"slow": 0.2}},
]


def test_whatever_way_files_are_written_nucleus_equals_the_folder(
    watched: Watched, emulator: Emulator, held: Held
) -> None:
    (watched.folder / "nucleus.yaml").write_text(LABELLED)
    wanted = {f"first/{number}.png": image(number) for number in range(10)}
    for name, content in wanted.items():
        renamed(watched.images / name, content)
    labels = watched.folder / "export" / "labels.json"
    write_labels(labels, coco(wanted))
    emulator.inject(FAULTS)
    watched.start(rescan=2.0)

    def camera() -> None:
        for number in range(8):
            in_pieces(watched.images / f"slow/{number}.png", image(100 + number))
            wanted[f"slow/{number}.png"] = image(100 + number)

    def exporter() -> None:
        for turn in range(4):
            for number in range(3):
                rewritten(watched.images / f"first/{number}.png", image(200 + 10 * turn + number))
                wanted[f"first/{number}.png"] = image(200 + 10 * turn + number)
            write_labels(labels, coco([f"first/{number}.png" for number in range(10)], shift=turn), in_pieces)

    def trees() -> None:
        for way, top, start in ((copied, "copied", 300), (moved, "moved", 400), (unzipped, "unzipped", 500)):
            inside = {f"a/b{number % 3}/{number}.png": image(start + number) for number in range(9)}
            way(watched.images / top, inside, watched.folder / f"aside-{top}")
            wanted.update({f"{top}/{name}": content for name, content in inside.items()})

    def flood() -> None:
        for number in range(1500):
            (watched.images / "first" / f"flood{number}.png").write_bytes(image(1000 + number))
            wanted[f"first/flood{number}.png"] = image(1000 + number)

    tools = [threading.Thread(target=tool) for tool in (camera, exporter, trees, flood)]
    for tool in tools:
        tool.start()
    for tool in tools:
        tool.join()
    for name in ("first/9.png", "slow/7.png"):
        (watched.images / name).unlink()
        del wanted[name]
    emulator.inject(None)
    last = coco([name for name in wanted if "flood" not in name], shift=3)
    write_labels(labels, last)

    digests = {name: sha256(content).hexdigest() for name, content in wanted.items()}
    eventually(lambda: {name: item["sha256"] for name, item in held().items()} == digests, "the images are equal")
    eventually(
        lambda: boxes(emulator) == sorted(image["file_name"] for image in last["images"]), "the labels are equal"
    )
    assert not watched.rounds("held")


def boxes(emulator: Emulator) -> list[str]:
    """The items that have a box, once for each box."""
    (dataset,) = emulator.dump()["datasets"]
    return sorted(json.loads(json.dumps(one))["reference_id"] for one in dataset["annotations"])
