"""Every resource is declared, changed and removed, and the official SDK sees each of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nucleus
import pytest

from .project import Project, write_lines

ITEMS = [
    {
        "reference_id": name,
        "image_url": f"https://example.com/{name}",
        "metadata": {"night": n % 2},
        "width": 9,
        "height": 9,
    }
    for n, name in enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg"))
]
LABELS = [
    {"type": "category", "reference_id": "a.jpg", "label": "sun", "taxonomy_name": "weather"},
    {"type": "category", "reference_id": "b.jpg", "label": "rain", "taxonomy_name": "weather"},
    {
        "type": "box",
        "reference_id": "a.jpg",
        "annotation_id": "1",
        "label": "car",
        "geometry": {"x": 1, "y": 1, "width": 4, "height": 4},
    },
]
GUESSES = [
    {**LABELS[2], "confidence": 0.9},
    {**LABELS[0], "confidence": 0.8},
]


@pytest.fixture
def street(project: Project) -> Project:
    """Four items, three labels, two guesses; nothing applied."""
    write_lines(project.folder / "items.jsonl", ITEMS)
    write_lines(project.folder / "labels.jsonl", LABELS)
    write_lines(project.folder / "guesses.jsonl", GUESSES)
    sources = {name: {"format": "records", "path": f"{name}.jsonl"} for name in ("items", "labels", "guesses")}
    project.declare(
        settings={"prune": True},
        sources=sources,
        datasets={
            "street": {
                "name": "Street",
                "items": ["items"],
                "annotations": ["labels"],
                "taxonomies": {"weather": {"labels": ["sun", "rain", "fog"]}},
            }
        },
        models={"cnn": {"name": "CNN", "reference_id": "cnn", "predictions": {"street": ["guesses"]}}},
    )
    return project


def _change(project: Project, *path: str, to: Any = None) -> None:
    """Set a key of the spec, or take it away."""
    sections = project.declared()
    place = sections
    for key in path[:-1]:
        place = place.setdefault(key, {})
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    project.declare(**sections)


def _done(project: Project, *arguments: str) -> dict[str, Any]:
    summary = project.apply(*arguments)
    assert summary["exit_code"] == 0
    project.assert_settled()
    return summary


def _steps(project: Project) -> list[str]:
    return [step["id"] for step in project.plan()["steps"]]


def _dataset(client: nucleus.NucleusClient) -> nucleus.Dataset:
    (found,) = client.datasets
    return found


# --- datasets -------------------------------------------------------------------------------------------------


def test_tags_of_a_dataset(street: Project, client: nucleus.NucleusClient) -> None:
    _change(street, "datasets", "street", "tags", to=["new", "blue"])
    _done(street)
    assert sorted(_dataset(client).get_tags()) == ["blue", "new"]
    _change(street, "datasets", "street", "tags", to=["blue", "old"])
    assert _steps(street) == ["dataset.street:update"]
    _done(street)
    assert sorted(_dataset(client).get_tags()) == ["blue", "old"]
    _change(street, "datasets", "street", "tags")
    _done(street)
    assert _dataset(client).get_tags() == []


def test_metadata_schemas_are_fixed(street: Project, client: nucleus.NucleusClient) -> None:
    schema = {"night": {"type": "number", "description": "0 or 1"}}
    _change(street, "datasets", "street", "item_metadata_schema", to=schema)
    _done(street)
    assert street.dataset()["item_metadata_schema"] == schema
    _change(street, "datasets", "street", "item_metadata_schema", "night", "type", to="text")
    answer = street("plan")
    assert answer.code == 6
    assert "Nucleus has no call that changes a dataset's metadata schema" in answer.text


def test_a_dataset_is_not_renamed(street: Project) -> None:
    _done(street)
    _change(street, "datasets", "street", "name", to="Road")
    answer = street("apply", "--auto-approve")
    assert answer.code == 6
    assert "Nucleus has no call that renames a dataset" in answer.text
    assert street.dataset()["name"] == "Street"


def test_a_removed_dataset_goes_with_all_that_hangs_on_it(street: Project, client: nucleus.NucleusClient) -> None:
    _done(street)
    _change(street, "datasets", "street")
    _change(street, "models", "cnn", "predictions")
    assert "dataset.street:delete" in _steps(street)
    assert "no longer declared" in street("plan").out
    refused = street("apply", "--auto-approve")
    assert refused.code == 9
    assert "dataset.street would go with 9 records" in refused.text
    _done(street, "--allow-deletes")
    assert client.datasets == []
    assert street.world()["models"][0]["predictions"] == []


def test_without_prune_a_removed_dataset_stays_and_is_said(street: Project, client: nucleus.NucleusClient) -> None:
    _done(street)
    _change(street, "settings", "prune", to=False)
    _change(street, "datasets", "street")
    _change(street, "models", "cnn", "predictions")
    assert street.plan()["summary"]["orphaned"] == 1
    assert "1 orphaned" in street("plan").out
    _done(street)
    assert _dataset(client).name == "Street"


# --- streams that are no longer declared ----------------------------------------------------------------------


def test_annotations_that_nothing_declares_are_cleared_with_prune(street: Project) -> None:
    _done(street)
    _change(street, "datasets", "street", "annotations")
    assert street("apply", "--auto-approve").code == 9
    _done(street, "--allow-deletes")
    assert street.dataset()["annotations"] == []
    assert len(street.dataset()["items"]) == 4


def test_predictions_that_nothing_declares_go_with_their_run(street: Project) -> None:
    _done(street)
    _change(street, "models", "cnn", "predictions")
    _done(street, "--allow-deletes")
    (model,) = street.world()["models"]
    assert (model["predictions"], model["runs"]) == ([], 0)


def test_without_prune_they_stay_and_are_counted(street: Project) -> None:
    _done(street)
    _change(street, "settings", "prune", to=False)
    _change(street, "datasets", "street", "annotations")
    assert street.plan()["summary"]["orphaned"] == 3
    _done(street)
    assert len(street.dataset()["annotations"]) == 3


# --- taxonomies -----------------------------------------------------------------------------------------------


def _taxonomy(project: Project) -> list[str]:
    (found,) = project.dataset()["taxonomies"]
    labels: list[str] = found["labels"]
    return labels


def _categories(client: nucleus.NucleusClient) -> dict[str, str]:
    rows = _dataset(client).items_and_annotations()
    return {row["item"].reference_id: one.label for row in rows for one in row["annotations"]["category"]}


def test_labels_are_added_to_a_taxonomy(street: Project) -> None:
    _done(street)
    _change(street, "datasets", "street", "taxonomies", "weather", "labels", to=["sun", "rain", "fog", "snow"])
    assert _steps(street) == ["dataset.street.taxonomy.weather:update"]
    _done(street)
    assert _taxonomy(street) == ["sun", "rain", "fog", "snow"]


def test_a_label_taken_out_makes_the_taxonomy_anew(street: Project, client: nucleus.NucleusClient) -> None:
    _done(street)
    _change(street, "datasets", "street", "taxonomies", "weather", "labels", to=["sun", "rain"])
    assert _steps(street) == [
        "dataset.street.taxonomy.weather:delete",
        "dataset.street.taxonomy.weather:create",
        "dataset.street.annotations:ingest",
        "model.cnn.predictions.street:ingest",
    ]
    summary = street.plan()["summary"]
    assert (summary["delete"], summary["resent"], summary["unchanged"]) == (1, 3, 11)
    assert _done(street)["resent"] == 3
    assert _taxonomy(street) == ["sun", "rain"]
    assert _categories(client) == {"a.jpg": "sun", "b.jpg": "rain"}
    assert len(street.world()["models"][0]["predictions"]) == 2


def test_without_prune_a_label_is_not_taken_out(street: Project) -> None:
    _done(street)
    _change(street, "settings", "prune", to=False)
    _change(street, "datasets", "street", "taxonomies", "weather", "labels", to=["sun", "rain"])
    answer = street("apply", "--auto-approve")
    assert answer.code == 6
    assert "labels ['fog'] can't be taken out" in answer.text
    assert "with prune: true it is deleted and made anew" in answer.text


def test_a_removed_taxonomy_is_deleted(street: Project, client: nucleus.NucleusClient) -> None:
    _done(street)
    _change(street, "datasets", "street", "taxonomies")
    write_lines(street.folder / "labels.jsonl", LABELS[2:])
    write_lines(street.folder / "guesses.jsonl", GUESSES[:1])
    _done(street, "--allow-deletes")
    assert street.dataset()["taxonomies"] == []
    assert _categories(client) == {}
    assert [one["type"] for one in street.dataset()["annotations"]] == ["box"]


# --- slices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["reference_ids", "file", "where"])
def test_a_slice_grows_shrinks_and_goes(street: Project, client: nucleus.NucleusClient, way: str) -> None:
    def members(*names: str) -> None:
        if way == "reference_ids":
            _change(street, "datasets", "street", "slices", "some", to={"reference_ids": list(names)})
        elif way == "file":
            (street.folder / "some.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")
            _change(street, "datasets", "street", "slices", "some", to={"file": "some.txt"})
        else:
            items = [{**one, "metadata": {"chosen": int(one["reference_id"] in names)}} for one in ITEMS]
            write_lines(street.folder / "items.jsonl", items)
            _change(street, "datasets", "street", "slices", "some", to={"where": {"metadata.chosen": 1}})

    def held() -> list[str]:
        (found,) = street.dataset()["slices"]
        (known,) = _dataset(client).slices
        assert sorted(item.reference_id for item in known.items) == found["items"]
        references: list[str] = found["items"]
        return references

    members("a.jpg", "b.jpg")
    _done(street)
    first = _dataset(client).slices
    assert held() == ["a.jpg", "b.jpg"]
    members("a.jpg", "b.jpg", "c.jpg")
    assert "dataset.street.slice.some:update" in _steps(street)
    _done(street)
    assert held() == ["a.jpg", "b.jpg", "c.jpg"]
    members("c.jpg")
    assert [one for one in _steps(street) if "slice" in one] == [
        "dataset.street.slice.some:delete",
        "dataset.street.slice.some:create",
    ]
    _done(street)
    assert held() == ["c.jpg"]
    assert _dataset(client).slices != first
    _change(street, "datasets", "street", "slices")
    assert _steps(street) == ["dataset.street.slice.some:delete"]
    _done(street)
    assert street.dataset()["slices"] == []
    assert len(street.dataset()["items"]) == 4


def test_a_member_whose_addition_is_in_doubt_goes_when_the_spec_drops_it(street: Project) -> None:
    _done(street)
    _change(street, "datasets", "street", "slices", "some", to={"reference_ids": ["a.jpg"]})
    street.emulator.inject([{"match": {"path": "slice/", "times": 1}, "effect": {"malformed": True}}])
    assert street.apply()["exit_code"] != 0
    street.emulator.inject(None)
    assert [one["items"] for one in street.dataset()["slices"]] == [["a.jpg"]]
    _change(street, "datasets", "street", "slices", "some", to={"reference_ids": ["b.jpg"]})
    _done(street)
    assert [one["items"] for one in street.dataset()["slices"]] == [["b.jpg"]]


def test_without_prune_a_removed_slice_stays(street: Project) -> None:
    _change(street, "datasets", "street", "slices", "some", to={"reference_ids": ["a.jpg"]})
    _done(street)
    _change(street, "settings", "prune", to=False)
    _change(street, "datasets", "street", "slices")
    assert street.plan()["summary"]["orphaned"] == 1
    _done(street)
    assert len(street.dataset()["slices"]) == 1


# --- models ---------------------------------------------------------------------------------------------------


def test_tags_of_a_model(street: Project, client: nucleus.NucleusClient) -> None:
    for tags in (["baseline"], ["best", "new"], []):
        _change(street, "models", "cnn", "tags", to=tags)
        _done(street)
        (model,) = client.models
        assert sorted(model.tags) == sorted(tags)


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "RNN"), ("reference_id", "rnn"), ("metadata", {"epochs": 3}), ("bundle_name", "other")],
)
def test_what_a_model_is_made_with_stays(street: Project, key: str, value: Any) -> None:
    _change(street, "models", "cnn", "bundle_name", to="bundle")
    _done(street)
    _change(street, "models", "cnn", key, to=value)
    answer = street("apply", "--auto-approve")
    assert answer.code == 6
    assert f"{key} can't become {value!r}" in answer.text


def test_slices_that_a_model_was_trained_on(street: Project, client: nucleus.NucleusClient) -> None:
    _change(
        street,
        "datasets",
        "street",
        "slices",
        to={"ab": {"reference_ids": ["a.jpg", "b.jpg"]}, "c": {"reference_ids": ["c.jpg"]}},
    )
    _change(street, "models", "cnn", "trained_slices", to=["street.ab"])
    steps = _steps(street)
    assert steps.index("dataset.street.slice.ab:create") < steps.index("model.cnn:create")
    assert steps.index("model.cnn:create") < steps.index("model.cnn.predictions.street:ingest")

    def trained() -> list[str]:
        _done(street)
        (model,) = client.models
        return [client.get_slice(one).name for one in model.trained_slice_ids]

    assert trained() == ["ab"]
    _change(street, "models", "cnn", "trained_slices", to=["street.ab", "street.c"])
    assert _steps(street) == ["model.cnn:update"]
    assert sorted(trained()) == ["ab", "c"]
    _change(street, "datasets", "street", "slices", "ab", "reference_ids", to=["b.jpg"])
    assert "model.cnn:update" in _steps(street)
    assert sorted(trained()) == ["ab", "c"]
    _change(street, "models", "cnn", "trained_slices")
    assert trained() == []


def test_a_slice_that_is_not_declared_can_train_nothing(street: Project) -> None:
    _change(street, "models", "cnn", "trained_slices", to=["street.night"])
    answer = street("plan")
    assert answer.code == 6
    assert "no slice 'street.night'" in answer.text


def test_a_removed_model_goes_with_its_predictions(street: Project, client: nucleus.NucleusClient) -> None:
    _done(street)
    _change(street, "models")
    assert _steps(street) == ["model.cnn:delete"]
    assert street("apply", "--auto-approve").code == 9
    _done(street, "--allow-deletes")
    assert client.models == []


def _weights(project: Project) -> Any:
    (model,) = project.world()["models"]
    return model["weights"]


def test_weights_are_uploaded_once_for_each_content(
    street: Project, client: nucleus.NucleusClient, tmp_path: Path
) -> None:
    file = street.folder / "cnn.pt"
    file.write_bytes(b"first")
    _change(street, "models", "cnn", "weights", to="cnn.pt")
    _done(street)
    (model,) = client.models
    told = model.weights()
    assert (told.present, told.size_bytes, told.original_filename) == (True, 5, "cnn.pt")
    assert Path(model.download_weights(str(tmp_path / "back"), progress=False)).read_bytes() == b"first"

    file.write_bytes(b"first")  # written again
    assert _steps(street) == []
    file.write_bytes(b"second")
    assert _steps(street) == ["model.cnn:update"]
    sent = len(street.sent())
    _done(street)
    assert [one.rpartition("/")[2] for one in street.sent()[sent:]] == ["presign", "0", "finalize"]
    assert _weights(street)["size"] == 6

    _change(street, "settings", "prune", to=False)
    _change(street, "models", "cnn", "weights")
    assert _steps(street) == []
    _change(street, "settings", "prune", to=True)
    _done(street)
    assert not model.weights().present


def test_large_weights_go_up_in_parts(street: Project, client: nucleus.NucleusClient, tmp_path: Path) -> None:
    content = bytes(range(256)) * (40 * 1024)  # 10 MiB
    (street.folder / "cnn.pt").write_bytes(content)
    _change(street, "models", "cnn", "weights", to="cnn.pt")
    _done(street)
    (model,) = client.models
    assert Path(model.download_weights(str(tmp_path / "back"), progress=False)).read_bytes() == content


def test_weights_that_fail_leave_a_model_that_lacks_them(street: Project) -> None:
    (street.folder / "cnn.pt").write_bytes(b"first")
    _change(street, "models", "cnn", "weights", to="cnn.pt")
    street.emulator.inject([{"match": {"path": "weights/finalize", "times": 1}, "effect": {"status": 400}}])
    assert street.apply()["exit_code"] == 3
    assert _weights(street) is None
    assert "model.cnn:update" in _steps(street)
    _done(street)
    assert _weights(street)["size"] == 5


def test_weights_that_are_not_there_are_said(street: Project) -> None:
    _change(street, "models", "cnn", "weights", to="cnn.pt")
    answer = street("plan")
    assert answer.code == 6
    assert "the weights can't be read" in answer.text


# --- targets --------------------------------------------------------------------------------------------------


def test_a_target_may_be_what_only_the_ledger_has(street: Project) -> None:
    _change(street, "datasets", "street", "slices", "some", to={"reference_ids": ["a.jpg"]})
    _change(street, "datasets", "street", "slices", "other", to={"reference_ids": ["b.jpg"]})
    _done(street)
    _change(street, "datasets", "street", "slices")
    _change(street, "models", "cnn", "predictions")
    for target, gone in (
        ("dataset.street.slice.some", "slices"),
        ("model.cnn.predictions.street", "predictions"),
    ):
        planned = street.plan("--target", target)["steps"]
        assert [step["id"] for step in planned] == [f"{target}:delete"], gone
        assert street.apply("--target", target, "--allow-deletes")["exit_code"] == 0
    assert [one["name"] for one in street.dataset()["slices"]] == ["other"]
    assert street.world()["models"][0]["predictions"] == []
    answer = street("plan", "--target", "dataset.street.slice.som")
    assert answer.code == 64
    assert "nothing is declared at 'dataset.street.slice.som'" in answer.text
    _done(street)


def test_a_target_may_be_a_removed_evaluation_or_model(street: Project) -> None:
    _done(street)
    _change(street, "models")
    assert [step["id"] for step in street.plan("--target", "model.cnn")["steps"]] == ["model.cnn:delete"]
    assert street.apply("--target", "model.cnn", "--allow-deletes")["exit_code"] == 0
    assert street.world()["models"] == []
