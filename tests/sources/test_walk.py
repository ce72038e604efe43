"""A folder is walked in byte order, links stay inside, junk stays out, and oddities are said."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SourceError
from nucleus_sync.records.problem import Severity
from nucleus_sync.sources.walk import Odd, chooser, shown, walk

MESSY = Path(__file__).resolve().parents[3] / "shared/data/messy"


def walked(root: Path, *, follow: bool = False, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()):
    odd: list[Odd] = []
    wanted, skipped = chooser(include, exclude)
    found = list(walk(str(root), wanted, odd.append, skipped=skipped, follow_symlinks=follow))
    return [each.path for each in found], {each.path: each for each in odd}


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_order_is_that_of_the_bytes_of_the_paths(tmp_path: Path) -> None:
    names = ["a/z.jpg", "a.jpg", "a-b.jpg", "ab.jpg", "A.jpg", "a/é.jpg", "a0/b.jpg", "测.jpg", "a/b/c.jpg"]
    touch(tmp_path, *names)
    assert walked(tmp_path)[0] == sorted(names, key=str.encode)


def test_followed_folders_keep_the_order(tmp_path: Path) -> None:
    touch(tmp_path, "real/x.jpg", "l-.jpg", "l0.jpg")
    os.symlink("real", tmp_path / "l")
    assert walked(tmp_path, follow=True)[0] == ["l-.jpg", "l/x.jpg", "l0.jpg", "real/x.jpg"]


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("**/*.jpg", ["a.jpg", "x/y/a.jpg"], ["a.png"]),
        ("*.jpg", ["a.jpg", "x/a.jpg"], ["a.jpgx"]),
        ("a/*.jpg", ["a/b.jpg"], ["a/b/c.jpg", "x/a/b.jpg"]),
        ("**/thumbs/**", ["thumbs/a", "x/thumbs/a"], ["thumbsa/a"]),
        ("thumbs/", ["thumbs/a", "x/thumbs/b"], ["xthumbs/a"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["b", "ab"]),
        ("[ab]?.jpg", ["ax.jpg"], ["cx.jpg", "a/.jpg"]),
        ("[!a].jpg", ["b.jpg"], ["a.jpg"]),
        ("/a.jpg", ["a.jpg"], ["x/a.jpg"]),
        ("v1.2 (a)+[", ["v1.2 (a)+["], ["v1x2 (a)+["]),
        ("**", ["a", "a/b/c"], []),
    ],
)
def test_patterns(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    wanted, _ = chooser([pattern], [])
    assert [name for name in [*fits, *fits_not] if wanted(name)] == fits


@settings(deadline=None)
@given(st.text(alphabet="ab*?[]!^-/.\\&~|(", min_size=1), st.text())
def test_any_pattern_is_one(pattern: str, path: str) -> None:
    chooser([pattern], [pattern])[0](path)


def test_exclude_is_stronger_and_skips_whole_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "thumbs/a.jpg", "x/thumbs/b.jpg", "x/c.jpg")
    assert walked(tmp_path, exclude=("**/thumbs/**",))[0] == ["a.jpg", "x/c.jpg"]
    assert walked(tmp_path, include=("x",), exclude=("thumbs",))[0] == ["x/c.jpg"]


def test_junk_is_nobodys_data(tmp_path: Path) -> None:
    junk = [".DS_Store", "Thumbs.db", "desktop.ini", "._a.jpg", "a.jpg.part", "b.tmp", "a.jpg.crdownload", "~$a.jpg"]
    touch(tmp_path, *junk, ".a.jpg.swp", ".git/a.jpg", "notes.txt", "a.jpg")
    assert walked(tmp_path, include=("**",))[0] == ["a.jpg", "notes.txt"]
    assert walked(tmp_path) == (["a.jpg"], {})


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        walked(tmp_path / "gone")


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert walked(tmp_path)[1]["a.jpg"].cause == "not a file"


def test_names_are_shown_escaped() -> None:
    assert shown("a\nb\tc\udce9\x1b.jpg") == "a\\nb\\tc\\xe9\\x1b.jpg"


def test_a_chain_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    os.symlink("../b", tmp_path / "a/to_b")
    os.symlink("../a", tmp_path / "b/to_a")
    os.symlink("self", tmp_path / "self")
    found, odd = walked(tmp_path, follow=True)
    assert found == ["a/to_b/y.jpg", "a/x.jpg", "b/to_a/x.jpg", "b/y.jpg"]
    assert odd["a/to_b/to_a"].cause == odd["b/to_a/to_b"].cause == "link cycle"


@pytest.fixture
def odd_files(tmp_path: Path) -> Path:
    if not MESSY.exists():
        pytest.skip(f"no {MESSY}")
    with tarfile.open(MESSY / "60-odd-files/odd_files.tar") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
    return tmp_path / "fs"


def test_odd_files_are_named(odd_files: Path) -> None:
    found, odd = walked(odd_files)
    assert [name for name in found if len(name) < 100] == [
        "--help.jpg",
        "new\nline.jpg",
        "real.jpg",
        "sub/inner.jpg",
        "tab\tname.jpg",
    ]
    assert {name: (each.cause, each.severity) for name, each in odd.items()} == {
        " lead and trail .jpg ": ("name ends in a blank: no image ending", Severity.FINDING),
        "dangling.jpg": ("link to nothing", Severity.INVALID),
        "escape.jpg": ("link leaves the folder", Severity.INVALID),
        "latin1_caf\\xe9.jpg": ("name is not UTF-8", Severity.INVALID),
        "link_dir": ("symbolic link skipped", Severity.FINDING),
        "link_to_real.jpg": ("symbolic link skipped", Severity.FINDING),
        "loop": ("link cycle", Severity.INVALID),
    }


def test_odd_links_are_followed_on_request_and_said(odd_files: Path) -> None:
    found, odd = walked(odd_files, follow=True)
    assert {"link_dir/inner.jpg", "link_to_real.jpg", "real.jpg"} <= set(found)
    assert "escape.jpg" not in found
    assert odd["link_dir"].cause == odd["link_to_real.jpg"].cause == "symbolic link followed"
