"""Evaluations V2: a model's boxes against a benchmark's, with charts and examples."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from . import benchmarks, metrics, models
from .boxes import Boxes, Guess, Truth, canonical, exclude
from .refusals import Refused, missing
from .world import World, from_json, now_text, to_json


def create(world: World, benchmark_id: str, body: dict[str, Any]) -> int:
    """Insert the row of an evaluation that is still to be computed."""
    benchmark = benchmarks.find(world, benchmark_id)
    if benchmark["status"] != "ready":
        raise Refused(409, f"Benchmark {benchmark_id} is not ready.")
    model_id, run_id = body.get("model_id"), body.get("model_run_id")
    if (model_id is None) == (run_id is None):
        raise Refused(400, "Exactly one of model_id and model_run_id must be given.")
    run = models.find_run(world, str(run_id))["pk"] if run_id is not None else None
    model = models.find(world, str(model_id if run_id is None else run_id))["pk"]
    taxonomy = from_json(benchmark["taxonomy"])
    if taxonomy.get("allowed_label_matches_id") is not None:
        raise Refused(501, "POST benchmarks/{bm}/evaluationsV2 with allowed_label_matches_id is not emulated")
    groups = either(body, "rollupGroups", "rollup_groups")
    row = (
        benchmark["pk"],
        model,
        run,
        body.get("name"),
        _json_or_null(taxonomy.get("rollup_groups") if groups is None else groups),
        _json_or_null(either(body, "exclusionRules", "exclusion_rules")),
        bool(taxonomy.get("class_agnostic")),
        now_text(),
    )
    with world.held.transaction() as c:
        pk = c.execute(
            "INSERT INTO evaluations (benchmark, model, run, name, status, rollup_groups, exclusion_rules,"
            " class_agnostic, created) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?)",
            row,
        ).lastrowid
    return pk or 0


def either(body: dict[str, Any], camel: str, snake: str) -> Any:
    """A request key that may come in two spellings."""
    return body.get(camel, body.get(snake))


def _json_or_null(value: Any) -> str | None:
    return None if value is None else to_json(value)


def retry(world: World, evaluation_id: str) -> int:
    """A copy of an evaluation, to be computed anew."""
    row = find(world, evaluation_id)
    with world.held.transaction() as c:
        pk = c.execute(
            "INSERT INTO evaluations (benchmark, model, run, name, status, rollup_groups, exclusion_rules,"
            " class_agnostic, created) SELECT benchmark, model, run, name, 'pending', rollup_groups,"
            " exclusion_rules, class_agnostic, ? FROM evaluations WHERE pk = ?",
            (now_text(), row["pk"]),
        ).lastrowid
    return pk or 0


def find(world: World, evaluation_id: str) -> sqlite3.Row:
    """An evaluation's row, or 404."""
    pk = world.ids.read("evalv2", evaluation_id)
    row = world.held.reader().execute("SELECT * FROM evaluations WHERE pk = ?", (pk,)).fetchone()
    if row is None:
        raise missing("Evaluation", evaluation_id)
    return row  # type: ignore[no-any-return]


def as_read(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """An evaluation object."""
    return {
        "id": world.ids.spell("evalv2", row["pk"]),
        "model_run_id": world.ids.spell("run", row["run"]) if row["run"] else None,
        "model_id": world.ids.spell("prj", row["model"]),
        "benchmark_id": world.ids.spell("bm", row["benchmark"]),
        "slice_id": None,
        "name": row["name"],
        "status": row["status"],
        "error_message": row["error"],
        "temporal_workflow_id": None,
        "created_at": row["created"],
        # A list comes back as JSON text at times; here always as a list.
        "rollup_groups": from_json(row["rollup_groups"]),
        "exclusion_rules": from_json(row["exclusion_rules"]),
        "exclusion_stats": from_json(row["exclusion_stats"]),
    }


def listing(world: World, column: str, pk: int) -> list[dict[str, Any]]:
    """The evaluations of a model or of a run, newest first."""
    query = f"SELECT * FROM evaluations WHERE {column} = ? ORDER BY pk DESC"
    return [as_read(world, row) for row in world.held.reader().execute(query, (pk,))]


def cancel(world: World, evaluation_id: str) -> dict[str, Any]:
    """Stop an evaluation that is not finished; a finished one stays as it is."""
    row = find(world, evaluation_id)
    with world.held.transaction() as c:
        c.execute(
            "UPDATE evaluations SET status = 'cancelled' WHERE pk = ? AND status IN ('pending', 'computing')",
            (row["pk"],),
        )
    return as_read(world, find(world, evaluation_id))


def delete(world: World, evaluation_id: str) -> None:
    """Remove an evaluation."""
    pk = find(world, evaluation_id)["pk"]
    with world.held.transaction() as c:
        c.execute("DELETE FROM evaluations WHERE pk = ?", (pk,))


def compute(c: sqlite3.Connection, pk: int) -> None:
    """Gather the boxes as they are now, and compute the charts from them."""
    row = c.execute("SELECT * FROM evaluations WHERE pk = ? AND status = 'pending'", (pk,)).fetchone()
    if row is None:  # cancelled or deleted meanwhile
        return
    try:
        boxes, stats = exclude(_gather(c, row), from_json(row["exclusion_rules"]) or [])
        found = metrics.charts(boxes, 0.5)
    except (KeyError, TypeError, ValueError) as error:
        fail(c, pk, repr(error))
        return
    c.execute(
        "UPDATE evaluations SET status = 'succeeded', boxes = ?, charts = ?, exclusion_stats = ? WHERE pk = ?",
        (to_json(boxes), to_json(found), to_json(stats), pk),
    )


def fail(c: sqlite3.Connection, pk: int, text: str) -> None:
    """Note that an evaluation could not be computed."""
    c.execute("UPDATE evaluations SET status = 'failed', error = ? WHERE pk = ? AND status = 'pending'", (text, pk))


def _gather(c: sqlite3.Connection, evaluation: sqlite3.Row) -> Boxes:
    members = "SELECT item FROM benchmark_members WHERE benchmark = ?1"
    # By reference id, so that equal scores are ranked the same way in whichever order the items were uploaded.
    query = f"SELECT pk, metadata FROM items WHERE pk IN ({members}) ORDER BY reference_id, dataset"
    rows = c.execute(query, (evaluation["benchmark"],))
    items = {row["pk"]: from_json(row["metadata"]) for row in rows}
    query = f"SELECT pk, item, label, record FROM annotations WHERE type = 'box' AND item IN ({members}) ORDER BY pk"
    truths = [
        Truth(*each, bool((record.get("metadata") or {}).get("iscrowd")), record.get("metadata") or {})
        for each, record in _read(evaluation, c.execute(query, (evaluation["benchmark"],)))
    ]
    guesses = [
        Guess(*each, record.get("confidence"), record.get("metadata") or {})
        for each, record in _read(evaluation, _predictions(c, evaluation, members))
    ]
    return Boxes(items, truths, guesses)


def _predictions(c: sqlite3.Connection, evaluation: sqlite3.Row, members: str) -> Iterator[sqlite3.Row]:
    """The predictions of one run; or of a model: of all its runs and the run-free ones, each key once.

    Where several hold a key, the run-free one counts, or else that of the newest run: copying a run to its model
    must not double its predictions.
    """
    wanted = "p.run = ?2" if evaluation["run"] else "r.model = ?2"
    query = (
        "SELECT * FROM (SELECT p.pk, p.item, p.label, p.record, row_number() OVER"
        " (PARTITION BY p.item, p.slot ORDER BY r.free DESC, r.pk DESC) AS place"
        " FROM predictions p JOIN runs r ON r.pk = p.run"
        f" WHERE p.type = 'box' AND p.item IN ({members}) AND {wanted}) WHERE place = 1 ORDER BY pk"
    )
    return c.execute(query, (evaluation["benchmark"], evaluation["run"] or evaluation["model"]))


_Corners = tuple[float, float, float, float]


def _read(
    evaluation: sqlite3.Row, rows: Iterable[sqlite3.Row]
) -> Iterator[tuple[tuple[int, int, str, str, _Corners], dict[str, Any]]]:
    """What ground truth and predictions have in common, and the whole record."""
    groups = from_json(evaluation["rollup_groups"])
    for row in rows:
        record = from_json(row["record"])
        geometry = record["geometry"]
        label = canonical(row["label"], groups, class_agnostic=bool(evaluation["class_agnostic"]))
        box = (geometry["x"], geometry["y"], geometry["width"], geometry["height"])
        yield (row["pk"], row["item"], row["label"], label, box), record


def boxes_of(row: sqlite3.Row) -> Boxes:
    """The boxes that a finished evaluation compared, or 409."""
    if row["status"] != "succeeded":
        raise Refused(409, f"The evaluation is {row['status']}.")
    return msgspec.json.decode(row["boxes"], type=Boxes)
