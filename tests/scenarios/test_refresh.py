"""What somebody else does at Nucleus is named record by record, and repaired by the next plan when that is wanted."""

from __future__ import annotations

from typing import Any

import nucleus
import pytest

from .project import Project, write_lines
from .tiny import write_tiny

Client = nucleus.NucleusClient


def refreshed(project: Project, *arguments: str) -> dict[str, Any]:
    values: dict[str, Any] = project.ok("refresh", "--json", *arguments).json()
    return values


def stream(values: dict[str, Any], address: str) -> dict[str, Any]:
    (found,) = [one for one in values["streams"] if one["address"] == address]
    return found


def differences(values: dict[str, Any]) -> list[tuple[str, str, str, list[str]]]:
    return [(one["address"], "/".join(one["key"].values()), one["what"], one["fields"]) for one in values["records"]]


def remote(client: Client, project: Project) -> Any:
    (dataset,) = client.datasets
    return dataset


@pytest.fixture
def urls(project: Project) -> Project:
    """An applied project whose images Nucleus reads from URLs, all in wire form."""
    items = [{"reference_id": f"{n}", "image_url": f"s3://b/{n}.png", "metadata": {"n": n}} for n in range(4)]
    boxes = [
        {
            "type": "box",
            "label": "cat",
            "reference_id": f"{n // 2}",
            "annotation_id": f"b{n}",
            "geometry": {"x": n, "y": 1, "width": 5, "height": 6},
        }
        for n in range(8)
    ]
    write_lines(project.folder / "items.jsonl", items)
    write_lines(project.folder / "boxes.jsonl", boxes)
    write_lines(project.folder / "found.jsonl", [{**box, "confidence": 0.5} for box in boxes])
    project.declare(
        sources={name: {"format": "records", "path": f"{name}.jsonl"} for name in ("items", "boxes", "found")},
        datasets={
            "set": {
                "name": "Set",
                "tags": ["one"],
                "items": ["items"],
                "annotations": ["boxes"],
                "slices": {"few": {"reference_ids": ["0", "1"]}},
                "prune": True,
            }
        },
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "tags": ["old"], "predictions": {"set": ["found"]}}},
    )
    assert project.apply()["exit_code"] == 0
    return project


def test_nothing_is_reported_after_an_apply_and_nothing_is_sent(applied: Project) -> None:
    sent = len(applied.sent())
    values = refreshed(applied, "--detailed-exitcode")
    assert (values["drift"], values["written"], values["exit_code"]) == (0, False, 0)
    figures = {one["address"]: (one["verified"], one["unverified"]) for one in values["streams"]}
    assert figures == {
        "dataset.tiny.items": (3, 0),
        "dataset.tiny.annotations": (6, 0),
        "model.cnn.predictions.tiny": (5, 0),
    }
    assert not [line for line in applied.sent()[sent:] if not line.endswith("Page")]
    assert "under Nucleus's own URL" in stream(values, "dataset.tiny.items")["remarks"][0]
    assert "is as the ledger has it" in applied.ok("refresh").out


def test_what_somebody_changed_is_named_with_its_fields_and_repaired(applied: Project, client: Client) -> None:
    dataset = remote(client, applied)
    moved = nucleus.BoxAnnotation("cat", 1, 1, 9, 9, "a.png", "10")
    dataset.annotate([moved], update=True, asynchronous=False)
    client.make_request(
        {"metadata": [{"reference_id": "b.png", "metadata": {"site": "oslo"}}], "level": "item"},
        f"dataset/{dataset.id}/metadata?async=0",
    )
    values = refreshed(applied)
    assert differences(values) == [
        ("dataset.tiny.items", "b.png", "changed", ["metadata"]),
        ("dataset.tiny.annotations", "a.png/10", "changed", ["geometry"]),
    ]
    assert applied("refresh", "--detailed-exitcode").code == 2
    assert applied.plan()["summary"]["steps"] == 0
    assert refreshed(applied, "--write")["written"]
    assert {(one["address"], one["reason"]) for one in applied.changes()} == {
        ("dataset.tiny.items", "metadata changed"),
        ("dataset.tiny.annotations", "geometry changed"),
    }
    applied.apply()
    assert refreshed(applied)["drift"] == 0
    applied.assert_settled()


def test_what_somebody_deleted_is_sent_again_with_all_that_hung_on_it(applied: Project, client: Client) -> None:
    remote(client, applied).delete_item("b.png")
    values = refreshed(applied, "--write")
    keys = ["b.png", "b.png/12", "b.png/13", "b.png/0", "b.png/1"]
    assert [line[1:3] for line in differences(values)] == [(key, "deleted") for key in keys]
    assert applied.plan()["summary"]["create"] == 5
    applied.apply()
    applied.assert_settled()
    assert len(applied.dataset()["items"]) == 3
    assert refreshed(applied)["drift"] == 0


def test_what_somebody_added_is_reported_and_pruned_only_after_write(applied: Project, client: Client) -> None:
    extra = nucleus.BoxAnnotation("cat", 1, 1, 9, 9, "a.png", "mine")
    remote(client, applied).annotate([extra], update=True, asynchronous=False)
    assert differences(refreshed(applied)) == [("dataset.tiny.annotations", "a.png/mine", "added", [])]
    assert applied.plan()["summary"]["delete"] == 0
    refreshed(applied, "--write")
    assert applied.plan()["summary"]["delete"] == 1
    applied.apply()
    assert len(applied.dataset()["annotations"]) == 6
    applied.assert_settled()


def test_a_changed_url_is_seen_where_all_images_have_urls_of_ours(urls: Project, client: Client) -> None:
    item = nucleus.DatasetItem("s3://b/other.png", "2", metadata={"n": 2})
    remote(client, urls).append([item], update=True)
    assert differences(refreshed(urls)) == [("dataset.set.items", "2", "changed", ["image"])]
    refreshed(urls, "--write")
    assert [one["reason"] for one in urls.changes()] == ["image changed"]
    urls.apply()
    urls.assert_settled()


def test_tags_models_and_slices_are_compared_and_brought_back(urls: Project, client: Client) -> None:
    dataset = remote(client, urls)
    dataset.add_tags(["theirs"])
    client.make_request({}, f"slice/{dataset.slices[0].id}", requests_command=__import__("requests").delete)
    model = client.models[0]
    model.add_tags(["new"])
    values = refreshed(urls, "--write")
    assert [(one["address"], one["what"], one["fields"]) for one in values["resources"]] == [
        ("model.cnn", "changed", ["tags"]),
        ("dataset.set", "changed", ["tags"]),
        ("dataset.set.slice.few", "deleted", []),
    ]
    steps = [step["id"] for step in urls.plan()["steps"]]
    assert steps == ["dataset.set:update", "model.cnn:update", "dataset.set.slice.few:create"]
    urls.apply()
    urls.assert_settled()
    assert refreshed(urls)["drift"] == 0


def test_members_of_a_slice_are_compared(urls: Project, client: Client) -> None:
    remote(client, urls).slices[0].append(reference_ids=["3"])
    values = refreshed(urls, "--write")
    assert differences(values) == [("dataset.set.slice.few", "3", "added", [])]
    urls.apply()
    urls.assert_settled()
    assert refreshed(urls)["drift"] == 0


def test_a_deleted_dataset_is_made_again_and_a_deleted_model_too(urls: Project, client: Client) -> None:
    client.delete_model(client.models[0].id)
    settled(urls, "models")
    values = refreshed(urls, "--write")
    assert [(one["address"], one["what"]) for one in values["resources"]] == [("model.cnn", "deleted")]
    assert urls.apply()["create"] == 1 + 8
    client.delete_dataset(remote(client, urls).id)
    settled(urls, "datasets")
    refreshed(urls, "--write")
    urls.apply()
    assert len(urls.dataset()["annotations"]) == 8
    urls.assert_settled()


def settled(project: Project, name: str) -> None:
    """A deletion goes on in the background; ask until it shows."""
    for _ in range(10_000):
        if not project.world()[name]:
            return
    raise AssertionError(f"{name} are still there")


def test_a_nucleus_that_has_nothing_of_the_ledger_changes_nothing(applied: Project, client: Client) -> None:
    client.delete_model(client.models[0].id)
    client.delete_dataset(remote(client, applied).id)
    settled(applied, "datasets")
    settled(applied, "models")
    answer = applied("refresh", "--write")
    assert answer.code == 9
    assert "key of another account" in answer.err
    assert len(applied.ok("state", "list", "--json").json()["entries"]) == 6
    assert [one["what"] for one in refreshed(applied)["resources"]] == ["deleted", "deleted"]


def test_a_target_limits_what_is_read_and_compared(applied: Project, client: Client) -> None:
    remote(client, applied).delete_item("b.png")
    values = refreshed(applied, "--target", "model.cnn")
    assert [one["address"] for one in values["streams"]] == ["model.cnn.predictions.tiny"]
    values = refreshed(applied, "--target", "dataset.tiny.items")
    assert [one["address"] for one in values["streams"]] == ["dataset.tiny.items"]
    assert applied("refresh", "--target", "dataset.tinny").code == 64


def test_a_sample_reads_single_items_and_claims_no_more(urls: Project, client: Client) -> None:
    before = len(urls.requests())
    values = refreshed(urls, "--sample", "1")
    items = stream(values, "dataset.set.items")
    assert (items["verified"], items["unverified"]) == (1, 3)
    assert "outside the sample of 1 items" in items["remarks"][-1]
    assert not [line for line in urls.requests()[before:] if "Page" in line or "/export" in line]
    assert refreshed(urls, "--sample", "99")["streams"][0]["unverified"] == 0
    remote(client, urls).annotate(
        [nucleus.BoxAnnotation("dog", n, 1, 5, 6, str(n // 2), f"b{n}") for n in range(8)],
        update=True,
        asynchronous=False,
    )
    assert {line[3][0] for line in differences(refreshed(urls, "--sample", "4"))} == {"label"}


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nucleus_sync.refresh.look.PREDICTIONS_AT_ONCE", 4)


@pytest.mark.usefixtures("few_at_once")
def test_predictions_beyond_one_answer_are_paged_through_slices_and_the_rest_is_not_claimed(urls: Project) -> None:
    predictions = stream(refreshed(urls), "model.cnn.predictions.set")
    assert (predictions["verified"], predictions["unverified"]) == (4, 4)
    assert "4 were not verified" in predictions["remarks"][0]
    assert "4 not verified" in urls.ok("refresh").out


def test_pages_that_take_too_long_are_halved(urls: Project) -> None:
    urls.emulator.inject([{"match": {"path": "exportForTrainingPage", "times": 2}, "effect": {"status": 504}}])
    assert refreshed(urls)["drift"] == 0


def test_plan_refresh_looks_first_and_needs_the_lock(applied: Project, client: Client) -> None:
    from .test_locks import holding

    remote(client, applied).delete_item("b.png")
    with holding(applied):
        assert applied("plan", "--refresh").code == 11
    assert applied.plan()["summary"]["create"] == 0
    assert applied.plan("--refresh")["summary"]["create"] == 5
    applied.apply()
    applied.assert_settled()


def test_plan_refresh_before_the_first_apply_is_a_plan(tiny: Project) -> None:
    assert tiny.plan("--refresh")["summary"]["create"] > 0
    assert not (tiny.folder / ".nucleus-sync" / "ledger.db").exists()


def test_every_difference_goes_to_a_file_on_demand(applied: Project, client: Client) -> None:
    remote(client, applied).delete_item("b.png")
    lines = applied.ok("refresh", "--records", "-").lines()
    assert len(lines) == 5
    assert lines[0] == {
        "address": "dataset.tiny.items",
        "key": {"reference_id": "b.png"},
        "what": "deleted",
        "fields": [],
    }


def test_a_look_without_write_takes_no_lock_and_leaves_the_ledger_alone(applied: Project, client: Client) -> None:
    from .test_locks import holding

    remote(client, applied).delete_item("b.png")
    with holding(applied):
        assert refreshed(applied)["drift"] == 5
        assert applied("refresh", "--write").code == 11


def test_a_refresh_without_predictions_reads_items_alone(project: Project) -> None:
    write_tiny(project, evaluate=False)
    sections = project.declared()
    del sections["models"], sections["sources"]["cnn"], sections["datasets"]["tiny"]["annotations"]
    project.declare(**sections)
    assert project.apply()["exit_code"] == 0
    assert [one["verified"] for one in refreshed(project)["streams"]] == [3]
