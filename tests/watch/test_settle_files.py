"""When a file has settled, by a clock that the test turns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nucleus_sync.watch.settle_files import Settling


class Clock:
    """Stands still until it is turned."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settling(clock: Clock) -> Settling:
    return Settling(2.0, clock=clock)


def test_a_file_counts_when_it_has_been_unchanged_for_so_long(settling: Settling, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    settling.changed(str(path))
    clock.now += 1.9
    assert not settling.advance().files
    path.write_bytes(b"12")
    settling.changed(str(path))
    clock.now += 1.9
    assert not settling.advance().files
    clock.now += 0.2
    assert settling.advance().files == {str(path)}
    assert settling.due is None


def test_a_change_without_an_event_is_noticed_when_the_time_is_up(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    settling.changed(str(path))
    path.write_bytes(b"12")
    clock.now += 2.1
    assert not settling.advance().files
    assert settling.due == pytest.approx(clock.now + 2.0)
    clock.now += 2.1
    assert settling.advance().files


def test_a_rename_into_place_counts_at_once(settling: Settling, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    settling.changed(str(path), renamed=True)
    assert settling.advance().files == {str(path)}
    assert not settling.waits_for(str(path), os.stat(path))


def test_a_file_is_gone_when_it_stays_away(settling: Settling, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    settling.changed(str(path))
    assert list(settling.absent(str(tmp_path))) == [str(path)]
    clock.now += 2.1
    assert settling.advance().gone == {str(path)}
    assert not list(settling.absent(str(tmp_path)))


def test_a_file_that_comes_back_was_never_gone(settling: Settling, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    settling.changed(str(path))
    clock.now += 1
    path.write_bytes(b"1")
    settling.changed(str(path))
    clock.now += 2.1
    settled = settling.advance()
    assert (settled.files, settled.gone) == ({str(path)}, frozenset())


def test_a_time_that_the_file_claims_does_not_matter(settling: Settling, clock: Clock, tmp_path: Path) -> None:
    """A camera may live in the future: what counts is when the system saw the file change."""
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    os.utime(path, (4_000_000_000, 4_000_000_000))
    stat = os.stat(path)
    settling.wall_ns = lambda: stat.st_ctime_ns + 2_100_000_000
    assert not settling.waits_for(str(path), stat)
    settling.wall_ns = lambda: stat.st_ctime_ns + 1_000_000_000
    assert settling.waits_for(str(path), stat)


def test_a_young_file_that_only_a_look_finds_is_followed(settling: Settling, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    settling.begin_look()
    assert settling.waits_for(str(path), os.stat(path))
    assert settling.left_out().young == 1
    clock.now += 2.1
    assert settling.advance().files == {str(path)}


def test_a_flood_is_left_to_a_look_at_everything(
    settling: Settling, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nucleus_sync.watch.settle_files.MOST", 10)
    for number in range(25):
        settling.changed(str(tmp_path / f"{number}.png"))
    assert settling.waiting <= 10
    clock.now += 2.1
    assert settling.advance().flood


def test_with_a_marker_files_count_where_it_is(clock: Clock, tmp_path: Path) -> None:
    settling = Settling(2.0, "_SUCCESS", clock=clock)
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    assert settling.waits_for(str(path), os.stat(path))
    (tmp_path / "_SUCCESS").touch()
    settling.begin_look()
    assert not settling.waits_for(str(path), os.stat(path))
