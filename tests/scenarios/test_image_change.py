"""A new image under a known reference id: sent and read back, or the item is made anew with all that hangs on it."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, picture, write_lines

Client = nucleus.NucleusClient
KEEPS = {"match": {"job": "uploadDatasetItems"}, "effect": {"keep_images": True}}
NAMES = ("a.png", "b.png", "c.png")
FREE = {"delete_limit": {"fraction": 1}}


def _box(reference: str, number: int, **more: Any) -> dict[str, Any]:
    geometry = {"x": number, "y": 1, "width": 3, "height": 2}
    return {
        "type": "box",
        "label": "car",
        "reference_id": reference,
        "annotation_id": f"{number}",
        "geometry": geometry,
    } | more


def _declare(project: Project, photos: dict[str, Any], **dataset: Any) -> None:
    """Three items with two annotations and two predictions each, and a slice of two of them."""
    boxes = [_box(name, number) for name in NAMES for number in (1, 2)]
    write_lines(project.folder / "boxes.jsonl", boxes)
    write_lines(project.folder / "cnn.jsonl", [{**box, "confidence": 0.5} for box in boxes])
    street = {
        "name": "Street",
        "items": ["photos"],
        "annotations": ["boxes"],
        "slices": {"few": {"reference_ids": ["a.png", "b.png"]}},
    }
    project.declare(
        settings=FREE,
        sources={"photos": photos}
        | {name: {"format": "records", "path": f"{name}.jsonl"} for name in ("boxes", "cnn")},
        datasets={"street": street | dataset},
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"street": ["cnn"]}}},
    )


def _uploaded(project: Project, **dataset: Any) -> None:
    for name in NAMES:
        if not (project.folder / "images" / name).exists():
            picture(project.folder / "images" / name, 9, 8)
    _declare(project, {"format": "images", "path": "images"}, **dataset)


def _remote(project: Project, place: str, **dataset: Any) -> None:
    items = [
        {
            "reference_id": name,
            "image_url": f"s3://{place if name == 'a.png' else 'old'}/{name}",
            "metadata": {"at": place},
        }
        for name in NAMES
    ]
    write_lines(project.folder / "items.jsonl", items)
    _declare(project, {"format": "records", "path": "items.jsonl"}, **dataset)


def _applied(project: Project) -> dict[str, Any]:
    summary = project.apply()
    assert summary["exit_code"] == 0
    project.assert_settled()
    return summary


def _held(client: Client) -> tuple[int, int, int, list[str]]:
    """Items, annotations, predictions, and the members of the slice, as the official SDK reads them."""
    (dataset,) = client.datasets
    rows = dataset.items_and_annotations()
    boxes = sum(len(row["annotations"]["box"]) for row in rows)
    (model,) = client.models
    found = [dataset.predictions_refloc(model, name).get("box", []) for name in NAMES]
    members = sorted(item.reference_id for item in dataset.slices[0].items)
    return len(rows), boxes, sum(map(len, found)), members


WHOLE = (3, 6, 6, ["a.png", "b.png"])


def _urls(project: Project) -> dict[str, str]:
    return {item["reference_id"]: item["url"] for item in project.dataset()["items"]}


def _digests(project: Project) -> dict[str, str]:
    return {item["reference_id"]: item["sha256"] for item in project.dataset()["items"]}


def test_an_update_that_is_taken_is_seen_to_be(project: Project, client: Client) -> None:
    _uploaded(project)
    _applied(project)
    before = _digests(project)
    picture(project.folder / "images" / "a.png", 9, 8, 99)
    picture(project.folder / "images" / "b.png", 9, 8, 99)
    asked = len(project.requests())
    assert _applied(project)["update"] == 2
    read = [line for line in project.requests()[asked:] if line.startswith("GET") and "/refloc/" in line]
    assert len(read) == 1  # one stands for all of its source
    after = _digests(project)
    assert [name for name in NAMES if after[name] != before[name]] == ["a.png", "b.png"]
    assert _held(client) == WHOLE


def test_bytes_that_are_not_taken_are_said_and_offered(project: Project, client: Client) -> None:
    _uploaded(project)
    _applied(project)
    before = _digests(project)
    project.emulator.inject([KEEPS])
    picture(project.folder / "images" / "a.png", 9, 8, 99)
    answer = project("apply", "--auto-approve")
    assert answer.code == 3
    assert "Nucleus kept the older image" in answer.text
    said = project.ok("errors").out
    assert "on_image_change: replace" in said
    assert "a.png" in said
    assert project("plan", "--detailed-exitcode").code == 0
    assert project.plan()["summary"]["rejected"] == 1
    assert _digests(project) == before
    assert project.apply("--retry-rejected")["exit_code"] == 3

    _uploaded(project, on_image_change="replace")
    refused = project("plan")
    assert refused.code == 6
    assert "prune: true lets it be deleted and made anew" in refused.text

    _uploaded(project, on_image_change="replace", prune=True)
    changes = project.changes()
    assert [change["reason"] for change in changes if change["address"] == "dataset.street.items"] == [
        "image changed: made anew",
        "image changed: made anew",
    ]
    summary = _applied(project)
    assert (summary["create"], summary["delete"], summary["resent"]) == (1, 1, 4)
    after = _digests(project)
    assert [name for name in NAMES if after[name] != before[name]] == ["a.png"]
    assert _held(client) == WHOLE
    assert "a.png" not in project.ok("errors").out


def test_an_address_that_is_not_taken_leaves_the_rest_of_the_update(project: Project, client: Client) -> None:
    _remote(project, "old")
    _applied(project)
    project.emulator.inject([KEEPS])
    _remote(project, "new")
    summary = project.apply()
    assert (summary["exit_code"], summary["update"], summary["rejected"]) == (3, 2, 1)
    assert _urls(project)["a.png"] == "s3://old/a.png"
    assert {item["metadata"]["at"] for item in project.dataset()["items"]} == {"new"}
    assert project("refresh", "--detailed-exitcode").code == 0  # nothing that somebody else has done
    _remote(project, "new", on_image_change="replace", prune=True)
    _applied(project)
    assert _urls(project)["a.png"] == "s3://new/a.png"
    assert _held(client) == WHOLE
    # Back again, and taken at once, since the item goes first.
    _remote(project, "old", on_image_change="replace", prune=True)
    assert _applied(project)["delete"] == 1
    assert _urls(project)["a.png"] == "s3://old/a.png"


def test_an_update_in_doubt_is_read_back(project: Project) -> None:
    """Nobody knows any more which image was there before the apply that was interrupted."""
    _remote(project, "old")
    _applied(project)
    effect = {"state": "Errored_Server", "keep_work": True, "keep_images": True}
    project.emulator.inject([{"match": {"job": "uploadDatasetItems", "times": 1}, "effect": effect}, KEEPS])
    _remote(project, "new")
    assert project.apply()["exit_code"] == 3
    summary = project.apply()
    assert (summary["exit_code"], summary["rejected"]) == (3, 1)
    project.emulator.inject([])
    _remote(project, "new", on_image_change="replace", prune=True)
    _applied(project)
    assert _urls(project)["a.png"] == "s3://new/a.png"


def test_items_made_anew_count_as_deleted(project: Project) -> None:
    _uploaded(project, on_image_change="replace", prune=True)
    _applied(project)
    picture(project.folder / "images" / "a.png", 9, 8, 99)
    sections = project.declared()
    sections["settings"] = {"delete_limit": {"fraction": 0.2}}
    project.declare(**sections)
    refused = project("apply", "--auto-approve")
    assert refused.code == 9
    assert "would lose 1 of 3 records" in refused.text
    assert project.apply("--allow-deletes")["exit_code"] == 0
    plan = project("plan", "--detailed-exitcode")
    assert plan.code == 0


def test_a_plan_shows_what_goes_and_comes(project: Project) -> None:
    _uploaded(project, on_image_change="replace", prune=True)
    _applied(project)
    picture(project.folder / "images" / "a.png", 9, 8, 99)
    text = project.ok("plan").out
    rows = [line.split() for line in text.splitlines() if " items " in line]
    assert ["-", "items", "1", "older", "image", "gone"] in rows
    assert ["+", "items", "1", "image", "changed:", "made", "anew"] in rows


def test_an_item_is_not_deleted_while_something_on_it_could_not_come_back(project: Project, client: Client) -> None:
    _uploaded(project, on_image_change="replace", prune=True)
    _applied(project)
    sections = project.declared()
    sections["sources"]["boxes"]["on_invalid"] = "skip"
    project.declare(**sections)
    boxes = [_box(name, number) for name in NAMES for number in (1, 2)]
    boxes[0]["geometry"]["width"] = -1
    write_lines(project.folder / "boxes.jsonl", boxes)
    picture(project.folder / "images" / "a.png", 9, 8, 99)
    before = _digests(project)
    answer = project("apply", "--auto-approve")
    assert "deletions wait" in answer.text
    assert _digests(project) == before
    assert _held(client) == WHOLE


@pytest.mark.parametrize("status", [400, 500])
def test_a_deletion_that_fails_is_taken_up_again(project: Project, client: Client, status: int) -> None:
    _uploaded(project, on_image_change="replace", prune=True)
    _applied(project)
    picture(project.folder / "images" / "a.png", 9, 8, 99)
    picture(project.folder / "images" / "b.png", 9, 8, 99)
    before = _digests(project)
    project.emulator.inject(
        [{"match": {"method": "DELETE", "path": "refloc/a.png"}, "effect": {"status": status}}, KEEPS]
    )
    assert project.apply()["exit_code"] == 3
    after = _digests(project)
    assert [name for name in NAMES if after[name] != before[name]] == ["b.png"]
    project.emulator.inject([KEEPS])
    assert project.apply()["exit_code"] == 0
    project.assert_settled()
    assert _digests(project)["a.png"] != before["a.png"]
    assert _held(client) == WHOLE


def test_metadata_in_doubt_is_no_reason_to_delete(project: Project) -> None:
    _remote(project, "old", on_image_change="replace", prune=True)
    _applied(project)
    effect = {"state": "Errored_Server", "keep_work": True}
    project.emulator.inject([{"match": {"job": "uploadDatasetItems", "times": 1}, "effect": effect}])
    lines = [{"reference_id": name, "image_url": f"s3://old/{name}", "metadata": {"at": "x"}} for name in NAMES]
    write_lines(project.folder / "items.jsonl", lines)
    assert project.apply()["exit_code"] == 3
    assert _applied(project)["delete"] == 0
