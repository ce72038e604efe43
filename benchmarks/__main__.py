"""`python -m benchmarks`: our side, the official SDK and the machine's limit, interleaved, as medians and ratios."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks import inputs
from benchmarks.measure import Cost, run
from benchmarks.specs import SPECS

FIRST = ("coco", "ndjson", "parquet", "results", "photos")
AGAIN = ("untouched", "rewritten", "changed")
_OURS = [sys.executable, "-m", "nucleus_sync"]
_MAKE = {
    "coco": inputs.coco,
    "ndjson": inputs.items_ndjson,
    "parquet": inputs.items_parquet,
    "results": inputs.results,
    "photos": inputs.photos,
}
_SETTLED = 3.0
"""Seconds after which a plan trusts a file's time stamp."""


class Bench:
    """One call of this command: where it works, and what it found."""

    def __init__(self, said: argparse.Namespace, endpoint: str, folder: Path) -> None:
        self.said = said
        self.endpoint = endpoint
        self.folder = folder
        self.environ = {
            "NUCLEUS_ENDPOINT": endpoint,
            "NUCLEUS_API_KEY": "any",
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
            # An installed program has its bytecode; empty means that it may be written.
            "PYTHONDONTWRITEBYTECODE": "",
        }
        self.figures: dict[str, dict[str, list[Cost]]] = {}

    def note(self, work: str, side: str, cost: Cost) -> None:
        """Keep one run's figures, and show them."""
        self.figures.setdefault(work, {}).setdefault(side, []).append(cost)
        print(
            f"{work:12} {side:10} {cost.wall:8.2f} s  {cost.cpu:8.2f} s CPU  {cost.rss / 1e6:7.0f} MB"
            f"  ({cost.pss / 1e6:.0f} MB shared pages once)",
            flush=True,
        )

    def project(self, work: str, source: Path) -> Path:
        """A new folder with a spec and no ledger."""
        folder = self.folder / f"{work}-project"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "nucleus.yaml").write_text(SPECS[work].format(path=source, truth=_truth_of(source)))
        return folder

    def ours(self, folder: Path, *arguments: str) -> Cost:
        """One command of ours in a project."""
        return run([*_OURS, *arguments], folder, self.environ)

    def other(self, module: str, work: str, source: Path) -> Cost:
        """One run of the SDK, or of a plain script."""
        command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{module}", work, str(source), self.endpoint]
        return run(command, self.folder, self.environ)

    def first_apply(self, work: str, count: int) -> None:
        """Everything is new; the three sides in turn."""
        source = _MAKE[work](self.said.inputs, count)
        if work == "results":
            inputs.truth(self.said.inputs, count)
        for number in range(self.said.runs):
            # The SDK sleeps five seconds for each of its jobs, so that photos take it minutes, always the same.
            if not self.said.only_ours and (number == 0 or work != "photos"):
                self.note(work, "sdk", self.other("sdk", work, source))
            folder = self.project(work, source)
            self.note(work, "ours", self.ours(folder, "apply", "-y", "-q"))
            self.note(work, "limit", self.other("limits", work, source))
        ledger = (folder / ".nucleus-sync/ledger.db").stat().st_size
        print(
            f"{work:12} ledger     {ledger / (count * (1.1 if work in ('coco', 'results') else 1)):8.1f} bytes a record"
        )

    def applied(self, count: int) -> tuple[Path, Path]:
        """A project of its own copy of the annotations, all of them applied, old enough to be trusted."""
        source = self.folder / "again.json"
        shutil.copyfile(inputs.coco(self.said.inputs, count), source)
        os.utime(source, (1, 1))
        folder = self.project("coco", source)
        self.ours(folder, "apply", "-y", "-q")
        return folder, source

    def again(self, count: int) -> None:
        """Plans of what is there already: untouched, rewritten, and with one change."""
        folder, source = self.applied(10)
        for _ in range(self.said.runs):
            self.note("untouched", "ten", self.ours(folder, "plan"))
        folder, source = self.applied(count)
        for _ in range(self.said.runs):
            self.note("untouched", "ours", self.ours(folder, "plan"))
        self.other("limits", "compare", source)
        for number in range(self.said.runs):
            os.utime(source, (number + 2, number + 2))
            self.note("rewritten", "ours", self.ours(folder, "plan"))
            self.note("rewritten", "limit", self.other("limits", "compare", source))
        self.one_changed(folder, source, count)

    def one_changed(self, folder: Path, source: Path, count: int) -> None:
        """The same file with one other record, then back again."""
        states = (inputs.coco_changed(self.said.inputs, count), inputs.coco(self.said.inputs, count))
        for number in range(self.said.runs):
            shutil.copyfile(states[number % 2], source)
            os.utime(source, (1000 + number, 1000 + number))
            self.note("changed", "plan", self.ours(folder, "plan"))
            os.utime(source, (2000 + number, 2000 + number))
            self.note("changed", "apply", self.ours(folder, "apply", "-y", "-q"))

    def starts(self) -> None:
        """Cold starts beside a bare interpreter's; bytecode is compiled by a first run that doesn't count."""
        folder, _ = self.applied(10)
        sides = {
            "bare": [sys.executable, "-c", "pass"],
            "--version": [*_OURS, "--version"],
            "plan": [*_OURS, "plan"],
        }
        for number in range(self.said.runs + 1):
            for side, command in sides.items():
                cost = run(command, folder, self.environ)
                if number:
                    self.note("start", side, cost)


def _truth_of(source: Path) -> Path:
    return source.with_name(source.name.replace("results", "truth"))


@contextlib.contextmanager
def _sink() -> Iterator[str]:
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None  # noqa: S101  (a pipe by construction)
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def _emulator(folder: Path) -> Iterator[str]:
    command = [*_OURS, "emulator", "--port", "0", "--data", str(folder / "emulator")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None  # noqa: S101  (a pipe by construction)
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


def _median(costs: list[Cost]) -> dict[str, float]:
    return {name: statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "rss", "pss")}


def _table(figures: dict[str, dict[str, list[Cost]]]) -> str:
    lines = ["", f"{'work':12} {'side':10} {'wall s':>8} {'CPU s':>8} {'MB':>6}  ratio to the SDK: wall, CPU"]
    for work, sides in figures.items():
        sdk = _median(sides["sdk"]) if "sdk" in sides else None
        for side, costs in sides.items():
            m = _median(costs)
            ratio = f"  {m['wall'] / sdk['wall']:.3f}  {m['cpu'] / sdk['cpu']:.3f}" if sdk else ""
            lines.append(f"{work:12} {side:10} {m['wall']:8.2f} {m['cpu']:8.2f} {m['rss'] / 1e6:6.0f}{ratio}")
    return "\n".join(lines)


def main() -> None:
    """Measure what was asked for, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("works", nargs="*", help=f"of {', '.join((*FIRST, 'again', 'start'))}; default: all")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--photos", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only-ours", action="store_true", help="leave the SDK out")
    parser.add_argument("--emulator", action="store_true", help="the emulator instead of a sink that parses nothing")
    parser.add_argument("--inputs", type=Path, default=Path(tempfile.gettempdir()) / "nucleus-sync-benchmarks")
    parser.add_argument("--json", type=Path, help="write all figures here")
    said = parser.parse_args()
    works = said.works or [*FIRST, "again", "start"]
    said.inputs = said.inputs.absolute()
    with tempfile.TemporaryDirectory(dir=_made(said.inputs)) as scratch:
        folder = Path(scratch)
        with _emulator(folder) if said.emulator else _sink() as endpoint:
            bench = Bench(said, endpoint, folder)
            for work in works:
                match work:
                    case "again":
                        bench.again(said.records)
                    case "start":
                        bench.starts()
                    case _:
                        bench.first_apply(work, said.photos if work == "photos" else said.records)
    print(_table(bench.figures))
    if said.json:
        all_of = {
            work: {s: [asdict(c) for c in costs] for s, costs in sides.items()} for work, sides in bench.figures.items()
        }
        said.json.write_text(json.dumps({"records": said.records, "photos": said.photos, "figures": all_of}, indent=1))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
