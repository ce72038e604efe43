"""Folders of frames and of video files as video scenes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter

from nucleus_sync.records.facts import NoFacts
from nucleus_sync.records.problem import Problem
from nucleus_sync.records.record import Kind, wire_line
from nucleus_sync.sources.frames import FramesReader
from nucleus_sync.sources.natural_order import natural_order
from nucleus_sync.sources.reader import Pick, Seen, Surroundings
from nucleus_sync.spec.scene_source import FramesSource


def png(path: Path, width: int = 4, height: int = 3) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\x00" + bytes(width)) * height)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def reader(folder: Path, **spec: Any) -> FramesReader:
    given = {"image_url": "s3://b/{path}", "frame_rate": 15} if "video_url" not in spec else {}
    source = TypeAdapter(FramesSource).validate_python({"format": "frames", "path": "clips", **given, **spec})
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return FramesReader(source, Surroundings("clips", folder, scratch, NoFacts()))


def scenes(folder: Path, **spec: Any) -> tuple[list[dict[str, Any]], list[Problem]]:
    """What is read, in wire form, and what is said."""
    problems: list[Problem] = []
    made = reader(folder, **spec)
    picks = [Pick(*seen) for seen in made.scan(Kind.SCENES, problems.append)]
    found = [msgspec.json.decode(wire_line(scene)) for _, scene in made.read(Kind.SCENES, picks, problems.append)]
    return found, problems


def seen(folder: Path, **spec: Any) -> list[Seen]:
    return list(reader(folder, **spec).scan(Kind.SCENES, lambda _: None))


def test_every_folder_is_a_scene_with_its_frames_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    for name in ("a/9.png", "a/10.png", "a/8.png", "b c/001.png"):
        png(tmp_path / "clips" / name)
    found, problems = scenes(tmp_path, metadata={"route": "{scene}"})
    assert problems == []
    assert [(scene["reference_id"], scene["frame_rate"], scene["metadata"]) for scene in found] == [
        ("a", 15, {"route": "a"}),
        ("b c", 15, {"route": "b c"}),
    ]
    assert [frame["reference_id"] for frame in found[0]["frames"]] == ["a/8.png", "a/9.png", "a/10.png"]
    frame = {"metadata": {}, "url": "s3://b/b c/001.png", "type": "image", "width": 4, "height": 3}
    assert found[1]["frames"] == [{"reference_id": "b c/001.png", **frame}]


def test_templates_say_what_a_scene_is_and_how_frames_are_called(tmp_path: Path) -> None:
    for name in ("x/cam1/0.png", "x/cam1/1.png", "y/cam1/0.png"):
        png(tmp_path / "clips" / name)
    found, _ = scenes(
        tmp_path, scene="all of {suffix}", reference_id="{parent}-{stem}", image_url="https://h/{parent}/{name}"
    )
    (scene,) = found
    assert scene["reference_id"] == "all of .png"
    assert [frame["reference_id"] for frame in scene["frames"]] == ["x/cam1-0", "x/cam1-1", "y/cam1-0"]
    assert scene["frames"][0]["url"] == "https://h/x/cam1/0.png"


def test_each_video_file_is_a_scene(tmp_path: Path) -> None:
    folder = tmp_path / "clips" / "day"
    folder.mkdir(parents=True)
    for name in ("one.MP4", "two.mov", "notes.txt"):
        (folder / name).write_bytes(b"x")
    found, problems = scenes(tmp_path, video_url="s3://b/{path}", metadata={"day": "{parent}"})
    assert problems == []
    assert found == [
        {"reference_id": f"day/{name}", "video_url": f"s3://b/day/{name}", "metadata": {"day": "day"}}
        for name in ("one.MP4", "two.mov")
    ]


def test_what_cannot_be_a_scene_is_said(tmp_path: Path) -> None:
    png(tmp_path / "clips" / "loose.png")
    png(tmp_path / "clips" / "a" / "0.png")
    (tmp_path / "clips" / "a" / "1.png").write_bytes(b"no picture")
    found, problems = scenes(tmp_path)
    assert found == []
    assert [(problem.record, problem.key) for problem in problems] == [("loose.png", None), ("a/1.png", b"a")]
    assert "reference_id of the scene is empty" in problems[0].detail


def test_two_video_files_are_no_scene(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "a.mov"):
        (tmp_path / "clips" / name).write_bytes(b"x")
    found, (problem,) = scenes(tmp_path, video_url="s3://b/{path}", scene="{stem}")
    assert found == []
    assert problem.detail == "several video files make one scene: a.mp4"


def test_a_scan_sees_what_changes(tmp_path: Path) -> None:
    png(tmp_path / "clips" / "a" / "0.png")
    png(tmp_path / "clips" / "b" / "0.png")
    before = {each.key: each.raw for each in seen(tmp_path)}
    assert {each.key: each.raw for each in seen(tmp_path)} == before
    assert all({each.key: each.raw for each in seen(tmp_path, frame_rate=30)}[key] != before[key] for key in before)
    png(tmp_path / "clips" / "b" / "1.png")
    after = {each.key: each.raw for each in seen(tmp_path)}
    assert [key for key in before if before[key] != after[key]] == [b"b"]


@pytest.mark.parametrize(
    "names",
    [
        ["9", "10", "100"],
        ["a2b10", "a10b2"],
        ["frame-001", "frame-2", "frame-010"],
        ["1", "01"][::-1],
        ["a", "b1", "b2"],
    ],
)
def test_natural_order(names: list[str]) -> None:
    assert sorted(sorted(names), key=natural_order) == names
