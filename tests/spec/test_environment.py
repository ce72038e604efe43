"""What the environment says, from variables, `.env` and a secrets directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nucleus_sync.errors import CredentialsError, SpecError
from nucleus_sync.spec.environment import credentials, override, read_environment
from nucleus_sync.spec.model import BatchSettings, Settings, Spec

CANARY = "live_canary"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NUCLEUS_"):
            monkeypatch.delenv(name)


def test_a_key_comes_from_the_environment_and_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", CANARY)
    environment = read_environment(tmp_path)
    found = credentials(environment)
    assert found.api_key == CANARY
    assert found.endpoint == "https://api.scale.com/v1/nucleus"
    assert CANARY not in f"{environment!r} {environment} {found!r} {found}"


def test_dotenv_beside_the_spec_comes_after_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("NUCLEUS_API_KEY=one\nNUCLEUS_ENDPOINT=http://localhost:1/v1/\nOTHER=x\n")
    monkeypatch.setenv("NUCLEUS_API_KEY", "two")
    found = credentials(read_environment(tmp_path))
    assert found.api_key == "two"
    assert found.endpoint == "http://localhost:1/v1"


def test_a_secrets_directory_holds_a_file_per_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "NUCLEUS_LIMITED_ACCESS_KEY").write_text(f"{CANARY}\n")
    monkeypatch.setenv("NUCLEUS_SYNC_SECRETS_DIR", str(tmp_path))
    found = credentials(read_environment(tmp_path / "elsewhere"))
    assert found.limited_access_key == CANARY


def test_a_secrets_directory_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_SYNC_SECRETS_DIR", str(tmp_path / "no"))
    with pytest.raises(CredentialsError, match="names no folder"):
        read_environment(tmp_path)


def test_no_key_says_where_one_could_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", "")
    with pytest.raises(CredentialsError, match="NUCLEUS_ENDPOINT=embedded"):
        credentials(read_environment(tmp_path)).checked()


def test_two_keys_are_one_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", CANARY)
    monkeypatch.setenv("NUCLEUS_LIMITED_ACCESS_KEY", CANARY)
    with pytest.raises(CredentialsError, match="both"):
        credentials(read_environment(tmp_path)).checked()


def test_the_embedded_endpoint_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUCLEUS_ENDPOINT", "embedded")
    assert credentials(read_environment(tmp_path)).checked().embedded


@pytest.mark.parametrize(("value", "verify"), [("1", False), ("true", False), ("0", True), ("", True)])
def test_certificates_are_checked_unless_clearly_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, verify: bool
) -> None:
    monkeypatch.setenv("NUCLEUS_API_KEY", "k")
    monkeypatch.setenv("NUCLEUS_SKIP_SSL_VERIFY", value)
    assert credentials(read_environment(tmp_path)).verify is verify


def test_variables_override_settings_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings(prune=True, concurrency=2, batch=BatchSettings(max_bytes=2048, max_records=7))
    for name, value in {
        "LEDGER": "/state/l.db",
        "PRUNE": "no",
        "CONCURRENCY": "9",
        "BATCH_MAX_BYTES": "1MiB",
        "DELETE_LIMIT_FRACTION": "0.5",
    }.items():
        monkeypatch.setenv(f"NUCLEUS_SYNC_{name}", value)
    settings = override(Spec(version=1, settings=given), read_environment(tmp_path)).settings
    assert (settings.ledger, settings.prune, settings.concurrency) == ("/state/l.db", False, 9)
    assert (settings.batch.max_bytes, settings.batch.max_records) == (1024**2, 7)
    assert (settings.delete_limit.records, settings.delete_limit.fraction) == (1000, 0.5)


def test_without_variables_settings_stay(tmp_path: Path) -> None:
    assert override(Spec(version=1), read_environment(tmp_path)) == Spec(version=1)


def test_every_wrong_variable_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "NUCLEUS_ENDPOINT": "ftp://user:canary@x",
        "NUCLEUS_SYNC_PRUNE": "perhaps",
        "NUCLEUS_SYNC_CONCURRENCY": "many",
        "NUCLEUS_SYNC_BATCH_MAX_BYTES": "9GB",
        "NUCLEUS_SYNC_BATCH_MAX_RECORDS": "0",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SpecError) as caught:
        read_environment(tmp_path)
    assert {problem.path for problem in caught.value.problems} == set(wrong)
    assert "canary" not in str(caught.value)
    assert "Input should" not in str(caught.value)


def test_a_dotenv_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"NUCLEUS_API_KEY=\xff\xfe\n")
    with pytest.raises(SpecError, match="not UTF-8"):
        read_environment(tmp_path)
