"""The official SDK against a running emulator."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nucleus
import nucleus.async_job
import pytest
import tqdm

from nucleus_sync.emulator import Emulator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What the SDK itself calls is none of our business.
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator"), latency=0.01) as running:
        yield running


@pytest.fixture(autouse=True)
def quick_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nucleus.async_job, "JOB_POLLING_INTERVAL", 0.01)
    for name in ("NUCLEUS_API_KEY", "NUCLEUS_ENDPOINT", "S3_ENDPOINT", "NUCLEUS_SKIP_SSL_VERIFY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_loop() -> None:
    """Hide every event loop from the SDK: where it finds one, it patches asyncio for the whole process."""
    asyncio.set_event_loop(None)


@pytest.fixture
def client(emulator: Emulator) -> nucleus.NucleusClient:
    made = nucleus.NucleusClient("any-key", endpoint=emulator.endpoint)
    made.tqdm_bar = lambda *args, **kwargs: tqdm.tqdm(*args, **{**kwargs, "disable": True})
    return made


@pytest.fixture
def dataset(client: nucleus.NucleusClient) -> nucleus.Dataset:
    return client.create_dataset("images", is_scene=False)


@pytest.fixture
def finish() -> Callable[[Any], dict[str, Any]]:
    return finish_job


def finish_job(job: Any) -> dict[str, Any]:
    """Wait for a job as the SDK does not: `Queued` is not the end."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        status: dict[str, Any] = job.status()
        if status["status"] not in ("Queued", "Running"):
            return status
        time.sleep(0.005)
    raise AssertionError("the job did not finish")


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.005)

    return wait


@pytest.fixture
def items(dataset: nucleus.Dataset) -> list[nucleus.DatasetItem]:
    """Five remote items, already in the dataset."""
    made = [
        nucleus.DatasetItem(f"s3://acme/{n}.jpg", reference_id=f"street/{n}.jpg", metadata={"n": n}) for n in range(5)
    ]
    assert finish_job(dataset.append(made))["status"] == "Completed"
    return made


@pytest.fixture
def model(client: nucleus.NucleusClient) -> nucleus.Model:
    return client.create_model("CNN", f"cnn-{uuid.uuid4().hex}", metadata={"epochs": 3})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "a picture.png"
    Image.new("L", (4, 3)).save(path)
    return path
