"""What a watcher does while files, the spec, Nucleus and the system misbehave."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import Any

from nucleus_sync.emulator.server import Emulator

from .conftest import SPEC, Watched, eventually
from .writers import coco, image, in_pieces, renamed, write_labels

Held = Callable[[], dict[str, Any]]


def test_what_is_there_is_sent_and_what_comes_is_sent_alone(watched: Watched, held: Held) -> None:
    for number in range(3):
        renamed(watched.images / f"{number}.png", image(number))
    watched.start()
    eventually(lambda: len(held()) == 3)
    eventually(watched.service_rests)
    renamed(watched.images / "later.png", image(9))
    eventually(lambda: "later.png" in held())
    eventually(watched.service_rests)
    assert watched.of("RoundStarted")[-1].touched == 1
    assert (watched.rounds()[-1].create, watched.rounds()[-1].unchanged) == (1, 4)  # with the dataset
    assert watched.stop() == 0


def test_a_known_file_that_is_written_again_is_updated_alone(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: len(held()) == 1)
    eventually(lambda: watched.rounds("good") and watched.service_rests())
    before = held()["a.png"]["sha256"]
    renamed(watched.images / "a.png", image(2))
    eventually(lambda: held()["a.png"]["sha256"] != before)
    eventually(lambda: sum(one.update for one in watched.rounds()) == 1)


def test_half_a_file_is_waited_for_and_not_rejected(watched: Watched, held: Held) -> None:
    renamed(watched.images / "whole.png", image(1))
    (watched.images / "half.png").write_bytes(image(2)[:40])
    watched.start()
    eventually(lambda: any("half.png" in one.message for one in watched.rounds("good")))
    assert set(held()) == {"whole.png"}
    in_pieces(watched.images / "half.png", image(2))
    eventually(lambda: set(held()) == {"whole.png", "half.png"})
    assert not watched.rounds("failed", "waiting")


def test_temporary_names_wake_nobody(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: len(held()) == 1)
    eventually(lambda: watched.rounds("good") and watched.service_rests())
    for name in ("b.png.part", "c.tmp", "d.crdownload", "~$e.png", "._f.png", ".DS_Store", ".g.png"):
        (watched.images / name).write_bytes(image(2))
    renamed(watched.images / "z.png", image(3))
    eventually(lambda: set(held()) == {"a.png", "z.png"})
    eventually(watched.service_rests)
    assert sum(one.create for one in watched.rounds()) == 3, "two images and the dataset"
    assert not watched.rounds("waiting", "failed")


def test_a_rename_into_place_counts_at_once(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    os.utime(watched.images / "a.png", (1, 1))
    watched.start(settle=0.3)
    eventually(lambda: watched.rounds("good"))
    watched.service._settling.seconds = 3600.0  # type: ignore[union-attr]
    renamed(watched.images / "b.png", image(2))
    eventually(lambda: "b.png" in held())


def test_its_own_files_wake_nobody(watched: Watched, held: Held) -> None:
    (watched.folder / "nucleus.yaml").write_text(
        SPEC.replace("path: export/images", "path: .").replace("sources:", "settings: {ledger: state/l.db}\nsources:")
    )
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: len(held()) == 1)
    eventually(watched.service_rests)
    number = len(watched.rounds())
    renamed(watched.images / "b.png", image(2))
    eventually(lambda: len(held()) == 2)
    eventually(watched.service_rests)
    assert len(watched.rounds()) == number + 1


def test_a_marker_vouches_for_its_folder(watched: Watched, held: Held) -> None:
    renamed(watched.images / "open" / "a.png", image(1))
    renamed(watched.images / "done" / "b.png", image(2))
    (watched.images / "done" / "_SUCCESS").touch()
    watched.start(marker="_SUCCESS")
    eventually(lambda: set(held()) == {"done/b.png"})
    (watched.images / "open" / "_SUCCESS").touch()
    eventually(lambda: set(held()) == {"done/b.png", "open/a.png"})


def test_a_folder_that_vanishes_is_waited_for_and_nothing_is_deleted(watched: Watched, held: Held) -> None:
    for number in range(4):
        renamed(watched.images / f"{number}.png", image(number))
    watched.start(rescan=0.3)
    eventually(lambda: len(held()) == 4)
    aside = watched.folder / "elsewhere"
    watched.images.rename(aside)
    eventually(lambda: watched.rounds("waiting"))
    eventually(lambda: any("isn't there" in one.message for one in watched.rounds("waiting")))
    (watched.images).mkdir()
    eventually(lambda: "yields no items" in "".join(one.message for one in watched.rounds("waiting")))
    assert len(held()) == 4
    shutil.rmtree(watched.images)
    aside.rename(watched.images)
    renamed(watched.images / "5.png", image(5))
    eventually(lambda: len(held()) == 5)
    assert sum(one.delete for one in watched.rounds()) == 0


def test_the_observer_hears_a_root_that_was_made_anew(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: len(held()) == 1)
    eventually(lambda: watched.rounds("good") and watched.service_rests())
    shutil.rmtree(watched.images)
    renamed(watched.images / "a.png", image(1))
    eventually(lambda: any(event.reason == "a folder is watched anew" for event in watched.of("RoundStarted")))
    renamed(watched.images / "b.png", image(2))
    eventually(lambda: set(held()) == {"a.png", "b.png"})


def test_a_refused_round_is_held_until_something_changes(watched: Watched, held: Held) -> None:
    for number in range(6):
        renamed(watched.images / f"{number}.png", image(number))
    watched.start(rescan=0.3)
    eventually(lambda: len(held()) == 6)
    for number in range(4):
        (watched.images / f"{number}.png").unlink()
    # A round may fall between two deletions: it is refused for fewer, and said anew when it becomes more.
    eventually(lambda: any("would lose 4 of 6" in one.message for one in watched.rounds("held")))
    eventually(lambda: len(watched.of("RoundStarted")) > len(watched.rounds("good")) + 2)
    assert len(held()) == 6
    assert "would lose 4 of 6" in watched.service._signs.health.reason, "the page goes on saying it"  # type: ignore[union-attr]
    said = [one.message for one in watched.rounds("held") if one.message]
    assert len(said) == len(set(said)), "a refusal is said once"
    for number in range(4):
        renamed(watched.images / f"{number}.png", image(number))
    renamed(watched.images / "6.png", image(6))
    eventually(lambda: len(held()) == 7)


def test_a_changed_spec_is_taken_up_and_a_broken_one_is_not(watched: Watched, emulator: Emulator, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: len(held()) == 1)
    eventually(lambda: watched.rounds("good") and watched.service_rests())
    spec = watched.folder / "nucleus.yaml"
    spec.write_text(SPEC + "nonsense: 1\n")
    eventually(lambda: any(event.kind == "spec_broken" for event in watched.of("Remark")))
    renamed(watched.images / "b.png", image(2))
    eventually(lambda: set(held()) == {"a.png", "b.png"})
    spec.write_text(SPEC.replace("path: export/images", 'path: export/images, metadata: {site: "berlin"}'))
    eventually(lambda: all(item["metadata"] == {"site": "berlin"} for item in held().values()))


def test_an_outage_is_waited_out(watched: Watched, emulator: Emulator, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    emulator.inject([{"effect": {"status": 503}}])
    watched.start()
    eventually(lambda: len(watched.rounds("failed", "partial")) >= 2)
    assert watched.rounds()[0].next_try
    assert "503" in watched.rounds()[0].message
    emulator.inject(None)
    eventually(lambda: set(held()) == {"a.png"})
    eventually(lambda: watched.rounds("good"))


def test_an_expired_key_is_said_and_a_new_one_is_taken_up(watched: Watched, emulator: Emulator, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    emulator.inject([{"effect": {"status": 401}}])
    watched.start()
    eventually(lambda: watched.rounds("failed"))
    assert watched.rounds("failed")[0].exit_code == 7
    assert "401" in watched.rounds("failed")[0].message
    emulator.inject(None)
    (watched.folder / ".env").write_text("NUCLEUS_API_KEY=live_new\n")
    eventually(lambda: set(held()) == {"a.png"})


def test_rejected_records_rest_and_the_others_go_on(watched: Watched, emulator: Emulator, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start()
    eventually(lambda: len(held()) == 1)
    eventually(lambda: watched.rounds("good") and watched.service_rests())
    (watched.folder / "export" / "labels.jsonl").write_text(
        '{"reference_id":"a.png","annotation_id":"1","type":"box","label":"car",'
        '"geometry":{"x":1,"y":1,"width":2,"height":2}}\n'
    )
    emulator.inject(
        [{"match": {"job": "uploadAnnotations", "times": 1}, "effect": {"reject": {"first": 1, "error": "not today"}}}]
    )
    labelled = SPEC.replace("datasets:", "  labels: {format: records, path: export/labels.jsonl}\ndatasets:")
    (watched.folder / "nucleus.yaml").write_text(
        labelled.replace("items: [images]", "items: [images], annotations: [labels]")
    )
    eventually(lambda: watched.rounds("partial"))
    assert watched.of("RecordRejected")[0].reason.endswith("not today")
    renamed(watched.images / "b.png", image(2))
    eventually(lambda: set(held()) == {"a.png", "b.png"})


def test_a_broken_file_stops_its_own_stream_only(watched: Watched, held: Held) -> None:
    labelled = SPEC.replace("datasets:", "  labels: {format: coco, path: export/labels.json}\ndatasets:")
    labelled = labelled.replace("items: [images]", "items: [images], annotations: [labels]")
    (watched.folder / "nucleus.yaml").write_text(labelled)
    renamed(watched.images / "a.png", image(1))
    (watched.folder / "export" / "labels.json").write_text('{"images": [{"id": 1, ')
    watched.start()
    eventually(lambda: set(held()) == {"a.png"})
    eventually(lambda: any("labels.json" in one.message for one in watched.rounds("waiting")))
    write_labels(watched.folder / "export" / "labels.json", coco(["a.png"]))
    eventually(lambda: watched.rounds("good"))


def test_a_full_disk_is_said_and_outlived(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    ledger = watched.folder / ".nucleus-sync"
    ledger.write_text("a file where the ledger's folder should be")
    watched.start()
    eventually(lambda: watched.rounds("failed"))
    assert watched.rounds("failed")[0].exit_code == 12
    ledger.unlink()
    eventually(lambda: set(held()) == {"a.png"})


def test_polling_sees_what_events_would_tell(watched: Watched, held: Held) -> None:
    for name in "abefgh":
        renamed(watched.images / f"{name}.png", image(ord(name)))
    watched.start(poll=0.1)
    eventually(lambda: watched.rounds("good"))
    assert watched.of("Watching")[0].how == "polling"
    in_pieces(watched.images / "new" / "b.png", image(2))
    (watched.images / "a.png").unlink()
    renamed(watched.images / "c.png", image(3))
    renamed(watched.images / "d.png", image(4))
    eventually(lambda: {"new/b.png", "c.png", "d.png"} <= set(held()) and "a.png" not in held())


def test_a_file_that_goes_and_comes_back_is_never_deleted(watched: Watched, emulator: Emulator, held: Held) -> None:
    for number in range(6):
        renamed(watched.images / f"{number}.png", image(number))
    watched.start(rescan=0.1)
    eventually(lambda: len(held()) == 6)
    eventually(watched.service_rests)
    go_on = watched.stop_the_clock()
    for turn in range(3):
        (watched.images / "1.png").unlink()
        looks = len(watched.rounds())
        eventually(lambda looks=looks: len(watched.rounds()) > looks + 1)
        (watched.images / "1.png").write_bytes(image(100 + turn))
    go_on()
    eventually(lambda: sum(one.update for one in watched.rounds()) >= 1)
    assert sum(one.delete for one in watched.rounds()) == 0


def test_once_does_what_has_settled_and_ends(watched: Watched, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    watched.start(once=True)
    eventually(lambda: watched.code is not None)
    assert (watched.code, set(held())) == (0, {"a.png"})
    assert type(watched.events[-1]).__name__ == "Summary"


def test_once_does_not_try_again(watched: Watched, emulator: Emulator) -> None:
    renamed(watched.images / "a.png", image(1))
    emulator.inject([{"effect": {"status": 401}}])
    watched.start(once=True)
    eventually(lambda: watched.code is not None)
    assert watched.code == 7
    assert {one.next_try for one in watched.rounds("failed")} == {None}


def test_stopping_lets_the_round_end(watched: Watched, emulator: Emulator, held: Held) -> None:
    renamed(watched.images / "a.png", image(1))
    eventually(lambda: time.time() - (watched.images / "a.png").stat().st_ctime > 0.2)
    emulator.inject([{"match": {"path": "append", "times": 1}, "effect": {"delay": 0.5}}])
    watched.start()
    eventually(lambda: watched.of("RoundStarted"))
    assert watched.stop() == 0
    assert set(held()) == {"a.png"}
    assert watched.rounds("good")
