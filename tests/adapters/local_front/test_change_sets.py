"""CloudFormation as the engine relies on it: change sets, tokens, rollbacks, what a late runner finds."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
import zipfile
from typing import Any

import pytest

from tests.local_aws import Front, error_of

pytestmark = pytest.mark.local_aws


def _template(value: str, **resources: Any) -> str:
    mark = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {
            "Type": "String",
            "Name": {"Fn::Sub": "/tidegate/${AWS::StackName}/release"},
            "Value": value,
        },
    }
    document = {"Resources": {"Mark": mark, **resources}, "Outputs": {"Release": {"Value": value}}}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


_SICK = {
    "Type": "AWS::SQS::Queue",
    "DependsOn": ["Mark"],
    "Properties": {"VisibilityTimeout": 999_999},
}


class Stack:
    """One stack of a member account, driven by change sets only."""

    def __init__(self, front: Front, account: str) -> None:
        self.cloudformation = front.client(front.assume(account), "cloudformation")
        self.name = f"s{time.time_ns()}"
        self.arn = ""

    def make(self, name: str, template: str, kind: str = "UPDATE", **more: Any) -> str:
        made = self.cloudformation.create_change_set(
            StackName=self.name, ChangeSetName=name, ChangeSetType=kind, TemplateBody=template, **more
        )
        self.arn = made["StackId"]
        return str(made["Id"])

    def execute(self, name: str) -> str:
        return error_of(
            self.cloudformation.execute_change_set,
            StackName=self.arn,
            ChangeSetName=name,
            ClientRequestToken=name,
        )

    def describe(self, name: str) -> dict[str, Any]:
        return dict(self.cloudformation.describe_change_set(StackName=self.arn, ChangeSetName=name))

    def settled(self) -> dict[str, Any]:
        deadline = time.monotonic() + 20
        while True:
            found = self.cloudformation.describe_stacks(StackName=self.arn)["Stacks"][0]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return dict(found)
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def deploy(self, name: str, template: str, kind: str = "UPDATE", **more: Any) -> str:
        self.make(name, template, kind, **more)
        assert self.execute(name) == "OK"
        return str(self.settled()["StackStatus"])


@pytest.fixture(scope="module")
def account(front: Front) -> str:
    return front.create_account("stacks")


@pytest.fixture
def stack(front: Front, account: str) -> Stack:
    return Stack(front, account)


@pytest.fixture
def deployed(stack: Stack) -> Stack:
    assert stack.deploy("tg-1", _template("1.0.0"), "CREATE", OnStackFailure="DELETE") == "CREATE_COMPLETE"
    return stack


def test_every_event_of_an_execution_carries_its_token(deployed: Stack) -> None:
    assert deployed.deploy("tg-2", _template("2.0.0")) == "UPDATE_COMPLETE"
    events = deployed.cloudformation.describe_stack_events(StackName=deployed.arn)["StackEvents"]
    tokens = {(event["ResourceStatus"], event.get("ClientRequestToken")) for event in events}
    assert tokens == {
        ("REVIEW_IN_PROGRESS", None),
        ("CREATE_IN_PROGRESS", "tg-1"),
        ("CREATE_COMPLETE", "tg-1"),
        ("UPDATE_IN_PROGRESS", "tg-2"),
        ("UPDATE_COMPLETE", "tg-2"),
    }


def test_a_change_set_is_executed_once(deployed: Stack) -> None:
    assert deployed.execute("tg-1") == "InvalidChangeSetStatus"


def test_an_execution_drops_every_other_change_set_of_the_stack(deployed: Stack) -> None:
    late = deployed.make("tg-late", _template("2.0.0"))
    assert deployed.deploy("tg-2", _template("2.0.0")) == "UPDATE_COMPLETE"
    assert deployed.execute("tg-late") == "ChangeSetNotFound"
    assert error_of(deployed.cloudformation.describe_change_set, ChangeSetName=late) == "ChangeSetNotFound"


def test_two_first_change_sets_share_one_stack_and_only_one_is_executed(stack: Stack) -> None:
    stack.make("tg-a", _template("1.0.0"), "CREATE")
    first = stack.arn
    stack.make("tg-b", _template("1.0.1"), "CREATE")
    assert stack.arn == first
    listed = stack.cloudformation.list_change_sets(StackName=stack.arn)["Summaries"]
    assert {(found["ChangeSetName"], found["ExecutionStatus"]) for found in listed} == {
        ("tg-a", "AVAILABLE"),
        ("tg-b", "AVAILABLE"),
    }
    assert stack.execute("tg-a") == "OK"
    assert stack.settled()["Outputs"][0]["OutputValue"] == "1.0.0"
    assert stack.execute("tg-b") == "ChangeSetNotFound"


def test_a_change_set_is_obsolete_when_the_stack_moved_by_other_means(deployed: Stack) -> None:
    deployed.make("tg-2", _template("2.0.0"))
    deployed.cloudformation.update_stack(StackName=deployed.name, TemplateBody=_template("1.5.0"))
    assert deployed.settled()["StackStatus"] == "UPDATE_COMPLETE"
    assert deployed.describe("tg-2")["ExecutionStatus"] == "OBSOLETE"
    assert deployed.execute("tg-2") == "InvalidChangeSetStatus"
    assert deployed.settled()["Outputs"][0]["OutputValue"] == "1.5.0"


def test_a_busy_stack_takes_no_change_set(stack: Stack) -> None:
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    wait = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "2", "Count": 1},
    }
    slow = _template("1.0.0", Handle=handle, Wait=wait)
    stack.make("tg-1", slow, "CREATE")
    stack.make("tg-2", slow, "CREATE")
    assert stack.execute("tg-1") == "OK"
    answer = error_of(stack.make, "tg-3", _template("2.0.0"))
    assert (answer, stack.execute("tg-2")) == ("ValidationError", "ChangeSetNotFound")
    assert stack.execute("tg-1") == "InvalidChangeSetStatus"
    assert stack.settled()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert error_of(stack.make, "tg-4", _template("2.0.0")) == "ValidationError"


def test_asking_again_with_the_same_token_answers_with_the_same_change_set(deployed: Stack) -> None:
    made = deployed.make("tg-2", _template("2.0.0"), ClientToken="tg-2")
    assert deployed.make("tg-2", _template("2.0.0"), ClientToken="tg-2") == made
    assert (
        error_of(deployed.make, "tg-2", _template("2.0.0"), ClientToken="other") == "AlreadyExistsException"
    )


def test_a_token_of_an_earlier_execution_is_refused(deployed: Stack) -> None:
    deployed.make("tg-2", _template("2.0.0"))
    answer = error_of(
        deployed.cloudformation.execute_change_set,
        StackName=deployed.arn,
        ChangeSetName="tg-2",
        ClientRequestToken="tg-1",
    )
    assert answer == "TokenAlreadyExistsException"


def test_an_existing_stack_is_not_created_again(deployed: Stack) -> None:
    assert error_of(deployed.make, "tg-2", _template("2.0.0"), "CREATE") == "ValidationError"


def test_no_change_is_a_failed_change_set(deployed: Stack) -> None:
    deployed.make("tg-2", _template("1.0.0"))
    found = deployed.describe("tg-2")
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert found["StatusReason"].startswith("The submitted information didn't contain changes.")


def test_a_change_set_tells_what_it_replaces(deployed: Stack) -> None:
    properties: dict[str, Any] = {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    table = {"Type": "AWS::DynamoDB::Table", "Properties": properties}
    assert deployed.deploy("tg-2", _template("2.0.0", Table=table)) == "UPDATE_COMPLETE"
    properties["TableName"] = f"renamed-{deployed.name}"
    deployed.make("tg-3", _template("2.0.0", Table=table))
    changes = [change["ResourceChange"] for change in deployed.describe("tg-3")["Changes"]]
    assert [(change["LogicalResourceId"], change["Action"], change["Replacement"]) for change in changes] == [
        ("Table", "Modify", "True")
    ]


def test_a_failed_first_creation_is_deleted_and_stays_readable_by_its_arn(stack: Stack) -> None:
    sick = _template("1.0.0", Sick=_SICK)
    assert stack.deploy("tg-1", sick, "CREATE", OnStackFailure="DELETE") == "DELETE_COMPLETE"
    dead = stack.arn
    assert error_of(stack.cloudformation.describe_stacks, StackName=stack.name) == "ValidationError"
    assert stack.deploy("tg-2", _template("1.0.1"), "CREATE") == "CREATE_COMPLETE"
    assert stack.arn != dead
    found = stack.cloudformation.describe_stacks(StackName=dead)["Stacks"][0]
    assert found["StackStatus"] == "DELETE_COMPLETE"
    reasons = [
        event["LogicalResourceId"]
        for event in stack.cloudformation.describe_stack_events(StackName=dead)["StackEvents"]
        if event["ResourceStatus"] == "CREATE_FAILED"
    ]
    assert reasons == ["Sick"]


def test_a_failed_update_puts_mark_and_output_back(front: Front, account: str, deployed: Stack) -> None:
    assert deployed.deploy("tg-2", _template("2.0.0", Sick=_SICK)) == "UPDATE_ROLLBACK_COMPLETE"
    assert deployed.settled()["Outputs"][0]["OutputValue"] == "1.0.0"
    ssm = front.client(front.assume(account), "ssm")
    mark = ssm.get_parameter(Name=f"/tidegate/{deployed.name}/release")["Parameter"]
    assert mark["Value"] == "1.0.0"
    assert deployed.deploy("tg-3", _template("3.0.0")) == "UPDATE_COMPLETE"


def test_the_submitted_template_comes_back(deployed: Stack) -> None:
    found = deployed.cloudformation.get_template(StackName=deployed.arn, TemplateStage="Original")
    body = found["TemplateBody"]
    text = body if isinstance(body, str) else json.dumps(body, sort_keys=True, separators=(",", ":"))
    assert text == _template("1.0.0")


def test_regions_know_nothing_of_each_other(front: Front, account: str, deployed: Stack) -> None:
    elsewhere = front.client(front.assume(account), "cloudformation", region="eu-west-1")
    assert error_of(elsewhere.describe_stacks, StackName=deployed.name) == "ValidationError"


def test_a_function_has_the_digest_of_its_package(front: Front, account: str, stack: Stack) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return {'statusCode': 200}\n")
    session = front.assume(account)
    bucket = f"code-{time.time_ns()}"
    s3 = front.client(session, "s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="code.zip", Body=packed.getvalue())
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    resources = {
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
                "Code": {"S3Bucket": bucket, "S3Key": "code.zip"},
            },
        },
    }
    status = stack.deploy("tg-1", _template("1.0.0", **resources), "CREATE", Capabilities=["CAPABILITY_IAM"])
    assert status == "CREATE_COMPLETE"
    name = stack.cloudformation.describe_stack_resource(StackName=stack.arn, LogicalResourceId="Function")
    found = front.client(session, "lambda").get_function_configuration(
        FunctionName=name["StackResourceDetail"]["PhysicalResourceId"]
    )
    digest = base64.b64encode(hashlib.sha256(packed.getvalue()).digest()).decode()
    assert found["CodeSha256"] == digest
