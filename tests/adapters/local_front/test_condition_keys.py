"""The condition keys that our policies use, each proven to be able to allow and to refuse."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import pytest

from tests.local_aws import Front, error_of

pytestmark = pytest.mark.local_aws
_GRANTED, _DENIED = "OK", "AccessDeniedException"


class Fixture:
    """A member account in a unit of its own, and the names that policies need."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.account = front.create_account("conditions")
        self.admin = front.assume(self.account)
        organizations = front.client(front.admin(), "organizations")
        self.organization = organizations.describe_organization()["Organization"]["Id"]
        self.root = organizations.list_roots()["Roots"][0]["Id"]
        unit = organizations.create_organizational_unit(ParentId=self.root, Name=f"C {time.time_ns()}")
        self.unit = unit["OrganizationalUnit"]["Id"]
        organizations.move_account(
            AccountId=self.account, SourceParentId=self.root, DestinationParentId=self.unit
        )

    def role(
        self, *statements: dict[str, Any], trust: dict[str, Any] | None = None, external_id: str | None = None
    ) -> boto3.Session:
        """A session in a new role under the path /tidegate/ with these statements."""
        name = f"r{time.time_ns()}"
        iam = self.front.client(self.admin, "iam")
        trusted = {"Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [{**trusted, **(trust or {})}]})
        iam.create_role(RoleName=name, Path="/tidegate/", AssumeRolePolicyDocument=document)
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return self.front.assume(self.account, f"tidegate/{name}", via=self.admin, external_id=external_id)

    def fill(self, value: str) -> str:
        for word in ("account", "organization", "root", "unit"):
            value = value.replace(f"<{word}>", getattr(self, word))
        return value


@pytest.fixture(scope="module")
def world(front: Front) -> Fixture:
    return Fixture(front)


@pytest.mark.parametrize(
    ("operator", "key", "good", "bad"),
    [
        ("StringEquals", "aws:PrincipalOrgID", "<organization>", "o-0000000000"),
        (
            "ForAnyValue:StringLike",
            "aws:PrincipalOrgPaths",
            "<organization>/<root>/<unit>/*",
            "<organization>/<root>/ou-none/*",
        ),
        ("StringEquals", "aws:PrincipalAccount", "<account>", "123456789012"),
        ("StringEquals", "aws:ResourceAccount", "<account>", "123456789012"),
        ("StringEquals", "aws:ResourceOrgID", "${aws:PrincipalOrgID}", "${aws:PrincipalAccount}"),
        (
            "ArnLike",
            "aws:PrincipalArn",
            "arn:aws:iam::<account>:role/tidegate/r*",
            "arn:aws:sts::<account>:assumed-role/*",
        ),
        ("Bool", "aws:SecureTransport", "true", "false"),
        ("StringEquals", "aws:RequestedRegion", "us-east-1", "eu-west-1"),
        ("Null", "aws:SourceAccount", "true", "false"),
    ],
)
def test_a_global_key_is_known(world: Fixture, operator: str, key: str, good: str, bad: str) -> None:
    answers = []
    for value in (good, bad):
        session = world.role(
            {
                "Effect": "Allow",
                "Action": "ssm:GetParametersByPath",
                "Resource": "*",
                "Condition": {operator: {key: world.fill(value)}},
            }
        )
        answers.append(error_of(world.front.client(session, "ssm").get_parameters_by_path, Path="/x"))
    assert answers == [_GRANTED, _DENIED]


def test_a_policy_variable_in_a_resource_is_filled_in(world: Fixture) -> None:
    session = world.role(
        {
            "Effect": "Allow",
            "Action": "ssm:PutParameter",
            "Resource": "arn:aws:ssm:*:*:parameter/${aws:PrincipalAccount}/*",
        }
    )
    put = world.front.client(session, "ssm").put_parameter
    own = {"Name": f"/{world.account}/mark", "Value": "1", "Type": "String", "Overwrite": True}
    assert error_of(put, **own) == _GRANTED
    assert error_of(put, **{**own, "Name": "/123456789012/mark"}) == _DENIED


def test_an_external_id_and_the_organization_guard_a_role(world: Fixture) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "acme-1", "aws:PrincipalOrgID": world.organization}}
    trust = {"Condition": condition}
    assert error_of(world.role, trust=trust, external_id="acme-1") == "OK"
    assert error_of(world.role, trust=trust, external_id="other-2") == "AccessDenied"
    assert error_of(world.role, trust=trust) == "AccessDenied"


def test_only_writing_once_can_be_allowed_on_a_bucket(world: Fixture) -> None:
    bucket = f"once-{world.account}"
    world.front.client(world.admin, "s3").create_bucket(Bucket=bucket)
    session = world.role(
        {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"StringEquals": {"s3:if-none-match": "*"}},
        }
    )
    put = world.front.client(session, "s3").put_object
    assert error_of(put, Bucket=bucket, Key="a", Body=b"1") == "AccessDenied"
    assert error_of(put, Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*") == "OK"
    assert error_of(put, Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"


def test_a_bucket_lets_in_the_organization_or_one_role_of_another_account(
    front: Front, world: Fixture
) -> None:
    owner = front.assume(front.create_account("tools"))
    s3, bucket = front.client(owner, "s3"), f"artifacts-{world.account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    named, other = world.role(read), world.role(read)
    arn = front.client(named, "sts").get_caller_identity()["Arn"].split("/")[1]
    policies: list[dict[str, Any]] = [
        {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": world.organization}}},
        {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-0000000000"}}},
        {"Principal": {"AWS": f"arn:aws:iam::{world.account}:role/tidegate/{arn}"}},
        {
            "Principal": "*",
            "Condition": {
                "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{world.account}:role/tidegate/{arn}"}
            },
        },
    ]
    answers = []
    for policy in policies:
        statement = {**read, **policy}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        s3.put_bucket_policy(Bucket=bucket, Policy=document)
        answers.append(
            tuple(
                error_of(front.client(who, "s3").get_object, Bucket=bucket, Key="a") for who in (named, other)
            )
        )
    refused = "AccessDenied"
    assert answers == [("OK", "OK"), (refused, refused), ("OK", refused), ("OK", refused)]
