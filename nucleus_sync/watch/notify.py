"""Tells systemd how the service is, by datagrams on the socket that it names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Silent where there is no NOTIFY_SOCKET."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._said = ""
        mine = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        limit = environ.get("WATCHDOG_USEC", "")
        self.interval = int(limit) / 2e6 if self._address and mine and limit.isdigit() and int(limit) else None
        """Seconds between signs of life that the system wants, twice as often as it must have them."""
        self._last = float("-inf")

    def ready(self) -> None:
        """Everything is set up."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The spec is read again; `ready` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """A sign of life, where one is wanted and due."""
        if self.interval is not None and time.monotonic() - self._last >= self.interval:
            self._last = time.monotonic()
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        line = text.replace("\n", " ")
        if line != self._said:
            self._said = line
            self._send(f"STATUS={line}")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(1.0)
            channel.sendto(text.encode(errors="replace"), self._address)


def _address(named: str) -> str:
    # An @ stands for the NUL byte of a name that isn't in the file system.
    return "\0" + named[1:] if named.startswith("@") else named
