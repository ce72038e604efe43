"""Faults that are injected."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from nucleus_sync.emulator.faults import read_rules

from .conftest import Api, box, item

CREATE = {"method": "POST", "path": "^dataset/create$"}


def create(api: Api) -> httpx.Response:
    return api.call("POST", "dataset/create", {"name": "faulty", "is_scene": False})


def held(api: Api) -> int:
    return sum(each["name"] == "faulty" for each in api.ask("GET", "dataset/details"))


@pytest.fixture
def before(api: Api) -> int:
    return held(api)


def test_a_status_instead_of_an_answer(api: Api, before: int) -> None:
    effect = {"status": 429, "headers": {"Retry-After": "3"}, "body": "<html>slow down</html>"}
    api.emulator.inject([{"match": {**CREATE, "nth": 2}, "effect": effect}])
    answers = [create(api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 200]
    assert answers[1].headers["retry-after"] == "3"
    assert answers[1].headers["content-type"].startswith("text/html")
    assert held(api) == before + 2


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_reset_connection(api: Api, before: int, when: str, made: int) -> None:
    api.emulator.inject([{"match": {**CREATE, "times": 1}, "effect": {"reset": when}}])
    # Which of its errors a client sees depends on whether it was still sending.
    with pytest.raises(httpx.TransportError):
        create(api)
    assert held(api) == before + made
    assert create(api).status_code == 200


def test_a_truncated_answer(api: Api, before: int) -> None:
    api.emulator.inject([{"match": {**CREATE, "times": 1}, "effect": {"truncate": True}}])
    with pytest.raises(httpx.RemoteProtocolError):
        create(api)
    assert held(api) == before + 1


def test_malformed_json(api: Api) -> None:
    api.emulator.inject([{"match": CREATE, "effect": {"malformed": True}}])
    answer = create(api)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_delay(api: Api) -> None:
    api.emulator.inject([{"match": CREATE, "effect": {"delay": 0.1}}])
    began = time.monotonic()
    assert create(api).status_code == 200
    assert time.monotonic() - began >= 0.1


def test_after_times_and_seeded_chance(api: Api) -> None:
    def statuses(match: dict[str, Any]) -> list[int]:
        api.emulator.inject([{"match": CREATE | match, "effect": {"status": 503}}])
        return [create(api).status_code for _ in range(6)]

    assert statuses({"after": 1, "times": 2}) == [200, 503, 503, 200, 200, 200]
    assert statuses({"nth": [1, 4]}) == [503, 200, 200, 503, 200, 200]
    chance = statuses({"probability": 0.5, "seed": 3})
    assert chance == statuses({"probability": 0.5, "seed": 3})
    assert set(chance) == {200, 503}


def test_a_lost_answer_of_the_bucket_leaves_the_file(api: Api, dataset: str) -> None:
    url = api.ask("GET", f"dataset/{dataset}/signedUrl/lost")["signed_url"]
    api.emulator.inject([{"match": {"method": "PUT", "path": "^_storage/"}, "effect": {"reset": "after"}}])
    with pytest.raises(httpx.ReadError):
        httpx.put(url, content=json.dumps(box()).encode())
    job = api.ask("POST", f"dataset/{dataset}/annotate?async=1", {"requestId": "lost", "update": False})
    assert api.wait(job["job_id"])["status"] == "Completed"


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("Completed", True),
        ("Errored", False),
        ("Errored_Server", False),
        ("Errored_User", False),
        ("Errored_Partial", True),
        ("Errored_Hanging", True),
        ("Cancelled", False),
        ("Retried", True),
    ],
)
def test_every_final_state(api: Api, dataset: str, state: str, kept: bool) -> None:
    api.emulator.inject([{"match": {"job": "uploadAnnotations", "nth": 1}, "effect": {"state": state}}])
    assert api.annotate(dataset, [box()])["status"] == state
    assert bool(api.annotations(dataset, "r0")) is kept
    assert api.annotate(dataset, [box("r1")])["status"] == "Completed"


def test_work_done_and_yet_reported_as_failed(api: Api, dataset: str) -> None:
    effect = {"state": "Errored_Server", "keep_work": True}
    api.emulator.inject([{"match": {"job": "*"}, "effect": effect}])
    assert api.annotate(dataset, [box()])["status"] == "Errored_Server"
    assert api.annotations(dataset, "r0")


def test_stuck_and_slow_jobs(api: Api, dataset: str) -> None:
    path = f"dataset/{dataset}/annotate?async=1"
    rules = [{"match": {"job": "*", "nth": 1}, "effect": {"stuck": True}}]
    rules += [{"match": {"job": "*"}, "effect": {"slow": 0.2}}]
    api.emulator.inject(rules)
    stuck = api.trigger(dataset, path, [box()])
    began = time.monotonic()
    api.annotate(dataset, [box("r1")])
    assert time.monotonic() - began >= 0.2
    assert api.ask("GET", f"job/{stuck}")["status"] == "Running"
    listed = api.ask("POST", "jobs/", {"dataset_id": dataset, "job_types": [], "limit": 10, "show_completed": False})
    assert [job["job_id"] for job in listed] == [stuck]


@pytest.mark.parametrize(
    ("reject", "refused"),
    [({"indices": [0, 2]}, [0, 2]), ({"first": 2}, [0, 1]), ({"fraction": 0.5}, [1, 3])],
)
def test_refused_records(api: Api, reject: dict[str, Any], refused: list[int]) -> None:
    made = api.dataset()
    api.add_items(made, 4)
    api.emulator.inject([{"match": {"job": "uploadAnnotations"}, "effect": {"reject": reject}}])
    status = api.annotate(made, [box(f"r{n}") for n in range(4)])
    assert status["status"] == "Completed"
    names = [json.loads(error)["annotation"]["referenceId"] for error in api.errors(status)]
    assert names == [f"r{n}" for n in refused]


def test_more_refusals_than_can_be_read_back(api: Api) -> None:
    made = api.dataset()
    api.emulator.inject([{"match": {"job": "uploadDatasetItems"}, "effect": {"reject": {"first": 10_500}}}])
    status = api.upload(made, f"dataset/{made}/append?async=1", [item(f"r{n}") for n in range(10_510)])
    errors = api.errors(status)
    assert len(errors) == 10_000
    assert "r10499" in errors[-1]
    assert status["message"]["image_upload_step"]["errored"] == 10_500
    assert api.ask("GET", f"dataset/{made}/size") == {"count": 10}


def test_error_strings_escaped_once_too_often(api: Api, dataset: str) -> None:
    api.emulator.inject([{"match": {"job": "*"}, "effect": {"overescape": True}}])
    (error,) = api.errors(api.annotate(dataset, [box("bad")]))
    with pytest.raises(json.JSONDecodeError):
        json.loads(error)
    assert json.loads(error.replace('\\\\"', '"'))["annotation"]["referenceId"] == "bad"


def test_unreachable_urls(api: Api) -> None:
    made = api.dataset()
    api.emulator.inject([{"match": {"job": "*"}, "effect": {"unreachable": ["s3://acme/lost/"]}}])
    lines = [item("good"), item("bad", image_url="s3://acme/lost/1.jpg")]
    status = api.upload(made, f"dataset/{made}/append?async=1", lines)
    assert (status["status"], status["completed_steps"]) == ("Errored_Partial", 4)
    assert "s3://acme/lost/1.jpg" in api.errors(status)[0]
    assert api.ask("GET", f"dataset/{made}/size") == {"count": 1}


def test_a_failing_evaluation(api: Api, dataset: str) -> None:
    api.annotate(dataset, [box()])
    model = api.ask("POST", "models/add", {"name": "m", "reference_id": dataset})["model_id"]
    benchmark = api.ask("POST", "benchmarks", {"name": "b", "dataset_id": dataset})
    api.wait(benchmark["job_id"])
    api.emulator.inject([{"match": {"job": "evaluation"}, "effect": {"state": "Errored_Server"}}])
    path = f"benchmarks/{benchmark['benchmark_id']}/evaluationsV2"
    made = api.ask("POST", path, {"model_id": model})["evaluation_id"]
    deadline = time.monotonic() + 10
    while (found := api.ask("GET", f"evaluationsV2/{made}"))["status"] == "pending":
        assert time.monotonic() < deadline
    assert (found["status"], found["error_message"]) == ("failed", "Injected fault.")


def test_rules_are_replaced_over_http(api: Api) -> None:
    control = f"{api.emulator.address}/_emulator/faults"
    rules = {"rules": [{"match": CREATE, "effect": {"status": 500}}]}
    assert httpx.post(control, json=rules).json() == {"rules": 1}
    assert create(api).status_code == 500
    assert httpx.post(control, json=[]).json() == {"rules": 0}
    assert create(api).status_code == 200
    answer = httpx.post(control, json=[{"effect": {"statsu": 500}}])
    assert (answer.status_code, "statsu" in answer.json()["error"]) == (400, True)


def test_rules_from_a_file(tmp_path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("rules:\n- match: {path: append, nth: 1}\n  effect: {status: 503}\n")
    (rule,) = read_rules(path)
    assert (rule.match.nth, rule.effect.status) == (1, 503)
    for rule in ({"effect": {"state": "Errored"}}, {"match": {"job": "*"}, "effect": {"status": 500}}, {"effect": {}}):
        with pytest.raises(ValueError, match="cannot have the effect"):
            read_rules([rule])
    path.write_text("rules:\n- match: {path: '('}\n  effect: {status: 503}\n")
    with pytest.raises(ValueError, match="Fault rules"):
        read_rules(path)
