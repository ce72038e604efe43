"""How long it takes from a settled file to its job, with many files already known; beside it what a look at all costs.

python -m benchmarks.watch [FILES]            # a folder of images
python -m benchmarks.watch ANNOTATIONS coco   # one COCO file, of which one annotation is edited
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from watch.writers import coco, image, renamed, write_labels  # noqa: E402

from nucleus_sync.emulator.server import Emulator  # noqa: E402

SETTLE = 1.0
_PER_FOLDER = 1000
_SPEC = """
version: 1
sources:
  images: {format: images, path: images, image_url: "s3://bench/{path}"}
datasets:
  bench: {name: Bench, items: [images], prune: true}
"""
_COCO_SPEC = """
version: 1
sources:
  labels: {format: coco, path: labels.json, image_url: "s3://bench/{file_name}"}
datasets:
  bench: {name: Bench, items: [labels], annotations: [labels], prune: true}
"""
_PER_IMAGE = 10


class Watcher:
    """A watching process and the events that it tells."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        environ = {**os.environ, "NUCLEUS_ENDPOINT": endpoint, "NUCLEUS_API_KEY": "live_bench"}
        environ["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-m", "nucleus_sync", "-C", str(folder), "watch", "--json"]
        command += ["--settle", str(SETTLE), "--rescan", "100000"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)
        self._events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with suppress(ValueError):
                self._events.put(json.loads(line) | {"seen": time.monotonic()})

    def until(self, name: str, seconds: float = 900.0) -> dict[str, Any]:
        """The next event of that name. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise TimeoutError(name) from None
            if event["event"] == name:
                return event

    def end(self) -> None:
        """Stop it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def measure(files: int, repeats: int = 8) -> dict[str, Any]:
    """Seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as name:
        folder = Path(name)
        (folder / "nucleus.yaml").write_text(_SPEC)
        for number in range(files):
            place = folder / "images" / f"{number // _PER_FOLDER:04d}" / f"{number:06d}.png"
            if number % _PER_FOLDER == 0:
                place.parent.mkdir(parents=True)
            place.write_bytes(image(number))
        with Emulator(folder / "emulator", latency=0.0) as emulator:
            watcher = Watcher(folder, emulator.endpoint)
            try:
                return _measured(watcher, folder, files, repeats)
            finally:
                watcher.end()


def _measured(watcher: Watcher, folder: Path, files: int, repeats: int) -> dict[str, Any]:
    begun = time.monotonic()
    watcher.until("watching")
    while watcher.until("round_finished")["unchanged"] < files and time.monotonic() - begun < 900:
        watcher.process.send_signal(signal.SIGHUP)
    first = time.monotonic() - begun
    figures: dict[str, Any] = {"files": files, "until all is known": first}
    for way in ("in place", "renamed"):
        found = [_latency(watcher, folder, files + number, way) for number in range(repeats)]
        figures[f"{way}: file to job"] = [round(seconds, 3) for seconds in sorted(found)]
        figures[f"{way}: median beyond settling"] = median(found) - (SETTLE if way == "in place" else 0.0)
        figures[f"{way}: worst beyond settling"] = max(found) - (SETTLE if way == "in place" else 0.0)
        files += repeats
    watcher.process.send_signal(signal.SIGHUP)
    begun = time.monotonic()
    watcher.until("round_finished")
    figures["a look at everything, files touched"] = time.monotonic() - begun
    for _ in range(2):  # files younger than two seconds are never trusted to stay as they are
        time.sleep(2.5)
        watcher.process.send_signal(signal.SIGHUP)
        begun = time.monotonic()
        watcher.until("round_finished")
    figures["a look at everything, nothing touched"] = time.monotonic() - begun
    return figures


def measure_coco(annotations: int, repeats: int = 8) -> dict[str, Any]:
    """Seconds from a COCO file that has settled, or was renamed into place, to the job with its edited annotation."""
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as name:
        folder = Path(name)
        (folder / "nucleus.yaml").write_text(_COCO_SPEC)
        labels = coco(f"{number // _PER_FOLDER:04d}/{number:06d}.png" for number in range(annotations // _PER_IMAGE))
        for one in list(labels["annotations"]):
            more = range(1, _PER_IMAGE)
            labels["annotations"] += [{**one, "id": one["id"] + n * len(labels["images"])} for n in more]
        write_labels(folder / "labels.json", labels)
        with Emulator(folder / "emulator", latency=0.0) as emulator:
            watcher = Watcher(folder, emulator.endpoint)
            try:
                return _measured_coco(watcher, folder, labels, repeats)
            finally:
                watcher.end()


def _measured_coco(watcher: Watcher, folder: Path, labels: dict[str, Any], repeats: int) -> dict[str, Any]:
    begun = time.monotonic()
    watcher.until("watching")
    while watcher.until("round_finished")["outcome"] != "good":
        pass
    path = folder / "labels.json"
    figures: dict[str, Any] = {"annotations": len(labels["annotations"]), "bytes": path.stat().st_size}
    figures["until all is known"] = time.monotonic() - begun
    for way, settling in (("in place", SETTLE), ("renamed", 0.0)):
        found = []
        for number in range(repeats):
            labels["annotations"][number * 97]["bbox"][2] += 1
            content = json.dumps(labels).encode()
            path.write_bytes(content) if way == "in place" else renamed(path, content)
            written = time.monotonic()
            found.append(watcher.until("job_submitted", 60)["seen"] - written)
            watcher.until("round_finished")
        figures[f"{way}: file to job"] = [round(seconds, 3) for seconds in sorted(found)]
        figures[f"{way}: median beyond settling"] = median(found) - settling
        figures[f"{way}: worst beyond settling"] = max(found) - settling
    return figures


def _latency(watcher: Watcher, folder: Path, number: int, way: str) -> float:
    path, content = folder / "images" / "0000" / f"new{number:07d}.png", image(number)
    if way == "renamed":
        renamed(path, content)
    else:
        path.write_bytes(content)
    written = time.monotonic()
    submitted: float = watcher.until("job_submitted", 60)["seen"] - written
    watcher.until("round_finished")
    return submitted


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'load average':42} {os.getloadavg()}")
    for key, value in (measure_coco if "coco" in sys.argv[2:] else measure)(number).items():
        print(f"{key:42} {value if isinstance(value, list | int) else f'{value:.3f} s'}")
