"""How the emulator is started and stopped, and what it keeps."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from nucleus_sync.emulator import Emulator

from .conftest import Api, box, item


def test_only_loopback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only"):
        Emulator(tmp_path, host="0.0.0.0")


def test_a_data_directory_has_one_emulator(tmp_path: Path) -> None:
    with Emulator(tmp_path), pytest.raises(OSError, match="another emulator"):
        Emulator(tmp_path).start()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with Emulator(tmp_path / "a") as emulator, pytest.raises(OSError, match="in use"):
        Emulator(tmp_path / "b", port=emulator.port).start()


def test_a_restart_keeps_its_port(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    with emulator:
        port = emulator.port
        kept = httpx.Client(auth=("key", ""))
        kept.get(f"{emulator.endpoint}/dataset/details")
    with emulator:
        assert emulator.port == port
        assert httpx.get(f"{emulator.endpoint}/dataset/details", auth=("key", "")).status_code == 200
    kept.close()


def test_stopping_does_not_wait_for_open_connections(tmp_path: Path) -> None:
    with Emulator(tmp_path) as emulator:
        idle = socket.create_connection(("127.0.0.1", emulator.port))
        kept = httpx.Client(auth=("key", ""))
        assert kept.get(f"{emulator.endpoint}/dataset/details").status_code == 200
        began = time.monotonic()
    assert time.monotonic() - began < 1.5
    idle.close()
    kept.close()


def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    with Emulator(tmp_path, latency=0.01) as emulator:
        api = Api(emulator)
        dataset = api.dataset()
        api.add_items(dataset)
        before = emulator.dump()
    with Emulator(tmp_path, latency=0.01) as emulator:
        assert emulator.dump() == before
        assert Api(emulator).ask("GET", f"dataset/{dataset}/size") == {"count": 3}


def test_unfinished_jobs_are_taken_up(tmp_path: Path) -> None:
    with Emulator(tmp_path, latency=0.3) as emulator:
        api = Api(emulator)
        dataset = api.dataset()
        job = api.trigger(dataset, f"dataset/{dataset}/append?async=1", [item("a")])
        assert api.ask("GET", f"job/{job}")["status"] == "Queued"
    with Emulator(tmp_path) as emulator:
        assert Api(emulator).wait(job)["status"] == "Completed"
        assert Api(emulator).ask("GET", f"dataset/{dataset}/size") == {"count": 1}


def test_a_job_that_died_after_its_work_is_not_done_twice(tmp_path: Path) -> None:
    nameless = [box("r0", None)]
    with Emulator(tmp_path, latency=0.01) as emulator:
        api = Api(emulator)
        dataset = api.dataset()
        api.add_items(dataset)
        job = api.annotate(dataset, nameless)["job_id"]
    import sqlite3

    # As if the process had been killed between the work and the note that the job is final.
    with sqlite3.connect(tmp_path / "jobs.db") as jobs:
        jobs.execute("UPDATE jobs SET state = 'Queued' WHERE type = 'uploadAnnotations'")
    jobs.close()
    with Emulator(tmp_path) as emulator:
        status = Api(emulator).wait(job)
        assert status["message"]["annotation_upload"]["processed"] == 1
        assert len(Api(emulator).annotations(dataset, "r0")["box"]) == 1


def test_a_killed_emulator_does_its_jobs_once_all_the_same(tmp_path: Path) -> None:
    process, endpoint = serve(tmp_path)
    api = Api(endpoint)
    dataset = api.dataset()
    api.add_items(dataset)
    job = api.trigger(dataset, f"dataset/{dataset}/annotate?async=1", [box("r0", None) for _ in range(20_000)])
    while api.ask("GET", f"job/{job}")["status"] == "Queued":
        pass
    process.kill()
    process.wait()
    with Emulator(tmp_path) as emulator:
        assert Api(emulator).wait(job)["message"]["annotation_upload"]["processed"] == 20_000
        assert len(Api(emulator).annotations(dataset, "r0")["box"]) == 20_000


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """An emulator in a process of its own, and its endpoint."""
    code = (
        "import sys; from nucleus_sync.emulator import serve\n"
        "serve(sys.argv[1], latency=0.001, on_ready=lambda e: print(e.endpoint, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_ids_of_two_worlds_differ(tmp_path: Path) -> None:
    with Emulator(tmp_path / "a") as one, Emulator(tmp_path / "b") as two:
        ids = {Api(one).dataset(), Api(two).dataset()}
        assert len(ids) == 2
        assert all(re.fullmatch(r"ds_[0-9a-z]{20}", each) for each in ids)


def test_serving_until_a_signal(tmp_path: Path) -> None:
    process, endpoint = serve(tmp_path)
    assert httpx.get(f"{endpoint}/dataset/details", auth=("key", "")).json() == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    heavy = ("numpy", "PIL", "pycocotools", "yaml")
    code = f"import sys, nucleus_sync.emulator; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
