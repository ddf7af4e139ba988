"""Bootstrap makes what is missing, each thing once, and goes on after any interruption."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.adapters.simulated.stores import MemoryRegistry
from pipeline.decide.pool import UNITS
from pipeline.errors import AnswerLost, ConfigInvalid, NotFound, OperationFailed, UsageError
from pipeline.model.fleet import Client, Fleet, FleetService, Tools
from pipeline.model.ids import AccountId
from pipeline.model.stack import StackStatus
from pipeline.ports import Place, RegistryRow
from stages.accounts import AccountWorld
from stages.bootstrap import Bootstrapped, BootstrapWorld, Filled, bootstrap
from tests.stages.landscape import MAILBOX, MANAGEMENT, Landscape

ANN = f"arn:aws:iam::{MANAGEMENT}:user/ann"
ACME = Client(name="acme", account=None, regions=("us-east-1", "eu-west-1"), services=("intake",))
BIRCH = Client(name="birch", account=None, regions=("us-east-1",), services=("intake",))
FLEET = Fleet(
    email=MAILBOX,
    tools=Tools(),
    services=(FleetService(name="intake", account=None, regions=("us-east-1",)),),
    clients=(ACME, BIRCH),
)
DAY = "20260105"


@pytest.fixture
def land() -> Landscape:
    return Landscape()


def world(land: Landscape, caller: str = ANN) -> BootstrapWorld:
    numbers = iter(range(1000))
    return BootstrapWorld(
        accounts=AccountWorld(
            accounts=land.organizations,
            units=land.organizations,
            registry=land.registry,
            clock=land.clock,
            mailbox=MAILBOX,
            secret=lambda: f"secret-number-{next(numbers):03d}-of-many",
        ),
        stacks=land.stacks,
        caller=(MANAGEMENT, caller),
    )


def run(land: Landscape, scope: str = "all", name: str = "", fleet: Fleet = FLEET) -> Bootstrapped:
    return bootstrap(world(land), fleet, scope, name)


def creations(land: Landscape) -> list[str]:
    return [line for line in land.log if line.startswith("create ")]


def filled_fleet(done: Bootstrapped, fleet: Fleet = FLEET) -> Fleet:
    values = {(f.table, f.name, f.key): f.value for f in done.filled}
    return replace(
        fleet,
        tools=Tools(
            management=AccountId(values["tools", "", "management"]),
            account=AccountId(values["tools", "", "account"]),
            organization=values["tools", "", "organization"],
            release_key=values["tools", "", "release_key"],
            journal_key=values["tools", "", "journal_key"],
        ),
        services=tuple(
            replace(s, account=AccountId(values["service", s.name, "account"])) for s in fleet.services
        ),
        clients=tuple(
            replace(c, account=AccountId(values["client", c.name, "account"])) for c in fleet.clients
        ),
    )


# --- everything ------------------------------------------------------------------------------------


def test_a_new_organisation_gets_units_accounts_roles_buckets_and_a_key(land: Landscape) -> None:
    done = run(land)
    tools, intake, acme, birch = (
        land.account_named(name) for name in ("tools", "service/intake", "client/acme", "client/birch")
    )

    assert land.organizations.ensure(UNITS) == ()
    assert [land.organizations.unit_of(a) for a in (tools, intake, acme, birch)] == [
        "Tools",
        "Services",
        "Clients",
        "Clients",
    ]
    assert sorted(line for line in land.log if line.startswith("deploy ")) == sorted(
        [
            f"deploy tidegate-management {MANAGEMENT} us-east-1",
            f"deploy tidegate-tools {tools} us-east-1",
            f"deploy tidegate-tools-region {tools} us-east-1",
            f"deploy tidegate-tools-region {tools} eu-west-1",
            *(f"deploy tidegate-target {account} us-east-1" for account in (intake, acme, birch)),
        ]
    )
    assert done.filled == (
        Filled(table="tools", name="", key="management", value=MANAGEMENT),
        Filled(table="tools", name="", key="organization", value=land.organizations.organization()),
        Filled(table="tools", name="", key="account", value=tools),
        Filled(table="tools", name="", key="release_key", value="arn:aws:kms:us-east-1:1:key/k"),
        Filled(table="tools", name="", key="journal_key", value="arn:aws:kms:us-east-1:1:key/j"),
        Filled(table="service", name="intake", key="account", value=intake),
        Filled(table="client", name="acme", key="account", value=acme),
        Filled(table="client", name="birch", key="account", value=birch),
    )


def test_addresses_are_plus_addresses_of_the_mailbox_and_stand_in_the_registry(land: Landscape) -> None:
    run(land)

    assert [(row.name, row.kind, row.email, row.state) for row in land.registry.rows()] == [
        ("client/acme", "client", f"qa+acme-{DAY}@example.com", "Ready"),
        ("client/birch", "client", f"qa+birch-{DAY}@example.com", "Ready"),
        ("service/intake", "service", f"qa+intake-{DAY}@example.com", "Ready"),
        ("tools", "tools", f"qa+tools-{DAY}@example.com", "Ready"),
    ]


def test_each_account_has_an_external_id_of_its_own_and_its_regions_templates(land: Landscape) -> None:
    run(land)
    tools = land.account_named("tools")
    found = {
        name: land.stacks.parameters(Place(land.account_named(name), "us-east-1"), "tidegate-target")
        for name in ("client/acme", "client/birch")
    }
    rows = {row.name: row for row in land.registry.rows()}

    assert {name: p["ExternalId"] for name, p in found.items()} == {
        name: rows[name].external_id for name in found
    }
    assert len({row.external_id for row in rows.values()}) == len(rows)
    assert found["client/acme"] == {
        "ToolsAccount": tools,
        "ExternalId": rows["client/acme"].external_id,
        "OrganizationId": land.organizations.organization(),
        "TemplateUrls": (
            f"https://s3.eu-west-1.amazonaws.com/tidegate-artifacts-{tools}-eu-west-1/sha256/*,"
            f"https://s3.us-east-1.amazonaws.com/tidegate-artifacts-{tools}-us-east-1/sha256/*"
        ),
        "RepairAccounts": f"arn:aws:iam::{MANAGEMENT}:root",
        "RepairPrincipals": ANN,
    }


def test_a_second_run_does_nothing_and_says_so(land: Landscape) -> None:
    first = run(land)
    before = list(land.log)

    assert run(land) == replace(first, did=())
    assert run(land, fleet=filled_fleet(first)) == Bootstrapped(filled=(), did=())
    assert land.log == before


def test_no_secret_is_said(land: Landscape) -> None:
    done = run(land)
    secrets = [row.external_id for row in land.registry.rows()]

    assert [line for line in done.did if any(s in line for s in secrets) or "@" in line] == []


def test_a_fleet_of_many_is_made_five_at_a_time(land: Landscape) -> None:
    many = tuple(replace(BIRCH, name=f"client{n:02d}") for n in range(30))
    started = land.clock.now()
    run(land, fleet=replace(FLEET, clients=many))

    assert len([row for row in land.registry.rows("client") if row.account]) == 30
    assert [line for line in land.log if line.startswith("turned away")] == []
    assert land.clock.now() - started < timedelta(minutes=10)


def test_each_thing_is_said_when_it_is_done(land: Landscape) -> None:
    heard: list[str] = []
    listening = world(land)
    listening = replace(listening, accounts=replace(listening.accounts, said=heard.append))
    done = bootstrap(listening, FLEET, "all")

    assert tuple(heard) == done.did
    assert len(heard) == len(UNITS) + 4 + 7


# --- one after the other ---------------------------------------------------------------------------


def test_the_management_account_comes_first_and_learns_of_the_tools_account_later(land: Landscape) -> None:
    place = Place(MANAGEMENT, "us-east-1")
    run(land, "management")
    before = land.stacks.parameters(place, "tidegate-management")
    run(land, "tools")
    after = land.stacks.parameters(place, "tidegate-management")

    assert (before["ToolsAccount"], after["ToolsAccount"]) == ("", land.account_named("tools"))
    assert before["TestUnitPath"] == land.organizations.unit("Test").entity_path + "*"


def test_a_machine_that_does_not_know_the_tools_account_does_not_shut_it_out(land: Landscape) -> None:
    run(land, "tools")
    place = Place(MANAGEMENT, "us-east-1")
    before = land.stacks.parameters(place, "tidegate-management")
    land.registry = MemoryRegistry()
    run(land, "management")

    assert land.stacks.parameters(place, "tidegate-management") == before


def test_the_units_alone_are_made_for_test(land: Landscape) -> None:
    done = run(land, "test")

    assert done.did == tuple(f"made the organisational unit {path}" for path in UNITS)
    assert land.log == []


def test_one_client_is_made_without_the_others(land: Landscape) -> None:
    run(land, "tools")
    run(land, "client", "birch")

    assert [row.name for row in land.registry.rows()] == ["client/birch", "tools"]


def test_a_client_before_the_tools_account_is_told_what_to_do_first(land: Landscape) -> None:
    with pytest.raises(NotFound) as missing:
        run(land, "client", "birch")
    assert missing.value.remedy == "run: release bootstrap tools"


def test_the_tools_account_is_known_from_the_registry_before_fleet_toml_names_it(land: Landscape) -> None:
    run(land, "tools")
    run(land, "client", "birch")

    assert land.stacks.parameters(Place(land.account_named("client/birch"), "us-east-1"), "tidegate-target")[
        "ToolsAccount"
    ] == land.account_named("tools")


# --- after lost answers and dead runners -------------------------------------------------------------


def test_after_a_lost_answer_the_account_is_looked_for_and_found(land: Landscape) -> None:
    land.organizations.lose = ["applied"]
    run(land, "tools")

    assert creations(land) == [f"create tools qa+tools-{DAY}@example.com"]
    assert len(land.organizations.accounts()) == 2


def test_a_request_that_never_arrived_is_made_again_under_the_same_address(land: Landscape) -> None:
    land.organizations.lose = ["never"]
    run(land, "tools")

    assert creations(land) == [f"create tools qa+tools-{DAY}@example.com"] * 2
    assert [row.email for row in land.registry.rows()] == [f"qa+tools-{DAY}@example.com"]


def test_a_throttled_creation_is_made_later(land: Landscape) -> None:
    land.organizations.throttle = 3
    run(land, "tools")

    assert len(creations(land)) == 4
    assert len(land.organizations.accounts()) == 2


def test_an_address_that_somebody_else_owns_stays_burnt_and_the_next_is_taken(land: Landscape) -> None:
    land.organizations.rules._burnt.add(f"qa+tools-{DAY}@example.com")
    run(land, "tools")

    assert [(row.name, row.email, row.state) for row in land.registry.rows()] == [
        ("tools", f"qa+tools-{DAY}@example.com", "Burnt"),
        ("tools/2", f"qa+tools-{DAY}-2@example.com", "Ready"),
    ]


def test_a_runner_that_died_after_burning_the_address_is_gone_on_from(land: Landscape) -> None:
    land.organizations.lose = ["never", "never"]
    with pytest.raises(AnswerLost):
        run(land, "tools")
    run(land, "tools")

    assert [(row.name, row.state) for row in land.registry.rows()] == [("tools", "Ready")]
    assert len(land.organizations.accounts()) == 2


def test_an_account_that_a_dead_runner_made_is_found_and_not_made_again(land: Landscape) -> None:
    email = f"qa+tools-{DAY}@example.com"
    land.registry.add(
        RegistryRow(name="tools", kind="tools", email=email, state="Creating", external_id="x" * 32)
    )
    land.organizations.create("tools", email, ())
    land.clock.sleep(timedelta(seconds=10))
    before = len(creations(land))
    run(land, "tools")

    assert len(creations(land)) == before
    assert land.registry.rows() == (
        RegistryRow(
            name="tools",
            kind="tools",
            email=email,
            account=land.account_named("tools"),
            state="Ready",
            external_id="x" * 32,
        ),
    )


def test_a_creation_that_is_still_under_way_is_waited_for(land: Landscape) -> None:
    email = f"qa+tools-{DAY}@example.com"
    land.registry.add(
        RegistryRow(name="tools", kind="tools", email=email, state="Creating", external_id="x" * 32)
    )
    land.organizations.create("tools", email, ())
    run(land, "tools")

    assert len(creations(land)) == 1
    assert land.registry.row("tools") is not None


def test_aws_refusing_for_good_is_told_with_its_reason() -> None:
    land = Landscape()
    land.organizations.rules.limits = replace(land.limits, max_accounts=1)

    with pytest.raises(OperationFailed, match="ACCOUNT_LIMIT_EXCEEDED"):
        run(land, "tools")


# --- accounts that exist already ---------------------------------------------------------------------


def existing(land: Landscape, name: str, email: str) -> AccountId:
    land.organizations.create(name, email, ())
    land.clock.sleep(timedelta(seconds=10))
    return land.account_named(name)


def test_an_account_named_in_fleet_toml_is_used_and_gets_an_external_id(land: Landscape) -> None:
    account = existing(land, "ACME production", "aws@acme.example.com")
    before = len(creations(land))
    fleet = replace(FLEET, clients=(replace(ACME, account=account),), services=())
    run(land, fleet=fleet)

    assert [line for line in creations(land)[before:] if "acme" in line] == []
    row = land.registry.by_account(account)
    assert row is not None
    assert (row.name, row.kind, row.email, row.state) == (
        "client/acme",
        "client",
        "aws@acme.example.com",
        "Ready",
    )
    assert land.organizations.unit_of(account) == "Clients"


def test_another_account_than_the_registrys_is_refused_before_anything_is_made(land: Landscape) -> None:
    done = run(land)
    fleet = filled_fleet(done)
    wrong = replace(fleet, clients=(replace(fleet.clients[0], account=AccountId("000000000009")),))

    with pytest.raises(ConfigInvalid, match="has account 000000000009 for client acme"):
        run(land, fleet=wrong)


def test_a_client_in_another_organisation_is_named_and_may_read_the_artifacts(land: Landscape) -> None:
    account = AccountId("444444444444")
    done = run(land, fleet=replace(FLEET, clients=(replace(ACME, account=account), BIRCH)))
    tools = land.account_named("tools")
    bucket = land.stacks.parameters(Place(tools, "us-east-1"), "tidegate-tools-region")

    assert done.outside == ("acme",)
    assert bucket["ListedAccounts"] == f"arn:aws:iam::{account}:root"
    assert not [line for line in land.log if account in line]
    assert land.registry.by_account(account) is not None


# --- trust, patience, failure ------------------------------------------------------------------------


def test_a_second_administrator_is_trusted_beside_the_first(land: Landscape) -> None:
    run(land)
    session = f"arn:aws:sts::{MANAGEMENT}:assumed-role/AWSReservedSSO_Admin_0a1b/bob@example.com"
    bootstrap(world(land, session), FLEET, "management")

    assert land.stacks.parameters(Place(MANAGEMENT, "us-east-1"), "tidegate-management")[
        "TrustedPrincipals"
    ].split(",") == [
        f"arn:aws:iam::{MANAGEMENT}:role/*/AWSReservedSSO_Admin_0a1b",
        f"arn:aws:iam::{MANAGEMENT}:role/AWSReservedSSO_Admin_0a1b",
        ANN,
    ]


def test_an_account_made_a_moment_ago_is_given_time_until_it_can_be_entered(land: Landscape) -> None:
    land.stacks.young = {AccountId(f"{n:012d}"): 5 for n in range(100000000001, 100000000010)}
    run(land)

    assert {row.state for row in land.registry.rows()} == {"Ready"}


def test_a_role_of_tools_that_iam_has_not_heard_of_yet_is_waited_for(land: Landscape) -> None:
    run(land, "tools")
    land.stacks.unknown_principal = 2
    run(land, "client", "birch")

    row = land.registry.row("client/birch")
    assert row is not None
    assert row.state == "Ready"


def test_one_account_that_fails_is_named_and_the_others_are_done(land: Landscape) -> None:
    run(land, "tools")
    land.stacks.fail = {AccountId(f"{n:012d}") for n in range(100000000001, 100000000010)}
    land.stacks.fail.discard(land.account_named("tools"))
    with pytest.raises(OperationFailed) as failed:
        run(land)
    land.stacks.fail = set()
    again = run(land)

    assert "3 of 3 failed" in failed.value.problem
    assert [line.split(":")[0] for line in failed.value.details] == [
        "service intake",
        "client acme",
        "client birch",
    ]
    assert len([line for line in again.did if line.startswith("deployed tidegate-target")]) == 3


def test_a_stack_that_needs_a_person_is_left_alone(land: Landscape) -> None:
    run(land)
    place = Place(land.account_named("client/birch"), "us-east-1")
    land.stacks.states[(place, "tidegate-target")] = StackStatus.UPDATE_ROLLBACK_FAILED

    with pytest.raises(OperationFailed, match="is in UPDATE_ROLLBACK_FAILED"):
        run(land)


@pytest.mark.parametrize(
    ("scope", "name"), [("everything", ""), ("client", ""), ("management", "acme"), ("", "")]
)
def test_a_scope_that_does_not_exist_is_refused_with_those_that_do(
    land: Landscape, scope: str, name: str
) -> None:
    with pytest.raises(UsageError) as refused:
        run(land, scope, name)
    assert refused.value.remedy.startswith("write: release bootstrap management | tools | service NAME")
    assert land.organizations.ensure(UNITS) == UNITS


def test_a_client_that_the_fleet_does_not_name_is_not_made(land: Landscape) -> None:
    with pytest.raises(NotFound, match=r"fleet\.toml has no client zoe"):
        run(land, "client", "zoe")
    assert land.registry.rows() == ()


def test_credentials_of_another_account_than_the_management_account_touch_nothing(land: Landscape) -> None:
    fleet = replace(FLEET, tools=Tools(management=AccountId("999999999999")))

    with pytest.raises(ConfigInvalid, match="the credentials are of account 333333333333"):
        run(land, fleet=fleet)
    assert land.organizations.ensure(UNITS) == UNITS
