"""Masks that are painted on this machine and uploaded."""

from __future__ import annotations

from msgspec import Struct

from nucleus_sync.records.annotation import Mask


class PaintedMask(Struct, frozen=True, kw_only=True, gc=False):
    """A segmentation whose pixels are known: `mask.mask_url` is only the name of the multipart's file.

    `pixels` is one byte for each pixel, row by row; `digest` is the XXH3-128 of them with the size.
    """

    mask: Mask
    pixels: bytes
    width: int
    height: int
    digest: bytes

    @property
    def reference_id(self) -> str:
        """The item that it is of."""
        return self.mask.reference_id
