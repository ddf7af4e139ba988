"""Who may set a stack policy or termination protection, and who may never take one away."""

from __future__ import annotations

import pytest

from pipeline.cloudformation import Template
from tests.cloudformation.policies import ACCOUNT, TOOLS, allows, resolved, role_statements, trust

_STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/svc-intake/5b1c7d00"
_OTHER = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/tidegate-target/5b1c7d00"
_ADDRESS = f"https://s3.us-east-1.amazonaws.com/tidegate-artifacts-{TOOLS}-us-east-1/sha256/00"
_ELSEWHERE = "https://s3.us-east-1.amazonaws.com/somebody-elses-bucket/sha256/00"
_SET = "cloudformation:SetStackPolicy"
_TERMINATION = "cloudformation:UpdateTerminationProtection"


def test_the_protect_role_sets_policies_that_are_artifacts_and_no_others() -> None:
    statements = role_statements(Template.TARGET, "Protect")

    assert allows(statements, _SET, _STACK, cloudformation__stackpolicyurl=_ADDRESS)
    assert not allows(statements, _SET, _STACK, cloudformation__stackpolicyurl=_ELSEWHERE)
    assert not allows(statements, _SET, _STACK)
    assert not allows(statements, _SET, _OTHER, cloudformation__stackpolicyurl=_ADDRESS)
    assert allows(statements, _TERMINATION, _STACK)
    assert not allows(statements, _TERMINATION, _OTHER)


@pytest.mark.parametrize(
    "action",
    [
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:UpdateStack",
        "iam:PassRole",
        "kms:Decrypt",
        "s3:PutObject",
        "sts:AssumeRole",
    ],
)
def test_the_protect_role_can_do_nothing_else(action: str) -> None:
    assert not allows(role_statements(Template.TARGET, "Protect"), action, _STACK)


def test_the_protect_role_opens_with_the_accounts_external_id_alone() -> None:
    (statement,) = trust(Template.TARGET, "Protect")

    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{TOOLS}:role/TidegatePromote"}
    assert statement["Condition"] == {
        "StringEquals": {
            "sts:ExternalId": "external-id-of-this-account",
            "aws:PrincipalOrgID": "o-aaaaaaaaaa",
        }
    }


@pytest.mark.parametrize("template", [Template.TARGET, Template.TEST])
def test_the_engines_own_role_can_set_neither(template: Template) -> None:
    statements = role_statements(template, "Deploy")

    assert not allows(statements, _SET, _STACK, cloudformation__stackpolicyurl=_ADDRESS)
    assert not allows(statements, _TERMINATION, _STACK)


def test_only_the_persons_role_can_take_either_away_by_hand() -> None:
    assert allows(role_statements(Template.TARGET, "Repair"), _SET, _STACK)
    assert allows(role_statements(Template.TARGET, "Repair"), _TERMINATION, _STACK)


def test_stacks_in_test_accounts_are_never_protected_because_they_have_to_be_cleaned() -> None:
    names = {
        resource["Properties"].get("RoleName")
        for resource in resolved(Template.TEST).values()
        if resource["Type"] == "AWS::IAM::Role"
    }

    assert "TidegateProtect" not in names
