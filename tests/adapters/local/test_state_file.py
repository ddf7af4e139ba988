"""The state file: who may read it, what survives, what happens when it is damaged, full, locked or foreign."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.database import Database
from pipeline.adapters.local.journal import SqliteJournal
from pipeline.adapters.local.store import LocalStore, open_store
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.errors import IntegrityBroken, JournalDamaged, OperationFailed, ReleaseError, UsageError
from pipeline.model.event import RunHalted, WavePassed, WaveStarted

STREAM = "release/intake@1.0.0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".tidegate" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[LocalStore]:
    opened = open_store(path, SimulatedClock())
    yield opened
    opened.close()


@contextmanager
def _raw(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def _fill(store: LocalStore) -> None:
    store.journal.append(
        STREAM,
        [WaveStarted(wave=0), RunHalted(reason="sick", by="ann"), WavePassed(wave=0)],
        expected=0,
        fence=1,
        actor="ann",
    )


def test_opening_a_store_touches_no_disk(path: Path) -> None:
    open_store(path, SystemClock())

    assert not path.parent.exists()


def test_the_state_is_readable_by_its_owner_only(store: LocalStore, path: Path) -> None:
    _fill(store)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes["state.db"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_commit_survives_a_power_cut_by_settings(store: LocalStore) -> None:
    with store.database.read() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_every_thread_has_a_connection_of_its_own(store: LocalStore) -> None:
    def connection(_: int) -> int:
        together.wait()
        with store.database.read() as found:
            return id(found)

    together = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(connection, range(3)))) == 3


def test_a_closed_store_opens_again_by_itself(store: LocalStore) -> None:
    _fill(store)
    store.close()

    assert len(store.journal.read(STREAM)) == 3


# --- tampering -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE entries SET event = replace(event, 'sick', 'well') WHERE seq = 2", 2),
        ("UPDATE entries SET actor = 'bob' WHERE seq = 3", 3),
        ("UPDATE entries SET fence = 9 WHERE seq = 1", 1),
        ("UPDATE entries SET at = '2020-01-01T00:00:00.000+00:00' WHERE seq = 2", 2),
        ("UPDATE entries SET event = 'nonsense' WHERE seq = 2", 2),
        ("UPDATE entries SET event = '{\"type\":[]}' WHERE seq = 2", 2),
        ('UPDATE entries SET event = \'{"type":"Unheard"}\' WHERE seq = 2', 2),
        ("UPDATE entries SET at = 'yesterday' WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq = 2", 2),
        ("DELETE FROM entries WHERE seq = 3", 3),
        ("DELETE FROM entries", 1),
        ("DELETE FROM heads", 1),
        ("UPDATE heads SET seq = 2", 3),
        ("INSERT INTO entries SELECT stream, 4, at, actor, fence, event, hash, hash FROM entries LIMIT 1", 4),
    ],
)
def test_whatever_is_changed_in_the_journal_is_found_and_named(
    store: LocalStore, path: Path, statement: str, seq: int
) -> None:
    _fill(store)
    with _raw(path) as connection:
        connection.execute(statement)

    with pytest.raises(JournalDamaged) as damage:
        store.journal.read(STREAM)
    assert damage.value.problem.startswith(f"the journal is damaged at entry {seq} of {STREAM}: ")
    assert damage.value.exit_code == 7


def test_an_entry_moved_to_another_stream_is_found(store: LocalStore, path: Path) -> None:
    _fill(store)
    with _raw(path) as connection:
        connection.execute("UPDATE entries SET stream = 'release/notify@1.0.0'")
        connection.execute("UPDATE heads SET stream = 'release/notify@1.0.0'")

    with pytest.raises(JournalDamaged, match=r"at entry 1 of release/notify@1\.0\.0"):
        store.journal.read("release/notify@1.0.0")


# --- a file that cannot be used --------------------------------------------------------------------


def _everything(store: LocalStore) -> list[Callable[[], object]]:
    return [
        lambda: _fill(store),
        lambda: store.journal.read(STREAM),
        lambda: store.leases.take("run", "ann", timedelta(seconds=1)),
        lambda: store.latch.read("intake@1.0.0"),
        lambda: store.registry.rows(),
    ]


def _assert_refused(store: LocalStore, kind: type[ReleaseError], says: str) -> None:
    for use in _everything(store):
        with pytest.raises(kind, match=says) as refused:
            use()
        assert str(store.database.path) in refused.value.problem
        assert refused.value.state != ""
        assert refused.value.remedy != ""


def test_a_file_that_is_no_database_is_an_integrity_error_and_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"these are my holiday pictures " * 100)

    _assert_refused(open_store(path, SimulatedClock()), IntegrityBroken, "not a sound state file")
    assert path.read_bytes() == b"these are my holiday pictures " * 100


def test_a_damaged_database_is_an_integrity_error(store: LocalStore, path: Path) -> None:
    _fill(store)
    with store.database.write() as connection:
        connection.execute("CREATE TABLE ballast (text TEXT)")
        connection.execute("INSERT INTO ballast VALUES (?)", ("x" * 100_000,))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = os.urandom(len(content) - 4096)
    path.write_bytes(content)

    with pytest.raises(IntegrityBroken):
        store.journal.read(STREAM)


def test_a_state_of_a_later_format_is_left_alone(store: LocalStore, path: Path) -> None:
    _fill(store)
    with _raw(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")

    _assert_refused(open_store(path, SimulatedClock()), UsageError, "state format 99")


def test_a_directory_in_its_place_is_told(path: Path) -> None:
    path.mkdir(parents=True)

    _assert_refused(open_store(path, SimulatedClock()), OperationFailed, "cannot be opened for writing")


def test_a_file_where_its_directory_should_be_is_told(path: Path) -> None:
    path.parent.write_text("not a directory")

    _assert_refused(open_store(path, SimulatedClock()), OperationFailed, "cannot be opened for writing")


def test_a_state_that_another_process_keeps_locked_is_waited_for_and_then_told(path: Path) -> None:
    database = Database(path, busy_seconds=0.05)
    journal = SqliteJournal(database, SimulatedClock())
    journal.append(STREAM, [WaveStarted(wave=0)], expected=0, fence=1, actor="ann")
    with _raw(path) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(OperationFailed, match=r"was locked by another process for 0\.05 s"):
            journal.append(STREAM, [WavePassed(wave=0)], expected=1, fence=1, actor="ann")
        assert len(journal.read(STREAM)) == 1  # reading goes on
    journal.append(STREAM, [WavePassed(wave=0)], expected=1, fence=1, actor="ann")


def test_a_full_disk_loses_nothing_that_was_written_before(store: LocalStore) -> None:
    _fill(store)
    with store.database.read() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    # A file that may not grow behaves as a full disk does: SQLITE_FULL.
    with store.database.read() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(OperationFailed, match="no room left on the disk"):
        _fill_up(store)
    assert [entry.event for entry in store.journal.read(STREAM)][:3] == [
        WaveStarted(wave=0),
        RunHalted(reason="sick", by="ann"),
        WavePassed(wave=0),
    ]


def test_a_state_that_may_not_be_written_is_told_and_can_still_be_read(store: LocalStore) -> None:
    _fill(store)
    with store.database.read() as connection:
        connection.execute("PRAGMA query_only = ON")  # what a read-only mount makes of every write

    with pytest.raises(OperationFailed, match="cannot be opened for writing"):
        store.journal.append(STREAM, [WavePassed(wave=1)], expected=3, fence=1, actor="ann")
    assert len(store.journal.read(STREAM)) == 3


def _fill_up(store: LocalStore) -> None:
    for seq in range(3, 400):
        store.journal.append(
            STREAM, [RunHalted(reason="x" * 900, by="ann")], expected=seq, fence=1, actor="ann"
        )


# --- several processes -----------------------------------------------------------------------------

_RACER = """
import sys
from pathlib import Path
from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.store import open_store
from pipeline.errors import StreamMoved
from pipeline.model.event import WaveStarted

store, name = open_store(Path(sys.argv[1]), SystemClock()), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
won = 0
for seq in range(40):
    try:
        store.journal.append("race", [WaveStarted(wave=seq)], expected=seq, fence=1, actor=name)
        won += 1
    except StreamMoved:
        while store.journal.head("race").seq <= seq:
            pass
print(won, flush=True)
"""


def test_of_two_processes_that_append_at_the_same_place_exactly_one_wins_each_time(path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        answers = []
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            out, _ = racer.communicate(timeout=60)
            answers.append(int(out))
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()

    entries = open_store(path, SystemClock()).journal.read("race")
    assert [entry.event for entry in entries] == [WaveStarted(wave=seq) for seq in range(40)]
    assert answers == [sum(1 for e in entries if e.actor == name) for name in ("one", "two")]


def test_a_connection_is_not_carried_over_a_fork(store: LocalStore) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    _fill(store)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pipeline.adapters.local.clock import SystemClock\n"
        "from pipeline.adapters.local.store import open_store\n"
        "from pipeline.model.event import WaveStarted\n"
        "store = open_store(Path(sys.argv[1]), SystemClock())\n"
        "store.journal.read('a')\n"
        "child = os.fork()\n"
        "name = 'parent' if child else 'child'\n"
        "store.journal.append(name, [WaveStarted(wave=1)], expected=0, fence=1, actor=name)\n"
        "if child: sys.exit(os.waitpid(child, 0)[1])\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(store.database.path)], check=True, timeout=60)

    assert store.journal.streams("") == ("child", "parent", STREAM)
