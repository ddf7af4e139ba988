"""Organizations over AWS's own wire protocol, with IAM enforced."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.local_aws import Front, error_of

pytestmark = pytest.mark.local_aws


@pytest.fixture(scope="module")
def organizations(front: Front) -> Any:
    return front.client(front.admin(), "organizations")


def _address() -> str:
    return f"client-{time.time_ns()}@example.com"


def _finished(organizations: Any, request: dict[str, Any]) -> dict[str, Any]:
    status = organizations.create_account(**request)["CreateAccountStatus"]
    assert status["State"] == "IN_PROGRESS"
    while status["State"] == "IN_PROGRESS":
        time.sleep(0.05)
        status = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])[
            "CreateAccountStatus"
        ]
    return dict(status)


def test_the_default_access_role_is_there_when_an_account_is_succeeded(
    front: Front, organizations: Any
) -> None:
    created = _finished(organizations, {"Email": _address(), "AccountName": "acme"})
    session = front.assume(created["AccountId"])
    assert front.client(session, "sts").get_caller_identity()["Account"] == created["AccountId"]
    assert error_of(front.client(session, "iam").list_users) == "OK"


def test_a_role_name_of_ones_own_is_used(front: Front, organizations: Any) -> None:
    created = _finished(organizations, {"Email": _address(), "AccountName": "acme", "RoleName": "Landing"})
    assert error_of(front.assume, created["AccountId"], "Landing") == "OK"
    assert error_of(front.assume, created["AccountId"]) == "AccessDenied"


def test_an_address_is_used_once(organizations: Any) -> None:
    address = _address()
    _finished(organizations, {"Email": address, "AccountName": "first"})
    second = _finished(organizations, {"Email": address.upper(), "AccountName": "second"})
    assert (second["State"], second["FailureReason"]) == ("FAILED", "EMAIL_ALREADY_EXISTS")
    assert "AccountId" not in second
    failed = organizations.list_create_account_status(States=["FAILED"])["CreateAccountStatuses"]
    assert second["Id"] in [status["Id"] for status in failed]


def test_a_stale_parent_is_refused_by_move_account(organizations: Any, front: Front) -> None:
    account = front.create_account("mover")
    root = organizations.list_roots()["Roots"][0]["Id"]
    unit = organizations.create_organizational_unit(ParentId=root, Name=f"Unit {time.time_ns()}")[
        "OrganizationalUnit"
    ]["Id"]
    move = {"AccountId": account, "SourceParentId": root, "DestinationParentId": unit}
    organizations.move_account(**move)
    back = {"AccountId": account, "SourceParentId": root, "DestinationParentId": root}
    assert error_of(organizations.move_account, **move) == "DuplicateAccountException"
    assert error_of(organizations.move_account, **back) == "SourceParentNotFoundException"
    children = organizations.list_children(ParentId=unit, ChildType="ACCOUNT")["Children"]
    assert children == [{"Id": account, "Type": "ACCOUNT"}]
    parents = organizations.list_parents(ChildId=account)["Parents"]
    assert parents == [{"Id": unit, "Type": "ORGANIZATIONAL_UNIT"}]


def test_lists_come_in_pages(organizations: Any, front: Front) -> None:
    front.create_account("one")
    pages = list(organizations.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 1}))
    assert all(len(page["Accounts"]) == 1 for page in pages)
    assert len(pages) == len(organizations.list_accounts(MaxResults=20)["Accounts"])
    assert error_of(organizations.list_accounts, NextToken="made up") == "InvalidInputException"


def test_a_closed_account_refuses_assume_role(organizations: Any, front: Front) -> None:
    account = front.create_account("leaving")
    assert error_of(front.assume, account) == "OK"
    organizations.close_account(AccountId=account)
    assert organizations.describe_account(AccountId=account)["Account"]["State"] == "PENDING_CLOSURE"
    assert error_of(front.assume, account) == "AccessDenied"
    assert error_of(organizations.close_account, AccountId=account) == "AccountAlreadyClosedException"
    deadline = time.monotonic() + 10
    while organizations.describe_account(AccountId=account)["Account"]["State"] != "SUSPENDED":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert error_of(front.assume, account) == "AccessDenied"


def test_a_session_ends_with_its_account(organizations: Any, front: Front) -> None:
    account = front.create_account("ending")
    identity = front.client(front.assume(account), "sts").get_caller_identity
    organizations.close_account(AccountId=account)
    deadline = time.monotonic() + 10
    while error_of(identity) == "OK":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert error_of(identity) == "InvalidClientTokenId"


def test_an_unknown_account_and_a_missing_role_look_alike(front: Front) -> None:
    assert error_of(front.assume, "123456789012") == "AccessDenied"
    assert error_of(front.assume, front.create_account("roleless"), "nobody") == "AccessDenied"


def test_a_member_account_may_not_manage_the_organization(front: Front) -> None:
    member = front.client(front.assume(front.create_account("member")), "organizations")
    assert error_of(member.list_accounts) == "AccessDeniedException"
    assert error_of(member.create_account, Email=_address(), AccountName="x") == "AccessDeniedException"
    assert error_of(member.describe_organization) == "OK"


def test_organizations_actions_need_permission_on_the_account_they_name(front: Front) -> None:
    admin = front.admin()
    iam, management = (
        front.client(admin, "iam"),
        front.client(admin, "sts").get_caller_identity()["Account"],
    )
    allowed, other = front.create_account("allowed"), front.create_account("other")
    name = f"reader-{time.time_ns()}"
    trust = {"Effect": "Allow", "Principal": {"AWS": management}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    statement = {
        "Effect": "Allow",
        "Action": "organizations:DescribeAccount",
        "Resource": f"arn:aws:organizations::{management}:account/o-*/{allowed}",
    }
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": [statement]}))
    reader = front.client(front.assume(management, name), "organizations")
    assert error_of(reader.describe_account, AccountId=allowed) == "OK"
    assert error_of(reader.describe_account, AccountId=other) == "AccessDeniedException"
    assert error_of(reader.list_accounts) == "AccessDeniedException"
