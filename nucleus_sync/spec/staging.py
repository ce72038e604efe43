"""What all sources share whose files can be put somewhere first, for Nucleus to read them there."""

from __future__ import annotations

from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.rule import refuse


class StagedSource(SpecPart, frozen=True, kw_only=True):
    """A source of files that Nucleus gets, or reads at some address, or reads where they were put.

    Each of them has `upload_to` and `upload_url` among its own keys, in the order in which people read them.
    """

    def __post_init__(self) -> None:
        upload_to, upload_url = getattr(self, "upload_to", None), getattr(self, "upload_url", None)
        if upload_to is None:
            if upload_url is not None:
                refuse("'upload_url' says how a place is read, but nothing is put there", "add upload_to")
            return
        if taken := next((name for name in self._read_elsewhere() if getattr(self, name, None) is not None), None):
            refuse(f"the files are read at {taken}, so there is nothing to upload", f"remove {taken}, or upload_to")
        if upload_url is None and upload_to.startswith(("az://", "file://")):
            scheme = upload_to.partition("://")[0]
            refuse(f"Nucleus does not read {scheme}:// addresses", "add upload_url: https://…")

    def _read_elsewhere(self) -> tuple[str, ...]:
        """The keys that say where Nucleus reads the same files."""
        return ("image_url",)


def staged_in(source: object) -> str | None:
    """Where the source's files are put before Nucleus reads them."""
    return getattr(source, "upload_to", None)


def read_at(source: object) -> str:
    """The address of that place as Nucleus reads it, with a slash at its end."""
    return f"{(getattr(source, 'upload_url', None) or staged_in(source) or '').rstrip('/')}/"
