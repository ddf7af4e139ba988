"""AwsOrganizations: every request in AWS's shape, every page read, and nothing moved from where it no longer is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.organizations import AwsOrganizations
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import AnswerLost, NotFound, Throttled
from pipeline.model.ids import AccountId
from pipeline.ports import CreationStatus, OrganizationAccount, OrganizationUnit
from tests.adapters.aws.scripted import ScriptedAws

MANAGEMENT = Identity(role_arn="arn:aws:iam::333333333333:role/TidegateAccounts")
ACME = AccountId("012345670123")
ARN = "arn:aws:organizations::333333333333"
ROOT = {"Roots": [{"Id": "r-aaaa", "Arn": f"{ARN}:root/o-aaaaaaaaaa/r-aaaa", "Name": "Root"}]}
ORGANIZATION = {"Organization": {"Id": "o-aaaaaaaaaa"}}


def ou(number: int, name: str) -> dict[str, str]:
    unit_id = f"ou-aaaa-{number:08d}"
    return {"Id": unit_id, "Arn": f"{ARN}:ou/o-aaaaaaaaaa/{unit_id}", "Name": name}


def units(*rows: dict[str, str]) -> dict[str, Any]:
    return {"OrganizationalUnits": list(rows)}


TEST, POOL = ou(1, "Test"), ou(2, "Pool")
TREE: list[Any] = [[units(TEST)], [units(POOL)], [units()]]
"""The root holds Test, Test holds Pool."""


def parent(parent_id: str) -> dict[str, Any]:
    kind = "ROOT" if parent_id.startswith("r-") else "ORGANIZATIONAL_UNIT"
    return {"Parents": [{"Id": parent_id, "Type": kind}]}


def with_tree(**answers: list[Any]) -> ScriptedAws:
    return ScriptedAws(
        list_roots=[ROOT],
        describe_organization=[ORGANIZATION],
        list_organizational_units_for_parent=list(TREE),
        **answers,
    )


def organizations(aws: Aws) -> AwsOrganizations:
    return AwsOrganizations(aws, MANAGEMENT)


def refusal(code: str) -> AwsRefused:
    return AwsRefused.of(f"organizations: {code}", code, "", ())


# --- accounts --------------------------------------------------------------------------------------


def test_an_account_is_asked_for_once_with_its_tags_and_its_access_role() -> None:
    status = {"Id": "car-" + "a" * 32, "AccountName": "test-1", "State": "IN_PROGRESS"}
    aws = ScriptedAws(create_account=[{"CreateAccountStatus": status}])

    found = organizations(aws).create("test-1", "qa+1@example.com", (("tidegate:kind", "test"),))

    assert found == CreationStatus(request=status["Id"], name="test-1", state="IN_PROGRESS")
    assert [(a.identity, a.service, a.region, a.operation) for a in aws.asked] == [
        (MANAGEMENT, "organizations", "us-east-1", "create_account")
    ]
    assert aws.asked[0].params == {
        "AccountName": "test-1",
        "Email": "qa+1@example.com",
        "RoleName": "OrganizationAccountAccessRole",
        "Tags": [{"Key": "tidegate:kind", "Value": "test"}],
    }


def test_a_lost_answer_is_not_asked_for_again() -> None:
    aws = ScriptedAws(create_account=[AnswerLost("lost")])

    with pytest.raises(AnswerLost):
        organizations(aws).create("test-1", "qa+1@example.com", ())
    assert aws.operations() == ["create_account"]


@pytest.mark.parametrize("code", ["ConcurrentModificationException", "FinalizingOrganizationException"])
def test_what_passes_by_itself_counts_as_throttled(code: str) -> None:
    aws = ScriptedAws(create_account=[refusal(code)])

    with pytest.raises(Throttled):
        organizations(aws).create("test-1", "qa+1@example.com", ())


def test_a_failed_creation_tells_why() -> None:
    status = {"Id": "car-1", "AccountName": "x", "State": "FAILED", "FailureReason": "EMAIL_ALREADY_EXISTS"}
    aws = ScriptedAws(describe_create_account_status=[{"CreateAccountStatus": status}])

    assert organizations(aws).creation("car-1") == CreationStatus(
        request="car-1", name="x", state="FAILED", reason="EMAIL_ALREADY_EXISTS"
    )


def test_creations_are_read_to_the_last_page() -> None:
    first = {"Id": "car-1", "AccountName": "a", "State": "SUCCEEDED", "AccountId": ACME}
    second = {"Id": "car-2", "AccountName": "b", "State": "IN_PROGRESS"}
    pages = [
        {"CreateAccountStatuses": [first]},
        {"CreateAccountStatuses": []},
        {"CreateAccountStatuses": [second]},
    ]

    assert organizations(ScriptedAws(list_create_account_status=[pages])).creations() == (
        CreationStatus(request="car-1", name="a", state="SUCCEEDED", account=ACME),
        CreationStatus(request="car-2", name="b", state="IN_PROGRESS"),
    )


def test_accounts_are_read_to_the_last_page_and_closed_ones_with_them() -> None:
    pages = [
        {"Accounts": [{"Id": ACME, "Name": "acme", "Email": "a@example.com", "Status": "ACTIVE"}]},
        {
            "Accounts": [
                {"Id": "000000000001", "Name": "old", "Email": "o@example.com", "Status": "SUSPENDED"}
            ]
        },
    ]

    assert organizations(ScriptedAws(list_accounts=[pages])).accounts() == (
        OrganizationAccount(id=ACME, name="acme", email="a@example.com", state="ACTIVE"),
        OrganizationAccount(
            id=AccountId("000000000001"), name="old", email="o@example.com", state="SUSPENDED"
        ),
    )


def test_the_state_that_replaced_the_status_wins() -> None:
    row = {
        "Id": ACME,
        "Name": "acme",
        "Email": "a@example.com",
        "Status": "SUSPENDED",
        "State": "PENDING_CLOSURE",
    }

    assert organizations(ScriptedAws(list_accounts=[[{"Accounts": [row]}]])).accounts()[0].state == (
        "PENDING_CLOSURE"
    )


# --- moving ----------------------------------------------------------------------------------------


def test_an_account_is_moved_from_where_it_is_now() -> None:
    aws = with_tree(list_parents=[parent("r-aaaa")], move_account=[{}])

    organizations(aws).move(ACME, "Test/Pool")

    assert aws.asked[-1].params == {
        "AccountId": ACME,
        "SourceParentId": "r-aaaa",
        "DestinationParentId": POOL["Id"],
    }


def test_an_account_that_is_there_is_not_moved() -> None:
    aws = with_tree(list_parents=[parent(POOL["Id"])])

    organizations(aws).move(ACME, "Test/Pool")

    assert "move_account" not in aws.operations()


@pytest.mark.parametrize("code", ["SourceParentNotFoundException", "DuplicateAccountException"])
def test_a_move_that_somebody_else_made_first_is_looked_at_again(code: str) -> None:
    aws = with_tree(list_parents=[parent("r-aaaa"), parent(TEST["Id"])], move_account=[refusal(code), {}])

    organizations(aws).move(ACME, "Test/Pool")

    assert [a.params["SourceParentId"] for a in aws.asked if a.operation == "move_account"] == [
        "r-aaaa",
        TEST["Id"],
    ]


def test_an_account_that_keeps_moving_is_left_to_whoever_moves_it() -> None:
    aws = with_tree(
        list_parents=[parent("r-aaaa")] * 3, move_account=[refusal("SourceParentNotFoundException")] * 3
    )

    with pytest.raises(Throttled, match="being moved by somebody else"):
        organizations(aws).move(ACME, "Test/Pool")


def test_a_refused_move_is_an_error_and_not_tried_again() -> None:
    aws = with_tree(list_parents=[parent("r-aaaa")], move_account=[refusal("AccountNotFoundException")])

    with pytest.raises(AwsRefused, match="AccountNotFoundException"):
        organizations(aws).move(ACME, "Test/Pool")


# --- units -----------------------------------------------------------------------------------------


def test_only_missing_units_are_made_parents_first_and_the_tree_is_read_once() -> None:
    cleaning, closed = ou(3, "Cleaning"), ou(4, "Closed")
    aws = with_tree(
        create_organizational_unit=[{"OrganizationalUnit": cleaning}, {"OrganizationalUnit": closed}]
    )
    found = organizations(aws)

    assert found.ensure(("Test", "Test/Pool", "Test/Cleaning", "Closed")) == ("Test/Cleaning", "Closed")
    assert found.ensure(("Test", "Test/Pool", "Test/Cleaning", "Closed")) == ()
    made = [a.params for a in aws.asked if a.operation == "create_organizational_unit"]
    assert made == [
        {"ParentId": TEST["Id"], "Name": "Cleaning"},
        {"ParentId": "r-aaaa", "Name": "Closed"},
    ]
    assert aws.operations().count("list_roots") == 1


def test_a_unit_knows_its_entity_path() -> None:
    assert organizations(with_tree()).unit("Test/Pool") == OrganizationUnit(
        path="Test/Pool",
        arn=POOL["Arn"],
        entity_path=f"o-aaaaaaaaaa/r-aaaa/{TEST['Id']}/{POOL['Id']}/",
    )


def test_a_missing_unit_names_the_command_that_makes_it() -> None:
    with pytest.raises(NotFound) as missing:
        organizations(with_tree()).unit("Clients")
    assert missing.value.remedy == "make the units with: release bootstrap management"


def test_the_unit_of_an_account_is_where_it_is_now_and_the_root_has_no_name() -> None:
    found = organizations(with_tree(list_parents=[parent("r-aaaa"), parent(POOL["Id"])]))

    assert (found.unit_of(ACME), found.unit_of(ACME)) == ("", "Test/Pool")


def test_a_unit_that_somebody_has_just_made_is_found_by_reading_the_tree_again() -> None:
    new = ou(5, "New")
    aws = ScriptedAws(
        list_roots=[ROOT, ROOT],
        describe_organization=[ORGANIZATION, ORGANIZATION],
        list_organizational_units_for_parent=[*TREE, [units(TEST, new)], [units(POOL)], [units()], [units()]],
        list_parents=[parent(new["Id"])],
    )

    assert organizations(aws).unit_of(ACME) == "New"


# --- against moto ----------------------------------------------------------------------------------


@pytest.fixture
def moto_organization(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsOrganizations]:
    import boto3
    from moto import mock_aws

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        boto3.client("organizations", region_name="us-east-1").create_organization(FeatureSet="ALL")
        yield AwsOrganizations(Aws(), Identity())


def test_units_are_made_and_accounts_created_and_moved_through_boto3(
    moto_organization: AwsOrganizations,
) -> None:
    made = moto_organization.ensure(("Test", "Test/Pool", "Clients"))
    status = moto_organization.create("test-1", "qa+1@example.com", (("tidegate:kind", "test"),))
    assert status.account is not None
    before = moto_organization.unit_of(status.account)
    moto_organization.move(status.account, "Test/Pool")

    assert made == ("Test", "Test/Pool", "Clients")
    assert (before, moto_organization.unit_of(status.account)) == ("", "Test/Pool")
    assert [(a.name, a.email, a.state) for a in moto_organization.accounts() if a.id == status.account] == [
        ("test-1", "qa+1@example.com", "ACTIVE")
    ]
    assert moto_organization.creation(status.request) in moto_organization.creations()
    assert moto_organization.organization().startswith("o-")
