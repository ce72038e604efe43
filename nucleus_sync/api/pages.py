"""Long listings, page by page, with pages that shrink when Nucleus can't make them within its minute."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from nucleus_sync.api.calls import post
from nucleus_sync.api.exchange import Exchange
from nucleus_sync.api.retry import Policy
from nucleus_sync.api.wire import Json
from nucleus_sync.errors import ApiError, Unreachable

SMALLEST = 100
"""A page of this size that fails is given the full patience."""
GROWS_AFTER = 8
"""Good pages after which a shrunken one grows again."""
REMEMBERED_PAGES = 3
"""How far back a repeated row is noticed: writes during a listing shift rows to the next page or two."""
_TOO_SLOW = frozenset({None, 500, 503, 504, 520, 524})


@dataclass(frozen=True, slots=True)
class PageSize:
    """The size to ask for next."""

    now: int
    most: int
    good: int = 0

    @property
    def can_shrink(self) -> bool:
        """Whether a smaller page may be asked for."""
        return self.now > min(SMALLEST, self.most)

    def failed(self) -> PageSize:
        """Half of it."""
        return replace(self, now=max(self.now // 2, min(SMALLEST, self.most)), good=0)

    def worked(self) -> PageSize:
        """Twice as much after a while without failures."""
        if self.good + 1 < GROWS_AFTER:
            return replace(self, good=self.good + 1)
        return replace(self, now=min(self.most, self.now * 2), good=0)


async def rows(
    exchange: Exchange, segments: tuple[str, ...], list_key: str, *, page_size: int, **more: Any
) -> AsyncIterator[Json]:
    """Every row of a paged listing once, as raw JSON objects (docs/wire.md §8.1)."""
    size = PageSize(page_size, page_size)
    token: str | None = None
    seen: deque[set[bytes]] = deque(maxlen=REMEMBERED_PAGES)
    while True:
        call = post(*segments, body={"pageToken": token, "pageSize": size.now, **more})
        try:
            page = await exchange.json(call, dict[str, Any], policy=_policy(exchange.policy, size))
        except ApiError as error:
            if not size.can_shrink or not _is_too_slow(error):
                raise
            size = size.failed()
            continue
        size = size.worked()
        if "nextPageToken" not in page or not isinstance(page.get(list_key), list):
            raise ApiError(f"a page without {list_key} or nextPageToken", where=call.where)
        seen.append(set())
        for row in page[list_key]:
            identity = _identity(row)
            if not any(identity in ids for ids in seen):
                seen[-1].add(identity)
                yield row
        following: str | None = page["nextPageToken"] or None
        if following is None:
            return
        if following == token:
            raise ApiError("the listing does not go on: the same page token twice", where=call.where)
        token = following


def _policy(policy: Policy, size: PageSize) -> Policy:
    """A big page is tried twice, a smallest one as long as anything else."""
    return replace(policy, attempts=1, outage_attempts=2) if size.can_shrink else policy


def _is_too_slow(error: ApiError) -> bool:
    return (isinstance(error, Unreachable) or error.status == 500) and error.status in _TOO_SLOW


def _identity(row: Json) -> bytes:
    """Nucleus's own id of a row, else the user's key, else all of it."""
    inner = next((row[name] for name in ("item", "scene") if isinstance(row.get(name), dict)), row)
    for name in ("dataset_item_id", "id", "ref_id", "reference_id"):
        if inner.get(name) and (inner is not row or "iou" not in row):
            return f"{name} {inner[name]}".encode()
    return msgspec.json.encode(row)
