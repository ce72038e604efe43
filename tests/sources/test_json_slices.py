"""Slicing JSON gives the elements that the standard library decodes, at the places where they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SourceError
from nucleus_sync.sources import json_slices
from nucleus_sync.sources.json_slices import JsonFile

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["},{", '"},{"', "[{", "]}", "\\", '\\"', "NaN", "\ud800", "},\n {", "-Infinity"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4) | st.just("id"), inner, max_size=5),
    max_leaves=12,
)
elements = st.lists(values | st.dictionaries(st.sampled_from(["id", "a", "},{"]), values, max_size=4), max_size=20)
styles = st.sampled_from(
    [
        {"indent": None, "separators": (",", ":")},
        {"indent": None},
        {"indent": 1},
        {"indent": "\t", "separators": (" ,\r\n", " : ")},
    ]
)


def sliced(path: Path, name: str) -> list[Any]:
    """The elements of one array, each decoded from the bytes at its place."""
    document = JsonFile(path, path.name)
    section = document.sections()[name]
    found = []
    for window in document.windows(section):
        assert window.first == len(found)
        for raw, offset, length in zip(window.raws, window.offsets, window.lengths, strict=True):
            assert document.bytes_at(offset, length) == bytes(raw)
            found.append(document.decoded(raw, offset))
    return found


def same(one: Any, other: Any) -> bool:
    """Equality in which NaN equals NaN and 1 differs from 1.0."""
    return repr(one) == repr(other)


@pytest.fixture(autouse=True, params=[7, 64, 64 * 1024])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small windows, so that small documents have many seams."""
    monkeypatch.setattr(json_slices, "WINDOW", request.param)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slices") / "document.json"


@settings(deadline=None, max_examples=80)
@given(first=elements, second=elements, between=values, style=styles, escape=st.booleans())
def test_sections_are_what_json_says(
    first: list[Any], second: list[Any], between: Any, style: Any, escape: bool, scratch: Path
) -> None:
    document = {"one": first, "between": between, "two": second}
    text = json.dumps(document, ensure_ascii=escape, **style)
    scratch.write_bytes(text.encode("utf-8", "surrogatepass"))
    expected = json.loads(text)
    assert same(sliced(scratch, "one"), expected["one"])
    assert same(sliced(scratch, "two"), expected["two"])
    opened = JsonFile(scratch, "document.json")
    assert same(opened.value(opened.sections()["between"]), expected["between"])


@settings(deadline=None, max_examples=100)
@given(elements=elements, style=styles)
def test_a_list_is_a_section_without_a_name(elements: list[Any], style: Any, scratch: Path) -> None:
    text = json.dumps(elements, **style)
    scratch.write_text(text)
    assert same(sliced(scratch, ""), json.loads(text))


@settings(deadline=None, max_examples=100)
@given(elements=elements, style=styles, where=st.floats(0, 1), junk=st.binary(max_size=3), keep=st.integers(0, 3))
def test_broken_text_is_refused_or_read_as_json_reads_it(
    elements: list[Any], style: Any, where: float, junk: bytes, keep: int, scratch: Path
) -> None:
    text = json.dumps({"one": elements, "two": elements[:2]}, **style).encode()
    cut = int(where * len(text))
    broken = text[:cut] + junk + text[cut + keep :]
    scratch.write_bytes(broken)
    try:
        expected = json.loads(broken.decode())["one"]
        valid = isinstance(expected, list)
    except (ValueError, KeyError, TypeError):
        valid = False
    try:
        found = sliced(scratch, "one")
    except (SourceError, KeyError):
        assert not valid or broken.count(b'"one"') > 1 or broken.count(b'"two"') > 1 or broken.startswith(b"\xef")
        return
    if valid:
        assert same(found, expected)


@settings(deadline=None, max_examples=120)
@given(content=st.binary(max_size=60) | st.text('[]{}",:\\0123e.-nulltrfaseNI \n', max_size=40).map(str.encode))
def test_any_bytes_give_sections_or_a_source_error(content: bytes, scratch: Path) -> None:
    scratch.write_bytes(content)
    opened = JsonFile(scratch, "document.json")
    try:
        for section in opened.sections().values():
            if section.kind == "array":
                list(opened.windows(section))
            else:
                opened.value(section)
    except SourceError as error:
        message = str(error)
    else:
        return
    assert "document.json" in message


def complaint(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        JsonFile(path, "out/labels.json").sections()
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "nothing but blanks"),
        (b"null", "holds null"),
        (b'"a"', "holds a text"),
        (b"12", "holds 12"),
        ('{"a": 1}'.encode("utf-16"), "is UTF-16"),
        ('{"a": 1}'.encode("utf-16-le"), "is UTF-16"),
        (b"\x1f\x8b\x08", "compressed (gzip)"),
        (b'{"a": [1, 2', "cut off"),
        (b'{"a": [{"b": 1}, {"b"', "cut off"),
        (b'{"a": ', "cut off"),
        (b'{"a', "cut off"),
        (b'{\n "a": [,\n]}', "line 2, column 8"),
        (b'{"a": [1 2]}', "line 1, column 10"),
        (b'{\n"a": 1\n"b": 2}', "line 3, column 1"),
        (b'{"a": [] x}', "line 1, column 10"),
        (b'{"a": []} x', "something after the end"),
        (b'{"a": [], "a": []}', 'the key "a" is there twice'),
        ('{"ö": [{"é": "ü"}, {"a":: 1}]}'.encode(), "line 1, column 25"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in complaint(tmp_path / "labels.json", content)


def test_a_file_that_is_not_there_or_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not there"):
        JsonFile(tmp_path / "no.json", "no.json").sections()
    with pytest.raises(SourceError, match="is a folder"):
        JsonFile(tmp_path, "out").sections()


def test_a_mark_at_the_start_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "marked.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": [{"b": 1}]}')
    assert sliced(path, "a") == [{"b": 1}]


def test_objects_in_objects_are_no_seams(tmp_path: Path) -> None:
    path = tmp_path / "nested.json"
    document = {"a": [{"parts": [{"n": n}, {"n": -n}], "t": "},{"} for n in range(400)]}
    path.write_text(json.dumps(document, separators=(",", ":")))
    assert sliced(path, "a") == document["a"]


def test_a_file_that_was_written_again_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "again.json"
    path.write_text('{"a": [1]}')
    opened = JsonFile(path, "again.json")
    assert opened.sections()["a"].end == 9
    path.write_text('{"a": [1, 2]}')
    assert opened.sections()["a"].end == 12
