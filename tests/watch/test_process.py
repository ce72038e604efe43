"""A watching process: killed, told to stop, told to read its spec again, and asked how it is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.emulator.server import Emulator

from .conftest import DEADLINE, Watched, eventually
from .writers import image, renamed

Held = Callable[[], dict[str, Any]]


class Process:
    """`nucleus-sync watch --json`."""

    def __init__(self, watched: Watched, *more: str, **environ: str) -> None:
        self.log = watched.folder / "events.jsonl"
        command = [sys.executable, "-m", "nucleus_sync", "-C", str(watched.folder), "watch", "--json"]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*command, "--settle", "0.2", *more], stdout=out, env={**os.environ, **watched.environ, **environ}
            )

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What it has told so far."""
        found = []
        for line in self.log.read_text().splitlines():
            with suppress(ValueError):  # a line that is being written
                found.append(json.loads(line))
        return [event for event in found if name in (None, event["event"])]

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of the health port's answer."""
        address = self.events("watching")[-1]["health"].rstrip("/")
        try:
            with urllib.request.urlopen(address + path, timeout=DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(sign)
        return self.process.wait(DEADLINE)


@pytest.fixture
def begin(watched: Watched) -> Iterator[Callable[..., Process]]:
    """Starts processes, and ends those that are left."""
    begun: list[Process] = []

    def start(*more: str, **environ: str) -> Process:
        begun.append(Process(watched, *more, **environ))
        return begun[-1]

    yield start
    for one in begun:
        one.process.kill()
        one.process.wait()


def test_killed_in_the_middle_and_started_again_nothing_is_there_twice(
    watched: Watched, emulator: Emulator, begin: Callable[..., Process], held: Held
) -> None:
    for number in range(30):
        renamed(watched.images / f"{number}.png", image(number))
    emulator.inject([{"match": {"job": "*"}, "effect": {"slow": 1}}])
    first = begin()
    eventually(lambda: first.events("job_submitted"))
    first.end(signal.SIGKILL)
    renamed(watched.images / "late.png", image(99))
    emulator.inject(None)
    second = begin()
    eventually(lambda: len(held()) == 31)
    eventually(lambda: any(event["outcome"] == "good" for event in second.events("round_finished")))
    assert second.end() == 0
    assert second.events()[-1]["event"] == "summary"


def test_sigterm_lets_the_round_under_way_end(
    watched: Watched, emulator: Emulator, begin: Callable[..., Process], held: Held
) -> None:
    renamed(watched.images / "a.png", image(1))
    emulator.inject([{"match": {"job": "*"}, "effect": {"slow": 1}}])
    one = begin("--grace", "80")
    eventually(lambda: one.events("job_submitted"))
    assert one.end() == 0
    assert one.events("round_finished")[-1]["outcome"] == "good"
    assert set(held()) == {"a.png"}


def test_a_round_that_takes_longer_than_its_grace_is_taken_up_later(
    watched: Watched, emulator: Emulator, begin: Callable[..., Process], held: Held
) -> None:
    renamed(watched.images / "a.png", image(1))
    emulator.inject([{"match": {"job": "*"}, "effect": {"slow": 300}}])
    one = begin("--grace", "0.1")
    eventually(lambda: one.events("job_submitted"))
    assert one.end() == 130
    emulator.inject(None)


def test_the_health_port_tells_how_it_is(
    watched: Watched, emulator: Emulator, begin: Callable[..., Process], held: Held
) -> None:
    renamed(watched.images / "a.png", image(1))
    one = begin("--health-port", "0", "--ready-limit", "3600")
    eventually(lambda: set(held()) == {"a.png"})
    eventually(lambda: one.ask("/readyz")[0] == 200)
    assert one.ask("/healthz") == (200, "alive\n")
    metrics = one.ask("/metrics")[1]
    assert 'nucleus_sync_records_total{action="create"} 2.0' in metrics
    assert 'nucleus_sync_rounds_total{outcome="good"}' in metrics
    assert "nucleus_sync_last_success_timestamp_seconds" in metrics
    page = one.ask("/")[1]
    assert "dataset.street.items" in page
    assert one.ask("/picture/../../nucleus.yaml")[0] == 404
    assert one.ask("/nonsense")[0] == 404
    one.process.send_signal(signal.SIGHUP)
    eventually(lambda: any(event["kind"] == "spec_reloaded" for event in one.events("remark")))


def test_readyz_fails_when_no_round_was_good(
    watched: Watched, emulator: Emulator, begin: Callable[..., Process]
) -> None:
    renamed(watched.images / "a.png", image(1))
    emulator.inject([{"effect": {"status": 401}}])
    one = begin("--health-port", "0")
    eventually(lambda: one.events("round_finished"))
    status, why = one.ask("/readyz")
    assert status == 503
    assert "no good round yet" in why


def test_another_name_for_this_machine_is_refused(watched: Watched, begin: Callable[..., Process]) -> None:
    renamed(watched.images / "a.png", image(1))
    one = begin("--health-port", "0")
    eventually(lambda: one.events("watching"))
    address = one.events("watching")[-1]["health"]
    request = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=DEADLINE)


def test_systemd_is_told(watched: Watched, begin: Callable[..., Process], tmp_path: Path) -> None:
    renamed(watched.images / "a.png", image(1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(DEADLINE)
        one = begin(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000")
        said: set[str] = set()
        while not {"READY=1", "WATCHDOG=1"} <= said:
            said |= set(channel.recv(4096).decode().splitlines())
        one.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in said:
            said |= set(channel.recv(4096).decode().splitlines())
        assert any(line.startswith("STATUS=round") for line in said)


def test_once_ends_with_the_rounds_code(watched: Watched, begin: Callable[..., Process], held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    one = begin("--once")
    assert one.process.wait(DEADLINE) == 0
    assert set(held()) == {"a.png"}
