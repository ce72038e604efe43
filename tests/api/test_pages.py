"""Listings that come in pages."""

from __future__ import annotations

from typing import Any

import pytest

from nucleus_sync.api.client import Api
from nucleus_sync.api.pages import PageSize
from nucleus_sync.errors import ApiError, NotFound, Unreachable

from .recorder import Recorder, Reply, Request


def _server(rows: list[dict[str, Any]], *, too_big: int = 10**9, key: str = "items") -> Any:
    def answer(request: Request) -> Any:
        size, start = request.json["pageSize"], int(request.json["pageToken"] or 0)
        if size > too_big:
            return Reply(504, b"downstream duration timeout")
        page = rows[start : start + size]
        return {key: page, "nextPageToken": str(start + size) if start + size < len(rows) else None}

    return answer


ROWS = [{"ref_id": f"r{n}", "dataset_item_id": f"di_{n}", "metadata": {"n": n}} for n in range(2_000)]


async def test_every_row_comes_once(api: Api, recorder: Recorder) -> None:
    recorder.script = _server(ROWS)
    items = [item async for item in api.items.all("ds_1", page_size=300)]
    assert [item.reference_id for item in items] == [row["ref_id"] for row in ROWS]
    assert items[7].metadata == {"n": 7}
    assert recorder.requests[0].json == {"pageToken": None, "pageSize": 300}


async def test_a_page_that_takes_too_long_is_halved_and_the_token_kept(api: Api, recorder: Recorder) -> None:
    recorder.script = _server(ROWS, too_big=250)
    items = [item async for item in api.items.all("ds_1", page_size=1000)]
    assert len(items) == len(ROWS)
    sizes = [request.json["pageSize"] for request in recorder.requests]
    assert sizes[:5] == [1000, 1000, 500, 500, 250]
    assert {request.json["pageToken"] for request in recorder.requests[:5]} == {None}


async def test_the_smallest_page_that_fails_is_an_error(api: Api, recorder: Recorder) -> None:
    recorder.replies(Reply(504, b""))
    with pytest.raises(Unreachable):
        _ = [item async for item in api.items.all("ds_1", page_size=1000)]


async def test_rows_that_come_again_on_the_next_page_are_dropped(api: Api, recorder: Recorder) -> None:
    recorder.replies(
        {"items": ROWS[:3], "nextPageToken": "a"},
        {"items": [], "nextPageToken": "b"},
        {"items": ROWS[2:5], "nextPageToken": ""},
    )
    items = [item async for item in api.items.all("ds_1")]
    assert [item.reference_id for item in items] == ["r0", "r1", "r2", "r3", "r4"]


async def test_a_listing_that_does_not_go_on_is_an_error(api: Api, recorder: Recorder) -> None:
    recorder.replies({"items": [], "nextPageToken": "a"})
    with pytest.raises(ApiError, match="same page token"):
        _ = [item async for item in api.items.all("ds_1")]


@pytest.mark.parametrize("page", [{}, {"items": []}, {"nextPageToken": None}, {"items": 3, "nextPageToken": None}])
async def test_a_page_without_its_keys_is_an_error(api: Api, recorder: Recorder, page: object) -> None:
    recorder.replies(page)
    with pytest.raises(ApiError, match="nextPageToken"):
        _ = [item async for item in api.items.all("ds_1")]


async def test_other_errors_do_not_shrink_pages(api: Api, recorder: Recorder) -> None:
    recorder.replies(Reply(404, {"error": "no dataset"}))
    with pytest.raises(NotFound):
        _ = [item async for item in api.items.all("ds_1")]
    assert len(recorder.requests) == 1


def test_a_shrunken_page_grows_again_after_a_while() -> None:
    size = PageSize(1000, 1000).failed().failed()
    assert size.now == 250
    for _ in range(8):
        size = size.worked()
    assert size.now == 500
    assert not PageSize(100, 1000).can_shrink
    assert not PageSize(10, 10).can_shrink


async def test_an_export_row_becomes_records_in_wire_form(api: Api, recorder: Recorder) -> None:
    item = {"reference_id": "a", "dataset_item_id": "di_1", "image_url": "s3://a", "metadata": {}}
    box = {"annotation_id": "b", "label": "car", "geometry": {"x": 1}, "metadata": {}}
    mask = {"mask_url": "s3://m", "annotations": []}
    empty: dict[str, Any] = {name: [] for name in ("line", "polygon", "keypoints", "cuboid", "multicategory")}
    row = {"item": item, "box": [box], "category": [{"label": "x"}], "segmentation": mask, **empty}
    recorder.replies({"data": [row], "nextPageToken": None})
    rows = [row async for row in api.items.export("ds_1")]
    assert rows[0].item.item_id == "di_1"
    assert rows[0].records == [
        {**box, "reference_id": "a", "type": "box"},
        {"label": "x", "reference_id": "a", "type": "category"},
        {**mask, "reference_id": "a", "type": "mask"},
    ]
    body = recorder.requests[0].json
    assert {"query", "chip", "onlyMostRecentTask"} <= set(body)


async def test_a_single_read_has_lists_of_the_types_that_occur(api: Api, recorder: Recorder) -> None:
    recorder.replies({"item": {"ref_id": "a/b"}, "annotations": {"segmentation": [{"mask_url": "s3://m"}]}})
    found = await api.items.get("ds_1", "a/b")
    assert recorder.requests[0].target == "/dataset/ds_1/refloc/a%2Fb"
    assert found.item.reference_id == "a/b"
    assert found.records == [{"mask_url": "s3://m", "reference_id": "a/b", "type": "mask"}]
