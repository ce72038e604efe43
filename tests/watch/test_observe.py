"""What happens when the system's events can't be had, and whether files have their end."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify import InotifyObserver

from nucleus_sync.watch.complete import missing

from .conftest import Watched, eventually
from .writers import image, renamed

Held = Callable[[], dict[str, Any]]


def test_at_the_systems_limit_it_polls_and_says_so(
    watched: Watched, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(InotifyObserver, "schedule", full)
    renamed(watched.images / "a.png", image(1))
    watched.start(fallback_poll=0.1)
    eventually(lambda: set(held()) == {"a.png"})
    assert any("max_user_watches" in event.text for event in watched.of("Remark"))
    renamed(watched.images / "b.png", image(2))
    eventually(lambda: set(held()) == {"a.png", "b.png"})


def test_a_network_share_is_polled(watched: Watched, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.watch.observe.network_filesystem", lambda _: "nfs4")
    renamed(watched.images / "a.png", image(1))
    watched.start(fallback_poll=0.1)
    eventually(lambda: set(held()) == {"a.png"})
    assert watched.of("Watching")[0].how == "polling"
    assert "network share" in watched.of("Remark")[0].text


def test_a_share_that_is_not_mounted_any_more_is_no_deletion(
    watched: Watched, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = [str(watched.images)]
    monkeypatch.setattr("nucleus_sync.watch.mounts.mount_of", lambda _: mount[0])
    for number in range(5):
        renamed(watched.images / f"{number}.png", image(number))
    watched.start(rescan=0.2)
    eventually(lambda: len(held()) == 5)
    mount[0] = "/"
    (watched.images / "0.png").unlink()
    # The deletion may be seen a look before the mount is: that look waits for a second one.
    eventually(lambda: any("is not mounted" in one.message for one in watched.rounds("waiting")))
    assert len(held()) == 5
    mount[0] = str(watched.images)
    eventually(lambda: len(held()) == 4)


@pytest.mark.parametrize(
    ("name", "kind", "content", "lacks"),
    [
        ("a.json", "coco", b'{"images": [{"id": 1}]}\n', False),
        ("a.json", "coco", b'{"images": [{"id": 1}', True),
        ("a.json", "coco", b'{"images": [{"id": 1}, {"id": 2', True),
        ("a.json", "coco", b"", True),
        ("a.jsonl", "records", b'{"a": 1}\n{"a": 2}\n', False),
        ("a.jsonl", "records", b'{"a": 1}\n{"a": 2}', False),
        ("a.jsonl", "records", b'{"a": 1}\n{"a": ', True),
        ("a.jsonl.gz", "records", gzip.compress(b'{"a": ', mtime=0), False),
        ("a.csv", "table", b"a,b\n1", False),
        ("a.parquet", "table", b"PAR1 something PAR1", False),
        ("a.parquet", "table", b"PAR1 something", True),
    ],
)
def test_whether_a_file_has_its_end(tmp_path: Path, name: str, kind: str, content: bytes, lacks: bool) -> None:
    (tmp_path / name).write_bytes(content)
    assert bool(missing(str(tmp_path / name), kind)) is lacks
