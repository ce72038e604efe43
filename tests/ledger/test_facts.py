"""File facts: remembered across runs, and never in the way."""

from __future__ import annotations

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
