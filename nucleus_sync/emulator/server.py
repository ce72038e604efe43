"""The two doors of the emulator: inside a test, and on a port of the loopback interface."""

from __future__ import annotations

import logging
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from . import dump
from .app import BASE, App
from .faults import Faults, read_rules
from .jobs import Jobs
from .work import perform
from .world import World

LOOPBACK = "127.0.0.1"
FaultSource = Path | str | Mapping[str, Any] | Sequence[Any] | None
"""A JSON or YAML file of rules, or the rules themselves (see faults.py)."""


class Emulator:
    """An emulated Nucleus in this process, on loopback only.

        with Emulator(folder) as emulator:
            client = nucleus.NucleusClient("any key", endpoint=emulator.endpoint)

    `latency` is how many seconds a job takes before its work begins; half of them it shows as queued. With port 0
    a free port is taken. The data directory keeps everything, unfinished jobs included, for the next start.
    """

    def __init__(
        self,
        data_dir: Path | str,
        latency: float = 0.05,
        faults: FaultSource = None,
        port: int = 0,
        host: str = LOOPBACK,
    ) -> None:
        if host not in (LOOPBACK, "localhost"):
            raise ValueError(f"The emulator listens on {LOOPBACK} only, not on {host}.")
        self._rules = read_rules(faults)
        self._folder = Path(data_dir)
        self._latency = latency
        self._port = port
        self._server: uvicorn.Server | None = None

    def __enter__(self) -> Emulator:
        """Start serving."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.stop()

    def start(self) -> Emulator:
        """Listen, and take up unfinished jobs; returns once requests are answered.

        Raises OSError when the port is taken, or another emulator uses the data directory.
        """
        listener = _listen(self._port)
        try:
            self._world = World(self._folder)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._faults = Faults(self._rules)
        self._jobs = Jobs(self._world, self._faults, self._latency, perform)
        # Writers wait for each other inside their threads; there must be some left for polls.
        self._executor = ThreadPoolExecutor(32, "nucleus-emulator")
        self._app = App(self._world, self._jobs, self._faults, self._executor)
        self._server = uvicorn.Server(_settings(self._app))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="nucleus-emulator", daemon=True
        )
        self._jobs.start()
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("The emulator did not start.")
            time.sleep(0.002)
        return self

    def stop(self) -> None:
        """Stop within about a second, whatever connections are open; harmless when it does not run."""
        if self._server is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = None
        self._jobs.stop()
        self._executor.shutdown()
        self._world.close()

    def inject(self, faults: FaultSource) -> None:
        """Put other fault rules in force, counting from the beginning; None lifts all."""
        self._faults.replace(read_rules(faults))

    def requests(self) -> list[dict[str, Any]]:
        """The last requests, oldest first: method, path, query, time, seconds, status, body."""
        return list(self._app.control.requests)

    def counts(self) -> dict[str, Any]:
        """How much is held, by dataset and by model."""
        return dump.counts(self._world)

    def dump(self) -> dict[str, Any]:
        """Everything that is held, in a stable order, without server-made ids and times."""
        with tempfile.TemporaryFile() as file:
            dump.write(self._world, file)
            file.seek(0)
            return msgspec.json.decode(file.read(), type=dict[str, Any])

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def address(self) -> str:
        """The address without a path; the control routes lie under `/_emulator/`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def endpoint(self) -> str:
        """What to put into NUCLEUS_ENDPOINT."""
        return self.address + BASE


def serve(
    data_dir: Path | str,
    port: int = 0,
    latency: float = 0.05,
    faults: FaultSource = None,
    on_ready: Callable[[Emulator], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is called once requests are answered."""
    done = threading.Event()
    before = {number: signal.signal(number, lambda *_: done.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Emulator(data_dir, latency, faults, port) as emulator:
            if on_ready is not None:
                on_ready(emulator)
            done.wait()
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only for sockets that name their protocol; with it, each answer
    # would wait 40 ms for the client's acknowledgement of its headers.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A restart on the same port must not wait for the old connections to be forgotten.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.close()
        raise
    listener.listen(256)
    return listener


def _settings(app: App) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="asyncio",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
