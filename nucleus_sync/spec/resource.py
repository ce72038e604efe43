"""The resources that a spec can declare: datasets, taxonomies, tracks, slices, models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import field

from nucleus_sync.spec.part import SpecPart
from nucleus_sync.spec.rule import after, before, bounds, refuse
from nucleus_sync.spec.value import (
    Name,
    PathText,
    Plain,
    SliceName,
    Switch,
    Text,
    Texts,
    Title,
    no_repeats,
)

SourceNames = Annotated[tuple[Name, ...], after(no_repeats)]
"""Names of sources, each once."""


Kind = Literal["images", "lidar", "video"]


class MetadataField(SpecPart, frozen=True, kw_only=True):
    """What a metadata key means, for Nucleus's own queries and charts."""

    type: Literal["category", "number", "text", "json"]
    """Kind of the values."""
    choices: Texts = ()
    """The possible values of a category."""
    description: str | None = None
    """A sentence shown beside the key."""


class Taxonomy(SpecPart, frozen=True, kw_only=True):
    """A set of labels for whole images."""

    type: Literal["category", "multicategory"] = "category"
    """One label per image, or several."""
    labels: Annotated[Texts, bounds(min_length=1)]
    """The labels; Nucleus can add to them later. Taking one out makes the taxonomy anew, which takes `prune`."""


def _condition_key(key: str) -> str:
    if not key.startswith("metadata.") or key == "metadata.":
        refuse(f"a slice can't look at {key!r}", "write metadata. and the name of a metadata key: metadata.night")
    return key


class Slice(SpecPart, frozen=True, kw_only=True):
    """A named part of a dataset: by metadata, by reference ids, or by a file of reference ids."""

    where: Annotated[dict[Annotated[str, after(_condition_key)], Plain], bounds(min_length=1)] | None = None
    """Items whose metadata has all of these values: `{metadata.night: true}`."""
    reference_ids: Annotated[Texts, bounds(min_length=1)] | None = None
    """Exactly these items."""
    file: PathText | None = None
    """A text file with one reference id per line."""

    def __post_init__(self) -> None:
        given = [way for way in ("where", "reference_ids", "file") if getattr(self, way) is not None]
        if len(given) != 1:
            said = "says nothing about its items" if not given else f"says twice what is in it: {', '.join(given)}"
            refuse(f"a slice {said}", "give exactly one of: where, reference_ids, file")


class Track(SpecPart, frozen=True, kw_only=True):
    """One thing that is seen many times: the records that name it in `track_reference_id`, and what is known of it."""

    reference_id: Text | None = None
    """The name that records give it; left out: the name that it has here."""
    metadata: dict[Text, Any] = field(default_factory=dict)
    """All metadata of the track; what else it has at Nucleus is taken away."""


class Dataset(SpecPart, frozen=True, kw_only=True):
    """A dataset at Nucleus with its items, annotations, taxonomies, tracks and slices."""

    name: Text
    """Its name at Nucleus."""
    kind: Kind = "images"
    """Single images, or scenes of lidar or video; fixed once the dataset exists."""
    privacy_mode: Switch = False
    """Keep the images where they are? Then Nucleus never copies them, and local files can't be uploaded."""
    tags: Texts = ()
    """Tags of the dataset."""
    item_metadata_schema: dict[Text, MetadataField] = field(default_factory=dict)
    """What the metadata keys of its items mean; fixed once the dataset exists."""
    annotation_metadata_schema: dict[Text, MetadataField] = field(default_factory=dict)
    """What the metadata keys of its annotations mean; fixed once the dataset exists."""
    taxonomies: dict[Title, Taxonomy] = field(default_factory=dict)
    """Label sets for whole images, by name."""
    tracks: dict[Title, Track] = field(default_factory=dict)
    """Metadata of tracks, by name; Nucleus has a track once a record names it."""
    items: SourceNames = ()
    """Sources whose items, or scenes in a dataset of lidar or video, belong to the dataset."""
    annotations: SourceNames = ()
    """Sources whose annotations are the dataset's ground truth."""
    slices: dict[Title, Slice] = field(default_factory=dict)
    """Named parts of the dataset."""
    metadata_mode: Literal["replace", "merge"] = "replace"
    """What an update does to metadata of items and scenes: put ours in place of all of it, or merge ours into it, which
    keeps the keys that others have set, and those that a source no longer has."""
    on_image_change: Literal["update", "replace"] = "update"
    """What to do where the bytes or the URL of a known item's image have changed: send an update and look whether
    Nucleus took it, or delete the item and make it anew with all that hangs on it, which takes `prune`."""
    prune: Switch | None = None
    """Delete what the sources no longer yield? Left out: as in settings."""

    def __post_init__(self) -> None:
        names = [track.reference_id or title for title, track in self.tracks.items()]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            refuse(f"tracks are declared twice: {', '.join(repeated)}", "give each reference id one track")


class NamedRun(SpecPart, frozen=True, kw_only=True):
    """A run of a model that holds its predictions on all datasets."""

    name: Text
    """Its name at Nucleus."""


def _run(value: object) -> object:
    if value is not None and value != "none" and not isinstance(value, dict):
        refuse(f"{value!r} is no run", "write run: {name: nightly} for a run of that name, or run: none")
    return value


class Model(SpecPart, frozen=True, kw_only=True):
    """A model at Nucleus with its predictions."""

    name: Text
    """Its name at Nucleus."""
    reference_id: Text
    """Its key at Nucleus; one account has it once."""
    metadata: dict[Text, Any] = field(default_factory=dict)
    """Free values, such as the number of epochs."""
    tags: Texts = ()
    """Tags of the model."""
    trained_slices: Annotated[tuple[SliceName, ...], after(no_repeats)] = ()
    """Slices that the model was trained on, each as `dataset.slice`."""
    bundle_name: Text | None = None
    """Name of the hosted bundle that runs it; fixed once the model exists."""
    weights: PathText | None = None
    """A file of its weights, uploaded once for each content; at most 10 GiB."""
    run: Annotated[NamedRun | Literal["none"] | None, before(_run)] = None
    """One named run for all datasets, or `none`; left out: the run that Nucleus keeps for each dataset."""
    predictions: dict[Name, SourceNames] = field(default_factory=dict)
    """By dataset, the sources whose predictions are the model's."""
