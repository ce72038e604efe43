"""What a step of each kind does."""

from __future__ import annotations

from nucleus_sync.apply import deletes, evaluate, ingest, removals, resources, scene_deletes, slices, tracks
from nucleus_sync.apply.runtime import Runtime, StepTally
from nucleus_sync.plan.steps import Action, Holds, Step


async def perform(runtime: Runtime, step: Step, tally: StepTally) -> None:
    """Carry out one step; counts go to the tally, errors are raised."""
    match step.holds, step.action:
        case ((Holds.DATASET | Holds.MODEL | Holds.TAXONOMY | Holds.EVALUATION), Action.DELETE):
            await removals.remove_resource(runtime, step)
        case Holds.DATASET, Action.CREATE:
            await resources.create_dataset(runtime, step)
        case Holds.DATASET, Action.UPDATE:
            await resources.update_dataset(runtime, step)
        case Holds.TAXONOMY, (Action.CREATE | Action.UPDATE):
            await resources.declare_taxonomy(runtime, step)
        case Holds.MODEL, Action.CREATE:
            await resources.create_model(runtime, step)
        case Holds.MODEL, Action.UPDATE:
            await resources.update_model(runtime, step)
        case ((Holds.ITEMS | Holds.SCENES), Action.PROBE):
            await ingest.probe(runtime, step, tally)
            return
        case ((Holds.ITEMS | Holds.SCENES | Holds.ANNOTATIONS | Holds.PREDICTIONS), Action.INGEST):
            await ingest.ingest(runtime, step, tally)
            return
        case Holds.ITEMS, Action.DELETE:
            await deletes.delete_items(runtime, step, tally)
            return
        case Holds.SCENES, Action.DELETE:
            await scene_deletes.delete_scenes(runtime, step, tally)
            return
        case Holds.ANNOTATIONS, Action.DELETE:
            await deletes.clear_annotations(runtime, step, tally)
            return
        case Holds.PREDICTIONS, Action.DELETE:
            await deletes.delete_predictions(runtime, step, tally)
            return
        case Holds.SLICE, _:
            await slices.keep_slice(runtime, step)
        case Holds.TRACK, _:
            await tracks.keep_track(runtime, step)
        case Holds.EVALUATION, Action.EVALUATE:
            await evaluate.evaluate(runtime, step)
            return
        case _:
            raise AssertionError(f"no plan holds a step {step.id}")
    tally.counts[str(step.action)] += 1
