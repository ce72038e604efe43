"""Where the records of a stream go at Nucleus, and by which kind of job."""

from __future__ import annotations

from dataclasses import dataclass

from nucleus_sync.apply.conclude import JOB_TYPES
from nucleus_sync.apply.model_run import named_run
from nucleus_sync.apply.runtime import Runtime
from nucleus_sync.records.record import Kind
from nucleus_sync.survey.declared import DeclaredStream, declared_streams

_SCENE_JOBS = {"lidar": "uploadLidarScene", "video": "uploadVideoScene"}


@dataclass(frozen=True)
class Target:
    """Where the records of a stream go."""

    declared: DeclaredStream
    dataset_id: str
    model_id: str | None
    dataset_kind: str = "images"
    run_id: str | None = None
    """The named run that predictions go into."""
    is_run_free: bool = False

    @property
    def job_type(self) -> str:
        """What Nucleus calls a job that takes them; empty where the call's own answer is the outcome."""
        if self.is_run_free:
            return ""
        kind = self.declared.kind
        return _SCENE_JOBS[self.dataset_kind] if kind is Kind.SCENES else JOB_TYPES[kind]

    @property
    def holds_categories_of_scenes(self) -> bool:
        """Whether a category may be one of a whole scene."""
        return self.dataset_kind != "images" and self.declared.kind is not Kind.SCENES


async def target_of(runtime: Runtime, address: str) -> Target:
    """Looked up in the spec and the ledger; a named run is made where it isn't there."""
    declared = next(stream for stream in declared_streams(runtime.spec) if stream.address == address)
    model_id = runtime.nucleus_id(f"model.{declared.model}") if declared.model else None
    dataset_kind = runtime.spec.datasets[declared.dataset].kind
    run_id = await named_run(runtime, declared.model) if declared.model else None
    is_run_free = declared.model is not None and runtime.spec.models[declared.model].run == "none"
    dataset_id = runtime.nucleus_id(f"dataset.{declared.dataset}")
    return Target(declared, dataset_id, model_id, dataset_kind, run_id, is_run_free)
