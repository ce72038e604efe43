"""A life of one project: edits, faults and deaths in any order, each a step that can be told by a name and a number."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
from crash.scene import KEY, Place

from nucleus_sync.errors import NucleusSyncError
from nucleus_sync.events import Event, StepFinished
from nucleus_sync.plan.plan import Plan
from nucleus_sync.workspace import Choices

from .haste import hasty
from .town import LABELS, Town, held

Step = tuple[str, int]
FOREIGN = "foreign"
_EFFECTS: list[dict[str, Any]] = [
    {"status": 503},
    {"status": 500},
    {"status": 429, "headers": {"Retry-After": "3"}},
    {"reset": "before"},
    {"reset": "after"},
    {"truncate": True},
    {"malformed": True},
    {"status": 400},
]
_ENDS: list[dict[str, Any]] = [
    {"state": "Errored", "keep_work": True},
    {"state": "Errored_Server", "keep_work": False},
    {"state": "Errored_Partial", "keep_work": False},
    {"state": "Retried", "keep_work": True},
    {"stuck": True},
    {"reject": {"first": 1}},
    {"reject": {"fraction": 0.5}, "overescape": True},
]


class Killed(BaseException):
    """The process is no more."""


class Story:
    """Use as a context manager; `tell` it, then ask for the `end`."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)
        self.town = Town(benchmark=False, max_records=4, remote={"r1": {"time": "day"}}, local={"p1.png": 1})
        self.town.boxes["r1", "b1"] = ("car", 1)
        self.ever: set[tuple[str, Any]] = set()
        self.foreign: set[str] = set()
        self.said: list[str] = []
        """Errors of the last apply."""
        self._names = 1

    def __enter__(self) -> Story:
        self.place.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.place.__exit__()

    def tell(self, steps: Sequence[Step]) -> None:
        """Every step; the ledger is honest after each."""
        for name, number in steps:
            STEPS[name](self, number)
            self.place.assert_honest()

    def end(self) -> None:
        """One clean apply makes everything right, wherever it stands; sources in another order change nothing."""
        apply_clean(self, 0)
        self.town.reverse = not self.town.reverse
        self.town.write(self.place.project)
        assert self.place.planned() == []

    def apply(self, fuse: Callable[[str], None] | None = None, *, retry: bool = False) -> int | None:
        """The exit code, or None when it was killed."""
        self._leave_no_source_empty()
        self.town.write(self.place.project)
        self.ever |= self.declared()
        self.said = []
        with suppress(Killed):
            try:
                with hasty(self.place.project / "nucleus.yaml", self.place.environment(), fuse) as space:
                    choices = Choices(retry_rejected=retry, allow_deletes=True)
                    return int(space.apply(choices, self._approve, self._listen).exit_code)
            except NucleusSyncError as error:
                self.said.append(str(error))
                return int(error.exit_code)
        return None

    def _approve(self, plan: Plan) -> bool:
        self.said += [failure.error for failure in plan.failures]
        return True

    def _listen(self, event: Event) -> None:
        if isinstance(event, StepFinished) and event.error:
            self.said.append(f"{event.step}: {event.error}")

    def _leave_no_source_empty(self) -> None:
        """One that held something and is empty all at once is an error, never a deletion."""
        name = next(iter(self.town.remote))
        for records, record in ((self.town.boxes, ("car", 1)), (self.town.predictions, ("car", 1, 0.5))):
            if not any(self.town.has_item(key[0]) for key in records):
                records[name, "b1"] = record

    def declared(self) -> set[tuple[str, Any]]:
        """Keys of everything that is declared."""
        wanted = self.town.wanted()
        return {(part, key) for part in ("items", "weather", "slices") for key in wanted[part]} | {
            (part, record[:2]) for part in ("boxes", "predictions") for record in wanted[part]
        }

    def assert_equal(self) -> None:
        """The world is as declared; without prune there may be more, and only what was declared once."""
        found, wanted = held(self.place.world()), self.town.wanted()
        theirs = {name for name in found["items"] if name.startswith(FOREIGN)}
        assert theirs == self.foreign
        found["items"] = {name: item for name, item in found["items"].items() if name not in theirs}
        if self.town.prune:
            assert found == wanted
            return
        for part in ("items", "weather", "slices"):
            assert found[part].items() >= wanted[part].items()
            assert {(part, key) for key in found[part]} <= self.ever
        for part in ("boxes", "predictions"):
            assert found[part] >= wanted[part]
            assert {(part, record[:2]) for record in found[part]} <= self.ever

    def fresh(self) -> str:
        """A name that was never used."""
        self._names += 1
        return f"r{self._names}"


def _pick(keys: Any, number: int) -> Any:
    ordered = sorted(keys)
    return ordered[number % len(ordered)] if ordered else None


def add_item(story: Story, number: int) -> None:
    """One that Nucleus reads, with a box and a prediction."""
    name = story.fresh()
    story.town.remote[name] = {"time": ["day", "night"][number % 2], "number": number}
    story.town.boxes[name, "b1"] = (LABELS[number % 3], number)
    story.town.predictions[name, "x1"] = (LABELS[number % 3], number, 0.5)


def add_picture(story: Story, number: int) -> None:
    """One that is uploaded."""
    name = f"{story.fresh()}.png"
    story.town.local[name] = number
    story.town.boxes[name, "b1"] = (LABELS[number % 3], number)


def change_item(story: Story, number: int) -> None:
    """Other metadata, or another picture."""
    name = _pick([*story.town.remote, *story.town.local], number)
    if name in story.town.remote:
        story.town.remote[name] = {"time": ["day", "night"][number % 2], "number": number + 1}
    elif name:
        story.town.local[name] += 1


def remove_item(story: Story, number: int) -> None:
    """With everything on it; the last one stays, for a source that yields nothing is an error."""
    remote, local = story.town.remote, story.town.local
    name = _pick([*(remote if len(remote) > 1 else ()), *(local if len(local) > 1 else ())], number)
    remote.pop(name, None)
    local.pop(name, None)


def put_box(story: Story, number: int) -> None:
    """A new box, or another place for one."""
    name = _pick([*story.town.remote, *story.town.local], number)
    story.town.boxes[name, f"b{number % 3}"] = (LABELS[number % 3], number)


def remove_box(story: Story, number: int) -> None:
    """One of those on declared items, of which one stays."""
    keys = [key for key in story.town.boxes if story.town.has_item(key[0])]
    if len(keys) > 1:
        del story.town.boxes[_pick(keys, number)]


def put_prediction(story: Story, number: int) -> None:
    """A new one, or another confidence."""
    name = _pick([*story.town.remote, *story.town.local], number)
    story.town.predictions[name, f"x{number % 2}"] = (LABELS[number % 3], number, 0.25)


def remove_prediction(story: Story, number: int) -> None:
    """One of those on declared items, of which one stays."""
    keys = [key for key in story.town.predictions if story.town.has_item(key[0])]
    if len(keys) > 1:
        del story.town.predictions[_pick(keys, number)]


def classify(story: Story, number: int) -> None:
    """A label of the taxonomy."""
    name = _pick([*story.town.remote, *story.town.local], number)
    story.town.weather[name] = _pick(story.town.kinds_of_weather, number)


def tag(story: Story, number: int) -> None:
    """Other tags of dataset and model."""
    story.town.tags = ["a", "b", "c"][: number % 3 + 1]
    story.town.model_tags = ["m", "n"][: number % 2 + 1]


def pick_members(story: Story, number: int) -> None:
    """Other members of a slice."""
    names = sorted([*story.town.remote, *story.town.local])
    story.town.picked = names[number % 2 :: 2]


def toggle_prune(story: Story, number: int) -> None:
    """From now on, or no longer."""
    story.town.prune = not story.town.prune


def reorder(story: Story, number: int) -> None:
    """The same in another order."""
    story.town.reverse = not story.town.reverse


def apply_clean(story: Story, number: int) -> None:
    """Whatever happened before: afterwards everything is as declared, and a plan finds nothing."""
    story.place.emulator.inject(None)
    assert story.apply(retry=True) == 0, story.said
    story.assert_equal()
    assert story.place.planned() == []


def apply_under_faults(story: Story, number: int) -> None:
    """Every twelfth request goes wrong."""
    rules = [
        {"match": {"probability": 0.1, "seed": number + kind}, "effect": effect} for kind, effect in enumerate(_EFFECTS)
    ]
    story.place.emulator.inject(rules[number % 3 :: 3])
    story.apply()
    story.place.emulator.inject(None)


def apply_with_bad_jobs(story: Story, number: int) -> None:
    """Some jobs end badly, or refuse records."""
    effect = _ENDS[number % len(_ENDS)]
    story.place.emulator.inject([{"match": {"job": "*", "nth": [1 + number % 3, 4]}, "effect": effect}])
    story.apply()
    story.place.emulator.inject(None)


def die(story: Story, number: int) -> None:
    """Killed at some point: nothing that comes after it is done by anybody."""
    left = 1 + number % 120

    def fuse(_: str) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Killed

    story.apply(fuse)


def somebody_else(story: Story, number: int) -> None:
    """A colleague uploads an item to the same dataset, as a job of the same type as ours."""
    ids = _dataset_ids(story.place.ledger)
    if not ids:
        return
    name = f"{FOREIGN}{number}"
    address = f"{story.place.emulator.endpoint}/dataset/{ids[0]}"
    with httpx.Client(auth=(KEY, "")) as client:
        url = client.get(f"{address}/signedUrl/theirs{number}").raise_for_status().json()["signed_url"]
        item = {"reference_id": name, "image_url": f"s3://theirs/{name}.jpg", "metadata": {}}
        httpx.put(url, content=json.dumps(item) + "\n").raise_for_status()
        body = {"requestId": f"theirs{number}", "update": True}
        client.post(f"{address}/append", params={"async": "1"}, json=body).raise_for_status()
    story.foreign.add(name)


def _dataset_ids(ledger: Path) -> list[str]:
    if not ledger.exists():
        return []
    with closing(sqlite3.connect(ledger)) as conn:
        query = "SELECT nucleus_id FROM resources WHERE address = 'dataset.town'"
        return [row[0] for row in conn.execute(query) if row[0]]


EDITS = (
    add_item,
    add_picture,
    change_item,
    remove_item,
    put_box,
    remove_box,
    put_prediction,
    remove_prediction,
    classify,
    tag,
    pick_members,
    toggle_prune,
    reorder,
    somebody_else,
)
APPLIES = (apply_clean, apply_under_faults, apply_with_bad_jobs, die)
STEPS: dict[str, Callable[[Story, int], None]] = {step.__name__: step for step in (*EDITS, *APPLIES)}
