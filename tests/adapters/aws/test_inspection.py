"""AwsInspection: what is asked of an account before a release, as whom, and what the answers mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.session import Session

from pipeline.adapters.aws import inspection as module
from pipeline.adapters.aws.inspection import AwsInspection
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import AccessRefused, AccountUnusable, RegionOff, RequestRefused, WrongAccount
from pipeline.model.inspection import (
    AlarmSeen,
    DetectionPart,
    DriftDetection,
    DriftStatus,
    ResourceDrift,
    Room,
)
from pipeline.model.stack import StackStatus
from pipeline.ports import Place
from tests.adapters.aws.places import ELSEWHERE, NOW, PLACE, STACK
from tests.adapters.aws.scripted import ScriptedAws

CFN = "arn:aws:cloudformation:eu-west-1:012345670123"
INNER = f"{CFN}:stack/svc-intake-Inner-1/6c2d8e00-0000-4000-8000-000000000003"
DETECTION = "b78ac9b0-dec1-11e7-a451-503a3EXAMPLE"
ME = {
    "UserId": "AROA:tidegate",
    "Account": "012345670123",
    "Arn": "arn:aws:sts::012345670123:assumed-role/x/y",
}


def deploy(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateDeploy")


def observe(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateObserve")


def inspection(aws: Aws) -> AwsInspection:
    return AwsInspection(aws, deploy, observe)


def listing(*rows: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": logical_id,
                "ResourceType": f"AWS::{kind}",
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": NOW,
            }
            | ({"PhysicalResourceId": physical_id} if physical_id else {})
            for logical_id, kind, physical_id in rows
        ]
    }


# --- reaching it -----------------------------------------------------------------------------------


def test_one_call_as_the_deploying_role_in_the_region_proves_role_account_and_region() -> None:
    aws = ScriptedAws(get_caller_identity=[ME])

    inspection(aws).reach(PLACE)

    (asked,) = aws.asked
    assert (asked.identity, asked.service, asked.region) == (deploy(PLACE), "sts", "eu-west-1")


def test_a_role_that_acts_elsewhere_is_never_believed() -> None:
    aws = ScriptedAws(get_caller_identity=[{**ME, "Account": "999999999999"}])

    with pytest.raises(WrongAccount, match="acts in account 999999999999"):
        inspection(aws).reach(PLACE)


@pytest.mark.parametrize("status", ["DISABLED", "DISABLING", "ENABLING"])
def test_a_region_that_is_not_on_is_told_from_a_role_that_does_not_open(status: str) -> None:
    refused = AccountUnusable("sts get caller identity: InvalidClientTokenId")
    aws = ScriptedAws(
        get_caller_identity=[refused],
        get_region_opt_status=[{"RegionName": "eu-west-1", "RegionOptStatus": status}],
    )

    with pytest.raises(RegionOff, match=f"the Region eu-west-1 is {status} in account 012345670123"):
        inspection(aws).reach(PLACE)

    asked = aws.asked[-1]
    assert (asked.identity, asked.service, asked.region) == (
        Identity(role_arn="arn:aws:iam::012345670123:role/TidegateObserve"),
        "account",
        "us-east-1",
    )


@pytest.mark.parametrize(
    "answer",
    [
        {"RegionName": "eu-west-1", "RegionOptStatus": "ENABLED_BY_DEFAULT"},
        {"RegionName": "eu-west-1", "RegionOptStatus": "ENABLED"},
        AccountUnusable("the account cannot be entered at all"),
        AccessRefused("AccessDenied"),
    ],
)
def test_an_account_that_does_not_open_keeps_its_own_reason(answer: Any) -> None:
    refused = AccountUnusable("sts assume role: AccessDenied")
    aws = ScriptedAws(get_caller_identity=[refused], get_region_opt_status=[answer])

    with pytest.raises(AccountUnusable) as raised:
        inspection(aws).reach(PLACE)
    assert raised.value is refused


# --- drift -----------------------------------------------------------------------------------------


def status(detection: str = "DETECTION_COMPLETE", stack: str = STACK, reason: str = "") -> dict[str, Any]:
    return {
        "StackId": stack,
        "StackDriftDetectionId": DETECTION,
        "DetectionStatus": detection,
        "Timestamp": NOW,
    } | ({"DetectionStatusReason": reason} if reason else {})


def drift(logical_id: str, found: str, *paths: str, at: datetime = NOW, stack: str = STACK) -> dict[str, Any]:
    return {
        "StackId": stack,
        "LogicalResourceId": logical_id,
        "ResourceType": "AWS::DynamoDB::Table",
        "StackResourceDriftStatus": found,
        "Timestamp": at,
        "PropertyDifferences": [
            {"PropertyPath": p, "ExpectedValue": "1", "ActualValue": "s3cret", "DifferenceType": "NOT_EQUAL"}
            for p in paths
        ],
    }


def test_drift_is_detected_once_a_stack_for_what_is_touched_and_by_the_observing_role() -> None:
    aws = ScriptedAws(detect_stack_drift=[{"StackDriftDetectionId": DETECTION}])

    begun = inspection(aws).begin_drift(PLACE, "svc-intake", ("Forms", "Audit", "Forms"))

    part = DetectionPart(stack="svc-intake", prefix="", id=DETECTION, logical_ids=("Audit", "Forms"))
    assert begun == DriftDetection(parts=(part,))
    (asked,) = aws.asked
    assert asked.identity == observe(PLACE)
    assert asked.params == {"StackName": "svc-intake", "LogicalResourceIds": ["Audit", "Forms"]}


def test_resources_of_a_nested_stack_are_compared_in_that_stack() -> None:
    aws = ScriptedAws(
        list_stack_resources=[listing(("Inner", "CloudFormation::Stack", INNER))],
        detect_stack_drift=[{"StackDriftDetectionId": "one"}, {"StackDriftDetectionId": "two"}],
    )

    begun = inspection(aws).begin_drift(PLACE, "svc-intake", ("Inner/Queue", "Form", "Gone/Queue"))

    assert begun == DriftDetection(
        parts=(
            DetectionPart(stack="svc-intake", prefix="", id="one", logical_ids=("Form",)),
            DetectionPart(stack=INNER, prefix="Inner/", id="two", logical_ids=("Queue",)),
        ),
        missing=("Gone/Queue",),
    )


def test_more_than_two_hundred_resources_are_compared_in_portions() -> None:
    aws = ScriptedAws(detect_stack_drift=[{"StackDriftDetectionId": str(n)} for n in range(2)])

    begun = inspection(aws).begin_drift(PLACE, "svc-intake", tuple(f"R{n:03}" for n in range(250)))

    assert [len(part.logical_ids) for part in begun.parts] == [200, 50]


def begun(*logical_ids: str, prefix: str = "", stack: str = "svc-intake") -> DriftDetection:
    part = DetectionPart(stack=stack, prefix=prefix, id=DETECTION, logical_ids=logical_ids)
    return DriftDetection(parts=(part,))


def test_a_detection_under_way_has_no_answer_yet() -> None:
    aws = ScriptedAws(describe_stack_drift_detection_status=[status("DETECTION_IN_PROGRESS")])

    assert inspection(aws).drift(PLACE, begun("Forms")) is None


def test_answers_name_what_differs_and_never_a_value() -> None:
    old = drift("Old", "MODIFIED", at=NOW - timedelta(hours=1))
    pages = [
        {"StackResourceDrifts": [drift("Forms", "MODIFIED", "/BillingMode", "/A"), old], "NextToken": "more"},
        {"StackResourceDrifts": [drift("Audit", "IN_SYNC"), drift("Other", "DELETED")]},
    ]
    aws = ScriptedAws(describe_stack_drift_detection_status=[status()], describe_stack_resource_drifts=pages)

    found = inspection(aws).drift(PLACE, begun("Audit", "Forms", "Old", "Url"))

    table = "AWS::DynamoDB::Table"
    assert found == (
        ResourceDrift(logical_id="Audit", resource_type=table, status=DriftStatus.IN_SYNC),
        ResourceDrift(
            logical_id="Forms",
            resource_type=table,
            status=DriftStatus.MODIFIED,
            properties=("/A", "/BillingMode"),
        ),
        ResourceDrift(logical_id="Old", status=DriftStatus.NOT_CHECKED),
        ResourceDrift(logical_id="Url", status=DriftStatus.NOT_CHECKED),
    )
    assert "s3cret" not in repr(found)
    assert [asked.params.get("NextToken") for asked in aws.asked[1:]] == [None, "more"]


@pytest.mark.parametrize("operation", ["list_stacks", "describe_account_limits"])
def test_what_is_read_page_by_page_can_be_paged(operation: str) -> None:
    client = Session().create_client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    assert client.can_paginate(operation)


def test_what_a_failed_detection_leaves_out_is_unknown_and_not_in_sync() -> None:
    reason = "Failed to detect drift on resources [Key]"
    aws = ScriptedAws(
        describe_stack_drift_detection_status=[status("DETECTION_FAILED", reason=reason)],
        describe_stack_resource_drifts=[{"StackResourceDrifts": [drift("Forms", "IN_SYNC")]}],
    )

    found = inspection(aws).drift(PLACE, begun("Forms", "Key"))

    assert found is not None
    assert [(one.logical_id, one.status, one.reason) for one in found] == [
        ("Forms", DriftStatus.IN_SYNC, ""),
        ("Key", DriftStatus.UNKNOWN, reason),
    ]


def test_a_nested_stacks_answers_carry_the_way_to_it_and_what_is_missing_is_unknown() -> None:
    aws = ScriptedAws(
        describe_stack_drift_detection_status=[status(stack=INNER)],
        describe_stack_resource_drifts=[{"StackResourceDrifts": [drift("Queue", "DELETED", stack=INNER)]}],
    )
    detection = DriftDetection(
        parts=begun("Queue", prefix="Inner/", stack=INNER).parts, missing=("Gone/Queue",)
    )

    found = inspection(aws).drift(PLACE, detection)

    assert found is not None
    assert [(one.logical_id, one.status) for one in found] == [
        ("Gone/Queue", DriftStatus.UNKNOWN),
        ("Inner/Queue", DriftStatus.DELETED),
    ]


def test_a_detection_of_another_account_is_not_believed() -> None:
    aws = ScriptedAws(describe_stack_drift_detection_status=[status(stack=ELSEWHERE)])

    with pytest.raises(WrongAccount):
        inspection(aws).drift(PLACE, begun("Forms"))


def test_the_statuses_of_drift_are_those_of_aws() -> None:
    model = Session().get_service_model("cloudformation")
    assert sorted(DriftStatus) == sorted(model.shape_for("StackResourceDriftStatus").enum)


# --- alarms and quotas -----------------------------------------------------------------------------


def test_every_alarm_is_told_with_its_state_and_one_that_is_gone_without() -> None:
    arn = "arn:aws:cloudwatch:eu-west-1:012345670123:alarm:"
    answer = {
        "MetricAlarms": [{"AlarmName": "a", "AlarmArn": f"{arn}a", "StateValue": "ALARM"}],
        "CompositeAlarms": [{"AlarmName": "b", "AlarmArn": f"{arn}b", "StateValue": "OK"}],
    }
    rows = listing(
        ("A", "CloudWatch::Alarm", "a"),
        ("B", "CloudWatch::CompositeAlarm", "b"),
        ("C", "CloudWatch::Alarm", "gone"),
        ("D", "CloudWatch::Alarm", ""),
        ("Queue", "SQS::Queue", "q"),
    )
    aws = ScriptedAws(list_stack_resources=[rows], describe_alarms=[answer])

    assert inspection(aws).alarms(PLACE, "svc-intake") == (
        AlarmSeen(name="D", state=""),
        AlarmSeen(name="a", state="ALARM"),
        AlarmSeen(name="b", state="OK"),
        AlarmSeen(name="gone", state=""),
    )
    assert {asked.identity for asked in aws.asked} == {observe(PLACE)}


def test_a_stack_without_alarms_costs_no_further_call() -> None:
    aws = ScriptedAws(list_stack_resources=[listing(("Queue", "SQS::Queue", "q"))])

    assert inspection(aws).alarms(PLACE, "svc-intake") == ()
    assert aws.operations() == ["list_stack_resources"]


def summaries(count: int) -> dict[str, Any]:
    one = {
        "StackName": "s",
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "StackStatus": "CREATE_COMPLETE",
    }
    return {"StackSummaries": [one] * count}


def test_room_is_what_aws_grants_this_very_account_over_every_page() -> None:
    limits = [
        {"AccountLimits": [{"Name": "ConcurrentResourcesLimit", "Value": 2500}]},
        {"AccountLimits": [{"Name": "StackLimit", "Value": 5000}]},
    ]
    aws = ScriptedAws(describe_account_limits=[limits], list_stacks=[[summaries(100), summaries(7)]])

    assert inspection(aws).room(PLACE) == Room(stacks=107, limit=5000)
    wanted = frozenset(aws.asked[-1].params["StackStatusFilter"])
    assert wanted == frozenset(StackStatus) - {StackStatus.DELETE_COMPLETE}


def test_a_quota_that_aws_does_not_name_is_not_assumed() -> None:
    aws = ScriptedAws(describe_account_limits=[[{"AccountLimits": []}]])

    with pytest.raises(RequestRefused, match="no StackLimit"):
        inspection(aws).room(PLACE)


def test_what_counts_as_a_stack_is_what_aws_knows_but_for_deleted_ones() -> None:
    model = Session().get_service_model("cloudformation")
    known = set(model.shape_for("StackStatus").enum)
    assert set(module._STANDING) == known - {"DELETE_COMPLETE"}
