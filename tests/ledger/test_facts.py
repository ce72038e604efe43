"""File facts: remembered across runs, and never in the way."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nucleus_sync.ledger.facts import FileFacts
from nucleus_sync.records.facts import Facts

FACTS = Facts(1, 2, 3, b"\x01" * 16, 640, 480, "", "grey")


def test_facts_are_there_at_once_and_in_the_next_run(tmp_path: Path) -> None:
    with FileFacts(tmp_path / "cache.db") as cache:
        cache.remember("images", "a/b.jpg", FACTS)
        assert cache.recall("images", "a/b.jpg") == FACTS
    with FileFacts(tmp_path / "cache.db") as cache:
        assert cache.recall("images", "a/b.jpg") == FACTS
        assert cache.recall("other", "a/b.jpg") is None


def test_newer_facts_replace_older_ones(tmp_path: Path) -> None:
    newer = Facts(9, 9, 9, b"", 1, 1, "cut off")
    with FileFacts(tmp_path / "cache.db") as cache:
        cache.remember("images", "a.jpg", FACTS)
        cache.flush()
        cache.remember("images", "a.jpg", newer)
        cache.flush()
        assert cache.recall("images", "a.jpg") == newer


def test_names_are_kept_as_they_are_on_disk(tmp_path: Path) -> None:
    with FileFacts(tmp_path / "cache.db") as cache:
        cache.remember("bilder-\udcfc", "Stra\udcdfe.jpg", FACTS)
    with FileFacts(tmp_path / "cache.db") as cache:
        assert cache.recall("bilder-\udcfc", "Stra\udcdfe.jpg") == FACTS


def test_two_runs_at_once_agree_on_folders(tmp_path: Path) -> None:
    with FileFacts(tmp_path / "cache.db") as one, FileFacts(tmp_path / "cache.db") as two:
        one.remember("left", "a.jpg", FACTS)
        two.remember("right", "a.jpg", Facts(7, 7, 7, b"", 7, 7))
    with FileFacts(tmp_path / "cache.db") as cache:
        assert cache.recall("left", "a.jpg") == FACTS
        assert cache.recall("right", "a.jpg") == Facts(7, 7, 7, b"", 7, 7)


@given(st.binary(max_size=300))
def test_a_damaged_cache_is_made_anew(tmp_path_factory, garbage: bytes) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("cache") / "cache.db"
    path.write_bytes(garbage)
    with FileFacts(path) as cache:
        assert cache.recall("images", "a.jpg") is None
        cache.remember("images", "a.jpg", FACTS)
    with FileFacts(path) as cache:
        assert cache.recall("images", "a.jpg") == FACTS


def test_without_a_place_to_write_facts_last_one_run(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    for path in (None, place / "cache.db"):
        with FileFacts(path) as cache:
            cache.remember("images", "a.jpg", FACTS)
            cache.flush()
            assert cache.recall("images", "a.jpg") == FACTS


def numbers(cache: Path) -> list[str]:
    with sqlite3.connect(cache) as conn:
        return sorted(os.fsdecode(path) for (path,) in conn.execute("SELECT path FROM facts"))


def test_there_are_never_many_more_facts_than_files(tmp_path: Path) -> None:
    images, cache = tmp_path / "images", tmp_path / "cache.db"
    images.mkdir()
    for turn in range(30):
        with FileFacts(cache, tmp_path.joinpath) as facts:
            for old in images.iterdir():
                old.unlink()
            for number in range(10):
                (images / f"{turn:02d}-{number}.jpg").touch()
                facts.remember("images", f"{turn:02d}-{number}.jpg", FACTS)
        assert len(numbers(cache)) <= 3 * 10
    with FileFacts(cache, tmp_path.joinpath) as facts:
        assert all(facts.recall("images", path.name) for path in images.iterdir())


def test_a_sweep_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "there.jpg").touch()
    cache = tmp_path / "cache.db"
    with FileFacts(cache, tmp_path.joinpath) as facts:
        for name in ("a.jpg", "b.jpg", "there.jpg", "x.jpg"):
            facts.remember("images", name, FACTS)
    for left in (["b.jpg", "there.jpg", "x.jpg"], ["there.jpg", "x.jpg"], ["there.jpg", "x.jpg"], ["there.jpg"]):
        with FileFacts(cache, tmp_path.joinpath) as facts:
            facts.sweep(1)
        assert numbers(cache) == left


def test_facts_of_a_share_that_is_not_mounted_are_kept(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with FileFacts(tmp_path / "cache.db", tmp_path.joinpath) as facts:
        facts.remember("empty", "a.jpg", FACTS)
        facts.remember("missing", "b.jpg", FACTS)
        facts.flush()
        facts.sweep(10)
    assert numbers(tmp_path / "cache.db") == ["a.jpg", "b.jpg"]
