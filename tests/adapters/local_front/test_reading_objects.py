"""Templates and code are read with the caller's or the execution role's own permissions, across accounts too."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any

import boto3
import pytest

from tests.local_aws import Front, error_of

pytestmark = pytest.mark.local_aws
_TEMPLATE = {
    "Resources": {"Mark": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}}}
}


class Accounts:
    """A tools account with a bucket, and a client account with a deployer and an execution role."""

    def __init__(self, front: Front) -> None:
        self.front = front
        organizations = front.client(front.admin(), "organizations")
        self.organization = organizations.describe_organization()["Organization"]["Id"]
        self.client = front.create_account("client")
        self.owner, self.admin = front.assume(front.create_account("tools")), front.assume(self.client)
        self.s3 = front.client(self.owner, "s3")
        self.bucket = f"artifacts-{self.client}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.s3.put_object(Bucket=self.bucket, Key="template.json", Body=json.dumps(_TEMPLATE))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", "def handler(event, context):\n    return 1\n")
        self.s3.put_object(Bucket=self.bucket, Key="code.zip", Body=packed.getvalue())
        self.iam = front.client(self.admin, "iam")

    def open_bucket(self) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{self.bucket}/*",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": self.organization}},
        }
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps({"Statement": [statement]}))

    def close_bucket(self) -> None:
        self.s3.delete_bucket_policy(Bucket=self.bucket)

    def role(self, principal: dict[str, str], *statements: dict[str, Any]) -> str:
        name = f"r{time.time_ns()}"
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        self.allow(name, *statements)
        return name

    def allow(self, role: str, *statements: dict[str, Any]) -> None:
        self.iam.put_role_policy(
            RoleName=role, PolicyName="p", PolicyDocument=json.dumps({"Statement": list(statements)})
        )

    def deployer(self, *statements: dict[str, Any]) -> Any:
        stacks = {
            "Effect": "Allow",
            "Action": "cloudformation:*",
            "Resource": f"arn:aws:cloudformation:*:{self.client}:stack/tg-*/*",
        }
        role = self.role({"AWS": self.client}, stacks, *statements)
        session: boto3.Session = self.front.assume(self.client, role, via=self.admin)
        return self.front.client(session, "cloudformation")

    def create(self, cloudformation: Any, stack: str, **more: Any) -> str:
        url = f"https://s3.us-east-1.amazonaws.com/{self.bucket}/template.json"
        request = {"StackName": stack, "ChangeSetName": "tg-1", "ChangeSetType": "CREATE", "TemplateURL": url}
        return error_of(cloudformation.create_change_set, **{**request, **more})


@pytest.fixture(scope="module")
def accounts(front: Front) -> Accounts:
    return Accounts(front)


def _read(bucket: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}


def test_a_template_of_another_account_needs_both_sides_to_allow_it(accounts: Accounts) -> None:
    with_policy, without = accounts.deployer(_read(accounts.bucket)), accounts.deployer()
    accounts.close_bucket()
    assert accounts.create(with_policy, "tg-closed") == "ValidationError"
    accounts.open_bucket()
    assert accounts.create(without, "tg-open") == "ValidationError"
    assert accounts.create(with_policy, "tg-open") == "OK"
    assert accounts.create(with_policy, "other") == "AccessDenied"


def test_an_execution_role_is_passed_only_by_who_may_pass_it(accounts: Accounts) -> None:
    accounts.open_bucket()
    role = accounts.role({"Service": "cloudformation.amazonaws.com"}, _read("*"))
    arn = f"arn:aws:iam::{accounts.client}:role/{role}"
    grant = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": arn,
        "Condition": {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
    }
    elsewhere = {**grant, "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
    read = _read(accounts.bucket)
    assert accounts.create(accounts.deployer(read), "tg-pass", RoleARN=arn) == "AccessDenied"
    assert accounts.create(accounts.deployer(read, elsewhere), "tg-pass", RoleARN=arn) == "AccessDenied"
    passing = accounts.deployer(read, grant)
    assert accounts.create(passing, "tg-pass", RoleARN=arn) == "OK"
    passing.execute_change_set(StackName="tg-pass", ChangeSetName="tg-1")
    assert passing.describe_stacks(StackName="tg-pass")["Stacks"][0]["RoleARN"] == arn


def test_a_role_that_does_not_trust_cloudformation_is_no_execution_role(accounts: Accounts) -> None:
    accounts.open_bucket()
    role = accounts.role({"AWS": accounts.client}, _read("*"))
    admin = accounts.front.client(accounts.admin, "cloudformation")
    arn = f"arn:aws:iam::{accounts.client}:role/{role}"
    assert accounts.create(admin, "tg-untrusting", RoleARN=arn) == "ValidationError"


def test_cloudformation_condition_keys_are_known(accounts: Accounts) -> None:
    accounts.open_bucket()
    role = accounts.role({"Service": "cloudformation.amazonaws.com"}, _read("*"))
    arn = f"arn:aws:iam::{accounts.client}:role/{role}"
    template_url = {"cloudformation:TemplateUrl": f"https://s3.*.amazonaws.com/{accounts.bucket}/*"}
    deny = {"Effect": "Deny", "Action": "cloudformation:CreateChangeSet", "Resource": "*"}
    cloudformation = accounts.deployer(
        _read(accounts.bucket),
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn},
        {**deny, "Condition": {"StringNotLike": template_url}},
        {**deny, "Condition": {"StringNotEquals": {"cloudformation:RoleArn": arn}}},
    )
    assert accounts.create(cloudformation, "tg-keys", RoleARN=arn) == "OK"
    assert accounts.create(cloudformation, "tg-none") == "AccessDenied"
    elsewhere = "https://s3.us-east-1.amazonaws.com/elsewhere/template.json"
    answer = accounts.create(cloudformation, "tg-else", RoleARN=arn, TemplateURL=elsewhere)
    assert answer == "AccessDenied"


def test_code_of_another_account_is_read_as_the_execution_role(accounts: Accounts) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    template = {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": {"Statement": [trust]}},
            },
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.11",
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"S3Bucket": accounts.bucket, "S3Key": "code.zip"},
                },
            },
        }
    }
    accounts.s3.put_object(Bucket=accounts.bucket, Key="function.json", Body=json.dumps(template))
    accounts.open_bucket()
    service = {"Service": "cloudformation.amazonaws.com"}
    roles = (accounts.role(service, _read(accounts.bucket)), accounts.role(service, _read("nothing")))
    statuses = []
    for number, role in enumerate(roles):
        admin = accounts.front.client(accounts.admin, "cloudformation")
        made = admin.create_change_set(
            StackName=f"tg-code-{number}",
            ChangeSetName="tg-1",
            ChangeSetType="CREATE",
            OnStackFailure="DELETE",
            Capabilities=["CAPABILITY_IAM"],
            RoleARN=f"arn:aws:iam::{accounts.client}:role/{role}",
            TemplateURL=f"https://s3.us-east-1.amazonaws.com/{accounts.bucket}/function.json",
        )
        admin.execute_change_set(ChangeSetName=made["Id"])
        deadline = time.monotonic() + 20
        while (status := _status(admin, made["StackId"])).endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        statuses.append(status)
    assert statuses == ["CREATE_COMPLETE", "DELETE_COMPLETE"]


def _status(cloudformation: Any, stack: str) -> str:
    return str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
