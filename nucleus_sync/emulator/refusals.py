"""What the emulator answers when it says no."""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with a status of 400 or more and `{"error": text}`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class UserFault(Exception):
    """Bad input that fails a whole upload: an asynchronous one as `Errored_User`, with nothing kept."""


def missing(kind: str, name: str) -> Refused:
    """404 for a thing that is not there."""
    return Refused(404, f"{kind} {name} does not exist.")


class Stopped(Exception):
    """The server stops; the job at hand is rolled back and done anew at the next start."""
