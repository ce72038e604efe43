"""What an item can carry beside its image, as the official SDK reads it back."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, write_lines

ATTACHMENTS = [{"attachment": "https://example.com/a.txt"}]


def _declare(project: Project, *items: dict[str, Any], private: bool = False) -> None:
    write_lines(project.folder / "items.jsonl", items)
    project.declare(
        sources={"items": {"format": "records", "path": "items.jsonl"}},
        datasets={"street": {"name": "Street", "items": ["items"], "privacy_mode": private}},
    )


def _item(**more: Any) -> dict[str, Any]:
    return {"reference_id": "a.jpg", "image_url": "https://example.com/a.jpg", "width": 9, "height": 8, **more}


def _read(project: Project, client: nucleus.NucleusClient) -> Any:
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    (dataset,) = client.datasets
    (item,) = dataset.items
    return item


def test_coordinates_and_attachments_travel_in_the_metadata(project: Project, client: nucleus.NucleusClient) -> None:
    metadata = {"lat": 52.5, "lon": 13.3, "context_attachments": ATTACHMENTS}
    _declare(project, _item(metadata=metadata))
    assert _read(project, client).metadata == metadata
    _declare(project, _item(metadata={"lat": 52.6}))
    assert _read(project, client).metadata == {"lat": 52.6}


def test_an_embedding_is_sent_and_changed(project: Project, client: nucleus.NucleusClient) -> None:
    for vector in ([0.5, 1.0], [0.25, 1.0]):
        info = {"index_id": "emb_1", "embedding_vector": vector}
        _declare(project, _item(embedding_info=info))
        _read(project, client)
        assert project.dataset()["items"][0]["embedding_info"] == info


def test_a_private_dataset_takes_items_with_sizes(project: Project, client: nucleus.NucleusClient) -> None:
    _declare(project, _item(), private=True)
    _read(project, client)
    assert project.dataset()["use_privacy_mode"] is True


@pytest.mark.parametrize("source", [{"format": "images", "path": "images"}])
def test_a_private_dataset_refuses_local_files(project: Project, source: dict[str, Any]) -> None:
    project.declare(
        sources={"photos": source},
        datasets={"street": {"name": "Street", "items": ["photos"], "privacy_mode": True}},
    )
    answer = project("plan")
    assert answer.code == 6
    assert "would upload files, which privacy_mode forbids" in answer.text
