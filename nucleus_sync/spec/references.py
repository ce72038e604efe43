"""Whether what the spec's parts say of each other fits: every name that is used is declared, and able to serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nucleus_sync.spec.explain import near_miss
from nucleus_sync.spec.locate import Complaint, Route
from nucleus_sync.spec.source import YIELDS

_UPLOADING = ("images", "coco", "coco-panoptic", "yolo", "voc", "kitti")
"""Formats whose images are uploaded unless they have an `image_url`."""

# All of this looks at plain values, not at a Spec, so that it can speak up beside errors of other kinds.


def check(document: Any) -> Iterator[Complaint]:
    """Every reference that leads nowhere, and every source that is asked for what it can't give."""
    sources = _section(document, "sources")
    datasets = _section(document, "datasets")
    models = _section(document, "models")
    for path, name, wanted in _uses(document):
        if name in sources:
            yield from _able(path, name, sources[name], wanted)
        else:
            yield _nowhere(path, "source", name, sources)
    for model, dataset in _predicted(models):
        if dataset not in datasets:
            yield _nowhere(("models", model, "predictions", dataset), "dataset", dataset, datasets, at_key=True)
    yield from _trained(models, datasets)
    for key, evaluation in _section(document, "evaluations").items():
        yield from _evaluated(("evaluations", key), evaluation, models, datasets)
        yield from _benchmarked(("evaluations", key, "benchmark"), _entry(evaluation, "benchmark"), datasets)
    yield from _private_uploads(datasets, sources)


def idle(document: Any) -> Iterator[Complaint]:
    """What is declared and has no effect: worth a warning."""
    used = {name for _, name, _ in _uses(document)}
    for name in _section(document, "sources"):
        if name not in used:
            yield Complaint(("sources", name), f"the source {name!r} is not used", None, at_key=True)
    predicted = set(_predicted(_section(document, "models")))
    for key, evaluation in _section(document, "evaluations").items():
        model = _entry(evaluation, "model")
        for dataset in _evaluated_on(evaluation):
            if (model, dataset) not in predicted:
                yield Complaint(
                    ("evaluations", key),
                    f"the model {model!r} declares no predictions on {dataset!r}",
                    "this evaluates what is at Nucleus already",
                    at_key=True,
                )


def _evaluated_on(evaluation: Any) -> list[Any]:
    """The datasets that an evaluation's items are in."""
    benchmark = _entry(evaluation, "benchmark")
    found = [_entry(evaluation, "dataset"), *_list(benchmark, "datasets"), *_section(benchmark, "items")]
    found += [name.partition(".")[0] for name in _list(benchmark, "slices") if isinstance(name, str)]
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))


def _uses(document: Any) -> Iterator[tuple[Route, str, str]]:
    """Every mention of a source: where, which, and what it must yield."""
    for key, dataset in _section(document, "datasets").items():
        kind = _entry(dataset, "kind")
        items = kind if kind in ("lidar", "video") else "items"
        yield from _named(("datasets", key, "items"), _entry(dataset, "items"), items)
        yield from _named(("datasets", key, "annotations"), _entry(dataset, "annotations"), "annotations")
    for key, model in _section(document, "models").items():
        for dataset, names in _section(model, "predictions").items():
            yield from _named(("models", key, "predictions", dataset), names, "predictions")


def _named(path: Route, names: Any, wanted: str) -> Iterator[tuple[Route, str, str]]:
    for index, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str):
            yield (*path, index), name, wanted


def _able(path: Route, name: str, source: Any, wanted: str) -> Iterator[Complaint]:
    source_format = _entry(source, "format")
    yields = YIELDS.get(source_format) if isinstance(source_format, str) else None
    if yields is None:
        return  # the format itself is wrong, and that has been said
    if wanted not in yields:
        fitting = [other for other, what in YIELDS.items() if wanted in what]
        what = f"{wanted} scenes" if wanted in ("lidar", "video") else wanted
        said = f"the source {name!r} can't yield {what}: its format is {source_format}"
        yield Complaint(path, said, f"formats that can: {', '.join(fitting)}")
    if _lacks_address(source, wanted):
        yield Complaint(
            path,
            f"the source {name!r} does not say where Nucleus reads its point clouds",
            'give it a `pointcloud_url`, such as "s3://acme/drives/{path}.json", or `upload_to`',
        )
    if wanted == "items" and source_format in ("coco", "coco-panoptic") and not _entry(source, "images", "image_url"):
        yield Complaint(
            path,
            f"the source {name!r} does not say where its images are",
            'give it `images` (a folder to upload from) or `image_url` (such as "{coco_url}")',
        )


def _lacks_address(source: Any, wanted: str) -> bool:
    is_kitti = wanted == "lidar" and _entry(source, "format") == "kitti-3d"
    return is_kitti and not _entry(source, "pointcloud_url", "upload_to")


def _predicted(models: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, model in models.items():
        for dataset in _section(model, "predictions"):
            yield key, dataset


def _trained(models: dict[str, Any], datasets: dict[str, Any]) -> Iterator[Complaint]:
    for key, model in models.items():
        yield from _sliced(("models", key, "trained_slices"), _list(model, "trained_slices"), datasets)


def _sliced(path: Route, names: list[Any], datasets: dict[str, Any]) -> Iterator[Complaint]:
    slices = {f"{key}.{name}": None for key, dataset in datasets.items() for name in _section(dataset, "slices")}
    for index, name in enumerate(names):
        if isinstance(name, str) and "." in name and name not in slices:
            yield _nowhere((*path, index), "slice", name, slices)


def _benchmarked(path: Route, benchmark: Any, datasets: dict[str, Any]) -> Iterator[Complaint]:
    for index, name in enumerate(_list(benchmark, "datasets")):
        if isinstance(name, str) and name not in datasets:
            yield _nowhere((*path, "datasets", index), "dataset", name, datasets)
    for name in _section(benchmark, "items"):
        if name not in datasets:
            yield _nowhere((*path, "items", name), "dataset", name, datasets, at_key=True)
    yield from _sliced((*path, "slices"), _list(benchmark, "slices"), datasets)


def _evaluated(path: Route, evaluation: Any, models: dict[str, Any], datasets: dict[str, Any]) -> Iterator[Complaint]:
    for kind, declared in (("model", models), ("dataset", datasets)):
        name = _entry(evaluation, kind)
        if isinstance(name, str) and name not in declared:
            yield _nowhere((*path, kind), kind, name, declared)


def _private_uploads(datasets: dict[str, Any], sources: dict[str, Any]) -> Iterator[Complaint]:
    for key, dataset in datasets.items():
        if _entry(dataset, "privacy_mode") is not True:
            continue
        for path, name, _ in _named(("datasets", key, "items"), _entry(dataset, "items"), "items"):
            source = sources.get(name)
            local = _entry(source, "format") in _UPLOADING and not _entry(source, "image_url", "upload_to")
            if local:
                yield Complaint(
                    path,
                    f"the source {name!r} would upload files, which privacy_mode forbids",
                    "give the source an `image_url`, or `upload_to`",
                )


def _nowhere(path: Route, kind: str, name: str, declared: dict[str, Any], *, at_key: bool = False) -> Complaint:
    meant = near_miss(name, list(declared))
    known = f"declared: {', '.join(declared)}" if declared else f"no {kind} is declared"
    hint = f"did you mean {meant!r}? {known}" if meant else known
    return Complaint(path, f"no {kind} {name!r}", hint, at_key=at_key)


def _section(document: Any, key: str) -> dict[str, Any]:
    value = _entry(document, key)
    return value if isinstance(value, dict) else {}


def _list(mapping: Any, key: str) -> list[Any]:
    value = _entry(mapping, key)
    return value if isinstance(value, list) else []


def _entry(mapping: Any, *keys: str) -> Any:
    """The first of the keys that the mapping has a value for."""
    if not isinstance(mapping, dict):
        return None
    return next((mapping[key] for key in keys if mapping.get(key) is not None), None)
