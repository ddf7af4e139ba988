"""The contracts of Stacks, Alarms and Smoke on the local AWS: boto3 over the wire, one account, real change sets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.adapters.aws.alarms import CloudWatchAlarms
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.adapters.aws.smoke import LambdaSmoke
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.adapters.local.front import process
from pipeline.adapters.simulated.organizations import DEFAULT_ROLE_NAME
from pipeline.decide.template import template_digest
from pipeline.model.canonical import canonical
from pipeline.model.ids import AccountId, Digest
from pipeline.model.release import artifact_key
from pipeline.model.stack import OUTPUT_OF_MARK
from pipeline.ports import Place
from tests import local_aws
from tests.contract.cloud_bed import TABLE, Bed
from tests.contract.stacks_contract import StacksContract
from tests.contract.watching_contract import AlarmsContract, SmokeContract
from tests.local_aws import Front

pytestmark = pytest.mark.local_aws
front = local_aws.front

_REGION = "us-east-1"
_BUCKET = "tidegate-contract"
_ANSWERS = {
    "well": "return {'healthy': True, 'asked': event['tidegate']['check']}",
    "ill": "return {'healthy': False, 'reason': 'no forms'}",
    "raises": 'raise ValueError("a client\'s secret")',
    "odd": "return ['yes']",
}
_SWITCH = """
import json, urllib.request
STUCK = {stuck}
def handler(event, context):
    back = event['RequestType'] == 'Update' and event['OldResourceProperties'].get('Mode') == 'later'
    answer = dict(Status='FAILED' if back and STUCK else 'SUCCESS', Reason='cannot be put back',
        PhysicalResourceId='switch', StackId=event['StackId'], RequestId=event['RequestId'],
        LogicalResourceId=event['LogicalResourceId'])
    data = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event['ResponseURL'], data=data, method='PUT'))
"""


def _function(body: str, role: str) -> dict[str, Any]:
    code = {"ZipFile": body}
    properties = {
        "Handler": "index.handler",
        "Runtime": "python3.11",
        "Role": role,
        "Code": code,
        "Timeout": 10,
    }
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def _queue(seconds: int, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": seconds}, **more}


def _alarm(name: str) -> dict[str, Any]:
    """Whose state stays as it was set."""
    properties = {
        "AlarmName": {"Fn::Sub": f"${{AWS::StackName}}-{name}"},
        "Namespace": "Contract",
        "MetricName": name,
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "ignore",
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def _mark(text: str) -> dict[str, Any]:
    name = {"Fn::Sub": "/tidegate/${AWS::StackName}/release"}
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Name": name, "Value": text}}


class LocalBed(Bed):
    """One member account, entered as OrganizationAccountAccessRole: what roles may do is tested elsewhere."""

    def __init__(self, front: Front, aws: Aws) -> None:
        self._front = front
        self._account = front.create_account("contract")
        self._session = front.assume(self._account)
        self.place = Place(AccountId(self._account), _REGION)
        self.lacks = {
            "deleted by id only": "the local AWS gives events of a deleted stack by its name as well",
            "alarm all": "the local AWS makes no AWS::CloudWatch::CompositeAlarm",
        }
        self.stacks = CloudFormationStacks(aws, self._identity, bucket_prefix=_BUCKET)
        self.alarms = CloudWatchAlarms(aws, self._identity)
        self.smoke = LambdaSmoke(aws, self._identity)
        self._role = self._make_role()
        self._digests: dict[str, Digest] = {}
        self._smoking = ""
        self._client("s3").create_bucket(Bucket=f"{_BUCKET}-{_REGION}")
        self._switch = self._make_switch()
        for kind in ("one", "two", "three", "sick", "stuck-one", "stuck", "table", "import", "smoke"):
            self._store(kind)

    def _identity(self, place: Place) -> Identity:
        """With an external id, as every client's role has one; this role does not ask for it."""
        return Identity(
            role_arn=f"arn:aws:iam::{place.account}:role/{DEFAULT_ROLE_NAME}", external_id="contract"
        )

    def _client(self, service: str) -> Any:
        return self._front.client(self._session, service)

    def _make_role(self) -> str:
        services = ["cloudformation.amazonaws.com", "lambda.amazonaws.com"]
        trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        made = self._client("iam").create_role(
            RoleName="TidegateExecution", AssumeRolePolicyDocument=document
        )
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        self._client("iam").put_role_policy(
            RoleName="TidegateExecution",
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
        )
        return str(made["Role"]["Arn"])

    def _make_switch(self) -> str:
        made = self._client("lambda").create_function(
            FunctionName="switch",
            Runtime="python3.11",
            Handler="index.handler",
            Role=self._role,
            Code={"ZipFile": _zipped(_SWITCH.format(stuck=True))},
        )
        return str(made["FunctionArn"])

    def _set_switch(self, *, stuck: bool) -> None:
        code = _zipped(_SWITCH.format(stuck=stuck))
        self._client("lambda").update_function_code(FunctionName="switch", ZipFile=code)

    def _store(self, kind: str) -> None:
        document = self._document(kind)
        body = canonical(document)
        name = template_digest(body.decode())
        self._client("s3").put_object(Bucket=f"{_BUCKET}-{_REGION}", Key=artifact_key(name), Body=body)
        self._digests[kind] = name

    def _document(self, kind: str) -> dict[str, Any]:
        version = {"import": "one", "table": "two", "stuck-one": "one", "smoke": "one"}.get(kind, kind)
        number = {"one": 1, "two": 2, "three": 3}.get(version, 4)
        mark = f"contract@{version} sha256:{number:064x} commit"
        resources = {
            "Form": _function(f"def handler(event, context):\n    return {number}\n", self._role),
            "Queue": _queue(30 + number),
            "Mark": _mark(mark),
            "Errors": _alarm("errors"),
            "Slow": _alarm("slow"),
        }
        resources.update(self._extra(kind))
        return {
            "Parameters": {"Client": {"Type": "String"}},
            "Resources": resources,
            "Outputs": {OUTPUT_OF_MARK: {"Value": mark}},
        }

    def _extra(self, kind: str) -> dict[str, Any]:
        sick = _queue(999_999, DependsOn=["Mark", "Queue", "Form"])
        match kind:
            case "sick":
                return {"Sick": sick}
            case "stuck-one":
                return {"Switch": self._custom("now")}
            case "stuck":
                return {"Switch": self._custom("later"), "Sick": {**sick, "DependsOn": ["Switch", "Mark"]}}
            case "table":
                return {"Table": _table()}
            case "import":
                return {"Old": _queue(30, DeletionPolicy="Retain")}
            case "smoke":
                return {
                    f"Smoke{how.title()}": _function(
                        f"def handler(event, context):\n    {body}\n", self._role
                    )
                    for how, body in _ANSWERS.items()
                }
            case _:
                return {}

    def _custom(self, mode: str) -> dict[str, Any]:
        return {"Type": "Custom::Switch", "Properties": {"ServiceToken": self._switch, "Mode": mode}}

    # --- the bed -------------------------------------------------------------------------------

    def template(self, kind: str) -> Digest:
        return self._digests[kind]

    def wait(self) -> None:
        time.sleep(0.02)

    def mend(self) -> None:
        self._set_switch(stuck=False)

    def break_again(self) -> None:
        self._set_switch(stuck=True)

    def orphan(self, stack: str) -> str:
        made = self._client("sqs").create_queue(
            QueueName=f"{stack}-old", Attributes={"VisibilityTimeout": "30"}
        )
        return str(made["QueueUrl"])

    def set_alarm(self, stack: str, name: str, state: str) -> None:
        self._client("cloudwatch").set_alarm_state(
            AlarmName=f"{stack}-{name}", StateValue=state, StateReason="contract"
        )

    def smoking(self, how: str) -> tuple[str, str]:
        if not self._smoking:
            self._smoking, _ = self.standing("smoke")
        return self._smoking, f"Smoke{how.title()}"


def _table() -> dict[str, Any]:
    properties = {
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    kept = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties, **kept}


def _zipped(body: str) -> bytes:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", body)
    return packed.getvalue()


@pytest.fixture(scope="module")
def bed(front: Front) -> Iterator[Bed]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in process.environment(front.home).items():
            if value:
                patch.setenv(name, value)
            else:
                patch.delenv(name, raising=False)
        yield LocalBed(front, Aws())


class TestStacksOnLocalAws(StacksContract):
    pass


class TestAlarmsOnLocalAws(AlarmsContract):
    pass


class TestSmokeOnLocalAws(SmokeContract):
    pass
