"""Loading a spec: every case in `cases/` says a text and all that is to be said of it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleus_sync.errors import SpecError, SpecProblem
from nucleus_sync.spec.load import load, parse

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    file: str
    given: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}: {self.given['case']}"


def cases() -> list[Case]:
    return [
        Case(path.stem, given)
        for path in sorted(CASES.glob("*.yaml"))
        for given in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def problems_of(text: str, environ: dict[str, str]) -> tuple[list[SpecProblem], list[SpecProblem]]:
    """Problems and warnings."""
    try:
        _, warnings = parse(text.encode(), "nucleus.yaml", environ)
    except SpecError as error:
        return error.problems, []
    return [], warnings


def as_given(problem: SpecProblem) -> dict[str, str]:
    at = f"{problem.line}:{problem.column}" if problem.line else ""
    given = {"at": at, "path": problem.path, "says": problem.message}
    return given | ({"hint": problem.hint} if problem.hint else {})


@pytest.mark.parametrize("case", cases(), ids=str)
def test_case(case: Case) -> None:
    problems, warnings = problems_of(case.given["spec"], case.given.get("environ", {}))
    if not yaml.__with_libyaml__ and any(problem.message.startswith("is not YAML") for problem in problems):
        pytest.skip("without libyaml, syntax errors are worded otherwise")
    assert [as_given(problem) for problem in problems] == case.given["problems"]
    assert [as_given(problem) for problem in warnings] == case.given.get("warnings", [])


JARGON = re.compile(r"Input should|pydantic|NoneType|\b(?:dict|tuple|str|int)\b|validation error|model_|_type\b")


@pytest.mark.parametrize("case", cases(), ids=str)
def test_the_caret_is_under_the_column_and_nothing_is_jargon(case: Case) -> None:
    problems, _ = problems_of(case.given["spec"], case.given.get("environ", {}))
    for problem in problems:
        assert not JARGON.search(f"{problem.message} {problem.hint}"), problem
        if problem.excerpt and problem.column:
            assert problem.excerpt.splitlines()[-1] == " " * (problem.column - 1) + "^"


@pytest.mark.parametrize("secret", ["hunter22", "canary-key-1", "0123456789abcdef0123456789abcdef"])
def test_no_secret_is_shown(secret: str) -> None:
    for case in cases():
        problems, _ = problems_of(case.given["spec"], case.given.get("environ", {}))
        assert secret not in str(SpecError(problems)), case


def test_the_error_shows_place_line_caret_and_way_out() -> None:
    problems, _ = problems_of("version: 1\nsource: {}\n", {})
    assert str(SpecError(problems)) == (
        "nucleus.yaml:2:1: source: unknown key 'source'\n"
        "    source: {}\n"
        "    ^\n"
        "    did you mean 'sources'? allowed: version, settings, sources, datasets, models, evaluations"
    )


# --- the file -------------------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load(path, {})
    return str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "nucleus-sync init" in refusal(tmp_path / "nucleus.yaml")


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    assert "can't be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the spec is empty"),
        (b"version: 1\nname: caf\xe9\n", ":2:10: is not UTF-8: byte 0xe9"),
        ("version: 1\n".encode("utf-16"), "it looks like UTF-16"),
        (b"version: 1\nx: a\x00b\n", ":2:5: holds the character U+0000"),
        (b"#" * (4 * 1024 * 1024 + 1), "is larger than 4 MiB"),
        (b"[" * 100_000, "nested more than 64 levels deep"),
        (b"a: " * 1000, "is not YAML"),
        (b"- x\n" * 100_001, "holds more than 100,000 values"),
    ],
    ids=["empty", "latin-1", "utf-16", "nul", "huge", "deep", "colons", "long"],
)
def test_a_file_that_can_hold_no_spec(tmp_path: Path, raw: bytes, said: str) -> None:
    path = tmp_path / "nucleus.yaml"
    path.write_bytes(raw)
    assert said in refusal(path)


def test_a_bomb_of_anchors_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    path = tmp_path / "nucleus.yaml"
    path.write_text("\n".join(lines))
    assert "counting what its anchors repeat" in refusal(path)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "nucleus.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\r\nsettings: {concurrency: 2}\r\n")
    assert load(path, {}).spec.settings.concurrency == 2


# --- what is loaded -------------------------------------------------------------------------------------------


def test_a_loaded_spec_knows_its_folder_and_its_digests(tmp_path: Path) -> None:
    path = tmp_path / "nucleus.yaml"
    path.write_text("version: 1\n")
    plain = load(path, {})
    path.write_text("# a comment\nversion: 1\nsettings: {prune: false}\n")
    same = load(path, {})
    path.write_text("version: 1\nsettings: {prune: true}\n")
    other = load(path, {})
    assert plain.folder == tmp_path
    assert plain.resolve("a/b") == tmp_path / "a" / "b"
    assert plain.sha256 != same.sha256
    assert plain.digest == same.digest != other.digest


def test_a_variable_alone_takes_the_type_that_its_value_would_have() -> None:
    text = (
        "version: 1\nsettings:\n  concurrency: ${N}\n  prune: ${P:-true}\n"
        'models:\n  m:\n    name: "${N}"\n    reference_id: a${N}\n    metadata: {n: "$${N}"}\n'
    )
    spec, _ = parse(text.encode(), "nucleus.yaml", {"N": "8"})
    model = spec.models["m"]
    assert (model.name, model.reference_id, model.metadata) == ("8", "a8", {"n": "${N}"})
    assert (spec.settings.concurrency, spec.settings.prune) == (8, True)


def test_scalars_follow_yaml_1_2() -> None:
    values = "[no, on, yes, 012, 1:30, 2024-01-01, 1e3, 0x1F, 0o17, 1_000, ~, true, -1, .5, 9007199254740993]"
    text = f"version: 1\nmodels: {{m: {{name: M, reference_id: m, metadata: {{v: {values}}}}}}}"
    spec, _ = parse(text.encode(), "nucleus.yaml", {})
    expected = ["no", "on", "yes", "012", "1:30", "2024-01-01", 1000.0, 31, 15, "1_000", None, True, -1, 0.5]
    assert spec.models["m"].metadata["v"] == [*expected, 9007199254740993]


# --- whatever the text ----------------------------------------------------------------------------------------

_FRAGMENTS = (
    "version: 1|sources:|  a:|  - b|format: coco|{|}|[|]|&x|*x|<<: *x|\n|\n  |\n    |: |, |'|\"|${A}|${|!!int |!x |"
    "datasets:|items: [a]|expect:|mAP: '> 0'|~|1e999|.nan|api_key: |null|true|#|---|...|%YAML 1.1|\t|? | >|\u2028|é"
)
FRAGMENTS = st.sampled_from(_FRAGMENTS.split("|"))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=300, deadline=None)
@given(st.one_of(TEXTS, st.lists(FRAGMENTS, max_size=40).map("".join)))
def test_any_text_is_a_spec_or_a_spec_error(text: str) -> None:
    problems, _ = problems_of(text, {"A": "x"})
    assert all(problem.message for problem in problems)


@settings(max_examples=200, deadline=None)
@given(st.binary())
def test_any_bytes_are_a_spec_or_a_spec_error(raw: bytes) -> None:
    with contextlib.suppress(SpecError):
        parse(raw, "nucleus.yaml", {})


_KEYS = (
    "version settings sources datasets models evaluations format path kind a items metadata expect mAP type slices "
    "where predictions batch max_bytes exclusion_rules taxonomies model dataset"
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["images", "coco"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS.split()), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_any_shape_is_explained_in_plain_words(value: Any) -> None:
    problems, _ = problems_of(yaml.safe_dump(value), {})
    for problem in problems:
        assert not JARGON.search(re.sub(r"'.*'", "", problem.message)), problem


def test_a_bare_name_is_a_field_of_the_image_entries() -> None:
    text = b"version: 1\nsources:\n  a: {format: coco, path: x.json, image_url: coco_url}\n"
    spec, _ = parse(text, "nucleus.yaml", {})
    assert spec.sources["a"].image_url == "{coco_url}"
