"""Names in exports are matched to files, never silently and never by a guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SourceError
from nucleus_sync.sources.names import Listing, Match, Miss, clean

MESSY = Path(__file__).resolve().parents[3] / "shared/data/messy"


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Listing:
    root = tmp_path_factory.mktemp("names") / "images"
    for name in ["a.jpg", "b.JPG", "café.jpg", "sub/a.jpg", "sub/only.jpg", "x/twin.png", "y/twin.png", "50%.jpg"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return Listing(root)


@pytest.mark.parametrize(
    ("name", "path", "how"),
    [
        ("a.jpg", "a.jpg", "exact"),
        ("./a.jpg", "a.jpg", "exact"),
        ("50%.jpg", "50%.jpg", "exact"),
        ("sub\\a.jpg", "sub/a.jpg", "slashes"),
        ("cafe\u0301.jpg", "café.jpg", "normalised"),
        ("caf%C3%A9.jpg", "café.jpg", "decoded"),
        ("images/sub/a.jpg", "sub/a.jpg", "own folder"),
        ("/mnt/x/images/sub/a.jpg", "sub/a.jpg", "path end"),
        ("C:\\data\\only.jpg", "sub/only.jpg", "base name"),
        ("../elsewhere/a.jpg", "a.jpg", "base name"),
        ("x/../sub/a.jpg", "sub/a.jpg", "exact"),
    ],
)
def test_finds(listing: Listing, name: str, path: str, how: str) -> None:
    found = listing.match(name)
    assert isinstance(found, Match)
    assert (found.path, found.how) == (path, how)
    assert bool(found.note) == (how != "exact")


@pytest.mark.parametrize(
    ("name", "near", "note"),
    [
        ("A.JPG", "a.jpg", "file not found: no A.JPG; there is a.jpg (and 1 more of that name)"),
        ("b.jpg", "b.JPG", "file not found: no b.jpg; there is b.JPG"),
        ("only.jpg", "sub/only.jpg", "file not found: no only.jpg; there is sub/only.jpg"),
        ("sub/only", "sub/only.jpg", "file not found: no sub/only; there is sub/only.jpg"),
        (
            "/mnt/twin.png",
            "x/twin.png",
            "file not found: no /mnt/twin.png; there is x/twin.png (and 1 more of that name)",
        ),
        ("gone\n.jpg", None, "file not found: no gone\\n.jpg"),
        ("", None, "file not found: no "),
    ],
)
def test_misses_name_what_is_near(listing: Listing, name: str, near: str | None, note: str) -> None:
    assert listing.match(name) == Miss(near, note)


def test_a_link_out_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "outside.jpg").write_bytes(b"x")
    (tmp_path / "images/a.jpg").symlink_to("../outside.jpg")
    assert "link leaves the folder" in Listing(tmp_path / "images").match("a.jpg").note


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        Listing(tmp_path / "gone")


@settings(deadline=None)
@given(st.text())
def test_any_name_is_answered(listing: Listing, name: str) -> None:
    assert isinstance(listing.match(name), Match | Miss)


@settings(deadline=None)
@given(st.text(alphabet="aC:\\/.", max_size=20))
def test_clean_names_are_relative(name: str) -> None:
    parts = clean(name).split("/")
    assert "\\" not in clean(name)
    assert ".." not in parts
    assert parts == [""] or "" not in parts


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("15-windows-paths", ["own folder", "base name", "own folder"]),
        ("16-unicode-names", ["normalised", "exact", "decoded"]),
        ("17-case-mismatch", ["no A.JPG; there is a.jpg", "exact", "exact"]),
        ("18-dots-spaces-shell-chars", ["exact", "exact", "exact"]),
    ],
)
def test_messy_names(case: str, expected: list[str]) -> None:
    if not MESSY.exists():
        pytest.skip(f"no {MESSY}")
    images = json.loads((MESSY / case / "annotations.json").read_text())["images"]
    listing = Listing(MESSY / case / "images")
    for image, how in zip(images, expected, strict=True):
        found = listing.match(image["file_name"])
        assert found.how == how if isinstance(found, Match) else how in found.note
