"""Items through the official SDK."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import nucleus
import pytest
from nucleus import DatasetItem
from nucleus.errors import NucleusAPIError


def test_append_remote_items(dataset, finish) -> None:
    made = [
        DatasetItem("s3://acme/ü 1.jpg", reference_id="a/ü 1.jpg", metadata={"site": "b", "lat": 52.5}),
        DatasetItem("https://acme/2.jpg", reference_id="a?b#c%2F/2", width=10, height=20),
    ]
    job = dataset.append(made)
    assert job.job_type == "uploadDatasetItems"
    status = finish(job)
    assert status["status"] == "Completed"
    assert status["message"]["image_upload_step"] == {"errored": 0, "pending": 0, "completed": 2}
    assert status["job_progress"] == "1.00"
    assert status["completed_steps"] == status["total_steps"]
    assert job.errors() == []
    read = list(dataset.items_generator())
    assert [(each.reference_id, each.image_location, each.metadata) for each in read] == [
        (each.reference_id, each.image_location, each.metadata or {}) for each in made
    ]
    assert [each.reference_id for each in dataset.items] == [each.reference_id for each in made]
    assert dataset.size == dataset.info().length == 2


@pytest.mark.parametrize(("update", "metadata"), [(False, {"a": 1, "b": 2}), (True, {"a": 5})])
def test_update_replaces_metadata_as_a_whole(dataset, finish, update, metadata) -> None:
    finish(dataset.append([DatasetItem("s3://acme/1.jpg", reference_id="1", metadata={"a": 1, "b": 2})]))
    finish(dataset.append([DatasetItem("s3://acme/moved.jpg", reference_id="1", metadata={"a": 5})], update=update))
    item = dataset.refloc("1")["item"]
    assert item.metadata == metadata
    assert item.image_location == ("s3://acme/moved.jpg" if update else "s3://acme/1.jpg")


def test_pages_go_on_until_the_token_ends(dataset, items) -> None:
    assert [each.reference_id for each in dataset.items_generator(page_size=2)] == [each.reference_id for each in items]
    assert len(list(dataset.items_generator(page_size=5))) == 5


def test_reads_by_reference_by_id_and_by_position(dataset, items) -> None:
    by_reference = dataset.refloc("street/3.jpg")["item"]
    assert by_reference == items[3]
    assert dataset.loc(by_reference.dataset_item_id)["item"] == items[3]
    assert dataset.iloc(3)["item"] == items[3]
    with pytest.raises(NucleusAPIError) as caught:
        dataset.refloc("nobody")
    assert caught.value.status_code == 404


def test_local_images_become_one_job_per_ten(client, dataset, picture: Path, finish) -> None:
    patched = hasattr(asyncio, "_nest_patched")
    folder = picture.parent
    names = [folder / f"{n} ü.png" for n in range(12)]
    for name in names:
        shutil.copy(picture, name)
    job = dataset.append([DatasetItem(str(name), reference_id=name.name, metadata={"n": 1}) for name in names])
    assert finish(job)["status"] == "Completed"
    assert dataset.size == 12
    assert len(dataset.jobs(show_completed=True)) == 2
    item = dataset.refloc(names[0].name)["item"]
    assert item.metadata == {"n": 1}
    # See conftest.py: the SDK must not have patched asyncio under the other tests of this process.
    assert hasattr(asyncio, "_nest_patched") is patched
    # The SDK prefers the server's own copy where there is one.
    assert item.image_location.endswith(hashlib.sha256(picture.read_bytes()).hexdigest())


def test_local_images_update(dataset, picture: Path, finish) -> None:
    item = DatasetItem(str(picture), reference_id="p", metadata={"v": 1})
    finish(dataset.append([item]))
    item.metadata = {"v": 2}
    finish(dataset.append([item]))
    assert dataset.refloc("p")["item"].metadata == {"v": 1}
    finish(dataset.append([item], update=True))
    assert dataset.refloc("p")["item"].metadata == {"v": 2}


def test_privacy_mode_wants_sizes(client, finish) -> None:
    private = client.create_dataset("private", is_scene=False, use_privacy_mode=True)
    assert private.use_privacy_mode
    finish(private.append([DatasetItem("https://inside/1.jpg", reference_id="1", width=4, height=3)]))
    assert private.size == 1


def test_delete_item_takes_its_annotations_along(dataset, items, finish) -> None:
    finish(dataset.annotate([nucleus.BoxAnnotation("car", 1, 2, 3, 4, "street/1.jpg")], asynchronous=True))
    dataset.delete_item("street/1.jpg")
    assert dataset.size == 4
    with pytest.raises(NucleusAPIError):
        dataset.refloc("street/1.jpg")
    finish(dataset.append([items[1]]))
    assert dataset.refloc("street/1.jpg")["annotations"] == {}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_metadata_update_merges(dataset, items, finish, asynchronous) -> None:
    answer = dataset.update_item_metadata({"street/1.jpg": {"night": 1}}, asynchronous=asynchronous)
    if asynchronous:
        assert answer.job_type == "metadataUpdate"
        assert finish(answer)["status"] == "Completed"
    assert dataset.refloc("street/1.jpg")["item"].metadata == {"n": 1, "night": 1}


def test_items_from_a_folder(client, picture: Path, eventually) -> None:
    made = client.create_dataset_from_dir(str(picture.parent), "folder")
    eventually(lambda: made.size == 1)
