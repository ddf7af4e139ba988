"""Floor 2, decide: addresses and names of accounts, which test accounts to lease, and what may be cleaned. Pure.

An e-mail address is AWS's only idempotency token for an account: it is burnt for ever by the first use, whatever
its letter case (AWS Organizations user guide, "Closing an account"), and two accounts never share one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from pipeline.errors import ConfigInvalid
from pipeline.model.ids import AccountId

__all__ = [
    "UNITS",
    "UNIT_OF_KIND",
    "Address",
    "CleaningFacts",
    "PoolAccount",
    "PoolState",
    "Selection",
    "cleaning_refusals",
    "is_name_of",
    "is_test_address",
    "owner_addresses",
    "select_accounts",
    "test_addresses",
]

UNITS = (
    "Tools",
    "Services",
    "Clients",
    "Test",
    "Test/Pool",
    "Test/Cleaning",
    "Test/Quarantine",
    "Closed",
)
"""Organisational units below the root, parents first."""

UNIT_OF_KIND = {"tools": "Tools", "service": "Services", "client": "Clients", "test": "Test/Pool"}

_MAX_EMAIL = 64
"""CreateAccount, member Email."""


class PoolState(StrEnum):
    """States of a test account in the registry."""

    CREATING = "Creating"
    """burnt in the registry; the account may not exist or not be prepared yet"""
    READY = "Ready"
    LEASED = "Leased"
    CLEANING = "Cleaning"
    QUARANTINE = "Quarantine"
    BURNT = "Burnt"
    """the address turned out to be taken, or its creation failed: there is no account and never will be"""


# --- names and addresses -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """name: of the registry row and of the account (at most 50 characters). email: its plus address."""

    name: str
    email: str


def test_addresses(mailbox: str, day: str, burnt: Iterable[str]) -> Iterator[Address]:
    """`qa+20200516-001@example.com`, -002, …, without those that were ever used. day: YYYYMMDD."""
    used = {email.casefold() for email in burnt}
    for number in count(1):
        suffix = f"{day}-{number:03d}"
        email = _plus(mailbox, suffix)
        if email.casefold() not in used:
            yield Address(name=f"test-{suffix}", email=email)


def owner_addresses(mailbox: str, kind: str, owner: str, day: str, burnt: Iterable[str]) -> Iterator[Address]:
    """`qa+acme-20200516@example.com`, then `qa+acme-20200516-2@…`, without those that were ever used.

    The names are `client/acme`, `client/acme/2`, …: no owner's name holds a slash. For tools: `tools`.
    burnt: e-mail addresses and names that were ever used.
    """
    used = {text.casefold() for text in burnt}
    base = owner if kind == owner else f"{kind}/{owner}"
    names = (base if number == 1 else f"{base}/{number}" for number in count(1))
    name = next(found for found in names if found not in used)
    for number in count(1):
        email = _plus(mailbox, f"{owner}-{day}" if number == 1 else f"{owner}-{day}-{number}")
        if email.casefold() not in used:
            yield Address(name=name, email=email)


def is_name_of(name: str, kind: str, owner: str) -> bool:
    """Whether a registry row of this name stands for that owner."""
    base = owner if kind == owner else f"{kind}/{owner}"
    return re.fullmatch(re.escape(base) + r"(/[1-9][0-9]*)?", name) is not None


def is_test_address(mailbox: str, email: str) -> bool:
    """Whether only `test_addresses` can have made this address: a fleet's names never begin with a digit."""
    local, _, domain = mailbox.casefold().rpartition("@")
    pattern = re.escape(local) + r"\+[0-9]{8}-[0-9]{3,}@" + re.escape(domain)
    return re.fullmatch(pattern, email.casefold()) is not None


def _plus(mailbox: str, suffix: str) -> str:
    local, at, domain = mailbox.rpartition("@")
    email = f"{local}+{suffix}@{domain}"
    if not at or len(email) > _MAX_EMAIL:
        raise ConfigInvalid(
            f"the address for a new account would be {len(email)} characters long; AWS takes {_MAX_EMAIL}"
            if at
            else f"accounts.email ({mailbox!r}) is not an e-mail address",
            state="no account was made",
            remedy="choose a shorter mailbox for accounts.email in fleet.toml",
        )
    return email


# --- which test accounts -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAccount:
    """A test account as the registry has it. held: another runner's lease on it has not ended."""

    name: str
    state: str
    account: AccountId | None
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """ready: lease these. reclaim: left behind by a runner that died; clean before use. resume: half made.
    create: how many new accounts are missing."""

    ready: tuple[str, ...]
    reclaim: tuple[str, ...]
    resume: tuple[str, ...]
    create: int


def select_accounts(pool: Sequence[PoolAccount], wanted: int) -> Selection:
    """Cheapest first: what is ready, what a dead runner left, what is half made; the rest is new.

    Ready accounts are taken in the order of their names, so that the pool does not grow for no reason.
    """
    free = sorted((found for found in pool if not found.held), key=lambda found: found.name)
    ready = [found.name for found in free if found.state == PoolState.READY][:wanted]
    left = wanted - len(ready)
    stranded = (PoolState.LEASED, PoolState.CLEANING)
    reclaim = [found.name for found in free if found.state in stranded and found.account][:left]
    left -= len(reclaim)
    resume = [found.name for found in free if found.state == PoolState.CREATING][:left]
    return Selection(
        ready=tuple(ready), reclaim=tuple(reclaim), resume=tuple(resume), create=left - len(resume)
    )


# --- what may be cleaned -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningFacts:
    """What is known of an account at the very moment before its stacks are deleted, each from its own source.

    kind, email: the registry. unit: live, from AWS Organizations. organization_email, organization_state: live.
    caller: GetCallerIdentity of the very session that will delete. leased: we hold its lease now.
    others: accounts of clients, services, tools and management, from fleet.toml and the registry together.
    """

    account: AccountId
    mailbox: str
    kind: str
    email: str
    unit: str
    organization_email: str
    organization_state: str
    caller: str
    leased: bool
    others: frozenset[AccountId]


def cleaning_refusals(facts: CleaningFacts) -> tuple[str, ...]:
    """Why this account must not be cleaned; empty where every check passes. Any doubt is a refusal."""
    checks = (
        (facts.kind == "test", f"the registry has it as {facts.kind or 'nothing'!r}, not as a test account"),
        (facts.unit.startswith("Test/"), f"it is in the unit {facts.unit or 'root'!r}, not below Test"),
        (is_test_address(facts.mailbox, facts.email), "its address in the registry is not a test account's"),
        (
            facts.organization_email.casefold() == facts.email.casefold() != "",
            "AWS Organizations knows it under another address than the registry",
        ),
        (facts.organization_state == "ACTIVE", f"it is {facts.organization_state or 'in no organisation'}"),
        (facts.caller == facts.account, f"the cleaning session is in account {facts.caller or 'unknown'}"),
        (facts.leased, "its lease is not ours"),
        (facts.account not in facts.others, "it is an account of a client, a service, tools or management"),
        (bool(facts.others), "there is no list of accounts that must never be cleaned"),
    )
    return tuple(reason for passed, reason in checks if not passed)
