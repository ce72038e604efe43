"""Where Nucleus is, and as whom somebody comes: what the environment says of it, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from nucleus_sync.errors import CredentialsError

KEY_VARIABLES = ("NUCLEUS_API_KEY", "NUCLEUS_LIMITED_ACCESS_KEY")
DEFAULT_ENDPOINT = "https://api.scale.com/v1/nucleus"
_SHORTEST = 8
EMBEDDED = "embedded"
"""The endpoint that stands for an emulator inside the process."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach Nucleus, and as whom, as far as that was said; neither key is ever shown."""

    endpoint: str
    """The address of the API with its version, or `embedded`."""
    api_key: str | None = field(default=None, repr=False)
    """The key of a Nucleus user."""
    limited_access_key: str | None = field(default=None, repr=False)
    """A key that may see only a part."""
    verify: bool = True
    """Whether the server's certificate is checked."""

    @property
    def embedded(self) -> bool:
        """Whether the endpoint is an emulator inside the process."""
        return self.endpoint == EMBEDDED

    def checked(self) -> Self:
        """The same. Raises CredentialsError when there is no key, or one too many."""
        keys = (self.api_key, self.limited_access_key)
        if self.embedded:
            return self
        if all(keys):
            raise CredentialsError(
                f"both {' and '.join(KEY_VARIABLES)} are set",
                fix="unset the one that is not meant",
            )
        if not any(keys):
            raise CredentialsError(
                "there is no API key",
                fix=f"set {' or '.join(KEY_VARIABLES)} (in the environment, in .env beside the spec, "
                "or in NUCLEUS_SYNC_SECRETS_DIR), or rehearse without one: NUCLEUS_ENDPOINT=embedded",
            )
        return self


def as_key(text: str | None) -> str | None:
    """A key without blanks around it. An empty variable is how shells and CI systems say that there is none."""
    return (text or "").strip() or None


def keys_in(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Both keys as the variables alone say them, whose names may be written in any case."""
    said = {name.upper(): value for name, value in environ.items()}
    own, limited = (as_key(said.get(name)) for name in KEY_VARIABLES)
    return own, limited


def telling_keys(environ: Mapping[str, str]) -> list[str]:
    """The keys by which a text can be told to hold one."""
    # A key of a few letters, as tests use, would be found in innocent words.
    return [key for key in keys_in(environ) if key is not None and len(key) >= _SHORTEST]
