"""Room: adapters/local. The journal in SQLite; it seals and keeps events and never looks into one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from pipeline.adapters.chained import EMPTY_HEAD, admit, damaged, seal, to_milliseconds, verify
from pipeline.adapters.local.database import Database
from pipeline.model.canonical import canonical
from pipeline.model.codec import to_json
from pipeline.model.event import Envelope, Event, event_from_json, event_to_json
from pipeline.ports import Clock, Head

__all__ = ["SqliteJournal"]


class SqliteJournal:
    """ports.Journal. Times are the clock's, cut to the millisecond, and never before one already written."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def head(self, stream: str) -> Head:
        with self._database.read() as connection:
            return _head(connection, stream)

    def read(self, stream: str) -> tuple[Envelope, ...]:
        with self._database.read() as connection:
            head = _head(connection, stream)
            rows = connection.execute(
                "SELECT seq, at, actor, fence, event, previous_hash, hash FROM entries"
                " WHERE stream = ? ORDER BY seq",
                (stream,),
            ).fetchall()
        return verify(stream, [_entry(stream, row) for row in rows], head)

    def append(
        self, stream: str, events: Sequence[Event], *, expected: int, fence: int, actor: str
    ) -> tuple[Envelope, ...]:
        if not events:
            return ()
        with self._database.write() as connection:
            head = _head(connection, stream)
            admit(stream, head, expected=expected, fence=fence)
            at = _not_before(connection, to_milliseconds(self._clock.now()))
            entries = seal(stream, events, head, at=at, actor=actor, fence=fence)
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_row(entry) for entry in entries]
            )
            last = entries[-1]
            connection.execute(
                "INSERT INTO heads VALUES (?, ?, ?, ?) ON CONFLICT (stream)"
                " DO UPDATE SET seq = excluded.seq, fence = excluded.fence, hash = excluded.hash",
                (stream, last.seq, max(head.fence, fence), last.hash),
            )
        return entries

    def streams(self, prefix: str) -> tuple[str, ...]:
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT stream FROM heads WHERE stream >= ? AND stream < ? ORDER BY stream",
                (prefix, prefix + "\U0010ffff"),
            ).fetchall()
        return tuple(row[0] for row in rows)


def _head(connection: sqlite3.Connection, stream: str) -> Head:
    row = connection.execute("SELECT seq, fence, hash FROM heads WHERE stream = ?", (stream,)).fetchone()
    return EMPTY_HEAD if row is None else Head(seq=row[0], fence=row[1], hash=row[2])


def _not_before(connection: sqlite3.Connection, now: datetime) -> datetime:
    (latest,) = connection.execute("SELECT MAX(at) FROM entries").fetchone()
    return now if latest is None else max(now, datetime.fromisoformat(latest))


def _row(entry: Envelope) -> tuple[object, ...]:
    return (
        entry.stream,
        entry.seq,
        # Always UTC with three decimals, so that the order of the texts is the order of the times.
        to_json(entry.at),
        entry.actor,
        entry.fence,
        canonical(event_to_json(entry.event)).decode("ascii"),
        entry.previous_hash,
        entry.hash,
    )


def _entry(stream: str, row: tuple[int, str, str, int, str, str, str]) -> Envelope:
    seq, at, actor, fence, event, previous_hash, own_hash = row
    try:
        return Envelope(
            stream=stream,
            seq=seq,
            at=datetime.fromisoformat(at),
            actor=actor,
            fence=fence,
            event=event_from_json(event.encode()),
            previous_hash=previous_hash,
            hash=own_hash,
        )
    except (ValueError, TypeError) as fault:
        raise damaged(stream, seq, f"it cannot be read ({fault})") from fault
