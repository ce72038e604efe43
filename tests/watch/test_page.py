"""The status page in a real browser; NUCLEUS_SYNC_WRITE_DOCS=1 keeps its picture as docs/status-page.png."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucleus_sync.emulator.server import Emulator

from .conftest import SPEC, Watched, eventually
from .writers import write_labels

Held = Callable[[], dict[str, Any]]
PICTURE = Path(__file__).parents[2] / "docs" / "status-page.png"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1180,1420",
)  # fmt: skip
SIZE = (320, 200)
CAR, SIGN = (196, 60, 52), (244, 208, 70)
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., bytes]:
    """Opens an address in a browser of its own."""
    if BROWSER is None:
        pytest.skip("no chromium on the PATH")

    def run(*arguments: str) -> bytes:
        flags = (*FLAGS, f"--user-data-dir={tmp_path / 'browser'}")
        return subprocess.run([str(BROWSER), *flags, *arguments], check=True, capture_output=True, timeout=90).stdout

    return run


def street(path: Path, number: int) -> dict[str, Any]:
    """A picture of a street with a car and a sign, and where they are."""
    from PIL import Image, ImageDraw

    drawn = Image.new("RGB", SIZE, (176, 206, 232))
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((0, 110, 320, 200), fill=(96, 98, 102))
    for at in range(-40, 320, 80):
        pen.polygon(
            [
                (at + 20 * number % 80, 158),
                (at + 20 * number % 80 + 36, 158),
                (at + 20 * number % 80 + 30, 163),
                (at + 20 * number % 80 - 6, 163),
            ],
            fill=(226, 226, 220),
        )
    left = 30 + number * 37 % 170
    pen.rounded_rectangle((left, 112, left + 92, 146), 8, fill=CAR)
    pen.rounded_rectangle((left + 18, 94, left + 70, 116), 8, fill=CAR)
    for wheel in (left + 12, left + 62):
        pen.ellipse((wheel, 136, wheel + 20, 156), fill=(30, 30, 34))
    post = 290 - number * 23 % 120
    pen.rectangle((post, 60, post + 4, 130), fill=(110, 110, 110))
    sign = [(post - 14, 60), (post + 2, 34), (post + 18, 60)]
    pen.polygon(sign, fill=SIGN)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}")
    drawn.save(aside, "PNG")
    aside.replace(path)
    return {"car": [left - 2, 92, 96, 66], "sign": [float(value) for point in sign for value in point]}


def labels(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A COCO document of cars as boxes and signs as polygons."""
    images, annotations = [], []
    for number, (name, shapes) in enumerate(sorted(found.items()), 1):
        images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        car = {"image_id": number, "category_id": 1, "bbox": shapes["car"], "iscrowd": 0, "area": 1}
        sign = {"image_id": number, "category_id": 2, "segmentation": [shapes["sign"]], "iscrowd": 0, "area": 1}
        annotations += [car | {"id": 2 * number}, sign | {"id": 2 * number + 1, "bbox": [0, 0, 1, 1]}]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": EVIL if len(found) == 1 else "sign"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def declare(watched: Watched) -> None:
    spec = SPEC.replace("datasets:", "  labels: {format: coco, path: export/labels.json}\ndatasets:")
    (watched.folder / "nucleus.yaml").write_text(
        spec.replace("items: [images]", "items: [images], annotations: [labels]")
    )


def test_the_page_shows_streams_rejections_and_pictures_with_their_shapes(
    watched: Watched,
    emulator: Emulator,
    held: Held,
    browse: Callable[..., bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declare(watched)
    found = {f"berlin/{n:04d}.png": street(watched.images / f"berlin/{n:04d}.png", n) for n in range(8)}
    write_labels(watched.folder / "export" / "labels.json", labels(found))
    monkeypatch.chdir(watched.folder)
    refused = {"first": 2, "error": "geometry is outside of the image"}
    emulator.inject([{"match": {"job": "uploadAnnotations", "times": 1}, "effect": {"reject": refused}}])
    watched.start(health_port=0, spec=Path("nucleus.yaml"))
    eventually(lambda: len(held()) == 8 and watched.of("RecordRejected"))
    eventually(watched.service_rests)
    found["berlin/0008.png"] = street(watched.images / "berlin/0008.png", 8)
    write_labels(watched.folder / "export" / "labels.json", labels(found))
    eventually(lambda: len(held()) == 9 and "dataset.street.annotations" in watched.lags())
    eventually(watched.service_rests)
    address = watched.of("Watching")[0].health

    dom = browse("--dump-dom", address).decode()
    assert "dataset.street.annotations" in dom
    assert "geometry is outside of the image" in dom
    assert dom.count("<figure>") == 9
    assert dom.count('<polygon class="shape"') == 18
    assert "berlin/0000.png" in dom

    shot = tmp_path / "page.png"
    browse(f"--screenshot={shot}", address)
    if os.environ.get("NUCLEUS_SYNC_WRITE_DOCS"):
        shutil.copy(shot, PICTURE)
    assert _has(shot, CAR), "the images are shown"


def _has(shot: Path, colour: tuple[int, int, int]) -> bool:
    from PIL import Image

    with Image.open(shot) as image:
        found = image.convert("RGB").getcolors(1 << 24) or []
    near = sum(count for count, pixel in found if all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True)))
    return near > 500


def test_what_a_file_says_is_never_taken_for_html(watched: Watched, held: Held, browse: Callable[..., bytes]) -> None:
    declare(watched)
    name = "<img src=x onerror=alert(1)>.png"
    found = {name: street(watched.images / name, 1)}
    write_labels(watched.folder / "export" / "labels.json", labels(found))
    watched.start(health_port=0)
    eventually(lambda: len(held()) == 1)
    eventually(watched.service_rests)
    dom = browse("--dump-dom", watched.of("Watching")[0].health).decode()
    assert "<script" not in dom
    assert "<img src=x" not in dom
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in dom
