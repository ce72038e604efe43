"""Datasets through the official SDK."""

from __future__ import annotations

import nucleus
import pytest
from nucleus.errors import NucleusAPIError


def test_create_and_describe(client: nucleus.NucleusClient) -> None:
    schema = {"site": {"type": "text"}}
    made = client.create_dataset("street", is_scene=False, item_metadata_schema=schema)
    held = client.get_dataset(made.id)
    info = held.info()
    assert (held.name, held.is_scene, held.use_privacy_mode, held.size) == ("street", False, False, 0)
    assert (info.dataset_id, info.name, info.length, info.tags) == (made.id, "street", 0, [])
    assert info.item_metadata_schema == schema
    assert info.annotation_metadata_schema is None
    assert info.model_run_ids == info.slice_ids == held.model_runs == held.slices == []


def test_names_repeat(client: nucleus.NucleusClient) -> None:
    first = client.create_dataset("twins", is_scene=False)
    second = client.create_dataset("twins", is_scene=False)
    assert first.id != second.id
    listed = [each.id for each in client.datasets if each.name == "twins"]
    assert {first.id, second.id} <= set(listed)


def test_tags_are_kept_once_and_unknown_ones_passed_over(dataset: nucleus.Dataset) -> None:
    assert dataset.add_tags(["a", "b"]) == ["a", "b"]
    assert dataset.add_tags(["b", "c"]) == ["a", "b", "c"]
    assert dataset.remove_tags(["a", "zzz"]) == ["b", "c"]
    assert dataset.get_tags() == ["b", "c"]


def test_delete_goes_on_in_the_background(client: nucleus.NucleusClient, eventually) -> None:
    made = client.create_dataset("gone", is_scene=False)
    assert client.delete_dataset(made.id) == {"message": "Beginning dataset deletion..."}
    eventually(lambda: made.id not in [each.id for each in client.datasets])
    with pytest.raises(NucleusAPIError) as caught:
        made.info()
    assert caught.value.status_code == 404


def test_limited_access_key(emulator) -> None:
    limited = nucleus.NucleusClient(limited_access_key="limited", endpoint=emulator.endpoint)
    assert limited.create_dataset("limited", is_scene=False).info().name == "limited"


def test_what_is_not_emulated_says_its_name(client: nucleus.NucleusClient, dataset: nucleus.Dataset) -> None:
    with pytest.raises(NucleusAPIError, match="POST dataset/create_from_project is not emulated") as caught:
        client.create_dataset_from_project("project")
    assert caught.value.status_code == 501
    with pytest.raises(NucleusAPIError, match="exportScaleTaskInfo is not emulated"):
        dataset.export_scale_task_info()
