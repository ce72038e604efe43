"""Opening a ledger: what is made, what is mended, what is refused."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database as Tables

from nucleus_sync.errors import Exit, LedgerError, Locked
from nucleus_sync.ledger import disk
from nucleus_sync.ledger.database import APPLICATION_ID, open_database, statements
from nucleus_sync.ledger.ledger import Ledger
from nucleus_sync.ledger.migrations import VERSION, Migration

ITEMS = "dataset.street.items"
ROW = (b"a", bytes(range(24)))


def now() -> float:
    return 1_700_000_000.0


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def filled(path: Path) -> Path:
    """A closed ledger with one record."""
    with Ledger.open(path, endpoint="embedded") as ledger:
        ledger.adopt(ITEMS, [ROW])
    return path


def test_a_new_ledger_is_private_and_has_a_lineage(path: Path) -> None:
    with Ledger.open(path, endpoint="embedded", clock=now) as ledger:
        assert (len(ledger.lineage), ledger.serial, ledger.database.meta("created_at")) == (32, 0, now())
        assert (mode(path), mode(path.parent), mode(path.with_name("ledger.db-wal"))) == (0o600, 0o700, 0o600)


def test_it_is_durable_and_checks_its_references(path: Path) -> None:
    with Ledger.open(path, endpoint="embedded") as ledger, ledger.database.reading() as conn:
        found = [
            conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_lineage_and_records_outlive_closing(filled: Path) -> None:
    with Ledger.open(filled, endpoint="embedded") as first:
        lineage = first.lineage
    with Ledger.open(filled, endpoint="embedded", create=False) as second:
        assert (second.lineage, list(second.known(ITEMS))) == (lineage, [ROW])


def test_a_writer_that_ends_leaves_no_log_behind_though_somebody_reads(filled: Path) -> None:
    """A log with something in it means a dead writer, and has the next one look at the whole file."""
    with Ledger.read(filled) as reader:
        assert list(reader.known(ITEMS)) == [ROW]
        with Ledger.open(filled, endpoint="embedded") as writer:
            writer.add_metadata_types(ITEMS, {"speed": "number"})
            assert filled.with_name(filled.name + "-wal").stat().st_size > 0
        assert filled.with_name(filled.name + "-wal").stat().st_size == 0
        assert reader.metadata_types(ITEMS) == {"speed": "number"}


def test_a_ledger_that_should_be_there_is_not_made(path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        Ledger.open(path, endpoint="embedded", create=False)
    assert not path.exists()


def test_another_endpoint_is_refused(filled: Path) -> None:
    with pytest.raises(LedgerError, match=r"of embedded, not of https://api\.scale\.com/v1/nucleus") as caught:
        Ledger.open(filled, endpoint="https://api.scale.com/v1/nucleus/")
    assert caught.value.exit_code is Exit.LEDGER


def test_another_spec_is_refused_once_one_is_written_down(filled: Path) -> None:
    for spec in ("../nucleus.yaml", None, "../nucleus.yaml"):
        Ledger.open(filled, endpoint="embedded", spec=spec).close()
    for readonly in (False, True):
        with pytest.raises(LedgerError, match=r"another spec, \.\./nucleus\.yaml, not to \.\./other\.yaml"):
            Ledger.open(filled, endpoint="embedded", spec="../other.yaml", readonly=readonly)


OPEN_ONCE = """
import sys
from pathlib import Path
from nucleus_sync.ledger.ledger import Ledger
sys.stdin.read()
with Ledger.open(Path(sys.argv[1]), endpoint="embedded") as ledger:
    print(ledger.lineage)
"""


def test_processes_that_make_a_ledger_at_once_make_one(path: Path) -> None:
    command = [sys.executable, "-c", OPEN_ONCE, str(path)]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
    lineages = {racer.stdout.read() for racer in racers if racer.stdout}
    assert [racer.wait() for racer in racers] == [0] * 6
    assert len(lineages) == 1


def test_a_newer_schema_is_refused(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as conn:
        conn.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(LedgerError, match="newer than"):
        Ledger.open(filled, endpoint="embedded")
    with pytest.raises(LedgerError, match="newer than"):
        Ledger.open(filled, endpoint="embedded", readonly=True)


def test_a_strange_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE photos (id)")
    with pytest.raises(LedgerError, match="no ledger of nucleus-sync"):
        Ledger.open(path, endpoint="embedded")
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"nothing that SQLite knows" * 100)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="damaged") as caught:
        Ledger.open(path, endpoint="embedded")
    assert "refresh --write" in str(caught.value)
    assert path.read_bytes() == before


def damage(path: Path) -> None:
    """Overwrite every page but the first, as a dying disk would."""
    contents = bytearray(path.read_bytes())
    contents[8192:] = b"\xa5" * (len(contents) - 8192)
    path.write_bytes(contents)


def test_a_damaged_file_is_refused_and_never_deleted(filled: Path) -> None:
    damage(filled)
    before = filled.read_bytes()
    with pytest.raises(LedgerError, match="damaged") as caught:
        Ledger.open(filled, endpoint="embedded")
    assert caught.value.exit_code is Exit.LEDGER
    assert filled.read_bytes() == before


def test_damage_among_the_known_records_is_found_by_a_check(path: Path) -> None:
    with Ledger.open(path, endpoint="embedded") as ledger:
        ledger.adopt(ITEMS, [(b"%08d" % number, bytes(24)) for number in range(20_000)])
    contents = bytearray(path.read_bytes())
    middle = len(contents) // 2 // 8192 * 8192
    contents[middle : middle + 8192] = b"\xa5" * 8192
    path.write_bytes(contents)
    with Ledger.open(path, endpoint="embedded") as ledger, pytest.raises(LedgerError, match="damaged"):
        ledger.check()
    with Ledger.open(path, endpoint="embedded") as ledger, pytest.raises(LedgerError, match="damaged"):
        list(ledger.known(ITEMS))


def add_colour(tables: Tables) -> None:
    tables["resources"].add_column("colour", str)


def add_then_fail(tables: Tables) -> None:
    add_colour(tables)
    raise sqlite3.OperationalError("a mistake in the migration")


def fabricate_next(path: Path, step: Migration) -> None:
    """Open as the program of the next schema version would."""
    open_database(path, endpoint="embedded", clock=now, version=VERSION + 1, migrations={VERSION + 1: step}).close()


def test_an_older_schema_is_brought_up_to_date_after_a_copy(filled: Path) -> None:
    fabricate_next(filled, add_colour)
    copy = filled.with_name(f"ledger.db.v{VERSION}.bak")
    assert mode(copy) == 0o600
    with closing(sqlite3.connect(filled)) as conn:
        assert conn.execute("PRAGMA user_version").fetchone()[0] == VERSION + 1
        assert "colour" in Tables(conn)["resources"].columns_dict
        assert Tables(conn)["known"].count == 1
    with Ledger.open(copy, endpoint="embedded") as older:
        assert list(older.known(ITEMS)) == [ROW]


def test_a_failed_migration_changes_nothing(filled: Path) -> None:
    with pytest.raises(LedgerError, match="a mistake"):
        fabricate_next(filled, add_then_fail)
    with Ledger.open(filled, endpoint="embedded") as ledger, ledger.database.reading() as conn:
        assert "colour" not in Tables(conn)["resources"].columns_dict


def test_a_migration_is_told(filled: Path) -> None:
    database = open_database(
        filled, endpoint="embedded", clock=now, version=VERSION + 1, migrations={VERSION + 1: add_colour}
    )
    database.close()
    assert ["kept as" in warning for warning in database.warnings] == [True]


def test_the_header_says_what_the_file_is(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as conn:
        assert conn.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID


def test_a_creation_cut_short_is_taken_up(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Ledger.open(path, endpoint="embedded") as ledger:
        assert ledger.serial == 0


def test_a_reader_changes_no_byte(filled: Path) -> None:
    before = {entry.name: entry.read_bytes() for entry in filled.parent.iterdir()}
    with Ledger.open(filled, endpoint="embedded", readonly=True) as ledger:
        assert (list(ledger.known(ITEMS)), ledger.writable) == ([ROW], False)
        with pytest.raises(LedgerError, match="reading only"):
            ledger.adopt(ITEMS, [ROW])
    assert filled.read_bytes() == before[filled.name]


def test_a_reader_finds_an_empty_ledger_where_there_is_none(path: Path) -> None:
    with Ledger.open(path, endpoint="embedded", readonly=True) as ledger:
        assert (ledger.lineage, ledger.serial, list(ledger.known(ITEMS))) == ("", 0, [])
    assert not path.parent.exists()


AS_NOBODY = """
import os, sys
from pathlib import Path
from nucleus_sync.errors import LedgerError
from nucleus_sync.ledger.facts import FileFacts
from nucleus_sync.ledger.ledger import Ledger
path = Path(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
with Ledger.open(path, endpoint="embedded", readonly=True) as ledger:
    print(ledger.count("dataset.street.items"))
FileFacts(path.with_name("cache.db")).close()
try:
    Ledger.open(path, endpoint="embedded")
except LedgerError as error:
    print(error.what)
"""


def open_up(folder: Path) -> None:
    """Let every user reach a folder that lies in pytest's private one."""
    for each in (folder, *folder.parents):
        if not each.stat().st_mode & stat.S_IXOTH:
            each.chmod(0o755)


def test_a_folder_that_can_not_be_written_is_told_and_can_be_read(filled: Path) -> None:
    open_up(filled.parent)
    filled.chmod(0o444)
    filled.parent.chmod(0o555)
    ran = subprocess.run([sys.executable, "-c", AS_NOBODY, filled], capture_output=True, text=True, check=True)
    filled.parent.chmod(0o755)
    assert ran.stdout.splitlines()[0] == "1"
    assert "can't be" in ran.stdout.splitlines()[1]


def test_a_full_disk_is_told_and_loses_nothing(filled: Path) -> None:
    with Ledger.open(filled, endpoint="embedded") as ledger:
        with ledger.database.reading() as conn:
            pages = conn.execute("PRAGMA page_count").fetchone()[0]
            conn.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(LedgerError, match="disk is full"):
            ledger.adopt(ITEMS, [(b"%08d" % number, bytes(24)) for number in range(10_000)])
        assert list(ledger.known(ITEMS)) == [ROW]


FILE_LIMIT = """
import resource, signal, sys
from pathlib import Path
from nucleus_sync.errors import LedgerError
from nucleus_sync.ledger.ledger import Ledger
with Ledger.open(Path(sys.argv[1]), endpoint="embedded") as ledger:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        ledger.adopt("dataset.street.items", [(b"%08d" % number, bytes(24)) for number in range(50_000)])
    except LedgerError as error:
        print(error.what)
"""


def test_a_write_that_the_system_refuses_half_way_is_undone(filled: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FILE_LIMIT, filled], capture_output=True, text=True, check=True)
    assert "disk" in ran.stdout
    with Ledger.open(filled, endpoint="embedded") as ledger:
        ledger.check()
        assert list(ledger.known(ITEMS)) == [ROW]


def test_too_little_room_is_found_before_anything_is_sent(ledger: Ledger, tmp_path: Path) -> None:
    ledger.assure_room()
    with pytest.raises(LedgerError, match="nearly full"):
        ledger.assure_room(1 << 60)
    with pytest.raises(LedgerError, match="can't be written"):
        disk.assure_room(tmp_path / "nowhere")


def test_another_writer_is_waited_for_and_then_named(filled: Path) -> None:
    with Ledger.open(filled, endpoint="embedded") as ledger, closing(sqlite3.connect(filled)) as stranger:
        with ledger.database.reading() as conn:
            conn.execute("PRAGMA busy_timeout=1")
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="another process is writing"):
            ledger.adopt(ITEMS, [ROW])


@pytest.mark.parametrize(
    ("mounts", "found"),
    [
        ("/dev/sda1 / ext4 rw 0 0\n", None),
        ("/dev/sda1 / ext4 rw 0 0\nnas:/x /mnt/team\\040share nfs4 rw 0 0\n", "nfs4"),
        ("nas:/x / nfs4 rw 0 0\n/dev/sdb /mnt/team\\040share ext4 rw 0 0\n", None),
        ("", None),
    ],
)
def test_a_network_file_system_is_recognised_by_its_mount(mounts: str, found: str | None) -> None:
    assert disk.network_filesystem(Path("/mnt/team share/x/ledger.db"), mounts) == found


def test_a_script_is_split_into_whole_statements() -> None:
    script = ["-- one; with a semicolon\nCREATE TABLE a (\n  b TEXT -- of; c\n);\n", "SELECT ';';\n"]
    assert list(statements("".join(script))) == script


def test_a_folder_in_its_place_is_said(path: Path) -> None:
    path.mkdir(parents=True)
    for readonly in (True, False):
        with pytest.raises(LedgerError, match=r"folder|directory") as caught:
            Ledger.open(path, endpoint="embedded", readonly=readonly)
        assert caught.value.where == str(path)
