"""The two kinds of key, which never show themselves."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from nucleus_sync.errors import CredentialsError

HIDDEN = "***"


@dataclass(frozen=True, slots=True, repr=False)
class ApiKey:
    """A full key, sent as the user name of HTTP Basic (docs/wire.md §1.1)."""

    secret: str

    def __post_init__(self) -> None:
        _check(self.secret, "NUCLEUS_API_KEY")

    def __repr__(self) -> str:
        return f"ApiKey({HIDDEN})"


@dataclass(frozen=True, slots=True, repr=False)
class LimitedKey:
    """A limited access key, sent in a header of its own and never beside the other kind."""

    secret: str

    def __post_init__(self) -> None:
        _check(self.secret, "NUCLEUS_LIMITED_ACCESS_KEY")

    def __repr__(self) -> str:
        return f"LimitedKey({HIDDEN})"


Credentials = ApiKey | LimitedKey

_SHORTEST = 8


def auth_headers(credentials: Credentials | None) -> dict[str, str]:
    """The one header that says who asks; none without credentials."""
    match credentials:
        case ApiKey(secret):
            return {"Authorization": f"Basic {_basic(secret)}"}
        case LimitedKey(secret):
            return {"x-limited-access-key": secret}
        case None:
            return {}


def scrub(text: str, credentials: Credentials | None) -> str:
    """The text without the key, should a server have echoed it."""
    for told in _told(credentials):
        text = text.replace(told, HIDDEN)
    return text


def scrub_bytes(content: bytes, credentials: Credentials | None) -> bytes:
    """An answer without the key, before anything of it is read or kept."""
    for told in _told(credentials):
        content = content.replace(told.encode(), HIDDEN.encode())
    return content


def _told(credentials: Credentials | None) -> tuple[str, ...]:
    """The forms in which a key may come back. A very short one is no key, and would garble good answers."""
    if credentials is None or len(credentials.secret) < _SHORTEST:
        return ()
    return _basic(credentials.secret), credentials.secret


def _basic(secret: str) -> str:
    return b64encode(f"{secret}:".encode()).decode()


def _check(secret: str, variable: str) -> None:
    """A key with a line break would be quoted in full by the error of the HTTP library."""
    if not secret or not all("!" <= character <= "~" for character in secret):
        raise CredentialsError(
            "the key is empty or holds spaces, line breaks or characters that no key has",
            fix=f"set {variable} to the key alone, without quotes or spaces",
        )
