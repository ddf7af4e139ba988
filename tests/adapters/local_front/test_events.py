"""Events cross accounts only where the receiving bus's policy admits the sender."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.local_aws import Front

pytestmark = pytest.mark.local_aws


class Buses:
    """A service account whose bus feeds a queue, and a client account whose bus forwards to it."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.service, self.client = front.create_account("service"), front.create_account("client")
        self.at_service, self.at_client = front.assume(self.service), front.assume(self.client)
        organizations = front.client(front.admin(), "organizations")
        self.organization = organizations.describe_organization()["Organization"]["Id"]
        self.bus = f"arn:aws:events:us-east-1:{self.service}:event-bus/service"
        self.sqs = front.client(self.at_service, "sqs")
        self.queue = self.sqs.create_queue(QueueName="events")["QueueUrl"]
        self.cloudformation = front.client(self.at_service, "cloudformation")

    def deploy(self, condition: dict[str, Any]) -> None:
        """The service's bus, its rule, and a policy with this condition, by CloudFormation."""
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "events:PutEvents",
            "Resource": {"Fn::GetAtt": ["Bus", "Arn"]},
            "Condition": condition,
        }
        queue = f"arn:aws:sqs:us-east-1:{self.service}:events"
        properties: dict[str, tuple[str, dict[str, Any]]] = {
            "Bus": ("EventBus", {"Name": "service"}),
            "Policy": (
                "EventBusPolicy",
                {"EventBusName": {"Ref": "Bus"}, "StatementId": "clients", "Statement": statement},
            ),
            "Rule": (
                "Rule",
                {
                    "EventBusName": {"Ref": "Bus"},
                    "EventPattern": {"source": ["intake"]},
                    "Targets": [{"Id": "queue", "Arn": queue}],
                },
            ),
        }
        resources = {
            name: {"Type": f"AWS::Events::{kind}", "Properties": value}
            for name, (kind, value) in properties.items()
        }
        exists = bool(
            self.cloudformation.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])[
                "StackSummaries"
            ]
        )
        change = self.cloudformation.update_stack if exists else self.cloudformation.create_stack
        change(StackName="tg-bus", TemplateBody=json.dumps({"Resources": resources}))
        deadline = time.monotonic() + 10
        while True:
            found = self.cloudformation.describe_stacks(StackName="tg-bus")["Stacks"][0]["StackStatus"]
            if not found.endswith("_IN_PROGRESS"):
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert found in ("CREATE_COMPLETE", "UPDATE_COMPLETE")

    def send(self, bus: str, detail: str) -> dict[str, Any]:
        events = self.front.client(self.at_client, "events")
        entry = {
            "Source": "intake",
            "DetailType": "form",
            "Detail": json.dumps({"id": detail}),
            "EventBusName": bus,
        }
        return dict(events.put_events(Entries=[entry])["Entries"][0])

    def received(self) -> list[tuple[str, str]]:
        """(sending account, id) of what the queue holds; empties it."""
        messages = self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
        ).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        bodies = [json.loads(message["Body"]) for message in messages]
        return [(body["account"], body["detail"]["id"]) for body in bodies]


def test_a_bus_takes_events_of_the_accounts_that_its_policy_admits(front: Front) -> None:
    buses = Buses(front)
    buses.deploy({"StringEquals": {"aws:PrincipalOrgID": "o-0000000000"}})
    events = front.client(buses.at_client, "events")
    events.create_event_bus(Name="client")
    events.put_rule(Name="forward", EventBusName="client", EventPattern=json.dumps({"source": ["intake"]}))
    trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = front.client(buses.at_client, "iam").create_role(
        RoleName="forward", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
    )["Role"]["Arn"]
    target = {"Id": "service", "Arn": buses.bus, "RoleArn": role}
    events.put_targets(Rule="forward", EventBusName="client", Targets=[target])

    assert buses.send(buses.bus, "refused")["ErrorCode"] == "NotAuthorizedException"
    assert "EventId" in buses.send("client", "not forwarded")
    assert buses.received() == []

    buses.deploy({"StringEquals": {"aws:PrincipalOrgID": buses.organization}})
    assert "EventId" in buses.send(buses.bus, "direct")
    assert "EventId" in buses.send("client", "forwarded")
    assert sorted(buses.received()) == [(buses.client, "direct"), (buses.client, "forwarded")]
