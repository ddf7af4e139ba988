"""Floor 2, ports: time and what is remembered: the journal, leases, the halting latch, the registry. No code here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.model.event import Envelope, Event
from pipeline.model.ids import AccountId

__all__ = ["Clock", "Halt", "Head", "Journal", "Latch", "Lease", "Leases", "Registry", "RegistryRow"]


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Engines and stages sleep, ticks never. A simulated clock jumps."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """seq 0 for a stream that does not exist yet. fence: the highest that ever appended here."""

    seq: int
    fence: int
    hash: str


class Journal(Protocol):
    """Append-only and hash-chained; one stream per release and one per target, each with its own head."""

    def head(self, stream: str) -> Head: ...

    def read(self, stream: str) -> tuple[Envelope, ...]:
        """Oldest first. JournalDamaged where the chain does not hold."""
        ...

    def append(
        self, stream: str, events: Sequence[Event], *, expected: int, fence: int, actor: str
    ) -> tuple[Envelope, ...]:
        """All or nothing, on condition that the stream still ends at seq `expected`.

        `at` is the store's own time and never goes back within the journal.
        StreamMoved where the stream has grown; FenceLost where a higher fence has appended here.
        The head's fence becomes max(head.fence, fence).
        """
        ...

    def streams(self, prefix: str) -> tuple[str, ...]:
        """Names of all streams that begin with `prefix`, sorted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    name: str
    holder: str
    fence: int
    """Grows with every taking of this lease, for ever."""
    expires: datetime


class Leases(Protocol):
    def take(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """LeaseHeld, naming the holder and the expiry, where another holder's lease has not expired."""
        ...

    def preempt(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """Take it at once, whoever holds it, with a higher fence: the holder it is taken from finds out at its next
        renewal, call or append. Only for turning back: nobody pre-empts in order to go forward."""
        ...

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """FenceLost where the lease expired and was taken by another holder."""
        ...

    def current(self, name: str) -> Lease | None:
        """The newest lease of that name, expired or not, released or not; None if never taken."""
        ...

    def give_back(self, lease: Lease) -> None:
        """Nothing happens where it is no longer ours."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    reason: str
    actor: str
    at: datetime


class Latch(Protocol):
    """The halt that anybody on call can set without a runner; read before every claim and mutating call."""

    def read(self, release: str) -> Halt | None: ...

    def close(self, release: str, reason: str, actor: str) -> Halt:
        """Idempotent: the first halt stays and is returned."""
        ...

    def open(self, release: str) -> None:
        """Only `resume` calls this."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRow:
    """One account the registry knows. kind: client, service, tools or test; it never changes.

    email: burnt before CreateAccount. state, of test accounts: Creating, Ready, Leased, Cleaning,
    Quarantine, Burnt (the address was taken, or the account was refused).
    external_id: random, one per account; what opens its roles.
    """

    name: str
    kind: str
    email: str
    account: AccountId | None = None
    state: str = ""
    external_id: str = ""
    note: str = ""


class Registry(Protocol):
    def rows(self, kind: str = "") -> tuple[RegistryRow, ...]:
        """Sorted by name; every kind where `kind` is empty."""
        ...

    def row(self, name: str) -> RegistryRow | None: ...

    def by_account(self, account: AccountId) -> RegistryRow | None: ...

    def add(self, row: RegistryRow) -> RegistryRow:
        """Burns the e-mail address. RequestRefused where name, account or e-mail (case-insensitively) were ever
        used before."""
        ...

    def change(self, name: str, *, expected_state: str, row: RegistryRow) -> RegistryRow:
        """Compare-and-swap on `state`; kind, name and email cannot change. StreamMoved where it has moved."""
        ...
