"""What the environment says: credentials, the endpoint, and overrides of the spec's settings."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Any

from msgspec.structs import replace
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nucleus_sync.errors import CredentialsError, NucleusSyncError, SpecError, SpecProblem
from nucleus_sync.spec.access import DEFAULT_ENDPOINT, EMBEDDED, Credentials, as_key, keys_in
from nucleus_sync.spec.model import Spec
from nucleus_sync.spec.rule import refuse
from nucleus_sync.spec.value import BatchBytes, PathText

_ON = ("1", "true", "yes", "on")
_OFF = ("", "0", "false", "no", "off")


def _endpoint(text: str) -> str:
    if text == EMBEDDED:
        return text
    if not text.startswith(("https://", "http://")) or "@" in text:
        refuse("is not an endpoint", f"allowed: an http(s):// address without credentials, or {EMBEDDED}")
    return text.rstrip("/")


def _switch(text: object) -> object:
    word = text.strip().lower() if isinstance(text, str) else text
    if word in _ON or word is True:
        return True
    if word in _OFF or word is False:
        return False
    return refuse("is neither on nor off", f"allowed: {', '.join((*_ON, *filter(None, _OFF)))}")


def _secret(text: SecretStr | None) -> SecretStr | None:
    value = as_key(text.get_secret_value()) if text else None
    return SecretStr(value) if value else None


_Switch = Annotated[bool, BeforeValidator(_switch)]
_Secret = Annotated[SecretStr | None, AfterValidator(_secret)]


class Environment(BaseSettings):
    """Variables of the process, then of `.env` beside the spec, then of the secrets directory."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, case_sensitive=False)

    api_key: Annotated[_Secret, Field(validation_alias="NUCLEUS_API_KEY")] = None
    """The key of a Nucleus user."""
    limited_access_key: Annotated[_Secret, Field(validation_alias="NUCLEUS_LIMITED_ACCESS_KEY")] = None
    """A key that may see only a part."""
    endpoint: Annotated[str, AfterValidator(_endpoint), Field(validation_alias="NUCLEUS_ENDPOINT")] = DEFAULT_ENDPOINT
    """The address of the API with its version, or `embedded`."""
    skip_ssl_verify: Annotated[_Switch, Field(validation_alias="NUCLEUS_SKIP_SSL_VERIFY")] = False
    """Don't check the server's certificate? Unlike in the official SDK, `0` and empty mean no."""

    ledger: Annotated[PathText | None, Field(validation_alias="NUCLEUS_SYNC_LEDGER")] = None
    """Overrides settings.ledger."""
    prune: Annotated[_Switch | None, Field(validation_alias="NUCLEUS_SYNC_PRUNE")] = None
    """Overrides settings.prune."""
    concurrency: Annotated[int | None, Field(validation_alias="NUCLEUS_SYNC_CONCURRENCY", ge=1, le=64)] = None
    """Overrides settings.concurrency."""
    batch_max_bytes: Annotated[BatchBytes | None, NoDecode, Field(validation_alias="NUCLEUS_SYNC_BATCH_MAX_BYTES")] = (
        None
    )
    """Overrides settings.batch.max_bytes."""
    batch_max_records: Annotated[int | None, Field(validation_alias="NUCLEUS_SYNC_BATCH_MAX_RECORDS", ge=1)] = None
    """Overrides settings.batch.max_records."""
    delete_limit_records: Annotated[int | None, Field(validation_alias="NUCLEUS_SYNC_DELETE_LIMIT_RECORDS", ge=0)] = (
        None
    )
    """Overrides settings.delete_limit.records."""
    delete_limit_fraction: Annotated[
        float | None, Field(validation_alias="NUCLEUS_SYNC_DELETE_LIMIT_FRACTION", ge=0, le=1)
    ] = None
    """Overrides settings.delete_limit.fraction."""


def read_environment(folder: Path) -> Environment:
    """Read the variables; `folder` is the spec's, for its `.env`. Raises SpecError, CredentialsError."""
    directory = _secrets_directory()
    dotenv = folder / ".env"
    sources: dict[str, Any] = {
        "_env_file": dotenv if dotenv.is_file() else None,
        "_env_file_encoding": "utf-8",
        "_secrets_dir": directory,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Environment(**sources)
    except ValidationError as error:
        raise SpecError([_problem(entry) for entry in error.errors(include_url=False)]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SpecError([SpecProblem(f"can't be read: {reason}", file=str(dotenv))]) from None


def keys_around(folder: Path) -> list[str]:
    """The values of all keys that can be found, to keep them out of a text; raises nothing."""
    try:
        found = read_environment(folder)
    except NucleusSyncError:
        return [key for key in keys_in(os.environ) if key]
    return [key.get_secret_value() for key in (found.api_key, found.limited_access_key) if key]


def credentials(environment: Environment) -> Credentials:
    """What the variables say of Nucleus, whether it is enough or not."""
    own, limited = (
        key.get_secret_value() if key else None for key in (environment.api_key, environment.limited_access_key)
    )
    return Credentials(environment.endpoint, own, limited, verify=not environment.skip_ssl_verify)


def override(spec: Spec, environment: Environment) -> Spec:
    """The spec with what NUCLEUS_SYNC_… says instead of its settings."""
    settings = spec.settings
    batch = _given(max_bytes=environment.batch_max_bytes, max_records=environment.batch_max_records)
    limit = _given(records=environment.delete_limit_records, fraction=environment.delete_limit_fraction)
    top = _given(ledger=environment.ledger, prune=environment.prune, concurrency=environment.concurrency)
    changed = replace(
        settings, **top, batch=replace(settings.batch, **batch), delete_limit=replace(settings.delete_limit, **limit)
    )
    return replace(spec, settings=changed)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _secrets_directory() -> Path | None:
    named = os.environ.get("NUCLEUS_SYNC_SECRETS_DIR")
    if not named:
        return None
    directory = Path(named).expanduser()
    if not directory.is_dir():
        raise CredentialsError(
            "NUCLEUS_SYNC_SECRETS_DIR names no folder",
            where=named,
            fix="it holds one file per variable, such as NUCLEUS_API_KEY",
        )
    return directory


def _problem(error: Any) -> SpecProblem:
    """One refused variable; its value is not shown, since it may be a key that went astray."""
    context = error.get("ctx", {})
    if error["type"] == "spec":
        return SpecProblem(context["message"], path=str(error["loc"][0]), file="environment", hint=context["hint"])
    bounds = [f"{words} {context[key]:g}" for key, words in (("ge", "at least"), ("le", "at most")) if key in context]
    expected = " and ".join(bounds) or "a number"
    return SpecProblem(f"must be {expected}", path=str(error["loc"][0]), file="environment")
