"""Room: adapters/local. Leases in SQLite: who may run, and the fence that outdates whoever ran before.

A lease is no promise that nobody else runs (a paused process wakes when it likes); the fence in the journal
is. So nothing here needs to be exact about time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.adapters.chained import to_milliseconds
from pipeline.adapters.local.database import Database
from pipeline.adapters.local.processes import holder_name, is_gone
from pipeline.errors import FenceLost, LeaseHeld
from pipeline.model.codec import to_json
from pipeline.ports import Clock, Lease

__all__ = ["SqliteLeases", "holder_name"]


class SqliteLeases:
    """ports.Leases. A lease whose holder is a dead process of this machine may be taken at once.

    gone: decides that; given by tests.
    """

    def __init__(self, database: Database, clock: Clock, *, gone: Callable[[str], bool] = is_gone) -> None:
        self._database = database
        self._clock = clock
        self._gone = gone

    def take(self, name: str, holder: str, ttl: timedelta) -> Lease:
        return self._take(name, holder, ttl, refuse=self._refuse_where_held)

    def preempt(self, name: str, holder: str, ttl: timedelta) -> Lease:
        return self._take(name, holder, ttl, refuse=lambda *_: None)

    def _take(
        self,
        name: str,
        holder: str,
        ttl: timedelta,
        refuse: Callable[[tuple[Lease, bool], str, datetime], None],
    ) -> Lease:
        with self._database.write() as connection:
            now = to_milliseconds(self._clock.now())
            found = _row(connection, name)
            if found is not None:
                refuse(found, holder, now)
            fence = 1 if found is None else found[0].fence + 1
            lease = Lease(name=name, holder=holder, fence=fence, expires=to_milliseconds(now + ttl))
            _write(connection, lease, given_back=False)
        return lease

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        with self._database.write() as connection:
            now = to_milliseconds(self._clock.now())
            found = _row(connection, lease.name)
            if found is None or found[0].fence != lease.fence or found[1]:
                by = "nobody" if found is None else found[0].holder
                raise FenceLost(
                    f"the lease {lease.name} is no longer held by {lease.holder}: it was last taken by {by}",
                    state="nothing was started after the lease was lost",
                    remedy="run the same command again; it goes on from the journal",
                )
            renewed = Lease(
                name=lease.name, holder=lease.holder, fence=lease.fence, expires=to_milliseconds(now + ttl)
            )
            _write(connection, renewed, given_back=False)
        return renewed

    def current(self, name: str) -> Lease | None:
        with self._database.read() as connection:
            found = _row(connection, name)
        return None if found is None else found[0]

    def give_back(self, lease: Lease) -> None:
        with self._database.write() as connection:
            found = _row(connection, lease.name)
            if found is None or found[0].fence != lease.fence or found[1]:
                return
            now = to_milliseconds(self._clock.now())
            ended = Lease(
                name=lease.name,
                holder=lease.holder,
                fence=lease.fence,
                expires=min(now, found[0].expires),
            )
            _write(connection, ended, given_back=True)

    def _refuse_where_held(self, found: tuple[Lease, bool], holder: str, now: datetime) -> None:
        lease, given_back = found
        if given_back or lease.holder == holder or lease.expires <= now or self._gone(lease.holder):
            return
        until = to_json(lease.expires)
        raise LeaseHeld(
            f"{lease.holder} holds the lease {lease.name} until {until}",
            state="nothing was touched",
            remedy=f"wait for that runner, or end it and run the same command again after {until}",
        )


def _row(connection: sqlite3.Connection, name: str) -> tuple[Lease, bool] | None:
    row = connection.execute(
        "SELECT holder, fence, expires, given_back FROM leases WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    lease = Lease(name=name, holder=row[0], fence=row[1], expires=datetime.fromisoformat(row[2]))
    return lease, bool(row[3])


def _write(connection: sqlite3.Connection, lease: Lease, *, given_back: bool) -> None:
    connection.execute(
        "INSERT INTO leases VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " holder = excluded.holder, fence = excluded.fence, expires = excluded.expires,"
        " given_back = excluded.given_back",
        (lease.name, lease.holder, lease.fence, to_json(lease.expires), int(given_back)),
    )
