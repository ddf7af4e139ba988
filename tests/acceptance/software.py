"""A service small enough to be deployed often: one parameter, one Lambda, and what a test wants of it besides.

`pause` puts something in flight: a custom resource whose function answers after so many seconds, as stacks on the
local AWS are otherwise complete before anybody can look.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Software", "code", "template"]

_HANDLER = """\
import json
import time
import urllib.request

VERSION = "%s"


def answer(event, _context):
    if "ResponseURL" not in event:
        return VERSION
    if event["RequestType"] != "Delete":
        time.sleep(float(event["ResourceProperties"]["Seconds"]))
    body = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "pause",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(body).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """One version. pause: seconds that a deployment takes, and the way back from it.

    sick_at: clients at which its alarm rings. broken_at: clients at which CloudFormation fails and rolls back.
    table_name: literal; empty where CloudFormation makes one up.
    """

    version: str
    pause: float = 0.0
    sick_at: Sequence[str] = ()
    broken_at: Sequence[str] = ()
    table: bool = False
    table_name: str = ""


def code(software: Software) -> str:
    return _HANDLER % software.version


def template(software: Software) -> str:
    """JSON, which is YAML as well."""
    document: dict[str, Any] = {
        "Parameters": {"Client": {"Type": "String"}, "Colour": {"Type": "String", "Default": "#fff"}},
        "Resources": {
            "Greeting": {"Type": "AWS::SSM::Parameter", "Properties": _parameter(software.version)},
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": _TRUST}},
            "Function": {"Type": "AWS::Lambda::Function", "Properties": _FUNCTION},
            "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": _alarm(software.sick_at)},
        },
    }
    conditions = {"Sick": software.sick_at, "Broken": software.broken_at}
    document["Conditions"] = {name: _at(clients) for name, clients in conditions.items()}
    if software.pause:
        document["Resources"]["Pause"] = {
            "Type": "Custom::Pause",
            "Properties": {
                "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
                "Seconds": str(software.pause),
                "Version": software.version,
            },
        }
    if software.broken_at:
        document["Resources"]["Unmakeable"] = {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "DependsOn": "Greeting",
            "Condition": "Broken",
            "Properties": {"VisibilityTimeout": 999999},
        }
    if software.table:
        document["Resources"]["Table"] = _table(software.table_name)
    return json.dumps(document, indent=1)


_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
_FUNCTION = {
    "Runtime": "python3.12",
    "Handler": "app.answer",
    "Code": "code",
    "Timeout": 60,
    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
}
_TABLE: dict[str, Any] = {
    "Type": "AWS::DynamoDB::Table",
    "DeletionPolicy": "Retain",
    "UpdateReplacePolicy": "Retain",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
    },
}


def _table(name: str) -> dict[str, Any]:
    return {**_TABLE, "Properties": {**_TABLE["Properties"], "TableName": name}} if name else _TABLE


def _parameter(version: str) -> dict[str, Any]:
    return {"Type": "String", "Value": {"Fn::Sub": version + " for ${Client} in ${Colour}"}}


def _alarm(sick_at: Sequence[str]) -> dict[str, Any]:
    """Without data it says what it is told to say of missing data."""
    missing = {"Fn::If": ["Sick", "breaching", "notBreaching"]} if sick_at else "notBreaching"
    return {
        "Namespace": "Acceptance",
        "MetricName": {"Fn::Sub": "Faults-${AWS::StackName}"},
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": missing,
    }


def _at(clients: Sequence[str]) -> dict[str, Any]:
    """`*` is everywhere. Fn::Or takes two to ten conditions."""
    if "*" in clients:
        return {"Fn::Equals": ["*", "*"]}
    tests = [{"Fn::Equals": [{"Ref": "Client"}, client]} for client in (*clients, "nobody", "noone")]
    return {"Fn::Or": tests}
