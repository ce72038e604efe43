"""Items in Nucleus's own wire form."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

Number = int | float


class Item(Struct, frozen=True, kw_only=True, gc=False):
    """An image that Nucleus reads from a URL (docs/wire.md §4.1).

    `image_url` has the scheme http, https, s3 or gs. `width` and `height` are pixels and required in privacy mode.
    """

    metadata: dict[str, Any] = {}
    reference_id: str
    width: Number | UnsetType = UNSET
    height: Number | UnsetType = UNSET
    image_url: str
    embedding_info: dict[str, Any] | UnsetType = UNSET


class StagedFile(Struct, frozen=True, kw_only=True, gc=False):
    """A file on this machine that must lie at `url` before Nucleus is told of it; `digest` as for a LocalItem."""

    url: str
    path: str
    size: int
    digest: bytes


class LocalItem(Struct, frozen=True, kw_only=True, gc=False):
    """An image whose bytes are uploaded: `item.image_url` is only the name of the multipart's file.

    `path` is where the bytes lie on this machine and never leaves it; `digest` is the XXH3-128 of the bytes.
    """

    item: Item
    path: str
    size: int
    digest: bytes

    @property
    def is_staged(self) -> bool:
        """Whether the bytes go into a bucket, and `item.image_url` is their address there."""
        return "://" in self.item.image_url

    @property
    def reference_id(self) -> str:
        """The item's key."""
        return self.item.reference_id
