"""Protecting a stack with the shipped roles, IAM enforced: they suffice for the adapter, and for nothing looser."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest

from pipeline.adapters.aws.artifacts import S3Artifacts
from pipeline.adapters.aws.protection import StackProtection
from pipeline.adapters.aws.session import Identity
from pipeline.decide.stack_policy import tightened
from pipeline.model.fleet import Tools
from pipeline.ports import Place
from tests.stages.test_bootstrap_on_local_aws import Company, company, refused

__all__ = ["company"]

pytestmark = pytest.mark.local_aws

REGION = "us-east-1"
STACK = "svc-protected"
TEMPLATE = {
    "Resources": {
        "Forms": {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            },
        },
        "Topic": {"Type": "AWS::SNS::Topic"},
    }
}


class Protected:
    """A stack in birch's account, and everything that may be tried upon it."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.place = Place(company.account("client/birch"), REGION)
        tools = Tools(management=company.caller[0], account=company.tools, region=REGION)
        self.artifacts = S3Artifacts(company.aws, company.role("TidegatePromote"), tools)
        self.protection = StackProtection(
            company.aws, lambda _: self.role("TidegateProtect"), self.artifacts, tools.bucket_prefix
        )

    def role(self, name: str) -> Identity:
        return self.company.in_account("client/birch", name, via="TidegatePromote")

    def call(self, role: str, operation: str, **params: object) -> Callable[[], object]:
        return partial(
            self.company.aws.call,
            self.role(role),
            "cloudformation",
            REGION,
            operation,
            StackName=STACK,
            **params,
        )

    def url(self, content: bytes) -> str:
        name, _ = self.artifacts.put(content, (REGION,))
        return (
            f"https://s3.{REGION}.amazonaws.com/{self.company.bucket}/sha256/{name.removeprefix('sha256:')}"
        )

    def policy(self) -> str:
        answer = self.call("TidegateProtect", "get_stack_policy")()
        assert isinstance(answer, dict)
        return str(answer.get("StackPolicyBody", ""))


@pytest.fixture(scope="module")
def stack(company: Company) -> Protected:
    account = company.account("client/birch")
    access = Identity(role_arn=f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole")
    company.aws.call(
        access, "cloudformation", REGION, "create_stack", StackName=STACK, TemplateBody=json.dumps(TEMPLATE)
    )
    return Protected(company)


def test_the_shipped_role_suffices_and_a_second_time_writes_nothing(stack: Protected) -> None:
    stack.protection.protect(stack.place, STACK)
    first = stack.policy()
    stack.protection.protect(stack.place, STACK)

    assert first == (tightened("", {"Forms"}) or b"").decode()
    assert stack.policy() == first
    described = stack.call("TidegateProtect", "describe_stacks")()
    assert isinstance(described, dict)
    assert described["Stacks"][0]["EnableTerminationProtection"] is True


def test_a_policy_as_a_text_or_from_another_bucket_is_denied(stack: Protected) -> None:
    loose = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Principal": "*", "Resource": "*"}]})
    elsewhere = stack.url(loose.encode()).replace(stack.company.bucket, "somebody-elses-bucket")

    assert refused(stack.call("TidegateProtect", "set_stack_policy", StackPolicyBody=loose))
    assert refused(stack.call("TidegateProtect", "set_stack_policy", StackPolicyURL=elsewhere))


def test_the_engines_own_role_sets_neither(stack: Protected) -> None:
    address = stack.url(tightened("", {"Forms"}) or b"")

    assert refused(stack.call("TidegateDeploy", "set_stack_policy", StackPolicyURL=address))
    for enabled in (True, False):
        assert refused(
            stack.call("TidegateDeploy", "update_termination_protection", EnableTerminationProtection=enabled)
        )


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("delete_stack", {}),
        ("update_stack", {"UsePreviousTemplate": True}),
        ("create_change_set", {"ChangeSetName": "tg-1", "UsePreviousTemplate": True}),
        ("get_template", {}),
    ],
)
def test_the_protect_role_does_nothing_else(
    stack: Protected, operation: str, params: dict[str, object]
) -> None:
    assert refused(stack.call("TidegateProtect", operation, **params))
