"""Hours of a watcher's life: files come, change and go, the API fails now and then; memory, files and threads are told.

    python -m benchmarks.soak_watch SECONDS

It ends with a non-zero code when the emulator doesn't equal the folder at the end, or something grows.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from watch import writers  # noqa: E402

from nucleus_sync.emulator.server import Emulator  # noqa: E402

SPEC = """
version: 1
settings: {{ledger: "{folder}/ledger/ledger.db", delete_limit: {{records: 100000, fraction: 1.0}}}}
sources:
  images: {{format: images, path: export/images}}
  labels: {{format: coco, path: export/labels.json, on_invalid: skip}}
datasets:
  soak: {{name: Soak, items: [images], annotations: [labels], prune: true}}
"""
MOST_FILES = 400
_FAULTS = (
    [{"match": {"path": "dataset", "probability": 0.2}, "effect": {"status": 503}}],
    [{"match": {"path": "job", "probability": 0.3}, "effect": {"reset": "before"}}],
    [{"match": {"method": "POST", "probability": 0.1}, "effect": {"status": 429, "headers": {"Retry-After": "1"}}}],
    [{"match": {"job": "*", "probability": 0.2}, "effect": {"state": "Errored_Server", "keep_work": False}}],
    [{"match": {"job": "*", "probability": 0.3}, "effect": {"slow": 3}}],
)


@dataclass
class Churn:
    """Files that come, change and go in every way that tools have."""

    folder: Path
    chance: random.Random = field(default_factory=lambda: random.Random(6))
    known: dict[str, bytes] = field(default_factory=dict)
    number: int = 0
    done: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> Path:
        """Where the images are."""
        return self.folder / "export" / "images"

    def step(self) -> None:
        """One thing that a tool does."""
        ways = [self.add_slowly, self.add_renamed, self.copy, self.move, self.unzip, self.rewrite, self.label]
        ways += [self.delete] * (4 if len(self.known) > MOST_FILES else 1)
        way = self.chance.choice(ways)
        self.done[way.__name__] += 1
        way()

    def _fresh(self) -> tuple[str, bytes]:
        self.number += 1
        name = f"day{self.number // 50 % 9}/{self.number:06d}.png"
        self.known[name] = writers.image(self.number)
        return name, self.known[name]

    def _tree(self) -> tuple[str, dict[str, bytes]]:
        self.number += 1
        top = f"batch{self.number:06d}"
        inside = {f"cam{n % 3}/{n}.png": writers.image(self.number * 100 + n) for n in range(12)}
        self.known |= {f"{top}/{name}": content for name, content in inside.items()}
        return top, inside

    def add_slowly(self) -> None:
        """In place."""
        name, content = self._fresh()
        writers.in_pieces(self.images / name, content, pause=0.2)

    def add_renamed(self) -> None:
        """Renamed into place."""
        name, content = self._fresh()
        writers.renamed(self.images / name, content)

    def copy(self) -> None:
        """A tree."""
        top, inside = self._tree()
        writers.copied(self.images / top, inside, self.folder / "aside")

    def move(self) -> None:
        """A tree, at once."""
        top, inside = self._tree()
        writers.moved(self.images / top, inside, self.folder / "aside")

    def unzip(self) -> None:
        """Out of an archive."""
        top, inside = self._tree()
        writers.unzipped(self.images / top, inside, self.folder / "aside.zip")

    def rewrite(self) -> None:
        """Deleted and written anew."""
        for name in self.chance.sample(sorted(self.known), min(3, len(self.known))):
            self.number += 1
            self.known[name] = writers.image(self.number)
            writers.rewritten(self.images / name, self.known[name])

    def delete(self) -> None:
        """Gone, with the folders that are left empty: each that is watched takes memory."""
        for name in self.chance.sample(sorted(self.known), min(25, len(self.known) // 2)):
            del self.known[name]
            (self.images / name).unlink()
            with suppress(OSError):
                (self.images / name).parent.rmdir()
                (self.images / name).parent.parent.rmdir()

    def label(self) -> None:
        """Labels of what is there."""
        self.number += 1
        labels = writers.coco(self.known, shift=self.number)
        writers.write_labels(self.folder / "export" / "labels.json", labels)


def gauge(pid: int) -> dict[str, float]:
    """Memory in MB, open files and threads of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {
        "rss": int(status["VmRSS"].split()[0]) / 1024,
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
    }


@contextmanager
def watcher(folder: Path, endpoint: str, log: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A watching process; its events go to `log`."""
    environ = {**os.environ, "NUCLEUS_ENDPOINT": endpoint, "NUCLEUS_API_KEY": "live_soak", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "nucleus_sync", "-C", str(folder), "watch", "--json", *more]
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environ) as process:
        try:
            yield process
        finally:
            if process.poll() is not None:
                print(f"the watcher ended with {process.returncode}: {log.read_text()[-2000:]}")
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()


def differences(emulator: Emulator, churn: Churn) -> list[str]:
    """What the emulator holds and the folder doesn't, and the other way round."""
    from hashlib import sha256

    datasets = emulator.dump()["datasets"]
    if len(datasets) != 1:
        return [f"{len(datasets)} datasets"]
    held: dict[str, Any] = {item["reference_id"]: item["sha256"] for item in datasets[0]["items"]}
    wanted = {name: sha256(content).hexdigest() for name, content in churn.known.items()}
    wrong = [f"missing {name}" for name in wanted.keys() - held.keys()]
    wrong += [f"too much {name}" for name in held.keys() - wanted.keys()]
    wrong += [f"different {name}" for name in wanted.keys() & held.keys() if wanted[name] != held[name]]
    if len(datasets[0]["items"]) != len(held):
        wrong.append("items are there twice")
    return wrong


def _break_things(emulator: Emulator, stop: threading.Event, chance: random.Random) -> None:
    while not stop.wait(chance.uniform(5, 20)):
        emulator.inject(list(chance.choice(_FAULTS)))
        stop.wait(chance.uniform(2, 8))
        emulator.inject(None)
    emulator.inject(None)


def soak(seconds: float, *, every: float = 30.0) -> int:
    """Watch, churn, measure; the exit code."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        (folder / "nucleus.yaml").write_text(SPEC.format(folder=folder))
        churn = Churn(folder)
        for _ in range(20):
            churn.add_renamed()
        churn.label()
        log = folder / "events.jsonl"
        with (
            Emulator(folder / "emulator") as emulator,
            watcher(folder, emulator.endpoint, log, "--settle", "1", "--rescan", "60", "--health-port", "0") as one,
        ):
            return _run(seconds, every, emulator, churn, one.pid, log)


def _run(seconds: float, every: float, emulator: Emulator, churn: Churn, pid: int, log: Path) -> int:
    stop = threading.Event()
    breaking = threading.Thread(target=_break_things, args=(emulator, stop, random.Random(7)), daemon=True)
    breaking.start()
    begun = time.monotonic()
    samples: list[dict[str, float]] = []
    print(f"{'minutes':>8} {'RSS MB':>8} {'files':>6} {'threads':>8} {'rounds':>7} {'images':>7}", flush=True)
    while (past := time.monotonic() - begun) < seconds:
        if past >= (len(samples) + 1) * every or (not samples and past > 5):
            samples.append(gauge(pid))
            one = samples[-1]
            rounds = log.read_bytes().count(b'"round_finished"')
            print(
                f"{past / 60:8.1f} {one['rss']:8.1f} {one['fds']:6.0f} {one['threads']:8.0f} {rounds:7} "
                f"{len(churn.known):7}",
                flush=True,
            )
        churn.step()
        time.sleep(churn.chance.uniform(0.2, 2.0))
    stop.set()
    breaking.join()
    wrong = _settled(emulator, churn)
    return _judged(samples, wrong, churn, log)


def _settled(emulator: Emulator, churn: Churn) -> list[str]:
    deadline = time.monotonic() + 180
    wrong = differences(emulator, churn)
    while wrong and time.monotonic() < deadline:
        time.sleep(1)
        wrong = differences(emulator, churn)
    return wrong


def _judged(samples: list[dict[str, float]], wrong: list[str], churn: Churn, log: Path) -> int:
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    outcomes = Counter(event["outcome"] for event in events if event["event"] == "round_finished")
    print(f"done: {dict(churn.done)}; rounds: {dict(outcomes)}")
    print("at the end the emulator " + (f"differs: {wrong[:5]}" if wrong else "equals the folder"))
    warm, late = samples[len(samples) // 4 : len(samples) // 2], samples[-max(1, len(samples) // 4) :]
    growth = {}
    for name in ("rss", "fds", "threads"):
        before = sum(one[name] for one in warm) / max(1, len(warm))
        after = sum(one[name] for one in late) / len(late)
        growth[name] = after - before
        print(f"{name}: {before:.1f} in the second quarter, {after:.1f} in the last")
    grew = growth["rss"] > 20 or growth["fds"] > 5 or growth["threads"] > 3
    return int(bool(wrong) or grew)


if __name__ == "__main__":
    sys.exit(soak(float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0))
