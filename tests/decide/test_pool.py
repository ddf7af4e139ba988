"""Addresses that are never used twice, accounts leased before new ones are made, and what is never cleaned."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide import pool
from pipeline.decide.pool import (
    Address,
    CleaningFacts,
    PoolAccount,
    Selection,
    cleaning_refusals,
    is_name_of,
    is_test_address,
    owner_addresses,
    select_accounts,
)
from pipeline.errors import ConfigInvalid
from pipeline.model.ids import AccountId

MAILBOX = "qa@example.com"
DAY = "20200516"
TEST = AccountId("012345670001")
CLIENT = AccountId("012345670002")

FACTS = CleaningFacts(
    account=TEST,
    mailbox=MAILBOX,
    kind="test",
    email="qa+20200516-001@example.com",
    unit="Test/Pool",
    organization_email="QA+20200516-001@example.com",
    organization_state="ACTIVE",
    caller=TEST,
    leased=True,
    others=frozenset({CLIENT}),
)


def account(name: str, state: str, *, held: bool = False, made: bool = True) -> PoolAccount:
    return PoolAccount(name=name, state=state, account=TEST if made else None, held=held)


# --- addresses -------------------------------------------------------------------------------------


def test_test_accounts_get_numbered_plus_addresses_of_the_day() -> None:
    assert list(islice(pool.test_addresses(MAILBOX, DAY, ()), 2)) == [
        Address(name="test-20200516-001", email="qa+20200516-001@example.com"),
        Address(name="test-20200516-002", email="qa+20200516-002@example.com"),
    ]


def test_a_burnt_address_is_passed_over_whatever_its_letter_case() -> None:
    burnt = ("QA+20200516-001@Example.com", "qa+20200516-003@example.com")

    assert [a.email for a in islice(pool.test_addresses(MAILBOX, DAY, burnt), 2)] == [
        "qa+20200516-002@example.com",
        "qa+20200516-004@example.com",
    ]


def test_the_thousandth_account_of_a_day_has_a_longer_number() -> None:
    burnt = [f"qa+20200516-{n:03d}@example.com" for n in range(1, 1000)]

    assert next(pool.test_addresses(MAILBOX, DAY, burnt)).email == "qa+20200516-1000@example.com"


def test_an_owners_account_is_named_after_it_and_its_second_one_is_numbered() -> None:
    first = next(owner_addresses(MAILBOX, "client", "acme", DAY, ()))
    second = next(owner_addresses(MAILBOX, "client", "acme", DAY, (first.email, first.name)))

    assert first == Address(name="client/acme", email="qa+acme-20200516@example.com")
    assert second == Address(name="client/acme/2", email="qa+acme-20200516-2@example.com")


def test_the_tools_account_is_called_tools() -> None:
    assert next(owner_addresses(MAILBOX, "tools", "tools", DAY, ())) == Address(
        name="tools", email="qa+tools-20200516@example.com"
    )


def test_a_client_and_a_service_of_one_name_get_two_addresses() -> None:
    service = next(owner_addresses(MAILBOX, "service", "intake", DAY, ()))
    client = next(owner_addresses(MAILBOX, "client", "intake", DAY, (service.email, service.name)))

    assert client == Address(name="client/intake", email="qa+intake-20200516-2@example.com")


def test_an_address_that_aws_would_refuse_is_refused_before_anything_is_burnt() -> None:
    with pytest.raises(ConfigInvalid, match="65 characters long; AWS takes 64"):
        next(pool.test_addresses(f"{'q' * 40}@example.com", DAY, ()))
    with pytest.raises(ConfigInvalid, match="not an e-mail address"):
        next(pool.test_addresses("qa.example.com", DAY, ()))


@pytest.mark.parametrize(
    ("name", "kind", "owner", "expected"),
    [
        ("client/acme", "client", "acme", True),
        ("client/acme/2", "client", "acme", True),
        ("client/acme-2", "client", "acme", False),
        ("client/acme/x", "client", "acme", False),
        ("service/acme", "client", "acme", False),
        ("tools", "tools", "tools", True),
        ("tools/3", "tools", "tools", True),
    ],
)
def test_a_rows_name_tells_whose_it_is(name: str, kind: str, owner: str, expected: bool) -> None:
    assert is_name_of(name, kind, owner) is expected


_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)


@given(owner=_NAMES, kind=st.sampled_from(["client", "service", "tools"]), tries=st.integers(1, 5))
def test_no_name_of_a_fleet_can_make_an_address_that_passes_for_a_test_accounts(
    owner: str, kind: str, tries: int
) -> None:
    addresses = islice(owner_addresses(MAILBOX, kind, owner, DAY, ()), tries)

    assert [a.email for a in addresses if is_test_address(MAILBOX, a.email)] == []


@given(burnt=st.sets(st.integers(1, 40)), wanted=st.integers(1, 20))
def test_addresses_are_never_given_twice(burnt: set[int], wanted: int) -> None:
    used = {f"qa+{DAY}-{n:03d}@example.com" for n in burnt}
    found = [a.email for a in islice(pool.test_addresses(MAILBOX, DAY, used), wanted)]

    assert len(set(found)) == wanted
    assert not used & set(found)


# --- which accounts --------------------------------------------------------------------------------


def test_ready_accounts_are_taken_by_name_before_any_is_made() -> None:
    accounts = [account("b", "Ready"), account("a", "Ready"), account("c", "Ready")]

    assert select_accounts(accounts, 2) == Selection(ready=("a", "b"), reclaim=(), resume=(), create=0)


def test_what_a_dead_runner_left_is_cleaned_and_what_is_half_made_is_finished() -> None:
    accounts = [
        account("a", "Leased"),
        account("b", "Cleaning"),
        account("c", "Creating", made=False),
        account("d", "Ready"),
    ]

    assert select_accounts(accounts, 5) == Selection(
        ready=("d",), reclaim=("a", "b"), resume=("c",), create=1
    )


def test_accounts_of_other_runners_in_quarantine_or_burnt_are_left_alone() -> None:
    accounts = [
        account("a", "Ready", held=True),
        account("b", "Leased", held=True),
        account("c", "Quarantine"),
        account("d", "Burnt", made=False),
    ]

    assert select_accounts(accounts, 1) == Selection(ready=(), reclaim=(), resume=(), create=1)


@given(
    states=st.lists(
        st.tuples(st.sampled_from(["Creating", "Ready", "Leased", "Cleaning", "Quarantine"]), st.booleans())
    ),
    wanted=st.integers(1, 12),
)
def test_a_selection_is_as_large_as_asked_for_and_takes_nothing_twice(
    states: list[tuple[str, bool]], wanted: int
) -> None:
    accounts = [account(f"test-{n}", state, held=held) for n, (state, held) in enumerate(states)]
    chosen = select_accounts(accounts, wanted)
    names = [*chosen.ready, *chosen.reclaim, *chosen.resume]

    assert len(names) + chosen.create == wanted
    assert len(set(names)) == len(names)
    assert not {a.name for a in accounts if a.held or a.state == "Quarantine"} & set(names)


# --- what may be cleaned ---------------------------------------------------------------------------


def test_a_test_account_in_our_hands_may_be_cleaned() -> None:
    assert cleaning_refusals(FACTS) == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (replace(FACTS, kind="client"), "the registry has it as 'client', not as a test account"),
        (replace(FACTS, kind=""), "the registry has it as 'nothing', not as a test account"),
        (replace(FACTS, unit="Clients"), "it is in the unit 'Clients', not below Test"),
        (replace(FACTS, unit=""), "it is in the unit 'root', not below Test"),
        (replace(FACTS, unit="Tests/Pool"), "it is in the unit 'Tests/Pool', not below Test"),
        (replace(FACTS, organization_state="SUSPENDED"), "it is SUSPENDED"),
        (replace(FACTS, caller=CLIENT), f"the cleaning session is in account {CLIENT}"),
        (replace(FACTS, leased=False), "its lease is not ours"),
        (
            replace(FACTS, others=frozenset({TEST})),
            "it is an account of a client, a service, tools or management",
        ),
        (replace(FACTS, others=frozenset()), "there is no list of accounts that must never be cleaned"),
        (
            replace(FACTS, organization_email="qa+20200516-002@example.com"),
            "AWS Organizations knows it under another address than the registry",
        ),
    ],
)
def test_every_single_doubt_refuses(changed: CleaningFacts, reason: str) -> None:
    assert cleaning_refusals(changed) == (reason,)


def test_an_address_of_a_client_refuses() -> None:
    email = "qa+acme-20200516@example.com"

    assert cleaning_refusals(replace(FACTS, email=email, organization_email=email)) == (
        "its address in the registry is not a test account's",
    )
