"""BootstrapStacks: Tidegate's own stacks through change sets, their templates inside the request."""

from __future__ import annotations

import pytest

from pipeline.adapters.aws.bootstrap_stacks import BootstrapStacks
from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import RequestRefused, StackBusy, WrongAccount
from pipeline.model.ids import AccountId
from pipeline.ports import OwnStack, Place
from tests.adapters.aws.scripted import ScriptedAws

ACCOUNT = AccountId("012345670123")
PLACE = Place(ACCOUNT, "us-east-1")
CFN = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}"
STACK = f"{CFN}:stack/tidegate-target/5b1c7d00-0000-4000-8000-000000000001"
CHANGE_SET = f"{CFN}:changeSet/tg-1/5b1c7d00-0000-4000-8000-000000000002"
REQUEST = OwnStack(
    place=PLACE, stack="tidegate-target", template="Resources: {}", parameters=(("ExternalId", "secret"),)
)


def identity_of(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/OrganizationAccountAccessRole")


def stacks(aws: Aws) -> BootstrapStacks:
    return BootstrapStacks(aws, identity_of)


def refusal(message: str) -> AwsRefused:
    return AwsRefused.of(f"cloudformation: {message}", "ValidationError", message, ())


def test_a_first_creation_clears_itself_away_where_it_fails() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])

    assert stacks(aws).propose(REQUEST, "tg-1", creating=True) == (CHANGE_SET, STACK)
    assert aws.asked[0].identity == identity_of(PLACE)
    assert aws.asked[0].params == {
        "StackName": "tidegate-target",
        "ChangeSetName": "tg-1",
        "ClientToken": "tg-1",
        "ChangeSetType": "CREATE",
        "TemplateBody": "Resources: {}",
        "Parameters": [{"ParameterKey": "ExternalId", "ParameterValue": "secret"}],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Tags": [{"Key": "tidegate:managed-by", "Value": "tidegate"}],
        "OnStackFailure": "DELETE",
    }


def test_an_update_never_deletes() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])
    stacks(aws).propose(REQUEST, "tg-1", creating=False)

    assert aws.asked[0].params["ChangeSetType"] == "UPDATE"
    assert "OnStackFailure" not in aws.asked[0].params


def test_a_change_set_that_came_about_elsewhere_is_noticed() -> None:
    aws = ScriptedAws(
        create_change_set=[{"Id": CHANGE_SET.replace(ACCOUNT, "999999999999"), "StackId": STACK}]
    )

    with pytest.raises(WrongAccount):
        stacks(aws).propose(REQUEST, "tg-1", creating=True)


def test_a_busy_stack_is_told_apart_from_a_bad_request() -> None:
    busy = refusal(f"Stack:{STACK} is in UPDATE_IN_PROGRESS state and can not be updated.")
    aws = ScriptedAws(create_change_set=[busy, refusal("Template format error")])

    with pytest.raises(StackBusy):
        stacks(aws).propose(REQUEST, "tg-1", creating=False)
    with pytest.raises(RequestRefused, match="Template format error"):
        stacks(aws).propose(REQUEST, "tg-1", creating=False)


def test_a_stack_that_does_not_exist_is_none() -> None:
    aws = ScriptedAws(describe_stacks=[refusal("Stack with id tidegate-target does not exist")])

    assert stacks(aws).describe(PLACE, "tidegate-target") is None
