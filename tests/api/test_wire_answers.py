"""Long answers are taken apart record by record."""

from __future__ import annotations

import msgspec
import pytest

from nucleus_sync.api.wire import stamped_one_by_one
from nucleus_sync.errors import ApiError


def taken(text: bytes) -> list[dict[str, object]]:
    return list(stamped_one_by_one(msgspec.json.decode(text, type=dict[str, msgspec.Raw])))


def test_records_bear_their_type_and_keep_their_item() -> None:
    answer = b'{"box": [{"reference_id": "a", "label": "x"}], "segmentation": [{"reference_id": "b"}], "line": null}'
    assert taken(answer) == [
        {"reference_id": "a", "label": "x", "type": "box"},
        {"reference_id": "b", "type": "mask"},
    ]


@pytest.mark.parametrize("answer", [b'{"box": {"a": 1}}', b'{"box": [1]}', b'{"box": "none"}'])
def test_what_is_no_list_of_objects_is_an_error_of_ours(answer: bytes) -> None:
    with pytest.raises(ApiError, match="without usable records"):
        taken(answer)
