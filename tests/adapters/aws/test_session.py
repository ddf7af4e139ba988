"""Aws: who signs what, and how roles are assumed."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.adapters.aws.session import AMBIENT, Aws, Identity
from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    CredentialsRefused,
    UsageError,
    WrongAccount,
)
from tests.adapters.aws import fake_endpoint as fake
from tests.adapters.aws.conftest import Point
from tests.adapters.aws.fake_endpoint import Reply, Request
from tests.adapters.aws.identities import ME, PROMOTE, REGION, deploy, usual

pytestmark = pytest.mark.usefixtures("own_configuration")


# --- one client, many accounts ---------------------------------------------------------------------


def test_thirty_two_threads_reach_three_hundred_accounts_each_with_its_own_credentials(point: Point) -> None:
    accounts = [f"{n:012}" for n in range(1, 301)]
    work = accounts * 3
    with fake.running(usual) as server:
        aws = point(server)

        def describe(account: str) -> None:
            aws.call(deploy(account), "cloudformation", REGION, "describe_stacks", StackName=f"svc-{account}")

        with ThreadPoolExecutor(max_workers=32) as pool:
            list(pool.map(describe, work))

        calls = [r for r in server.requests if r.action == "DescribeStacks"]
        assert [r for r in calls if r.key != f"ASIA{r.params['StackName'].removeprefix('svc-')}"] == []
        assert len({r.key for r in calls}) == 300
        assert Counter(server.actions()) == {
            "GetCallerIdentity": 1,
            "AssumeRole": 301,
            "DescribeStacks": 900,
        }
        assert aws.clients == (("cloudformation", REGION), ("sts", REGION))


def test_many_threads_that_need_one_role_at_once_assume_it_once(point: Point) -> None:
    barrier = threading.Barrier(16)
    with fake.running(usual) as server:
        aws = point(server)

        def describe(_: int) -> None:
            barrier.wait()
            aws.call(PROMOTE, "cloudformation", REGION, "describe_stacks")

        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(describe, range(16)))

        assert Counter(server.actions())["AssumeRole"] == 1


def test_s3_too_is_signed_for_the_identity(point: Point) -> None:
    def answering(request: Request) -> Reply:
        return usual(request) if request.service == "sts" else (200, "")

    with fake.running(answering) as server:
        aws = point(server)
        aws.call(deploy("000000000007"), "s3", REGION, "put_object", Bucket="b-ucket", Key="k", Body=b"x")

        assert (server.requests[-1].key, server.requests[-1].service) == ("ASIA000000000007", "s3")


def test_every_page_of_a_listing_is_signed_for_the_identity(point: Point) -> None:
    left = ["<NextToken>more</NextToken>", ""]

    def answering(request: Request) -> Reply:
        if request.action != "ListStackResources":
            return usual(request)
        row = "<StackResourceSummaries><member><LogicalResourceId>A</LogicalResourceId></member>"
        inner = f"{row}</StackResourceSummaries>{left.pop(0)}"
        return fake.result(request.action, inner)

    with fake.running(answering) as server:
        aws = point(server)
        identity = deploy("000000000007")
        pages = []
        for page in aws.pages(identity, "cloudformation", REGION, "list_stack_resources", StackName="s"):
            pages.append(page)
            # Between two pages somebody else's call must not change who asks for the second one.
            aws.call(deploy("000000000008"), "cloudformation", REGION, "describe_stacks")

        assert len(pages) == 2
        keys = [r.key for r in server.requests if r.action == "ListStackResources"]
        assert keys == ["ASIA000000000007", "ASIA000000000007"]


# --- assuming roles --------------------------------------------------------------------------------


def test_a_chain_of_roles_is_walked_with_external_id_and_a_valid_session_name(point: Point) -> None:
    with fake.running(usual) as server:
        aws = point(server)
        aws.call(deploy("000000000007"), "cloudformation", REGION, "describe_stacks")

        assert [(r.action, r.key, r.params.get("RoleArn", "")[-15:]) for r in server.requests] == [
            ("GetCallerIdentity", "AKIAMBIENT", ""),
            ("AssumeRole", "AKIAMBIENT", "TidegatePromote"),
            ("AssumeRole", "ASIA222222222222", "/TidegateDeploy"),
            ("DescribeStacks", "ASIA000000000007", ""),
        ]
        second = server.requests[2].params
        assert (second["ExternalId"], second["RoleSessionName"]) == (
            "x-000000000007",
            "intake@1.4.0-to-acme-us-east-1",
        )
        assert "ExternalId" not in server.requests[1].params


def test_no_hop_is_made_by_a_caller_who_is_that_role_already(point: Point) -> None:
    def answering(request: Request) -> Reply:
        if request.action == "GetCallerIdentity":
            return fake.caller("arn:aws:sts::222222222222:assumed-role/TidegatePromote/build-7")
        return usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        aws.call(deploy("000000000007"), "cloudformation", REGION, "describe_stacks")
        aws.call(PROMOTE, "cloudformation", REGION, "describe_stacks")

        assert [(r.action, r.key) for r in server.requests] == [
            ("GetCallerIdentity", "AKIAMBIENT"),
            ("AssumeRole", "AKIAMBIENT"),
            ("DescribeStacks", "ASIA000000000007"),
            ("DescribeStacks", "AKIAMBIENT"),
        ]


def test_an_answer_for_another_account_is_refused_and_its_credentials_are_never_used(point: Point) -> None:
    def answering(request: Request) -> Reply:
        if request.action == "AssumeRole" and "000000000007" in request.params["RoleArn"]:
            return fake.assumed(request, account="999999999999")
        return usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        with pytest.raises(WrongAccount, match="for account 000000000007 answered for account 999999999999"):
            aws.call(deploy("000000000007"), "cloudformation", REGION, "describe_stacks")

        assert "DescribeStacks" not in server.actions()


@pytest.mark.parametrize(("minutes", "hops"), [(60, 1), (6, 1), (4, 2)])
def test_credentials_are_kept_until_five_minutes_before_they_expire(
    point: Point, minutes: int, hops: int
) -> None:
    def answering(request: Request) -> Reply:
        return fake.assumed(request, minutes=minutes) if request.action == "AssumeRole" else usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        for _ in range(2):
            aws.call(PROMOTE, "cloudformation", REGION, "describe_stacks")

        assert Counter(server.actions())["AssumeRole"] == hops


def test_credentials_that_aws_calls_expired_are_renewed_once(point: Point) -> None:
    replies = [fake.refused("ExpiredToken", "expired", 403)]

    def answering(request: Request) -> Reply:
        return replies.pop() if request.action == "DescribeStacks" and replies else usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        aws.call(PROMOTE, "cloudformation", REGION, "describe_stacks")

        assert server.actions() == [
            "GetCallerIdentity",
            "AssumeRole",
            "DescribeStacks",
            "AssumeRole",
            "DescribeStacks",
        ]


@pytest.mark.parametrize(
    ("identity", "error"),
    [
        (PROMOTE, AccessRefused),
        (deploy("000000000007"), AccountUnusable),
    ],
)
def test_a_refused_role_is_the_accounts_fault_only_where_it_opens_another_account(
    point: Point, identity: Identity, error: type[Exception]
) -> None:
    def answering(request: Request) -> Reply:
        if request.params.get("RoleArn") == identity.role_arn:
            return fake.refused("AccessDenied", "not authorized to perform: sts:AssumeRole", 403)
        return usual(request)

    with fake.running(answering) as server:
        aws = point(server)
        with pytest.raises(error, match="sts assume role"):
            aws.call(identity, "cloudformation", REGION, "describe_stacks")


def test_the_role_of_an_identity_has_to_be_a_role() -> None:
    with pytest.raises(UsageError, match="is not the ARN of a role"):
        Aws().call(Identity(role_arn="arn:aws:iam::1:user/me"), "sts", REGION, "get_caller_identity")


def test_without_any_credentials_nothing_is_sent(point: Point, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with fake.running(usual) as server:
        aws = point(server)
        with pytest.raises(CredentialsRefused, match="there are no AWS credentials"):
            aws.caller(AMBIENT)

        assert server.requests == []


def test_an_unknown_profile_is_refused_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsRefused):
        Aws().caller(AMBIENT)


def test_the_caller_is_what_aws_says(point: Point) -> None:
    with fake.running(usual) as server:
        assert point(server).caller(AMBIENT) == ("111111111111", ME)
