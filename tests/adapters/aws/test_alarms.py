"""CloudWatchAlarms: which alarms are read, and what their states mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.adapters.aws.alarms import CloudWatchAlarms
from pipeline.adapters.aws.reach import Reach
from pipeline.adapters.aws.resources import StackResources
from pipeline.adapters.aws.session import Identity
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.errors import WrongAccount
from pipeline.model.ids import AccountId
from pipeline.ports import HealthReading, Place
from tests.adapters.aws.scripted import ScriptedAws

PLACE = Place(AccountId("012345670123"), "us-east-1")
STACK = "arn:aws:cloudformation:us-east-1:012345670123:stack/svc-intake/5b1c7d00"
INNER = "arn:aws:cloudformation:us-east-1:012345670123:stack/svc-intake-Inner-1/6c2d8e00"


def identity_of(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateDeploy")


def listing(*rows: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": logical_id,
                "ResourceType": f"AWS::{kind}",
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": datetime(2026, 11, 23, tzinfo=UTC),
            }
            | ({"PhysicalResourceId": physical_id} if physical_id else {})
            for logical_id, kind, physical_id in rows
        ]
    }


def alarm(name: str, state: str, account: str = "012345670123") -> dict[str, Any]:
    arn = f"arn:aws:cloudwatch:us-east-1:{account}:alarm:{name}"
    return {"AlarmName": name, "AlarmArn": arn, "StateValue": state}


TWO = listing(("Errors", "CloudWatch::Alarm", "a"), ("All", "CloudWatch::CompositeAlarm", "b"))


def answer(*metric: dict[str, Any], composite: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"MetricAlarms": list(metric), "CompositeAlarms": list(composite)}


def test_metric_and_composite_alarms_are_read_over_all_pages() -> None:
    pages = [answer(alarm("a", "OK")), answer(composite=(alarm("b", "OK"),))]
    aws = ScriptedAws(list_stack_resources=[TWO], describe_alarms=[pages])

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")

    assert reading == HealthReading(healthy=True, readable=True, reason="2 alarms are OK")
    assert aws.asked[1].params == {
        "AlarmNames": ["a", "b"],
        "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("ALARM", HealthReading(healthy=False, readable=True, reason="in ALARM: b")),
        (
            "INSUFFICIENT_DATA",
            HealthReading(healthy=False, readable=False, reason="no alarm state: b is INSUFFICIENT_DATA"),
        ),
    ],
)
def test_one_alarm_that_is_not_ok_decides(state: str, expected: HealthReading) -> None:
    found = answer(alarm("a", "OK"), composite=(alarm("b", state),))
    aws = ScriptedAws(list_stack_resources=[TWO], describe_alarms=[found])

    assert CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake") == expected
    assert aws.operations() == ["list_stack_resources", "describe_alarms"]


def test_an_alarm_that_the_answer_lacks_is_looked_for_once_more_and_then_not_readable() -> None:
    found = answer(alarm("a", "OK"))
    aws = ScriptedAws(list_stack_resources=[TWO, TWO], describe_alarms=[found, found])

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")

    assert reading == HealthReading(healthy=False, readable=False, reason="no alarm state: b is not there")


def test_no_alarm_at_all_is_healthy_and_costs_no_further_call() -> None:
    aws = ScriptedAws(list_stack_resources=[listing(("Queue", "SQS::Queue", "q"))])

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")

    assert reading == HealthReading(healthy=True, readable=True, reason="no alarms")


def test_an_alarm_that_was_never_made_is_not_readable() -> None:
    aws = ScriptedAws(list_stack_resources=[listing(("Errors", "CloudWatch::Alarm", ""))])

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")

    assert reading == HealthReading(
        healthy=False, readable=False, reason="no alarm state: Errors has not been made"
    )


def test_alarms_of_nested_stacks_count() -> None:
    aws = ScriptedAws(
        list_stack_resources=[
            listing(("Inner", "CloudFormation::Stack", INNER)),
            listing(("Errors", "CloudWatch::Alarm", "deep")),
        ],
        describe_alarms=[answer(alarm("deep", "ALARM"))],
    )

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")

    assert reading == HealthReading(healthy=False, readable=True, reason="in ALARM: deep")


def test_more_than_a_hundred_alarms_are_asked_for_in_portions() -> None:
    names = [f"a{n:03}" for n in range(150)]
    aws = ScriptedAws(
        list_stack_resources=[listing(*((n, "CloudWatch::Alarm", n) for n in names))],
        describe_alarms=[
            answer(*(alarm(n, "OK") for n in names[:100])),
            answer(*(alarm(n, "OK") for n in names[100:])),
        ],
    )

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")

    assert reading == HealthReading(healthy=True, readable=True, reason="150 alarms are OK")
    assert [len(a.params["AlarmNames"]) for a in aws.asked[1:]] == [100, 50]


def test_an_alarm_of_another_account_is_refused() -> None:
    aws = ScriptedAws(
        list_stack_resources=[TWO], describe_alarms=[answer(alarm("a", "OK", account="999999999999"))]
    )

    with pytest.raises(WrongAccount):
        CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake")


def test_the_list_made_for_the_code_serves_the_alarms_until_the_stack_is_changed() -> None:
    ok = answer(alarm("a", "OK"), composite=(alarm("b", "OK"),))
    aws = ScriptedAws(list_stack_resources=[TWO, TWO], describe_alarms=[ok, ok], execute_change_set=[{}])
    shared = StackResources(Reach(aws, identity_of))
    stacks = CloudFormationStacks(aws, identity_of, bucket_prefix="b", resources=shared)
    alarms = CloudWatchAlarms(aws, identity_of, shared)

    stacks.function_digests(PLACE, STACK, ("Form",))
    alarms.read(PLACE, "svc-intake")
    stacks.execute_change_set(PLACE, STACK, "tg-1", "token")
    alarms.read(PLACE, "svc-intake")

    assert aws.operations() == [
        "list_stack_resources",
        "describe_alarms",
        "execute_change_set",
        "list_stack_resources",
        "describe_alarms",
    ]


def test_states_are_told_by_name_and_what_is_not_there_is_empty() -> None:
    three = listing(
        ("Errors", "CloudWatch::Alarm", "a"),
        ("All", "CloudWatch::CompositeAlarm", "b"),
        ("Late", "CloudWatch::Alarm", ""),
    )
    aws = ScriptedAws(
        list_stack_resources=[three, three],
        describe_alarms=[answer(alarm("a", "ALARM")), answer(alarm("a", "ALARM"))],
    )

    assert CloudWatchAlarms(aws, identity_of).states(PLACE, "svc-intake") == {
        "a": "ALARM",
        "b": "",
        "Late": "",
    }


def test_an_ignored_alarm_does_not_count_whatever_its_state() -> None:
    for state in ("ALARM", "INSUFFICIENT_DATA"):
        found = answer(alarm("a", state), composite=(alarm("b", "OK"),))
        aws = ScriptedAws(list_stack_resources=[TWO], describe_alarms=[found])

        reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake", ("a",))

        assert reading == HealthReading(healthy=True, readable=True, reason="1 alarms are OK")


def test_an_ignored_alarm_hides_no_other() -> None:
    found = answer(alarm("a", "ALARM"), composite=(alarm("b", "ALARM"),))
    aws = ScriptedAws(list_stack_resources=[TWO], describe_alarms=[found])

    reading = CloudWatchAlarms(aws, identity_of).read(PLACE, "svc-intake", ("a",))

    assert reading == HealthReading(healthy=False, readable=True, reason="in ALARM: b")
