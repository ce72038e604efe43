"""A spec that was checked before is the spec that a check would give, and nothing is taken for one that isn't."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from cli.imported import imported_by

from nucleus_sync.errors import SpecError
from nucleus_sync.spec import kept
from nucleus_sync.spec.load import load
from nucleus_sync.spec.opening import OpenedSpec, open_spec, under_environment

ROOT = Path(__file__).parents[2]
SPEC = """\
version: 1
sources:
  labels: {format: coco, path: labels.json, image_url: "s3://acme/{file_name}"}
datasets:
  street: {name: Street, items: [labels], annotations: [labels]}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test keeps its specs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nucleus-sync" / "specs"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec without anything to say against it."""
    path = tmp_path / "nucleus.yaml"
    path.write_text(SPEC)
    return path


def opened(path: Path) -> OpenedSpec:
    """The spec, twice opened."""
    first = open_spec(path, os.environ)
    assert open_spec(path, os.environ) == first
    return first


def number(cache: Path) -> int:
    """How many specs are kept."""
    return len(list(cache.iterdir())) if cache.exists() else 0


EXAMPLES = [ROOT / "nucleus.yaml.example", *sorted((ROOT / "examples").rglob("*.yaml"))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_kept_is_what_a_check_gives(path: Path, cache: Path) -> None:
    try:
        checked = under_environment(load(path, os.environ))
    except SpecError:
        pytest.skip("no spec")
    assert opened(path) == checked
    assert number(cache) == (0 if b"${" in path.read_bytes() or checked.loaded.warnings else 1)


def test_opening_it_again_takes_nothing_that_checks(spec: Path, cache: Path) -> None:
    opened(spec)
    code = (
        "import os, pathlib\n"
        "from nucleus_sync.spec.opening import open_spec\n"
        f"open_spec(pathlib.Path({str(spec)!r}), os.environ)"
    )
    assert imported_by(code).modules & {"pydantic", "pydantic_settings", "yaml"} == set()


def test_every_change_of_the_file_counts(spec: Path, cache: Path) -> None:
    assert opened(spec).loaded.spec.datasets["street"].name == "Street"
    spec.write_text(SPEC.replace("Street", "Avenue"))
    assert opened(spec).loaded.spec.datasets["street"].name == "Avenue"
    spec.write_text(SPEC.replace("version: 1", "version: 2"))
    with pytest.raises(SpecError):
        open_spec(spec, os.environ)
    assert number(cache) == 2


def test_every_variable_counts(spec: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUCLEUS_ENDPOINT", raising=False)
    before = opened(spec)
    monkeypatch.setenv("NUCLEUS_SYNC_PRUNE", "yes")
    monkeypatch.setenv("nucleus_endpoint", "embedded")
    after = opened(spec)
    assert (before.loaded.spec.settings.prune, after.loaded.spec.settings.prune) == (False, True)
    assert (before.credentials.endpoint, after.credentials.endpoint) == ("https://api.scale.com/v1/nucleus", "embedded")
    assert before.loaded.digest == after.loaded.digest
    monkeypatch.setenv("NUCLEUS_SYNC_PRUNE", "perhaps")
    with pytest.raises(SpecError):
        open_spec(spec, os.environ)


@pytest.mark.parametrize("name", ["NUCLEUS_API_KEY", "nucleus_api_key", "NUCLEUS_LIMITED_ACCESS_KEY"])
@pytest.mark.parametrize("value", ["", " ", "key-of-somebody", " key with blanks \n"])
@pytest.mark.parametrize("unverified", ["", "0", "yes"])
def test_nucleus_is_reached_in_the_same_way(
    name: str, value: str, unverified: str, spec: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in ("NUCLEUS_API_KEY", "NUCLEUS_LIMITED_ACCESS_KEY"):
        monkeypatch.delenv(known, raising=False)
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NUCLEUS_SKIP_SSL_VERIFY", unverified)
    found = opened(spec).credentials
    own, limited = (value.strip() or None, None) if "api" in name.lower() else (None, value.strip() or None)
    assert (found.api_key, found.limited_access_key, found.verify) == (own, limited, unverified != "yes")


def test_a_file_of_variables_is_read_every_time(spec: Path, cache: Path) -> None:
    assert opened(spec).loaded.spec.settings.concurrency == 4
    (spec.parent / ".env").write_text("NUCLEUS_SYNC_CONCURRENCY=9\n")
    assert opened(spec).loaded.spec.settings.concurrency == 9


def test_no_variable_and_no_key_is_ever_kept(spec: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", "live_0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("BUCKET", "not-for-everyone")
    opened(spec)
    spec.write_text(SPEC.replace("acme", "${BUCKET}"))
    opened(spec)
    assert number(cache) == 1
    content = next(cache.iterdir()).read_bytes()
    assert b"live_" not in content
    assert b"not-for-everyone" not in content


def test_a_spec_that_turns_out_to_hold_a_key_is_refused(
    spec: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUCLEUS_API_KEY", raising=False)
    spec.write_text(SPEC.replace("acme", "open-sesame-now"))
    opened(spec)
    monkeypatch.setenv("NUCLEUS_API_KEY", "open-sesame-now")
    with pytest.raises(SpecError, match="API key"):
        open_spec(spec, os.environ)


def test_a_warning_is_given_every_time(spec: Path, cache: Path) -> None:
    spec.write_text(SPEC + "models:\n  idle: {name: Idle, reference_id: idle}\n" + "# nothing uses this\n")
    spec.write_text(spec.read_text().replace("sources:\n", "sources:\n  unused: {format: images, path: photos}\n"))
    assert opened(spec).loaded.warnings
    assert number(cache) == 0


def test_damage_is_as_good_as_nothing(spec: Path, cache: Path) -> None:
    before = opened(spec)
    (file,) = cache.iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[:-9], content.replace(b"Street", b"Avenue")[:40], pickle.dumps(7)):
        file.write_bytes(damaged)
        assert open_spec(spec, os.environ) == before


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_run_that_somebody_has_put_there(spec: Path, cache: Path, tmp_path: Path) -> None:
    before = opened(spec)
    (file,) = cache.iterdir()
    file.write_bytes(pickle.dumps((_Harm(tmp_path / "harm"), "", "", True)))
    assert open_spec(spec, os.environ) == before
    assert not (tmp_path / "harm").exists()


def test_only_its_user_may_read_it(spec: Path, cache: Path) -> None:
    opened(spec)
    (file,) = cache.iterdir()
    assert (file.stat().st_mode & 0o777, cache.stat().st_mode & 0o777) == (0o600, 0o700)


def test_where_nothing_can_be_kept_it_is_checked(spec: Path, cache: Path) -> None:
    cache.parent.parent.write_text("a file")
    assert opened(spec).loaded.spec.datasets["street"].name == "Street"


def test_the_oldest_go(spec: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_MOST", 3)
    for number_ in range(5):
        spec.write_text(SPEC.replace("Street", f"Street {number_}"))
        opened(spec)
        for age, file in enumerate(sorted(cache.iterdir(), key=lambda one: one.stat().st_mtime_ns)):
            os.utime(file, ns=(age, age))
    assert number(cache) == 3
    assert opened(spec).loaded.spec.datasets["street"].name == "Street 4"
    assert number(cache) == 3
