"""Files that are put into a bucket first: only what is missing, under names made of their content."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nucleus
import pytest

from .object_store import object_store
from .project import Project, picture, write_json

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


CATEGORY = {"id": 1, "name": "car", "isthing": 1}
XML = "<annotation><filename>a.png</filename><object><name>car</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
XML += "<xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
LABEL = "Car 0 0 0 1 1 5 5 1 1 1 0 0 9 0\n"
CALIB = "".join(f"P{n}: 9 0 4 0 0 9 3 0 0 0 1 0\n" for n in range(4))
CALIB += "R0_rect: 1 0 0 0 1 0 0 0 1\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\n"


def _text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def _yolo(folder: Path) -> dict[str, Any]:
    picture(folder / "images" / "a.png", 9, 8)
    _text(folder / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2\n")
    return {"format": "yolo", "names": ["car"]}


def _voc(folder: Path) -> dict[str, Any]:
    picture(folder / "JPEGImages" / "a.png", 9, 8)
    _text(folder / "Annotations" / "a.xml", XML)
    return {"format": "voc"}


def _kitti(folder: Path) -> dict[str, Any]:
    picture(folder / "image_2" / "a.png", 9, 8)
    _text(folder / "label_2" / "a.txt", LABEL)
    return {"format": "kitti"}


@pytest.mark.parametrize("make", [_yolo, _voc, _kitti])
def test_folders_of_labels(
    project: Project, client: nucleus.NucleusClient, s3: str, make: Callable[[Path], dict[str, Any]]
) -> None:
    prefix = make.__name__.strip("_")
    source = {**make(project.folder / "export"), "path": "export", "upload_to": f"s3://{BUCKET}/{prefix}"}
    project.declare(
        sources={"export": source}, datasets={"set": {"name": "Set", "items": ["export"], "annotations": ["export"]}}
    )
    _through(project, s3)
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    (content,) = [path.read_bytes() for path in project.folder.rglob("a.png")]
    assert list(_objects(s3, prefix).values()) == [content]
    (dataset,) = client.datasets
    (row,) = dataset.items_and_annotations()
    assert row["item"].image_location.removeprefix(f"s3://{BUCKET}/") in _objects(s3, prefix)
    assert [box.label.lower() for box in row["annotations"]["box"]] == ["car"]


def test_panoptic_images(project: Project, tmp_path: Path) -> None:
    picture(project.folder / "images" / "a.png", 9, 8)
    picture(project.folder / "masks" / "a.png", 9, 8)
    image = {"id": 1, "file_name": "a.png", "width": 9, "height": 8}
    write_json(project.folder / "panoptic.json", {"images": [image], "annotations": [], "categories": [CATEGORY]})
    place = {"upload_to": f"file://{tmp_path / 'store'}", "upload_url": "https://images.example.com"}
    source = {"format": "coco-panoptic", "path": "panoptic.json", "masks": "masks", "images": "images", **place}
    project.declare(sources={"export": source}, datasets={"set": {"name": "Set", "items": ["export"]}})
    assert project.apply()["exit_code"] == 0
    (file,) = (tmp_path / "store").iterdir()
    assert [item["url"] for item in project.dataset()["items"]] == [f"https://images.example.com/{file.name}"]


def test_images_of_a_coco_file(project: Project, tmp_path: Path) -> None:
    picture(project.folder / "images" / "a.png", 9, 8)
    image = {"id": 1, "file_name": "a.png", "width": 9, "height": 8}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}
    write_json(project.folder / "coco.json", {"images": [image], "annotations": [box], "categories": [CATEGORY]})
    place = {"upload_to": f"file://{tmp_path / 'store'}", "upload_url": "https://images.example.com"}
    source = {"format": "coco", "path": "coco.json", "images": "images", **place}
    dataset = {"name": "Set", "items": ["export"], "annotations": ["export"]}
    project.declare(sources={"export": source}, datasets={"set": dataset})
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    (file,) = (tmp_path / "store").iterdir()
    assert [item["url"] for item in project.dataset()["items"]] == [f"https://images.example.com/{file.name}"]


def _declare_scenes(project: Project, kind: str, **sources: dict[str, Any]) -> None:
    dataset = {"name": "Set", "kind": kind, "items": list(sources), "prune": True}
    limit = {"delete_limit": {"records": 1000, "fraction": 1}}
    project.declare(settings=limit, sources=sources, datasets={"set": dataset})


def test_frames_and_video_files(project: Project, client: nucleus.NucleusClient, s3: str) -> None:
    for number, name in enumerate(("a/9.png", "a/10.png", "b/1.png")):
        picture(project.folder / "clips" / name, 4 + number, 3)
    (project.folder / "films").mkdir()
    (project.folder / "films" / "one.mp4").write_bytes(b"film")
    place = {"upload_to": f"s3://{BUCKET}/scenes"}
    clips = {"format": "frames", "path": "clips", "frame_rate": 10, **place}
    films = {"format": "frames", "path": "films", **place}
    _declare_scenes(project, "video", clips=clips, films=films)
    _through(project, s3)
    assert f"staged in s3://{BUCKET}/scenes" in project.ok("plan").out
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    held = {f"s3://{BUCKET}/{name}": content for name, content in _objects(s3, "scenes").items()}
    (dataset,) = client.datasets
    frames = dataset.get_scene("a").get_items()
    assert [held[frame.image_location] for frame in frames] == [
        (project.folder / "clips" / name).read_bytes() for name in ("a/9.png", "a/10.png")
    ]
    film = next(scene for scene in project.dataset()["scenes"] if scene["reference_id"] == "one.mp4")
    assert held[film["video_url"]] == b"film"

    picture(project.folder / "clips" / "b" / "1.png", 9, 9)
    reasons = {change["reason"] for change in project.changes()}
    assert reasons == {"structure changed: made anew"}
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    assert len(_objects(s3, "scenes")) == 5


def test_point_clouds_and_cameras(project: Project, client: nucleus.NucleusClient, tmp_path: Path) -> None:
    drive = project.folder / "kitti" / "training"
    picture(drive / "image_2" / "7.png", 9, 8)
    _text(drive / "calib" / "7.txt", CALIB)
    (drive / "velodyne").mkdir()
    (drive / "velodyne" / "7.bin").write_bytes(struct.pack("<4f", 1, 2, 3, 0.5))
    place = {"upload_to": f"file://{tmp_path / 'store'}", "upload_url": "https://images.example.com"}
    source = {"format": "kitti-3d", "path": "kitti", **place}
    _declare_scenes(project, "lidar", drives=source)
    refused = project("plan")
    assert refused.code == 6
    assert "add convert_to" in refused.text
    _declare_scenes(project, "lidar", drives={**source, "convert_to": "converted"})
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    held = {f"https://images.example.com/{file.name}": file.read_bytes() for file in (tmp_path / "store").iterdir()}
    (dataset,) = client.datasets
    # The SDK puts a reference id into the path as it is.
    urls = {item.reference_id: item for item in dataset.get_scene("training%2F7").get_items()}
    cloud, image = urls["training/7/velodyne"].pointcloud_location, urls["training/7/image_2"].image_location
    assert json.loads(held[cloud])["points"] == [{"x": 1, "y": 2, "z": 3, "i": 0.5}]
    assert held[image] == (drive / "image_2" / "7.png").read_bytes()


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_stores(project: Project, scheme: str) -> None:
    where = {"upload_to": f"{scheme}://acme/staged"}
    address = where["upload_to"] if scheme == "gs" else "https://acme.example.com/staged"
    _declare(project, **where, **({} if scheme == "gs" else {"upload_url": address}))
    with object_store() as store:
        server = f"http://127.0.0.1:{store.server_port}"
        account = {"gcs_base_url": server, "disable_oauth": True, "client_email": "", "private_key": ""}
        project.environ |= {
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account | {"private_key_id": ""}),
            "AZURE_STORAGE_ACCOUNT_NAME": "acme",
            "AZURE_STORAGE_ACCOUNT_KEY": "a2V5",
            "AZURE_STORAGE_ENDPOINT": server,
        }
        switches = {"GOOGLE_ALLOW_HTTP": "true", "AZURE_ALLOW_HTTP": "true"}
        project.environ |= switches
        assert project.apply()["exit_code"] == 0
        project.assert_settled()
        files = {path.read_bytes() for path in (project.folder / "images").rglob("*.png")}
        assert set(store.objects.values()) == files
        assert [method for method, _, _ in store.asked].count("PUT") == 3
    urls = {item["url"] for item in project.dataset()["items"]}
    assert urls == {f"{address}/{name.removeprefix('acme/staged/')}" for name in store.objects}


def test_a_large_file_goes_up_in_parts(project: Project, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.apply.staging._IN_ONE_PIECE", 3)
    (project.folder / "films").mkdir(parents=True)
    (project.folder / "films" / "one.mp4").write_bytes(b"film" * 10)
    _declare_scenes(project, "video", films={"format": "frames", "path": "films", "upload_to": f"s3://{BUCKET}/large"})
    _through(project, s3)
    assert project.apply()["exit_code"] == 0
    assert list(_objects(s3, "large").values()) == [b"film" * 10]
