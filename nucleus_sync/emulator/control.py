"""The control routes under `/_emulator/`, which need no key and are not part of Nucleus."""

from __future__ import annotations

import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import msgspec
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from . import dump
from .faults import Faults, read_rules
from .jobs import Jobs
from .refusals import Refused
from .world import World

PREFIX = "/_emulator/"
LOGGED = 5_000


class Control:
    """Looks into the emulator, and changes how it behaves."""

    def __init__(self, world: World, jobs: Jobs, faults: Faults) -> None:
        self._world = world
        self._jobs = jobs
        self._faults = faults
        self.requests: deque[dict[str, Any]] = deque(maxlen=LOGGED)

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Response:
        """Answer one control request."""
        match method, path.removeprefix(PREFIX).split("/"):
            case "GET", ["health"]:
                return _json({"status": "ok"})
            case "POST", ["faults"]:
                return self._replace_faults(body)
            case "GET", ["requests"]:
                return _json(list(self.requests))
            case "POST", ["reset"]:
                return self._reset()
            case "GET", ["world"]:
                return _json(dump.counts(self._world)) if query.get("counts") == "1" else self._dump()
            case "GET", ["media", name] if name.isalnum():
                return self._media(name)
        return Response("Not Found", status_code=404, media_type="text/plain")

    def _replace_faults(self, body: bytes) -> Response:
        try:
            rules = read_rules(msgspec.json.decode(body) if body.strip() else [])
        except (msgspec.DecodeError, ValueError) as error:
            raise Refused(400, str(error)) from error
        self._faults.replace(rules)
        return _json({"rules": len(rules)})

    def _reset(self) -> Response:
        self._jobs.forget()
        self._world.clear()
        self._faults.replace([])
        self.requests.clear()
        return _json({"status": "ok"})

    def _dump(self) -> Response:
        with tempfile.NamedTemporaryFile(dir=self._world.folder, suffix=".dump", delete=False) as file:
            dump.write(self._world, file)
        path = Path(file.name)
        remove = BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(path, media_type="application/json", background=remove)

    def _media(self, name: str) -> Response:
        path = self._world.folder / "media" / name
        if not path.is_file():
            return Response("Not Found", status_code=404, media_type="text/plain")
        return FileResponse(path, media_type="application/octet-stream")


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
