"""What a deployed stack offers can be called: addresses of this machine, each function with its own role."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from tests.local_aws import Front

pytestmark = pytest.mark.local_aws
_CODE = """
import json, os, boto3
def handler(event, context):
    said = {"path": event.get("rawPath")}
    for name in ("allowed", "refused"):
        try:
            boto3.client("ssm").get_parameter(Name="/" + name)
            said[name] = "OK"
        except Exception as fault:
            said[name] = fault.response["Error"]["Code"]
    return {"statusCode": 200, "body": json.dumps(said)}
"""


def _template() -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    read = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "arn:aws:ssm:*:*:parameter/allowed"}
    function = {"Fn::GetAtt": ["Function", "Arn"]}
    resources: dict[str, tuple[str, dict[str, Any]]] = {
        "Role": (
            "IAM::Role",
            {
                "AssumeRolePolicyDocument": {"Statement": [trust]},
                "Policies": [{"PolicyName": "p", "PolicyDocument": {"Statement": [read]}}],
            },
        ),
        "Function": (
            "Lambda::Function",
            {
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": _CODE},
            },
        ),
        "Url": ("Lambda::Url", {"AuthType": "NONE", "TargetFunctionArn": function}),
        "Api": ("ApiGatewayV2::Api", {"Name": "api", "ProtocolType": "HTTP"}),
        "Integration": (
            "ApiGatewayV2::Integration",
            {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": function,
                "PayloadFormatVersion": "2.0",
            },
        ),
        "Route": (
            "ApiGatewayV2::Route",
            {
                "ApiId": {"Ref": "Api"},
                "RouteKey": "POST /forms",
                "Target": {"Fn::Sub": "integrations/${Integration}"},
            },
        ),
        "Stage": (
            "ApiGatewayV2::Stage",
            {"ApiId": {"Ref": "Api"}, "StageName": "$default", "AutoDeploy": True},
        ),
    }
    return {
        "Resources": {
            name: {"Type": f"AWS::{kind}", "Properties": properties}
            for name, (kind, properties) in resources.items()
        },
        "Outputs": {
            "Url": {"Value": {"Fn::GetAtt": ["Url", "FunctionUrl"]}},
            "Endpoint": {"Value": {"Fn::GetAtt": ["Api", "ApiEndpoint"]}},
            "Written": {"Value": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"}},
        },
    }


@pytest.fixture(scope="module")
def outputs(front: Front) -> dict[str, str]:
    session = front.assume(front.create_account("callable"))
    cloudformation = front.client(session, "cloudformation")
    cloudformation.create_stack(
        StackName="tg-service", TemplateBody=json.dumps(_template()), Capabilities=["CAPABILITY_IAM"]
    )
    deadline = time.monotonic() + 20
    while True:
        found = cloudformation.describe_stacks(StackName="tg-service")["Stacks"][0]
        if found["StackStatus"] != "CREATE_IN_PROGRESS":
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found["StackStatus"] == "CREATE_COMPLETE"
    for name in ("/allowed", "/refused"):
        front.client(session, "ssm").put_parameter(Name=name, Value="1", Type="String")
    return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


@pytest.mark.parametrize(
    ("output", "method", "path"),
    [("Url", "GET", ""), ("Endpoint", "POST", "/forms"), ("Written", "POST", "/forms")],
)
def test_an_output_of_a_stack_can_be_called(
    front: Front, outputs: dict[str, str], output: str, method: str, path: str
) -> None:
    assert outputs[output].startswith(front.endpoint)
    answer = requests.request(
        method, outputs[output] + path, headers={"Authorization": "Bearer token"}, timeout=20
    )
    said = {"path": path or "/", "allowed": "OK", "refused": "AccessDeniedException"}
    assert (answer.status_code, answer.json()) == (200, said)
