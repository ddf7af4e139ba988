"""Room: adapters/local. The halt latch in SQLite: one conditional write closes it; it never opens itself."""

from __future__ import annotations

from datetime import datetime

from pipeline.adapters.chained import to_milliseconds
from pipeline.adapters.local.database import Database
from pipeline.model.codec import to_json
from pipeline.ports import Clock, Halt

__all__ = ["SqliteLatch"]


class SqliteLatch:
    """ports.Latch."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def read(self, release: str) -> Halt | None:
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT reason, actor, at FROM halts WHERE release = ?", (release,)
            ).fetchone()
        return None if row is None else Halt(reason=row[0], actor=row[1], at=datetime.fromisoformat(row[2]))

    def close(self, release: str, reason: str, actor: str) -> Halt:
        at = to_milliseconds(self._clock.now())
        with self._database.write() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO halts VALUES (?, ?, ?, ?)", (release, reason, actor, to_json(at))
            )
            row = connection.execute(
                "SELECT reason, actor, at FROM halts WHERE release = ?", (release,)
            ).fetchone()
        return Halt(reason=row[0], actor=row[1], at=datetime.fromisoformat(row[2]))

    def open(self, release: str) -> None:
        with self._database.write() as connection:
            connection.execute("DELETE FROM halts WHERE release = ?", (release,))
