"""CloudFormationCleaner: stacks of services only, in the planned account only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.adapters.aws.cleaner import CloudFormationCleaner
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import WrongAccount
from pipeline.model.ids import AccountId
from pipeline.model.stack import StackSnapshot, StackStatus
from pipeline.ports import Place
from tests.adapters.aws.scripted import ScriptedAws

ACCOUNT = AccountId("012345670123")
PLACE = Place(ACCOUNT, "eu-west-1")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
CFN = f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack"
STACK = f"{CFN}/svc-intake/5b1c7d00-0000-4000-8000-000000000001"


def identity_of(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateClean", external_id="x1")


def cleaner(aws: Aws) -> CloudFormationCleaner:
    return CloudFormationCleaner(aws, identity_of, "us-east-1")


def row(stack_id: str, status: str = "CREATE_COMPLETE", **more: Any) -> dict[str, Any]:
    name = stack_id.split("/")[1]
    return {"StackId": stack_id, "StackName": name, "CreationTime": NOW, "StackStatus": status} | more


def test_only_stacks_of_services_are_listed_and_nested_ones_are_left_to_their_parents() -> None:
    own, nested = f"{CFN}/tidegate-test/1", f"{CFN}/svc-intake-Inner-1/2"
    pages = [
        {"StackSummaries": [row(own), row(nested, ParentId=STACK, RootId=STACK)]},
        {"StackSummaries": [row(STACK, "ROLLBACK_FAILED"), row(f"{CFN}/other/3")]},
    ]
    aws = ScriptedAws(list_stacks=[pages])

    assert cleaner(aws).stacks(PLACE) == (StackSnapshot(stack_id=STACK, status=StackStatus.ROLLBACK_FAILED),)
    assert "DELETE_COMPLETE" not in aws.asked[0].params["StackStatusFilter"]
    assert aws.asked[0].identity == identity_of(PLACE)


def test_a_stack_of_another_account_is_neither_listed_nor_deleted() -> None:
    elsewhere = STACK.replace(ACCOUNT, "999999999999")
    aws = ScriptedAws(list_stacks=[[{"StackSummaries": [row(elsewhere)]}]], delete_stack=[])

    with pytest.raises(WrongAccount):
        cleaner(aws).stacks(PLACE)
    with pytest.raises(WrongAccount):
        cleaner(aws).delete(PLACE, elsewhere)
    with pytest.raises(WrongAccount):
        cleaner(aws).delete(Place(ACCOUNT, "us-east-1"), STACK)
    assert aws.operations() == ["list_stacks"]


def test_a_stack_is_deleted_by_its_id_with_nothing_forced() -> None:
    aws = ScriptedAws(delete_stack=[{}])
    cleaner(aws).delete(PLACE, STACK)

    assert [(a.operation, a.params) for a in aws.asked] == [("delete_stack", {"StackName": STACK})]


def test_what_the_deletion_kept_is_told_once_each() -> None:
    def event(status: str, kind: str, physical: str) -> dict[str, Any]:
        return {
            "StackId": STACK,
            "EventId": f"{status}-{physical}",
            "StackName": "svc-intake",
            "Timestamp": NOW,
            "ResourceStatus": status,
            "ResourceType": kind,
            "PhysicalResourceId": physical,
        }

    pages = [
        {"StackEvents": [event("DELETE_SKIPPED", "AWS::KMS::Key", "k1")]},
        {
            "StackEvents": [
                event("DELETE_SKIPPED", "AWS::KMS::Key", "k1"),
                event("DELETE_COMPLETE", "AWS::SQS::Queue", "q1"),
                event("DELETE_SKIPPED", "AWS::DynamoDB::Table", "t1"),
            ]
        },
    ]

    assert cleaner(ScriptedAws(describe_stack_events=[pages])).kept(PLACE, STACK) == (
        "AWS::DynamoDB::Table t1",
        "AWS::KMS::Key k1",
    )


def test_the_caller_is_what_sts_says_of_the_very_session_that_deletes() -> None:
    caller = {
        "Account": ACCOUNT,
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/TidegateClean/tidegate",
        "UserId": "x",
    }

    class Told(ScriptedAws):
        def caller(self, identity: Identity) -> tuple[AccountId, str]:
            answer = self.call(identity, "sts", "us-east-1", "get_caller_identity")
            return AccountId(answer["Account"]), str(answer["Arn"])

    aws = Told(get_caller_identity=[caller])

    assert cleaner(aws).caller(ACCOUNT) == ACCOUNT
    assert aws.asked[0].identity == identity_of(PLACE)
