"""Whatever goes wrong on the way, the ledger stays honest, and one clean apply afterwards makes everything right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crash.conftest import Scene, _own_environment, scenes  # noqa: F401  (fixtures)
from crash.scene import Place

from simulation.town import Town, held

IS_SOAK = bool(os.environ.get("NUCLEUS_SYNC_SOAK"))
HTML = "<html><body><h1>upstream connect error or disconnect/reset before headers</h1></body></html>"

ROUTES: dict[str, tuple[str, str, str]] = {
    "list datasets": ("create", "GET", "^dataset/details"),
    "create dataset": ("create", "POST", "^dataset/create"),
    "tag dataset": ("change", "POST", "dataset/[^/]*/tags"),
    "untag dataset": ("change", "DELETE", "dataset/[^/]*/tags"),
    "taxonomy": ("create", "POST", "add_taxonomy"),
    "list models": ("create", "GET", "^models"),
    "create model": ("create", "POST", "^models/add"),
    "signed url": ("create", "GET", "signedUrl"),
    "storage": ("create", "PUT", "_storage"),
    "items": ("create", "POST", "append$"),
    "changed items": ("change", "POST", "append$"),
    "annotate": ("create", "POST", "annotate$"),
    "changed annotations": ("change", "POST", "annotate$"),
    "predict": ("create", "POST", "uploadPredictions"),
    "poll": ("create", "GET", "^job/[^/]*$"),
    "job errors": ("change", "GET", "^job/.*/errors"),
    "delete item": ("change", "DELETE", "refloc"),
    "clear annotations": ("change", "DELETE", "^annotation"),
    "list runs": ("change", "GET", "model_?[rR]uns?$"),
    "delete run": ("change", "DELETE", "^modelRun"),
    "find slice": ("create", "GET", "slices"),
    "create slice": ("create", "POST", "create_slice"),
    "delete slice": ("change", "DELETE", "^slice"),
    "append to slice": ("create", "POST", "^slice/.*/append"),
    "list benchmarks": ("create", "GET", "^benchmarks$"),
    "create benchmark": ("create", "POST", "^benchmarks$"),
    "look at benchmark": ("change", "GET", "^benchmarks/"),
    "start evaluation": ("create", "POST", "evaluationsV2$"),
    "look at evaluation": ("create", "GET", "^evaluationsV2"),
    "charts": ("create", "POST", "charts"),
}
EFFECTS: dict[str, dict[str, Any]] = {
    **{str(status): {"status": status} for status in (408, 429, 500, 502, 503, 504, 520, 524)},
    "429 with a rest": {"status": 429, "headers": {"Retry-After": "7"}},
    "503 with a date": {"status": 503, "headers": {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}},
    "HTML": {"status": 502, "body": HTML},
    "HTML that says OK": {"status": 200, "body": HTML},
    "reset before": {"reset": "before"},
    "reset after": {"reset": "after"},
    "truncated": {"truncate": True},
    "malformed": {"malformed": True},
    "400": {"status": 400},
    "403": {"status": 403},
}
LASTING = {"400", "403"}


def _requests() -> Iterator[tuple[str, str]]:
    every = [(route, effect) for route in ROUTES for effect in EFFECTS]
    if IS_SOAK:
        return iter(every)
    always = [(route, effect) for route, effect in every if effect == "reset after" and "GET" not in ROUTES[route]]
    always += [("delete item", "HTML that says OK"), ("delete run", "HTML that says OK")]
    return iter(dict.fromkeys([*always, *every[:: 2 * len(EFFECTS) + 3]]))


@pytest.mark.parametrize(("route", "effect"), list(_requests()))
def test_requests_go_wrong(route: str, effect: str, scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    scene, method, path = ROUTES[route]
    times = 1 if effect in LASTING else 2
    rule = {"match": {"method": method, "path": path, "times": times}, "effect": EFFECTS[effect]}
    _mended(scenes[scene], tmp_path, [rule])


def test_a_storm_of_429(scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    storm = {"match": {"probability": 0.6, "seed": 3}, "effect": EFFECTS["429 with a rest"]}
    _mended(scenes["create"], tmp_path, [storm], at_once=True)


def test_an_outage_from_some_request_on(scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    _mended(scenes["create"], tmp_path, [{"match": {"after": 40}, "effect": {"status": 503}}])


@pytest.mark.parametrize("seed", range(20 if IS_SOAK else 2))
def test_anything_anywhere(seed: int, scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    rules = [
        {"match": {"probability": 0.05, "seed": 100 * seed + number}, "effect": effect}
        for number, effect in enumerate(EFFECTS.values())
    ]
    _mended(scenes[["create", "change"][seed % 2]], tmp_path, rules)


@pytest.mark.parametrize(("method", "path"), [("POST", "annotate$"), ("POST", "append$"), ("DELETE", "^annotation")])
@pytest.mark.parametrize("status", [400, 403])
def test_an_answer_is_lost_and_nobody_may_look(
    method: str,
    path: str,
    status: int,
    scenes: dict[str, Scene],  # noqa: F811
    tmp_path: Path,
) -> None:
    """What was sent may have been done, whatever is said to the question whether it was."""
    lost = {"match": {"method": method, "path": path, "times": 1}, "effect": {"reset": "after"}}
    refused = {"match": {"path": "^jobs"}, "effect": {"status": status}}
    _mended(scenes["change"], tmp_path, [lost, refused])


def test_signed_urls_are_out_of_date(scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    expired = {"match": {"method": "GET", "path": "signedUrl", "times": 3}, "effect": {"expired": True}}
    _mended(scenes["create"], tmp_path, [expired], at_once=True)


KINDS = {
    "items": ("create", "uploadDatasetItems"),
    "annotations": ("create", "uploadAnnotations"),
    "predictions": ("create", "uploadPredictions"),
    "changed items": ("change", "uploadDatasetItems"),
    "changed annotations": ("change", "uploadAnnotations"),
    "changed predictions": ("change", "uploadPredictions"),
    "clearing": ("change", "annotationDeletion"),
    "evaluation": ("create", "evaluation"),
}
ENDS: dict[str, dict[str, Any]] = {
    **{
        f"{state}, {'done' if kept else 'undone'}": {"state": state, "keep_work": kept}
        for state in (
            "Errored",
            "Errored_Server",
            "Errored_User",
            "Errored_Partial",
            "Errored_Hanging",
            "Cancelled",
            "Retried",
        )
        for kept in (True, False)
    },
    "slow": {"slow": 0.3},
    "stuck": {"stuck": True},
}


def _jobs() -> Iterator[tuple[str, str]]:
    # An evaluation is no job: the wait for it goes by the real clock, six hours long.
    every = [(kind, end) for kind in KINDS for end in ENDS if (kind, end) != ("evaluation", "stuck")]
    return iter(every if IS_SOAK else every[::11])


@pytest.mark.parametrize(("kind", "end"), list(_jobs()))
def test_jobs_end_badly(kind: str, end: str, scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    scene, job = KINDS[kind]
    _mended(scenes[scene], tmp_path, [{"match": {"job": job, "times": 1}, "effect": ENDS[end]}], retry=True)


REJECTIONS: dict[str, dict[str, Any]] = {
    "first": {"reject": {"first": 1}},
    "some": {"reject": {"indices": [2, 5]}},
    "last": {"reject": {"indices": [7]}},
    "half": {"reject": {"fraction": 0.5}},
    "all": {"reject": {"fraction": 1.0}},
    "escaped once too often": {"reject": {"first": 2}, "overescape": True},
    "a quote in the text": {"reject": {"first": 1, "error": 'not "good"\nat all'}, "overescape": True},
    "an end that is partial": {"reject": {"first": 1}, "state": "Errored_Partial"},
    "an end that failed": {"reject": {"first": 1}, "state": "Errored", "keep_work": True},
}


def _rejections() -> Iterator[tuple[str, str]]:
    kinds = [kind for kind in KINDS if kind not in ("clearing", "evaluation")]
    every = [(kind, what) for kind in kinds for what in REJECTIONS]
    return iter(every if IS_SOAK else every[::9])


@pytest.mark.parametrize(("kind", "what"), list(_rejections()))
def test_records_are_refused(kind: str, what: str, scenes: dict[str, Scene], tmp_path: Path) -> None:  # noqa: F811
    """They rest, a plan with nothing else is clean, and they go out again when that is asked for."""
    scene, job = KINDS[kind]
    place, town, end = scenes[scene]
    with place.copy_to(tmp_path) as copy:
        copy.emulator.inject([{"match": {"job": job, "times": 1}, "effect": REJECTIONS[what]}])
        assert copy.hasten() in (0, 3)
        copy.assert_honest()
        copy.emulator.inject(None)
        copy.hasten()
        copy.assert_honest()
        assert copy.planned() == []
        copy.hasten(retry_rejected=True)
        _ended(copy, town, end.world)


@pytest.mark.parametrize("kind", ["uploadAnnotations", "uploadPredictions"])
@pytest.mark.parametrize("fraction", [1.0, 0.97] if IS_SOAK else [0.97])
def test_more_errors_than_are_told(kind: str, fraction: float, tmp_path: Path) -> None:
    """Nucleus tells the last 10,000: what became of the rest is read back, record by record."""
    town = Town(benchmark=False, max_records=100_000, slice_by_time=False)
    town.remote = {f"r{number}": {"number": number} for number in range(30)}
    town.boxes = {(f"r{number % 30}", f"b{number}"): ("car", number) for number in range(10_400)}
    town.predictions = {(f"r{number % 30}", f"x{number}"): ("car", number, 0.5) for number in range(10_400)}
    town.local = {"p.png": 1}
    place = Place(tmp_path)
    town.write(place.project)
    with place:
        place.emulator.inject([{"match": {"job": kind}, "effect": {"reject": {"fraction": fraction}}}])
        assert place.wait_for() == 3
        place.assert_honest()
        place.emulator.inject(None)
        assert place.planned() == []
        assert place.wait_for(retry_rejected=True) == 0
        assert held(place.world()) == town.wanted()
        assert place.planned() == []


def _mended(
    scene: Scene, folder: Path, rules: list[dict[str, Any]], *, at_once: bool = False, retry: bool = False
) -> None:
    """Apply under faults, then once more without."""
    place, town, end = scene
    with place.copy_to(folder) as copy:
        copy.emulator.inject(rules)
        code = copy.hasten()
        copy.assert_honest()
        assert code == 0 or not at_once
        copy.emulator.inject(None)
        assert copy.hasten(retry_rejected=retry) == 0
        assert [what for what in copy.created_twice() if "evaluation" not in what] == []
        _ended(copy, town, end.world)


def _ended(place: Place, town: Town, end: dict[str, Any]) -> None:
    """As without faults; of evaluations there may be more, since each moves with what it was made from."""
    place.assert_ended(town, end, but=("benchmarks",))
