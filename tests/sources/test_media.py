"""Image files are judged by their bytes, never decoded whole."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128_digest

from nucleus_sync.sources.media import cause_and_detail, examine, findings, path_fields, upload_name

DATA = Path(__file__).resolve().parents[3] / "shared/data"
pil = pytest.importorskip("PIL.Image")


def image(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    out = io.BytesIO()
    pil.effect_noise(size, 50).convert(mode).save(out, kind, **options)
    return out.getvalue()


def look(tmp_path: Path, name: str, content: bytes, *, whole: bool = True):
    (tmp_path / name).write_bytes(content)
    return examine(tmp_path / name, whole=whole)


JPEG = image("JPEG")
PNG = image("PNG")


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("name", "content"), [("a.jpg", JPEG), ("a.png", PNG)])
def test_a_sound_image(tmp_path: Path, name: str, content: bytes, whole: bool) -> None:
    facts = look(tmp_path, name, content, whole=whole)
    assert (facts.width, facts.height, facts.invalid, facts.finding) == (40, 30, "", "")
    assert facts.digest == (xxh3_128_digest(content) if whole else b"")
    stat = os.stat(tmp_path / name)
    assert (facts.size, facts.mtime_ns, facts.inode) == (stat.st_size, stat.st_mtime_ns, stat.st_ino)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>", "not an image (HTML)"),
        (b'<?xml version="1.0"?><Error/>', "not an image (XML)"),
        (b'{"error": 1}', "not an image (JSON)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not an image (a Git LFS pointer: run git lfs pull)"),
        (bytes(500), "not an image (only NUL bytes)"),
        (b"hello", "not an image (unknown content)"),
        (JPEG[:-2], "image data ends early"),
        (JPEG[: len(JPEG) // 2], "image data ends early"),
        (PNG[:-4], "image data ends early"),
        (PNG[:20], "image data ends early"),
        (image("GIF")[:-3], "image data ends early"),
        (image("WEBP")[:-9], "image data ends early"),
    ],
)
def test_unusable_files(tmp_path: Path, content: bytes, why: str) -> None:
    assert look(tmp_path, "a.jpg", content).invalid == why


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image(tmp_path: Path) -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(JPEG)) + JPEG
    with_thumbnail = JPEG[:2] + thumbnail + JPEG[2:]
    assert look(tmp_path, "a.jpg", with_thumbnail).invalid == ""
    assert look(tmp_path, "b.jpg", with_thumbnail[:-50]).invalid == "image data ends early"


@pytest.mark.parametrize("extra", [bytes(5000), b"trailer" * 1_000_000])
def test_data_after_the_end_are_legal(tmp_path: Path, extra: bytes) -> None:
    assert look(tmp_path, "a.jpg", JPEG + extra).invalid == ""
    assert look(tmp_path, "a.png", PNG + extra).invalid == ""


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.jpg", PNG, "content is PNG, name says JPEG"),
        ("a.jpg", image("JPEG", "CMYK"), "CMYK"),
        ("a.png", image("PNG", "I;16"), "16 bit per channel"),
        ("a.webp", image("WEBP"), "WebP"),
        ("a.gif", image("GIF"), "GIF"),
        ("a.tif", image("TIFF"), "TIFF"),
        ("a.bmp", image("BMP"), "BMP"),
    ],
)
def test_what_the_user_should_know(tmp_path: Path, name: str, content: bytes, cause: str) -> None:
    facts = look(tmp_path, name, content)
    assert facts.invalid == ""
    assert (facts.width, facts.height) == (40, 30)
    assert [found for found, _ in findings(facts)] == [cause]


def test_rotation_is_said_and_not_applied(tmp_path: Path) -> None:
    exif = pil.Exif()
    exif[0x0112] = 6
    facts = look(tmp_path, "a.jpg", image("JPEG", exif=exif.tobytes()))
    assert (facts.width, facts.height) == (40, 30)
    assert findings(facts) == [("EXIF orientation 6", "EXIF orientation 6: stored 40x30, shown 30x40")]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert examine(tmp_path / "gone.jpg", whole=True).invalid == "can't be read: No such file or directory"
    assert cause_and_detail(examine(tmp_path, whole=True).invalid)[0] == "can't be read"


@settings(deadline=None)
@given(
    head=st.sampled_from([b"", b"\xff\xd8\xff", PNG[:26], b"GIF89a", b"RIFF1234WEBPVP8 ", b"II*\0", b"BM"]),
    rest=st.binary(),
)
def test_any_bytes_are_judged(tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes) -> None:
    facts = look(tmp_path_factory.getbasetemp(), "fuzz.jpg", head + rest)
    assert facts.width >= 0
    assert facts.height >= 0


def test_fields_of_a_path() -> None:
    assert path_fields("a/b.c/d.e.JPG") == {
        "path": "a/b.c/d.e.JPG",
        "parent": "a/b.c",
        "name": "d.e.JPG",
        "stem": "d.e",
        "suffix": ".JPG",
    }


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_upload_names_are_plain_and_differ(one: str, other: str) -> None:
    assert upload_name(one).isascii()
    assert (upload_name(one) == upload_name(other)) == (one == other)


MEDIA = {
    "zero_bytes.jpg": ("empty file", []),
    "html_error_page.jpg": ("not an image (HTML)", []),
    "truncated.jpg": ("image data ends early", []),
    "png_named.jpg": ("", ["content is PNG, name says JPEG"]),
    "cmyk.jpg": ("", ["CMYK"]),
    "sixteen_bit.png": ("", ["16 bit per channel"]),
    "huge_dims.png": ("", ["very many pixels for its bytes"]),
    "photo.webp": ("", ["WebP"]),
    "anim.gif": ("", ["GIF"]),
    "scan.tif": ("", ["TIFF"]),
}
CLEAN = (
    "ok.jpg same_bytes_other_name.jpg gray.png palette_alpha.png one_pixel.png progressive.jpeg UPPER.JPG sub/ok.jpg"
)


@pytest.mark.parametrize(("name", "expected"), [*MEDIA.items(), *((name, ("", [])) for name in CLEAN.split())])
def test_messy_media(name: str, expected: tuple[str, list[str]]) -> None:
    if not DATA.exists():
        pytest.skip(f"no {DATA}")
    facts = examine(DATA / "messy/50-media" / name, whole=True)
    assert (facts.invalid, [cause for cause, _ in findings(facts)]) == expected


@pytest.mark.parametrize(
    ("name", "size", "causes"),
    [
        ("odd-media/rabbit.JPG", (1024, 992), []),
        ("odd-media/hand-rabbit.PNG", (427, 640), []),
        ("odd-media/sky-rabbit.heic", (0, 0), ["HEIC", "HEIC size unknown"]),
        ("odd-media/whatsnew.avif", (240, 200), ["AVIF"]),
        ("nucleus-sdk-testdata/airplane.jpeg", (1170, 530), []),
        ("messy/24-exif-rotated/images/a.jpg", (64, 48), ["EXIF orientation 6"]),
    ],
)
def test_odd_media(name: str, size: tuple[int, int], causes: list[str]) -> None:
    if not DATA.exists():
        pytest.skip(f"no {DATA}")
    facts = examine(DATA / name, whole=False)
    assert ((facts.width, facts.height), [cause for cause, _ in findings(facts)]) == (size, causes)
    assert facts.invalid == ""
