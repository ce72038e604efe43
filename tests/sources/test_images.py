"""A folder of images becomes items, and whatever can't be one is named."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.errors import SourceError
from nucleus_sync.records.facts import Facts
from nucleus_sync.records.fingerprint import LOOK_AGAIN
from nucleus_sync.records.item import Item, LocalItem
from nucleus_sync.records.problem import Problem, Severity
from nucleus_sync.records.record import Kind
from nucleus_sync.sources.images import ImagesReader
from nucleus_sync.sources.reader import Pick, Seen, Surroundings
from nucleus_sync.spec.source import ImagesSource

MESSY = Path(__file__).resolve().parents[3] / "shared/data/messy"
pil = pytest.importorskip("PIL.Image")


class Remembered:
    """Facts in memory, with a count of what was asked for in vain."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str], Facts] = {}

    def recall(self, folder: str, path: str) -> Facts | None:
        return self.facts.get((folder, path))

    def remember(self, folder: str, path: str, facts: Facts) -> None:
        self.facts[folder, path] = facts


def surroundings(folder: Path, scratch: Path, facts: Remembered | None = None) -> Surroundings:
    scratch.mkdir(exist_ok=True)
    return Surroundings("photos", folder, scratch, facts or Remembered())


def reader(folder: Path, scratch: Path, *, facts: Remembered | None = None, **options: Any) -> ImagesReader:
    spec = ImagesSource(format="images", path=str(folder), **options)
    return ImagesReader(spec, surroundings(folder, scratch, facts))


def everything(of: ImagesReader) -> tuple[list[Seen], dict[str, Any], list[Problem]]:
    problems: list[Problem] = []
    seen = list(of.scan(Kind.ITEMS, problems.append))
    records = {
        pick.key.decode(): record for pick, record in of.read(Kind.ITEMS, map(Pick._make, seen), problems.append)
    }
    return seen, records, problems


def image(path: Path, size: tuple[int, int] = (40, 30), kind: str = "JPEG") -> bytes:
    out = io.BytesIO()
    pil.effect_noise(size, 50).save(out, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    return out.getvalue()


def said(problems: list[Problem]) -> set[tuple[str, str, str]]:
    return {(str(problem.severity), problem.record, problem.cause) for problem in problems}


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def test_a_file_becomes_an_item_to_upload(tmp_path: Path, scratch: Path) -> None:
    content = image(tmp_path / "a/b.jpg")
    options = {"metadata": {"folder": "{parent}", "site": "berlin", "night": False}}
    _, records, problems = everything(reader(tmp_path, scratch, **options))
    record = records["a/b.jpg"]
    assert isinstance(record, LocalItem)
    assert record.path == str(tmp_path / "a/b.jpg")
    assert record.size == len(content)
    assert (record.item.width, record.item.height) == (40, 30)
    assert record.item.metadata == {"folder": "a", "site": "berlin", "night": False}
    assert record.item.image_url.isascii()
    assert problems == []


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://x.org/{path}", "https://x.org/a%20b/%C3%BC%231.jpg"),
        ("s3://acme/{path}", "s3://acme/a b/ü#1.jpg"),
        ("gs://acme/{parent}/x/{stem}.png", "gs://acme/a b/x/ü#1.png"),
    ],
)
def test_an_address_is_made_from_the_path(tmp_path: Path, scratch: Path, template: str, url: str) -> None:
    image(tmp_path / "a b/ü#1.jpg")
    _, records, _ = everything(reader(tmp_path, scratch, image_url=template))
    assert records == {"a b/ü#1.jpg": Item(reference_id="a b/ü#1.jpg", image_url=url, width=40, height=30, metadata={})}


def test_a_known_file_is_not_read_again(tmp_path: Path, scratch: Path) -> None:
    content = image(tmp_path / "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(0, 1_600_000_000_000_000_000))
    facts = Remembered()
    first, _, _ = everything(reader(tmp_path, scratch, facts=facts))
    # Other bytes behind the same stat: only a reader that doesn't look can miss it.
    with open(tmp_path / "a.jpg", "r+b") as file:
        file.write(content[:100] + bytes(len(content) - 100))
    os.utime(tmp_path / "a.jpg", ns=(0, 1_600_000_000_000_000_000))
    assert everything(reader(tmp_path, scratch, facts=facts))[0][0].raw == first[0].raw
    mistrusting = ImagesReader(
        ImagesSource(format="images", path=str(tmp_path)), Surroundings("photos", tmp_path, scratch, facts, False)
    )
    assert everything(mistrusting)[0][0].raw != first[0].raw


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    facts = Remembered()
    everything(reader(tmp_path, scratch, facts=facts))
    assert facts.facts == {}


def test_facts_of_the_head_alone_do_not_serve_an_upload(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(0, 1_600_000_000_000_000_000))
    facts = Remembered()
    everything(reader(tmp_path, scratch, facts=facts, image_url="s3://b/{path}"))
    _, records, _ = everything(reader(tmp_path, scratch, facts=facts))
    assert len(records["a.jpg"].digest) == 16


def test_touching_a_file_changes_nothing_but_editing_it_does(tmp_path: Path, scratch: Path) -> None:
    content = image(tmp_path / "a.jpg")
    before = everything(reader(tmp_path, scratch))[0]
    os.utime(tmp_path / "a.jpg")
    assert [seen.raw for seen in everything(reader(tmp_path, scratch))[0]] == [seen.raw for seen in before]
    (tmp_path / "a.jpg").write_bytes(content + b"x")
    assert everything(reader(tmp_path, scratch))[0][0].raw != before[0].raw


def test_another_template_is_another_raw_hash(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    plain = everything(reader(tmp_path, scratch))[0][0]
    assert everything(reader(tmp_path, scratch, metadata={"x": 1}))[0][0].raw != plain.raw


def test_a_file_that_changes_between_scan_and_read_stops_the_source(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    source = reader(tmp_path, scratch)
    seen = list(source.scan(Kind.ITEMS, lambda _: None))
    image(tmp_path / "a.jpg", (20, 20))
    with pytest.raises(SourceError, match=r"a\.jpg: the file changed"):
        list(source.read(Kind.ITEMS, map(Pick._make, seen), lambda _: None))


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path, scratch: Path) -> None:
    source = reader(tmp_path / "gone", scratch)
    with pytest.raises(SourceError, match="no such folder"):
        source.state()
    with pytest.raises(SourceError, match="no such folder"):
        list(source.scan(Kind.ITEMS, lambda _: None))


def test_state_covers_every_file(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    one = reader(tmp_path, scratch).state()
    size = len(image(tmp_path / "b/c.jpg"))
    two = reader(tmp_path, scratch).state()
    assert one.digest != two.digest
    assert (two.files, two.bytes - one.bytes) == (2, size)
    assert two == reader(tmp_path, scratch).state()


def test_an_empty_reference_id_is_a_problem(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    seen, _, problems = everything(reader(tmp_path, scratch, reference_id="{parent}"))
    assert seen == []
    assert said(problems) == {("invalid", "a.jpg", "reference_id is empty")}


def test_locators_ascend_and_say_where(tmp_path: Path, scratch: Path) -> None:
    for name in ["b.jpg", "a/z.jpg", "a.jpg"]:
        image(tmp_path / name)
    source = reader(tmp_path, scratch)
    seen = list(source.scan(Kind.ITEMS, lambda _: None))
    again = list(source.scan(Kind.ITEMS, lambda _: None))
    assert [each.key for each in seen] == [b"a.jpg", b"a/z.jpg", b"b.jpg"]
    assert sorted(each.locator for each in seen + again) == [each.locator for each in seen + again]
    assert str(source.where(Kind.ITEMS, seen[1].locator)) == f"{tmp_path}/a/z.jpg"


def test_only_items_are_there(tmp_path: Path, scratch: Path) -> None:
    image(tmp_path / "a.jpg")
    source = reader(tmp_path, scratch)
    assert list(source.scan(Kind.ANNOTATIONS, lambda _: None)) == []
    assert list(source.read(Kind.ANNOTATIONS, [], lambda _: None)) == []


def messy(case: str) -> Path:
    if not MESSY.exists():
        pytest.skip(f"no {MESSY}")
    return MESSY / case


def test_messy_media(scratch: Path) -> None:
    seen, records, problems = everything(reader(messy("50-media"), scratch))
    rejected = {"zero_bytes.jpg", "html_error_page.jpg", "truncated.jpg"}
    assert {each.key.decode() for each in seen} - set(records) == rejected
    assert len(records) == 15
    assert said(problems) == {
        ("invalid", "zero_bytes.jpg", "empty file"),
        ("invalid", "html_error_page.jpg", "not an image (HTML)"),
        ("invalid", "truncated.jpg", "image data ends early"),
        ("finding", "png_named.jpg", "content is PNG, name says JPEG"),
        ("finding", "cmyk.jpg", "CMYK"),
        ("finding", "sixteen_bit.png", "16 bit per channel"),
        ("finding", "huge_dims.png", "very many pixels for its bytes"),
        ("finding", "same_bytes_other_name.jpg", "same bytes as another file"),
        ("finding", "photo.webp", "WebP"),
        ("finding", "anim.gif", "GIF"),
        ("finding", "scan.tif", "TIFF"),
    }
    with_something_to_say = {problem.record for problem in problems} - {"same_bytes_other_name.jpg"}
    assert {each.key.decode() for each in seen if each.raw == LOOK_AGAIN} == with_something_to_say
    huge = records["huge_dims.png"].item
    assert (huge.width, huge.height) == (5000, 5000)


def test_same_name_in_two_folders(scratch: Path) -> None:
    _, records, problems = everything(reader(messy("80-same-name-two-folders"), scratch))
    assert set(records) == {"train/a.jpg", "val/a.jpg", "third/copy_of_train.jpg"}
    assert [(problem.record, problem.detail) for problem in problems] == [
        ("train/a.jpg", "same bytes as third/copy_of_train.jpg: both are sent")
    ]


def test_odd_files(tmp_path: Path, scratch: Path) -> None:
    with tarfile.open(messy("60-odd-files") / "odd_files.tar") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
    _, records, problems = everything(reader(tmp_path / "fs", scratch))
    assert {name for name in records if len(name) < 100} == {
        "--help.jpg",
        "new\nline.jpg",
        "real.jpg",
        "sub/inner.jpg",
        "tab\tname.jpg",
    }
    assert len(records) == 6
    assert {problem.record for problem in problems if problem.severity is Severity.INVALID} == {
        "dangling.jpg",
        "escape.jpg",
        "latin1_caf\\xe9.jpg",
        "loop",
    }
    assert all(str(problem.where).isprintable() for problem in problems)


@pytest.mark.parametrize(
    ("case", "count"), [("00-clean/images", 3), ("18-dots-spaces-shell-chars/images", 3), ("90-metadata", 6)]
)
def test_clean_folders(case: str, count: int, scratch: Path) -> None:
    _, records, problems = everything(reader(messy(case), scratch))
    assert (len(records), problems) == (count, [])
