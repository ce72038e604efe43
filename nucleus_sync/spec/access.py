"""Where Nucleus is, and as whom somebody comes: what the environment says of it, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

KEY_VARIABLES = ("NUCLEUS_API_KEY", "NUCLEUS_LIMITED_ACCESS_KEY")
DEFAULT_ENDPOINT = "https://api.scale.com/v1/nucleus"
EMBEDDED = "embedded"
"""The endpoint that stands for an emulator inside the process."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach Nucleus, and as whom; neither key is ever shown."""

    endpoint: str
    """The address of the API with its version, or `embedded`."""
    api_key: SecretStr | None = field(default=None, repr=False)
    limited_access_key: SecretStr | None = field(default=None, repr=False)
    verify: bool = True
    """Whether the server's certificate is checked."""

    @property
    def embedded(self) -> bool:
        """Whether the endpoint is an emulator inside the process."""
        return self.endpoint == EMBEDDED
