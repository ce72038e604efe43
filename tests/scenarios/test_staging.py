"""Files that are put into a bucket first: only what is missing, under names made of their content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nucleus
import pytest

from .project import Project, picture

BUCKET = "acme"
REGION = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3, with one bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=BUCKET)
    yield address
    server.stop()


def _objects(address: str, prefix: str) -> dict[str, bytes]:
    import boto3

    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=address, **keys)
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
    return {one["Key"]: client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in found}


def _declare(project: Project, **source: Any) -> None:
    for number, name in enumerate(("a.png", "b.png", "deep/c.png")):
        picture(project.folder / "images" / name, 20 + number, 10)
    project.declare(
        sources={"photos": {"format": "images", "path": "images", **source}},
        datasets={"street": {"name": "Street", "items": ["photos"]}},
    )


def _through(project: Project, address: str) -> None:
    project.environ.update(REGION | {"AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"})


def test_s3(project: Project, client: nucleus.NucleusClient, s3: str, request: pytest.FixtureRequest) -> None:
    prefix = request.node.name
    _declare(project, upload_to=f"s3://{BUCKET}/{prefix}")
    _through(project, s3)
    assert f"staged in s3://{BUCKET}/{prefix}" in project.ok("plan").out
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    held = _objects(s3, prefix)
    files = {path.read_bytes() for path in (project.folder / "images").rglob("*.png")}
    assert set(held.values()) == files
    (dataset,) = client.datasets
    urls = {item.reference_id: item.image_location for item in dataset.items}
    assert sorted(urls) == ["a.png", "b.png", "deep/c.png"]
    assert {url.removeprefix(f"s3://{BUCKET}/") for url in urls.values()} == set(held)
    assert not [line for line in project.sent() if "_storage" not in line and "multipart" in line]

    picture(project.folder / "images" / "a.png", 20, 10, 99)
    (changed,) = project.changes()
    assert (changed["action"], changed["reason"]) == ("update", "image changed")
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    assert len(_objects(s3, prefix)) == 4
    assert next(item.image_location for item in dataset.items if item.reference_id == "a.png") != urls["a.png"]


def test_what_is_there_is_not_put_again(project: Project, tmp_path: Path) -> None:
    store = tmp_path / "store"
    where = {"upload_to": f"file://{store}", "upload_url": "https://images.example.com/staged"}
    _declare(project, **where)
    rule = {"match": {"path": "append", "times": 1}, "effect": {"status": 400}}
    project.emulator.inject([rule])
    project.apply()
    before = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    after = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    assert len(after) == 3
    assert before.items() <= after.items()
    urls = {item["url"] for item in project.dataset()["items"]}
    assert urls == {f"https://images.example.com/staged/{path.name}" for path in store.iterdir()}


def test_the_same_bytes_are_one_object(project: Project, tmp_path: Path) -> None:
    store = tmp_path / "store"
    _declare(project, upload_to=f"file://{store}", upload_url="https://images.example.com")
    copy = (project.folder / "images" / "a.png").read_bytes()
    (project.folder / "images" / "b.png").write_bytes(copy)
    assert project.apply()["exit_code"] == 0
    assert len(list(store.iterdir())) == 2
    assert len(project.dataset()["items"]) == 3


def test_a_bucket_that_is_not_there_is_said(project: Project, s3: str) -> None:
    _declare(project, upload_to="s3://nowhere/x")
    _through(project, s3)
    answer = project("apply", "--auto-approve")
    assert answer.code == 3
    assert "can't be staged" in answer.text
    assert project.dataset()["items"] == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"upload_to": "https://x.example.com"}, "is no place to put files"),
        ({"upload_to": "file:///srv/x"}, "Nucleus does not read file:// addresses"),
        ({"upload_to": "s3://a/b", "image_url": "s3://a/{path}"}, "there is nothing to upload"),
        ({"upload_url": "https://x.example.com"}, "add upload_to"),
    ],
)
def test_places_that_make_no_sense(project: Project, source: dict[str, str], said: str) -> None:
    _declare(project, **source)
    answer = project("plan")
    assert answer.code == 6
    assert said in answer.text


def test_a_private_dataset_takes_staged_files(project: Project, tmp_path: Path) -> None:
    _declare(project, upload_to=f"file://{tmp_path / 'store'}", upload_url="https://images.example.com")
    sections = project.declared()
    sections["datasets"]["street"]["privacy_mode"] = True
    project.declare(**sections)
    assert project.apply()["exit_code"] == 0
    assert [(item["width"], item["height"]) for item in project.dataset()["items"]] == [(20, 10), (21, 10), (22, 10)]
