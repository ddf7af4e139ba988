"""Floor 3, stages: makes AWS accounts, each at most once. Every address is burnt in the registry first.

CreateAccount has no idempotency token and is never repeated blindly: after a lost answer, or after a runner that
died, the account is looked for by its e-mail address, which no two accounts can share. Only what was looked for
and not found is asked for again, under the same address.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pipeline.decide.pool import UNIT_OF_KIND, Address, PoolState, is_name_of, owner_addresses, test_addresses
from pipeline.errors import AnswerLost, OperationFailed, ReleaseError, RequestRefused, Throttled
from pipeline.model.ids import AccountId
from pipeline.ports import Accounts, Clock, CreationStatus, Registry, RegistryRow, Units
from stages.patience import patiently, wait_until

__all__ = ["AccountWorld", "bring_home", "burn", "known_row", "make_account", "random_secret"]

_CREATION_LIMIT = timedelta(minutes=20)
_CALL_LIMIT = timedelta(minutes=10)
"""CreateAccount is allowed once in ten seconds (AWS Organizations, "Throttling limits")."""
_LOOK_FOR = timedelta(minutes=1)
_IN_FLIGHT = 5
"""AWS Organizations quota "Accounts you can create concurrently"."""
_TRIES = 5
_TAKEN = "EMAIL_ALREADY_EXISTS"


def random_secret() -> str:
    """32 characters that AssumeRole takes as an external id."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountWorld:
    """mailbox: whose plus addresses new accounts get. said: hears one line for each thing done; must not raise."""

    accounts: Accounts
    units: Units
    registry: Registry
    clock: Clock
    mailbox: str
    said: Callable[[str], None] = lambda _line: None
    secret: Callable[[], str] = random_secret
    in_flight: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_IN_FLIGHT))


class _AddressTaken(Exception):
    """Somebody outside owns the address; the row stays in the registry, burnt."""


def known_row(registry: Registry, kind: str, owner: str) -> RegistryRow | None:
    """The row that stands for a client, a service or the Tools account; None before its first address is burnt."""
    rows = [row for row in registry.rows(kind) if row.state != PoolState.BURNT]
    found = [row for row in rows if is_name_of(row.name, kind, owner)]
    return found[-1] if found else None


def burn(world: AccountWorld, kind: str, owner: str = "", *, email: str = "") -> RegistryRow:
    """A new row with an address of its own. email: the address wanted, where the fleet names one."""
    known = world.accounts.accounts()
    burnt = [row.email for row in world.registry.rows()] + [account.email for account in known]
    for address in _addresses(world, kind, owner, burnt):
        wanted = email if email and email.casefold() not in {b.casefold() for b in burnt} else address.email
        row = RegistryRow(
            name=address.name,
            kind=kind,
            email=wanted,
            state=PoolState.CREATING,
            external_id=world.secret(),
        )
        try:
            return world.registry.add(row)
        except RequestRefused:
            # Another runner has just taken the name or the address.
            continue
    raise AssertionError("there is always a next address")


def make_account(
    world: AccountWorld, row: RegistryRow, owner: str = "", *, fresh: bool = False
) -> RegistryRow:
    """The row with its account, which exists, is ours and stands in the unit of its kind.

    fresh: this very process has just burnt the row, so there is nothing to look for.
    Goes on where an earlier runner stopped. Where the address turns out to be taken the next one is burnt.
    OperationFailed where AWS will not make the account.
    """
    for _ in range(_TRIES):
        try:
            account = row.account or _account_of(world, row, fresh=fresh)
        except _AddressTaken:
            note = "AWS says that the address is in use elsewhere"
            world.registry.change(
                row.name, expected_state=row.state, row=replace(row, state=PoolState.BURNT, note=note)
            )
            row, fresh = burn(world, row.kind, owner), True
            continue
        if row.account is None:
            row = world.registry.change(row.name, expected_state=row.state, row=replace(row, account=account))
        _place(world, account, UNIT_OF_KIND[row.kind])
        return row
    raise OperationFailed(
        f"{_TRIES} addresses in a row were taken already; the last was {row.name}'s",
        state="the addresses are burnt in the registry; no account was made",
        remedy="use another mailbox for accounts.email in fleet.toml",
    )


def bring_home(world: AccountWorld, account: AccountId, kind: str) -> None:
    """Out of the root into the unit of its kind. An account that somebody has put into a unit stays there: other
    policies would apply to it elsewhere."""
    if world.units.unit_of(account) == "":
        _place(world, account, UNIT_OF_KIND[kind])


def _addresses(world: AccountWorld, kind: str, owner: str, burnt: list[str]) -> Iterator[Address]:
    day = world.clock.now().strftime("%Y%m%d")
    if kind == "test":
        yield from test_addresses(world.mailbox, day, burnt)
    while True:
        names = [row.name for row in world.registry.rows(kind)]
        yield next(owner_addresses(world.mailbox, kind, owner or kind, day, [*burnt, *names]))


def _place(world: AccountWorld, account: AccountId, unit: str) -> None:
    patiently(world.clock, lambda: world.accounts.move(account, unit), _CALL_LIMIT, (Throttled,))


def _account_of(world: AccountWorld, row: RegistryRow, *, fresh: bool) -> AccountId:
    with world.in_flight:
        status = (None if fresh else _find_creation(world, row)) or _create(world, row)
        if status.state == "IN_PROGRESS":
            status = wait_until(
                world.clock,
                lambda: _ended(world.accounts.creation(status.request)),
                _CREATION_LIMIT,
                lambda: _late(row),
            )
    if status.account is not None:
        world.said(f"made account {status.account} for {row.name}")
        return status.account
    if status.reason == _TAKEN:
        # Perhaps by ourselves: a creation whose answer was lost long ago.
        mine = _find_account(world, row)
        if mine is not None:
            return mine
        raise _AddressTaken
    raise OperationFailed(
        f"AWS did not make the account {row.name}: {status.reason or 'no reason given'}",
        state="its address is burnt in the registry; no account was made",
        remedy="see the quota of accounts in AWS Organizations, then run the same command again",
    )


def _create(world: AccountWorld, row: RegistryRow) -> CreationStatus:
    """One CreateAccount that has certainly been received once; Throttled ones had no effect."""
    tags = (("tidegate:kind", row.kind), ("tidegate:managed-by", "tidegate"))

    def once() -> CreationStatus:
        try:
            return world.accounts.create(row.name, row.email, tags)
        except AnswerLost:
            return wait_until(world.clock, lambda: _find_creation(world, row), _LOOK_FOR, _Lost)

    try:
        return patiently(world.clock, once, _CALL_LIMIT, (Throttled,))
    except _Lost:
        # Looked for during a minute and not there. The same address again: it cannot make a second account.
        return patiently(
            world.clock, lambda: world.accounts.create(row.name, row.email, tags), _CALL_LIMIT, (Throttled,)
        )


class _Lost(ReleaseError):
    """No trace of a creation whose answer was lost. Never leaves this file."""

    def __init__(self) -> None:
        super().__init__("the answer of CreateAccount was lost, and there is no trace of the account")


def _find_creation(world: AccountWorld, row: RegistryRow) -> CreationStatus | None:
    """The creation of this row's account, if AWS has ever heard of it. The newest says what became of it."""
    mine = _find_account(world, row)
    if mine is not None:
        return CreationStatus(request="", name=row.name, state="SUCCEEDED", account=mine)
    found = [c for c in world.accounts.creations() if c.name == row.name]
    running = [c for c in found if c.state == "IN_PROGRESS"]
    return running[0] if running else None


def _find_account(world: AccountWorld, row: RegistryRow) -> AccountId | None:
    """By e-mail address and by name: the registry alone gives out both together."""
    for account in world.accounts.accounts():
        if account.email.casefold() == row.email.casefold() and account.name == row.name:
            return account.id
    return None


def _ended(status: CreationStatus) -> CreationStatus | None:
    return None if status.state == "IN_PROGRESS" else status


def _late(row: RegistryRow) -> ReleaseError:
    return OperationFailed(
        f"AWS has not finished the account {row.name} after {_CREATION_LIMIT}",
        state="its address is burnt; AWS goes on making the account",
        remedy="run the same command again later; it finds the account and goes on",
    )
