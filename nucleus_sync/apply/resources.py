"""Creates datasets, taxonomies and models, and brings their tags up to date."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from xxhash import xxh3_128_hexdigest

from nucleus_sync.apply.runtime import Runtime, StepFailed
from nucleus_sync.errors import ApiError, Candidate, OutcomeUnknown, Undecided
from nucleus_sync.events import Note
from nucleus_sync.ledger.resources import Creation, Resource
from nucleus_sync.plan.steps import Action, Step


async def create_dataset(runtime: Runtime, step: Step) -> None:
    """Dataset names aren't unique at Nucleus, so those that were there before are noted with the intent."""
    wanted = dict(step.wanted)
    namesakes = await _datasets_named(runtime, wanted["name"])
    if namesakes:
        others = ", ".join(namesakes)
        runtime.emit(Note(step.address, f"other datasets named {wanted['name']!r} exist ({others}); a new one is made"))
    runtime.ledger.begin_creation(step.address, "dataset", {"wanted": wanted, "namesakes": namesakes})
    try:
        dataset_id = await runtime.api.datasets.create(
            wanted["name"],
            is_scene=wanted["kind"] != "images",
            privacy_mode=wanted["privacy_mode"],
            item_metadata_schema=wanted["item_metadata_schema"] or None,
            annotation_metadata_schema=wanted["annotation_metadata_schema"] or None,
        )
    except OutcomeUnknown:
        found = await found_dataset(runtime, step.address, wanted["name"], namesakes)
        if found is None:
            raise  # the intent stays: a slow server may show it later, and the next run looks again
        dataset_id = found
    except ApiError:
        runtime.ledger.abandon_creation(step.address)
        raise
    await _tagged(runtime, dataset_id, wanted["tags"])
    finish(runtime, step.address, dataset_id, wanted)


async def _tagged(runtime: Runtime, dataset_id: str, tags: Sequence[str]) -> None:
    if tags:
        await runtime.api.datasets.add_tags(dataset_id, tags)


async def found_dataset(runtime: Runtime, address: str, name: str, before: Sequence[str]) -> str | None:
    """The dataset that a lost answer has made, if any. Raises Undecided where it could be one of several."""
    made = [found for found in await _datasets_named(runtime, name) if found not in before]
    ours = {resource.nucleus_id for resource in runtime.ledger.resources()}
    made = [found for found in made if found not in ours]
    if len(made) > 1:
        raise Undecided(address, [Candidate(found, f"dataset {name!r}") for found in made])
    return made[0] if made else None


async def _datasets_named(runtime: Runtime, name: str) -> list[str]:
    return sorted(found.id for found in await runtime.api.datasets.all() if found.name == name)


def finish(
    runtime: Runtime, address: str, nucleus_id: str | None, wanted: dict[str, object], *, imported: bool = False
) -> None:
    """Write down that a creation took place, or that it was there before: then destroy leaves it alone."""
    details: dict[str, object] = {"wanted": wanted, **({"imported": True} if imported else {})}
    runtime.ledger.finish_creation(address, nucleus_id, digest_of(wanted), details)


def digest_of(wanted: object) -> str:
    """A hash of a declaration."""
    return xxh3_128_hexdigest(msgspec.msgpack.encode(wanted, order="deterministic"))


async def update_dataset(runtime: Runtime, step: Step) -> None:
    """Only tags can change."""
    before = _applied(runtime, step)
    datasets, dataset_id = runtime.api.datasets, runtime.nucleus_id(step.address)
    added, removed = _tag_changes(before, step)
    if added:
        await datasets.add_tags(dataset_id, added)
    if removed:
        await datasets.remove_tags(dataset_id, removed)
    put(runtime, step, dataset_id)


def _applied(runtime: Runtime, step: Step) -> Resource:
    resource = runtime.ledger.resource(step.address)
    if resource is None:
        raise StepFailed("it is not in the ledger any more", where=step.address, fix="plan again")
    return resource


def _tag_changes(before: Resource, step: Step) -> tuple[list[str], list[str]]:
    old, new = set(before.details["wanted"]["tags"]), set(step.wanted["tags"])
    return sorted(new - old), sorted(old - new)


def put(runtime: Runtime, step: Step, nucleus_id: str | None) -> None:
    """Write down how a resource is now."""
    before = runtime.ledger.resource(step.address)
    details = {**(before.details if before else {}), "wanted": dict(step.wanted)}
    runtime.ledger.put_resource(Resource(step.address, str(step.holds), nucleus_id, digest_of(step.wanted), details))


async def declare_taxonomy(runtime: Runtime, step: Step) -> None:
    """Declaring is repeatable; labels of a taxonomy that exists are appended."""
    dataset_id = runtime.nucleus_id(step.address.partition(".taxonomy.")[0])
    name, labels, kind = step.wanted["name"], step.wanted["labels"], step.wanted["type"]
    declare = runtime.api.datasets.add_taxonomy
    answer = await declare(dataset_id, name, labels, kind=kind, update=step.action is Action.UPDATE)
    if "exists" in answer.status:
        await declare(dataset_id, name, labels, kind=kind, update=True)
    put(runtime, step, None)


async def create_model(runtime: Runtime, step: Step) -> None:
    """A model's reference id is unique at Nucleus: one that is there already is taken over and said."""
    wanted = dict(step.wanted)
    model_id = before = await found_model(runtime, wanted["reference_id"])
    runtime.ledger.begin_creation(step.address, "model", {"wanted": wanted, "namesakes": [before] if before else []})
    if model_id is not None:
        runtime.emit(Note(step.address, f"a model with reference id {wanted['reference_id']!r} exists; it is used"))
        if wanted["tags"]:
            await runtime.api.models.add_tags(model_id, wanted["tags"])
    else:
        try:
            model_id = await runtime.api.models.add(
                wanted["name"],
                wanted["reference_id"],
                metadata=wanted["metadata"],
                tags=wanted["tags"],
                bundle_name=wanted.get("bundle_name"),
            )
        except OutcomeUnknown:
            model_id = await found_model(runtime, wanted["reference_id"])
            if model_id is None:
                raise
        except ApiError:
            runtime.ledger.abandon_creation(step.address)
            raise
    finish(runtime, step.address, model_id, _without_extras(wanted), imported=before is not None)
    await _tell_slices(runtime, step, model_id)
    await _keep_weights(runtime, step, model_id)
    put(runtime, step, model_id)


def _without_extras(wanted: dict[str, object]) -> dict[str, object]:
    """What a model is made with: the rest is told afterwards, and until then the ledger doesn't say that it was."""
    return {key: value for key, value in wanted.items() if key not in ("trained_slices", "weights")}


async def _keep_weights(runtime: Runtime, step: Step, model_id: str) -> None:
    """Once for each content: the ledger remembers the digest of what was uploaded."""
    before = _applied(runtime, step).details
    wanted, held = step.wanted.get("weights"), before["wanted"].get("weights")
    file = runtime.weights.get(step.address.partition(".")[2])
    if wanted is None and held is not None:
        await runtime.api.weights.delete(model_id)
    if file is None or wanted is None:
        return
    if wanted != held:
        await runtime.api.weights.upload(model_id, file.path, file.size, file.sha256)
    resource = _applied(runtime, step)
    details = {**resource.details, "wanted": {**resource.details["wanted"], "weights": wanted}, "weights": file.noted()}
    runtime.ledger.put_resource(Resource(step.address, resource.kind, model_id, resource.digest, details))


async def _tell_slices(runtime: Runtime, step: Step, model_id: str) -> None:
    """The slices that a model was trained on, by the ids that they have now."""
    ids = {address: runtime.nucleus_id(address) for address in step.wanted.get("trained_slices", ())}
    before = _applied(runtime, step)
    told = before.details.get("slice_ids", {})
    added, removed = sorted(set(ids.values()) - set(told.values())), sorted(set(told.values()) - set(ids.values()))
    if added:
        await runtime.api.models.add_trained_slices(model_id, added)
    if removed:
        await runtime.api.models.remove_trained_slices(model_id, removed)
    if ids or told:
        runtime.ledger.put_resource(
            Resource(step.address, before.kind, model_id, before.digest, {**before.details, "slice_ids": ids})
        )


async def found_model(runtime: Runtime, reference_id: str) -> str | None:
    """The model of that reference id."""
    found = await runtime.api.models.find(reference_id)
    return found.id if found else None


async def update_model(runtime: Runtime, step: Step) -> None:
    """Only tags, weights and the slices that it was trained on can change."""
    before = _applied(runtime, step)
    models, model_id = runtime.api.models, runtime.nucleus_id(step.address)
    added, removed = _tag_changes(before, step)
    if added:
        await models.add_tags(model_id, added)
    if removed:
        await models.remove_tags(model_id, removed)
    await _tell_slices(runtime, step, model_id)
    await _keep_weights(runtime, step, model_id)
    put(runtime, step, model_id)


async def settle_creation(runtime: Runtime, creation: Creation) -> None:
    """Find out what became of a creation whose run died: adopt what it made, or forget the intent."""
    wanted, before = creation.request.get("wanted", {}), creation.request.get("namesakes", ())
    match creation.kind:
        case "dataset":
            found = await found_dataset(runtime, creation.address, wanted["name"], before)
            if found is not None:
                await _tagged(runtime, found, wanted["tags"])
        case "model":
            found = await found_model(runtime, wanted["reference_id"])
        case "slice":
            found = await _made_slice(runtime, creation)
        case _:
            found = None
    if found is None:
        runtime.ledger.abandon_creation(creation.address)
    else:
        runtime.emit(Note(creation.address, f"an interrupted run has made it: {found} is adopted"))
        # Of a slice nothing is wanted before its members are in.
        wanted = {} if creation.kind == "slice" else _without_extras(wanted)
        finish(runtime, creation.address, found, wanted, imported=found in before)


async def _made_slice(runtime: Runtime, creation: Creation) -> str | None:
    """The slice that a run made which then died; where that can't be told, the plan looks again."""
    request = creation.request
    named = await runtime.api.slices.of_dataset(request["dataset_id"], name=request["wanted"]["name"])
    made = [
        one.key
        for one in named
        if one.name == request["wanted"]["name"] and one.key not in request.get("namesakes", ())
    ]
    return made[0] if len(made) == 1 else None
