"""Room: adapters/simulated. Journal, leases, latch and registry in memory, for many threads. Nothing outlives it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from pipeline.adapters.chained import EMPTY_HEAD, admit, seal, to_milliseconds, verify
from pipeline.adapters.rows import check_change, email_key, taken, unknown_row
from pipeline.errors import FenceLost, LeaseHeld
from pipeline.model.event import Envelope, Event
from pipeline.model.ids import AccountId
from pipeline.ports import Clock, Halt, Head, Lease, RegistryRow

__all__ = ["MemoryJournal", "MemoryLatch", "MemoryLeases", "MemoryRegistry"]


class MemoryJournal:
    """ports.Journal.

    What was sealed here, or verified once, is not hashed again as long as the very same entries stand there: entries
    cannot be changed, so that whoever damages a journal has to put others in their place.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heads: dict[str, Head] = {}
        self._entries: dict[str, tuple[Envelope, ...]] = {}
        self._proven: dict[str, tuple[tuple[Envelope, ...], Head]] = {}
        self._latest: datetime | None = None

    def head(self, stream: str) -> Head:
        with self._lock:
            return self._heads.get(stream, EMPTY_HEAD)

    def read(self, stream: str) -> tuple[Envelope, ...]:
        with self._lock:
            head, entries = self._heads.get(stream, EMPTY_HEAD), self._entries.get(stream, ())
            if not self._is_proven(stream, entries, head):
                verify(stream, entries, head)
                self._proven[stream] = entries, head
        return entries

    def append(
        self, stream: str, events: Sequence[Event], *, expected: int, fence: int, actor: str
    ) -> tuple[Envelope, ...]:
        if not events:
            return ()
        with self._lock:
            head = self._heads.get(stream, EMPTY_HEAD)
            admit(stream, head, expected=expected, fence=fence)
            now = to_milliseconds(self._clock.now())
            at = now if self._latest is None else max(now, self._latest)
            entries = seal(stream, events, head, at=at, actor=actor, fence=fence)
            self._latest = at
            old = self._entries.get(stream, ())
            last = entries[-1]
            grown, new = (*old, *entries), Head(seq=last.seq, fence=max(head.fence, fence), hash=last.hash)
            if self._is_proven(stream, old, head):
                self._proven[stream] = grown, new
            self._entries[stream], self._heads[stream] = grown, new
        return entries

    def streams(self, prefix: str) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(name for name in self._heads if name.startswith(prefix)))

    def _is_proven(self, stream: str, entries: tuple[Envelope, ...], head: Head) -> bool:
        if not entries and head == EMPTY_HEAD:
            return True
        known = self._proven.get(stream)
        return known is not None and known[0] is entries and known[1] == head


class MemoryLeases:
    """ports.Leases."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: dict[str, Lease] = {}
        self._given_back: set[str] = set()

    def take(self, name: str, holder: str, ttl: timedelta) -> Lease:
        with self._lock:
            now = to_milliseconds(self._clock.now())
            found = self._newest.get(name)
            if found is not None and self._holds(found, holder, now):
                raise LeaseHeld(
                    f"{found.holder} holds the lease {name} until {found.expires.isoformat()}",
                    state="nothing was touched",
                    remedy="wait for that runner, or end it and run the same command again",
                )
            return self._give(name, holder, ttl)

    def preempt(self, name: str, holder: str, ttl: timedelta) -> Lease:
        with self._lock:
            return self._give(name, holder, ttl)

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        with self._lock:
            if not self._is_ours(lease):
                raise FenceLost(
                    f"the lease {lease.name} is no longer held by {lease.holder}",
                    state="nothing was started after the lease was lost",
                    remedy="run the same command again; it goes on from the journal",
                )
            return self._put(lease, to_milliseconds(self._clock.now() + ttl))

    def current(self, name: str) -> Lease | None:
        with self._lock:
            return self._newest.get(name)

    def give_back(self, lease: Lease) -> None:
        with self._lock:
            if self._is_ours(lease):
                now = to_milliseconds(self._clock.now())
                self._put(lease, min(now, self._newest[lease.name].expires))
                self._given_back.add(lease.name)

    def _give(self, name: str, holder: str, ttl: timedelta) -> Lease:
        found = self._newest.get(name)
        fence = 1 if found is None else found.fence + 1
        expires = to_milliseconds(self._clock.now() + ttl)
        lease = Lease(name=name, holder=holder, fence=fence, expires=expires)
        self._newest[name] = lease
        self._given_back.discard(name)
        return lease

    def _holds(self, found: Lease, holder: str, now: datetime) -> bool:
        return found.name not in self._given_back and found.holder != holder and found.expires > now

    def _is_ours(self, lease: Lease) -> bool:
        found = self._newest.get(lease.name)
        return found is not None and found.fence == lease.fence and lease.name not in self._given_back

    def _put(self, lease: Lease, expires: datetime) -> Lease:
        changed = Lease(name=lease.name, holder=lease.holder, fence=lease.fence, expires=expires)
        self._newest[lease.name] = changed
        return changed


class MemoryLatch:
    """ports.Latch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._halts: dict[str, Halt] = {}

    def read(self, release: str) -> Halt | None:
        with self._lock:
            return self._halts.get(release)

    def close(self, release: str, reason: str, actor: str) -> Halt:
        halt = Halt(reason=reason, actor=actor, at=to_milliseconds(self._clock.now()))
        with self._lock:
            return self._halts.setdefault(release, halt)

    def open(self, release: str) -> None:
        with self._lock:
            self._halts.pop(release, None)


class MemoryRegistry:
    """ports.Registry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, RegistryRow] = {}

    def rows(self, kind: str = "") -> tuple[RegistryRow, ...]:
        with self._lock:
            found = sorted(self._rows.values(), key=lambda row: row.name)
        return tuple(row for row in found if kind in ("", row.kind))

    def row(self, name: str) -> RegistryRow | None:
        with self._lock:
            return self._rows.get(name)

    def by_account(self, account: AccountId) -> RegistryRow | None:
        with self._lock:
            return self._of_account(account)

    def add(self, row: RegistryRow) -> RegistryRow:
        with self._lock:
            if row.name in self._rows:
                raise taken("name", row.name, "the row of that name")
            key = email_key(row.email)
            for other in self._rows.values():
                if key is not None and email_key(other.email) == key:
                    raise taken("e-mail address", row.email, other.name)
            self._refuse_account(row)
            self._rows[row.name] = row
        return row

    def change(self, name: str, *, expected_state: str, row: RegistryRow) -> RegistryRow:
        with self._lock:
            found = self._rows.get(name)
            if found is None:
                raise unknown_row(name)
            check_change(found, row, expected_state)
            if found.account is None:
                self._refuse_account(row)
            self._rows[name] = row
        return row

    def _of_account(self, account: AccountId) -> RegistryRow | None:
        return next((row for row in self._rows.values() if row.account == account), None)

    def _refuse_account(self, row: RegistryRow) -> None:
        if row.account is not None and (other := self._of_account(row.account)) is not None:
            raise taken("account", row.account, other.name)
