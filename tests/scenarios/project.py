"""A folder with a nucleus.yaml, the commands typed in it, and the emulator that they talk to."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from nucleus_sync.cli.main import main
from nucleus_sync.emulator.server import Emulator

KEY = "live_scenario_key"
CLEARED = ("NUCLEUS", "S3_ENDPOINT", "FORCE_COLOR", "NO_COLOR")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams."""
        return self.out + self.err

    def json(self) -> Any:
        """Stdout as one document."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Stdout as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def typed(*arguments: str, environ: Mapping[str, str]) -> Answer:
    """A command in this process, with nothing of Nucleus in the environment but what is given."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict("os.environ", environ) as patched, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in patched if name.startswith(CLEARED) and name not in environ]:
            del patched[name]
        code = main(list(arguments))
    answer = Answer(code, out.getvalue(), err.getvalue())
    assert "Traceback" not in answer.text, answer.text
    assert "internal error" not in answer.text, answer.text
    return answer


class Project:
    """Types commands in a folder whose endpoint is an emulator on loopback."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.emulator = emulator
        self.environ = {"NUCLEUS_API_KEY": KEY, "NUCLEUS_ENDPOINT": emulator.endpoint}

    def declare(self, **sections: Any) -> None:
        """Write nucleus.yaml."""
        text = yaml.safe_dump({"version": 1, **sections}, sort_keys=False, allow_unicode=True)
        (self.folder / "nucleus.yaml").write_text(text, "utf-8")

    def declared(self) -> dict[str, Any]:
        """The sections of nucleus.yaml, to edit them and declare them anew."""
        sections: dict[str, Any] = yaml.safe_load((self.folder / "nucleus.yaml").read_text("utf-8"))
        del sections["version"]
        return sections

    def __call__(self, *arguments: str, **environ: str) -> Answer:
        """Type a command."""
        return typed("-C", str(self.folder), *arguments, environ=self.environ | environ)

    def ok(self, *arguments: str) -> Answer:
        """Type a command that must end well."""
        answer = self(*arguments)
        assert answer.code == 0, answer.text
        return answer

    def apply(self, *arguments: str) -> dict[str, Any]:
        """Apply without asking; the summary. Whether it went well is the summary's exit_code."""
        answer = self("apply", "--auto-approve", "--json", *arguments)
        summary: dict[str, Any] = answer.lines()[-1]
        assert summary["event"] == "summary", answer.text
        assert summary["exit_code"] == answer.code
        return summary

    def plan(self, *arguments: str) -> dict[str, Any]:
        """The plan as a document."""
        values: dict[str, Any] = self("plan", "--json", *arguments).json()
        return values

    def changes(self) -> list[dict[str, Any]]:
        """What `plan --records` writes, each as (address, key, action, reason) with the place left out."""
        file = self.folder / "changes.jsonl"
        self("plan", "--records", str(file))
        found = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        file.unlink()
        return found

    def assert_settled(self) -> None:
        """A plan finds nothing to do, and an apply sends nothing."""
        settled = self("plan", "--detailed-exitcode")
        assert settled.code == 0, settled.text
        sent = len(self.sent())
        summary = self.apply()
        done = [summary[name] for name in ("create", "update", "delete", "resent", "rejected", "failed_steps")]
        assert (summary["exit_code"], done) == (0, [0] * 6)
        assert self.sent()[sent:] == []

    def sent(self) -> list[str]:
        """Every request that changes something at Nucleus, as `METHOD path`."""
        return [line for line in self.requests() if not line.startswith("GET ")]

    def requests(self) -> list[str]:
        """Every request since the emulator was started, as `METHOD path`."""
        log = self.emulator.requests()
        return [f"{one['method']} {one['path']}" for one in log if "_emulator" not in one["path"]]

    def world(self) -> dict[str, Any]:
        """Everything that the emulator holds."""
        return self.emulator.dump()

    def dataset(self, name: str | None = None) -> dict[str, Any]:
        """What the emulator holds of the dataset of that name, or of the only one."""
        found = [one for one in self.world()["datasets"] if name in (None, one["name"])]
        assert len(found) == 1, f"{len(found)} datasets"
        return found[0]


def picture(path: Path, width: int, height: int, shade: int = 0) -> Path:
    """A grey PNG of that size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + bytes([shade]) * width) * height)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def write_json(path: Path, value: Any) -> Path:
    """A file of JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


def write_lines(path: Path, values: Iterable[Any]) -> Path:
    """A file of NDJSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return path
