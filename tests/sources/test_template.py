"""Templates are filled with a record's fields, and say what is there when a field is not."""

from __future__ import annotations

import pytest

from nucleus_sync.sources.template import FieldError, Template, check_fields, fields_in, value_template
from nucleus_sync.spec.template import TemplateSyntaxError

FIELDS = {"path": "a/b.jpg", "n": 9007199254740993, "on": True, "metadata": {"site": "berlin"}, "x.y": 3, "none": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://acme/{path}", "s3://acme/a/b.jpg"),
        ("{n}", "9007199254740993"),
        ("{on}", "true"),
        ("{metadata.site}/{path}", "berlin/a/b.jpg"),
        ("{x.y}", "3"),
        ("{{{path}}}", "{a/b.jpg}"),
        ("{metadata}", '{"site":"berlin"}'),
        ("plain", "plain"),
    ],
)
def test_fills_fields(text: str, expected: str) -> None:
    assert Template(text).render(FIELDS) == expected


def test_knows_its_fields() -> None:
    assert Template("{a}-{b.c}-{a}").fields == {"a", "b.c"}
    assert fields_in({"x": ["{a}", {"y": "{b}"}], "z": 1}) == {"a", "b"}


def test_names_the_fields_that_exist() -> None:
    with pytest.raises(FieldError, match=r"no field \{pth\}; did you mean \{path\}\? there are: metadata, n, none"):
        Template("{pth}").render(FIELDS)


def test_a_null_field_makes_no_text() -> None:
    with pytest.raises(FieldError, match=r"field \{none\} is null"):
        Template("x{none}").render(FIELDS)


def test_a_single_field_keeps_its_type() -> None:
    make = value_template({"n": "{n}", "on": "{on}", "text": "n={n}", "fixed": 7, "deep": ["{metadata}", "{none}"]})
    assert make(FIELDS) == {
        "n": 9007199254740993,
        "on": True,
        "text": "n=9007199254740993",
        "fixed": 7,
        "deep": [{"site": "berlin"}, None],
    }


def test_lone_braces_are_refused() -> None:
    with pytest.raises(TemplateSyntaxError):
        Template("{path")


def test_fields_can_be_checked_before_the_first_record() -> None:
    check_fields({"path", "metadata.site"}, FIELDS)
    with pytest.raises(FieldError, match="file_nam"):
        check_fields({"file_nam"}, ["file_name", "id"])
