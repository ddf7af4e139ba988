"""Room: adapters/local. One SQLite file with the state; knows transactions and faults, not what is kept.

WAL, synchronous=FULL (a commit that was answered survives a power cut), BEGIN IMMEDIATE for every write, one
connection per thread. WAL needs shared memory, so the file must not lie on a network file system.
Source: sqlite.org, "Write-Ahead Logging" and "Result and Error Codes".
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import IntegrityBroken, OperationFailed, ReleaseError, UsageError

__all__ = ["SCHEMA_VERSION", "Database"]

SCHEMA_VERSION = 1
_BUSY_SECONDS = 20.0

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS heads (
        stream TEXT PRIMARY KEY, seq INTEGER NOT NULL, fence INTEGER NOT NULL, hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS entries (
        stream TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, actor TEXT NOT NULL,
        fence INTEGER NOT NULL, event TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
        PRIMARY KEY (stream, seq)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS entries_by_time ON entries (at)",
    """CREATE TABLE IF NOT EXISTS leases (
        name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, expires TEXT NOT NULL,
        given_back INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS halts (
        release TEXT PRIMARY KEY, reason TEXT NOT NULL, actor TEXT NOT NULL, at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS registry (
        name TEXT PRIMARY KEY, kind TEXT NOT NULL, email TEXT NOT NULL, email_key TEXT UNIQUE,
        account TEXT UNIQUE, state TEXT NOT NULL, external_id TEXT NOT NULL, note TEXT NOT NULL
    ) STRICT""",
)


class Database:
    """The state file, made on demand with mode 0600 in a directory of mode 0700.

    busy_seconds: how long a write waits for another process's write before OperationFailed.
    """

    def __init__(self, path: Path, *, busy_seconds: float = _BUSY_SECONDS) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that holds the write lock from its first statement; all or nothing."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One snapshot: several reads in it see the same instant."""
        with self._transaction("BEGIN") as connection:
            yield connection

    def close(self) -> None:
        """Closes every thread's connection; a later call opens a new one."""
        with self._lock:
            opened, self._opened = self._opened, []
            self._local = threading.local()
        for connection in opened:
            connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connection()
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as fault:
            raise self._typed(fault) from fault
        except OSError as fault:
            raise self._unwritable(str(fault)) from fault

    def _connection(self) -> sqlite3.Connection:
        # A connection must not cross a fork (sqlite.org, "How To Corrupt", 2.6), hence the process id.
        known: tuple[int, sqlite3.Connection] | None = getattr(self._local, "connection", None)
        if known is not None and known[0] == os.getpid():
            return known[1]
        connection = self._open()
        self._local.connection = (os.getpid(), connection)
        with self._lock:
            self._opened.append(connection)
        return connection

    def _open(self) -> sqlite3.Connection:
        self._make_file()
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._use_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            self._prepare_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        if self.path.exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the main file, so this one call protects all three.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        # Going over to WAL needs the file for itself and does not wait by busy_timeout, so two runners that
        # make a new state file at the same time meet here.
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as fault:
                if _primary(fault) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _prepare_schema(self, connection: sqlite3.Connection) -> None:
        found = self._schema_version(connection)
        if found is None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(
                    "INSERT OR IGNORE INTO meta VALUES ('schema_version', ?)", (str(SCHEMA_VERSION),)
                )
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            found = self._schema_version(connection)
        if found != str(SCHEMA_VERSION):
            raise UsageError(
                f"{self.path} was written with state format {found}; this release knows {SCHEMA_VERSION}",
                state="nothing was read or written",
                remedy="use the Tidegate that wrote it: pip install --upgrade tidegate",
            )

    @staticmethod
    def _schema_version(connection: sqlite3.Connection) -> str | None:
        known = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type='table' AND name='meta'"
        ).fetchone()
        if known is None:
            return None
        row = connection.execute("SELECT value FROM meta WHERE key='schema_version'").fetchone()
        return None if row is None else str(row[0])

    def _typed(self, fault: sqlite3.Error) -> ReleaseError:
        code = _primary(fault)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return OperationFailed(
                f"the state file {self.path} was locked by another process for {self._busy_seconds:g} s",
                state="nothing was written",
                remedy="see who holds it with `release status`, then run the same command again",
            )
        if code == sqlite3.SQLITE_FULL:
            return OperationFailed(
                f"no room left on the disk that holds {self.path}",
                state="nothing was written; everything written before is intact",
                remedy="make room, then run the same command again",
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return self._unwritable(str(fault))
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return IntegrityBroken(
                f"{self.path} is not a sound state file: {fault}",
                state="nothing was written",
                remedy="restore it from a backup; do not delete it, it says what runs where",
            )
        return OperationFailed(
            f"the state file {self.path} could not be used: {fault}",
            state="nothing was written",
            remedy="run the same command again",
        )

    def _unwritable(self, why: str) -> ReleaseError:
        return OperationFailed(
            f"the state file {self.path} cannot be opened for writing: {why}",
            state="nothing was written",
            remedy=f"check who owns {self.path} and {self.path.parent} and that you may write there",
        )


def _primary(fault: sqlite3.Error) -> int:
    """The primary result code: the low byte of the extended one. 0 for a fault of Python's own making."""
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF
