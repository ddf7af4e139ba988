"""The rules of AWS Organizations, under a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

import pytest

from pipeline.adapters.simulated.organization_faults import (
    AccessDenied,
    AccountAlreadyClosed,
    AccountNotFound,
    ConstraintViolation,
    DestinationParentNotFound,
    DuplicateAccount,
    DuplicateOrganizationalUnit,
    InvalidInput,
    OrganizationalUnitNotEmpty,
    OrganizationLimits,
    OrganizationsFault,
    OrganizationsNotInUse,
    SourceParentNotFound,
    TooManyRequests,
)
from pipeline.adapters.simulated.organizations import DEFAULT_ROLE_NAME, NewAccount, Organization

MANAGEMENT = "111111111111"
DAY = 86_400.0


class World:
    """An organization and the clock it reads."""

    def __init__(self, limits: OrganizationLimits | None = None) -> None:
        self.time = 1_000_000.0
        self.limits = limits or OrganizationLimits(max_accounts=100, creation_seconds=10, closing_seconds=60)
        self.organization = self.another()

    def another(self) -> Organization:
        numbers = count(1)
        return Organization(
            management_id=MANAGEMENT,
            management_email="boss@example.com",
            now=lambda: self.time,
            draw=lambda: f"{next(numbers):012d}",
            limits=self.limits,
        )

    def create(self, email: str, name: str = "client") -> str:
        """A finished account's id."""
        creation = self.organization.create_account(MANAGEMENT, email=email, name=name)
        self.time += self.limits.creation_seconds
        found = self.organization.describe_creation(MANAGEMENT, creation.creation_id)
        assert found.state == "SUCCEEDED"
        return found.account_id


@pytest.fixture
def world() -> World:
    return World()


def fails(call: Callable[[], object], fault: type[OrganizationsFault]) -> OrganizationsFault:
    with pytest.raises(fault) as caught:
        call()
    assert type(caught.value) is fault
    return caught.value


# --- creation ----------------------------------------------------------------------------------------


def test_an_account_is_in_progress_until_its_time_has_come(world: World) -> None:
    organization = world.organization
    creation = organization.create_account(MANAGEMENT, email="a@example.com", name="acme")
    assert creation.state == "IN_PROGRESS"
    world.time += 9.9
    assert organization.describe_creation(MANAGEMENT, creation.creation_id).state == "IN_PROGRESS"
    assert [account.name for account in organization.accounts(MANAGEMENT)] == ["management"]
    world.time += 0.1
    assert organization.describe_creation(MANAGEMENT, creation.creation_id).state == "SUCCEEDED"
    assert [account.name for account in organization.accounts(MANAGEMENT)] == ["management", "acme"]


def test_a_new_account_is_given_out_once_with_the_role_it_must_have(world: World) -> None:
    first = world.create("a@example.com")
    world.organization.create_account(MANAGEMENT, email="b@example.com", name="b", role_name="Other")
    world.time += 10
    assert world.organization.take_new_accounts() == (
        NewAccount(account_id=first, role_name=DEFAULT_ROLE_NAME),
        NewAccount(account_id="000000000002", role_name="Other"),
    )
    assert world.organization.take_new_accounts() == ()


def test_an_email_address_is_used_once_whatever_its_case(world: World) -> None:
    world.create("Clients+Acme@example.com")
    creation = world.organization.create_account(MANAGEMENT, email="clients+acme@EXAMPLE.com", name="x")
    assert creation.state == "IN_PROGRESS"
    world.time += 10
    found = world.organization.describe_creation(MANAGEMENT, creation.creation_id)
    assert (found.state, found.failure, found.account_id) == ("FAILED", "EMAIL_ALREADY_EXISTS", "")


def test_an_email_address_stays_burnt_after_its_account_is_gone(world: World) -> None:
    account = world.create("a@example.com")
    world.organization.close_account(MANAGEMENT, account)
    world.time += 60 + 90 * DAY
    assert world.organization.state_of(account) is None
    creation = world.organization.create_account(MANAGEMENT, email="a@example.com", name="again")
    assert creation.failure == "EMAIL_ALREADY_EXISTS"


def test_two_requests_at_once_for_one_address_make_one_account(world: World) -> None:
    for _ in range(2):
        world.organization.create_account(MANAGEMENT, email="a@example.com", name="twin")
    world.time += 10
    states = [creation.state for creation in world.organization.creations(MANAGEMENT)]
    assert states == ["SUCCEEDED", "FAILED"]


@pytest.mark.parametrize("email", ["a b@example.com", "nobody", "a@b", "x" * 60 + "@example.com", "a@@b.c d"])
def test_an_address_of_the_wrong_shape_is_refused_at_once(world: World, email: str) -> None:
    fails(
        lambda: world.organization.create_account(MANAGEMENT, email=email, name="x"),
        InvalidInput,
    )


@pytest.mark.parametrize("email", ["a%b@example.com", "a(b)@example.com", "ä@example.com"])
def test_an_address_with_forbidden_characters_fails_later(world: World, email: str) -> None:
    creation = world.organization.create_account(MANAGEMENT, email=email, name="x")
    world.time += 10
    found = world.organization.describe_creation(MANAGEMENT, creation.creation_id)
    assert (found.state, found.failure) == ("FAILED", "INVALID_EMAIL")


def test_closed_accounts_count_against_the_limit_until_they_are_gone() -> None:
    world = World(OrganizationLimits(max_accounts=2, creation_seconds=1, closing_seconds=1))
    account = world.create("a@example.com")
    world.organization.close_account(MANAGEMENT, account)
    world.time += 10
    full = world.organization.create_account(MANAGEMENT, email="b@example.com", name="b")
    assert full.failure == "ACCOUNT_LIMIT_EXCEEDED"
    world.time += 90 * DAY
    assert world.create("b@example.com") == "000000000002"


def test_a_sixth_creation_at_once_is_refused(world: World) -> None:
    for number in range(5):
        world.organization.create_account(MANAGEMENT, email=f"a{number}@example.com", name="x")
    fails(
        lambda: world.organization.create_account(MANAGEMENT, email="a6@example.com", name="x"),
        TooManyRequests,
    )
    world.time += 10
    world.create("a6@example.com")


def test_creations_are_listed_by_state(world: World) -> None:
    world.create("a@example.com", "done")
    world.organization.create_account(MANAGEMENT, email="b@example.com", name="coming")
    listed = world.organization.creations(MANAGEMENT, ("IN_PROGRESS",))
    assert [creation.name for creation in listed] == ["coming"]
    assert len(world.organization.creations(MANAGEMENT)) == 2


# --- closing -----------------------------------------------------------------------------------------


def test_a_closed_account_is_pending_then_suspended_then_gone(world: World) -> None:
    account = world.create("a@example.com")
    world.organization.close_account(MANAGEMENT, account)
    assert world.organization.account(MANAGEMENT, account).state == "PENDING_CLOSURE"
    world.time += 60
    assert world.organization.account(MANAGEMENT, account).state == "SUSPENDED"
    world.time += 90 * DAY - 1
    assert world.organization.account(MANAGEMENT, account).state == "SUSPENDED"
    world.time += 1
    fails(lambda: world.organization.account(MANAGEMENT, account), AccountNotFound)
    assert [found.name for found in world.organization.accounts(MANAGEMENT)] == ["management"]


def test_an_account_is_closed_once(world: World) -> None:
    account = world.create("a@example.com")
    world.organization.close_account(MANAGEMENT, account)
    fails(lambda: world.organization.close_account(MANAGEMENT, account), AccountAlreadyClosed)
    world.time += 60
    fails(lambda: world.organization.close_account(MANAGEMENT, account), AccountAlreadyClosed)


def test_the_management_account_is_never_closed(world: World) -> None:
    fault = fails(lambda: world.organization.close_account(MANAGEMENT, MANAGEMENT), ConstraintViolation)
    assert fault.reason == "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"


def test_three_accounts_are_closed_at_a_time(world: World) -> None:
    accounts = [world.create(f"a{number}@example.com") for number in range(4)]
    for account in accounts[:3]:
        world.organization.close_account(MANAGEMENT, account)
    fault = fails(lambda: world.organization.close_account(MANAGEMENT, accounts[3]), ConstraintViolation)
    assert fault.reason == "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED"
    world.time += 60
    world.organization.close_account(MANAGEMENT, accounts[3])


def test_the_close_quota_is_counted_over_thirty_days() -> None:
    world = World(OrganizationLimits(max_accounts=50, creation_seconds=1, closing_seconds=1, close_floor=2))
    accounts = [world.create(f"a{number}@example.com") for number in range(3)]
    for account in accounts[:2]:
        world.organization.close_account(MANAGEMENT, account)
        world.time += 5
    fault = fails(lambda: world.organization.close_account(MANAGEMENT, accounts[2]), ConstraintViolation)
    assert fault.reason == "CLOSE_ACCOUNT_QUOTA_EXCEEDED"
    world.time += 30 * DAY
    world.organization.close_account(MANAGEMENT, accounts[2])


# --- the tree ----------------------------------------------------------------------------------------


def test_a_move_from_a_stale_parent_is_refused(world: World) -> None:
    organization, root = world.organization, world.organization.tree.root_id
    account = world.create("a@example.com")
    first, second = (
        organization.create_unit(MANAGEMENT, parent_id=root, name=name).unit_id for name in ("A", "B")
    )
    organization.move_account(MANAGEMENT, account, source=root, destination=first)
    fails(
        lambda: organization.move_account(MANAGEMENT, account, source=root, destination=second),
        SourceParentNotFound,
    )
    fails(
        lambda: organization.move_account(MANAGEMENT, account, source=root, destination=first),
        DuplicateAccount,
    )
    fails(
        lambda: organization.move_account(MANAGEMENT, account, source=first, destination="ou-none-00000000"),
        DestinationParentNotFound,
    )
    assert organization.tree.parent_of(account).node_id == first


def test_a_path_names_every_unit_above_an_account(world: World) -> None:
    organization, root = world.organization, world.organization.tree.root_id
    test = organization.create_unit(MANAGEMENT, parent_id=root, name="Test").unit_id
    pool = organization.create_unit(MANAGEMENT, parent_id=test, name="Pool").unit_id
    account = world.create("a@example.com")
    organization.move_account(MANAGEMENT, account, source=root, destination=pool)
    assert organization.tree.path_of(account) == f"{organization.organization_id}/{root}/{test}/{pool}/"


def test_a_unit_name_is_unique_within_its_parent(world: World) -> None:
    organization, root = world.organization, world.organization.tree.root_id
    unit = organization.create_unit(MANAGEMENT, parent_id=root, name="Test")
    fails(
        lambda: organization.create_unit(MANAGEMENT, parent_id=root, name="Test"), DuplicateOrganizationalUnit
    )
    organization.create_unit(MANAGEMENT, parent_id=unit.unit_id, name="Test")
    fails(lambda: organization.tree.delete_unit(unit.unit_id), OrganizationalUnitNotEmpty)


def test_units_are_at_most_five_deep(world: World) -> None:
    parent = world.organization.tree.root_id
    for depth in range(5):
        parent = world.organization.create_unit(MANAGEMENT, parent_id=parent, name=f"D{depth}").unit_id
    fault = fails(
        lambda: world.organization.create_unit(MANAGEMENT, parent_id=parent, name="too deep"),
        ConstraintViolation,
    )
    assert fault.reason == "OU_DEPTH_LIMIT_EXCEEDED"


def test_tags_are_added_overwritten_and_removed(world: World) -> None:
    account, tree = world.create("a@example.com"), world.organization.tree
    tree.tag(account, [("kind", "client"), ("ring", "early")])
    tree.tag(account, [("ring", "late")])
    tree.untag(account, ["kind", "never there"])
    assert tree.tags_of(account) == {"ring": "late"}


# --- callers and state -------------------------------------------------------------------------------


def test_a_member_may_only_ask_who_leads(world: World) -> None:
    member = world.create("a@example.com")
    fails(lambda: world.organization.accounts(member), AccessDenied)
    fails(lambda: world.organization.create_account(member, email="b@example.com", name="b"), AccessDenied)
    assert world.organization.describe(member).account_id == MANAGEMENT


def test_a_stranger_has_no_organization(world: World) -> None:
    fails(lambda: world.organization.accounts("999999999999"), OrganizationsNotInUse)
    fails(lambda: world.organization.describe("999999999999"), OrganizationsNotInUse)


def test_requests_beyond_the_rate_are_throttled() -> None:
    world = World(OrganizationLimits(rates={"ListAccounts": (1.0, 2)}))
    world.organization.accounts(MANAGEMENT)
    world.organization.accounts(MANAGEMENT)
    fails(lambda: world.organization.accounts(MANAGEMENT), TooManyRequests)
    world.time += 1
    world.organization.accounts(MANAGEMENT)


def test_the_state_survives_json(world: World) -> None:
    organization = world.organization
    account = world.create("a@example.com")
    unit = organization.create_unit(
        MANAGEMENT, parent_id=organization.tree.root_id, name="Test", tags=[("a", "b")]
    )
    organization.move_account(MANAGEMENT, account, source=organization.tree.root_id, destination=unit.unit_id)
    organization.create_account(MANAGEMENT, email="b@example.com", name="b", tags=[("kind", "client")])
    restored = world.another()
    restored.restore(json.loads(json.dumps(organization.to_json())))
    assert restored.to_json() == organization.to_json()
    world.time += 10
    assert [found.name for found in restored.accounts(MANAGEMENT)] == ["management", "client", "b"]
    assert (
        restored.create_account(MANAGEMENT, email="B@example.com", name="x").failure == "EMAIL_ALREADY_EXISTS"
    )
