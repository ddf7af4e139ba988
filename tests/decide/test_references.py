"""Which local files a template refers to, and what stands in their place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pipeline.decide.references import Content, local_references, with_stored
from pipeline.model.ids import digest

STORED = digest("ab" * 32)
KEY = f"sha256/{'ab' * 32}"
BUCKET = {"Fn::Sub": "tidegate-artifacts-1-${AWS::Region}"}
CODE = {"S3Bucket": BUCKET, "S3Key": KEY}
PAIR = {"Bucket": BUCKET, "Key": KEY}
URI = {"Fn::Sub": f"s3://tidegate-artifacts-1-${{AWS::Region}}/{KEY}"}
URL = {
    "Fn::Sub": f"https://s3.${{AWS::Region}}.${{AWS::URLSuffix}}/tidegate-artifacts-1-${{AWS::Region}}/{KEY}"
}


def a_template(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"Resources": {"Thing": {"Type": kind, "Properties": properties}}}


def rewritten(body: dict[str, Any]) -> dict[str, Any]:
    found = local_references(body)
    return with_stored(body, tuple((reference, STORED) for reference in found), "tidegate-artifacts-1")


@pytest.mark.parametrize(
    ("kind", "path", "stored", "content"),
    [
        ("AWS::ApiGateway::RestApi", "BodyS3Location", PAIR, Content.FILE),
        ("AWS::ApiGatewayV2::Api", "BodyS3Location", PAIR, Content.FILE),
        ("AWS::AppSync::GraphQLSchema", "DefinitionS3Location", URI, Content.FILE),
        ("AWS::AppSync::Resolver", "CodeS3Location", URI, Content.FILE),
        ("AWS::AppSync::Resolver", "RequestMappingTemplateS3Location", URI, Content.FILE),
        ("AWS::AppSync::Resolver", "ResponseMappingTemplateS3Location", URI, Content.FILE),
        ("AWS::AppSync::FunctionConfiguration", "CodeS3Location", URI, Content.FILE),
        ("AWS::AppSync::FunctionConfiguration", "RequestMappingTemplateS3Location", URI, Content.FILE),
        ("AWS::AppSync::FunctionConfiguration", "ResponseMappingTemplateS3Location", URI, Content.FILE),
        ("AWS::CloudFormation::ModuleVersion", "ModulePackage", URI, Content.FILE),
        ("AWS::CloudFormation::ResourceVersion", "SchemaHandlerPackage", URI, Content.FILE),
        ("AWS::CloudFormation::Stack", "TemplateURL", URL, Content.TEMPLATE),
        ("AWS::CodeCommit::Repository", "Code.S3", PAIR, Content.ZIP),
        ("AWS::ElasticBeanstalk::ApplicationVersion", "SourceBundle", CODE, Content.FILE),
        ("AWS::Glue::Job", "Command.ScriptLocation", URI, Content.FILE),
        ("AWS::Lambda::Function", "Code", CODE, Content.ZIP),
        ("AWS::Lambda::LayerVersion", "Content", CODE, Content.ZIP),
        ("AWS::Serverless::Api", "DefinitionUri", PAIR, Content.FILE),
        ("AWS::Serverless::Application", "Location", URL, Content.TEMPLATE),
        ("AWS::Serverless::Function", "CodeUri", PAIR, Content.ZIP),
        ("AWS::Serverless::HttpApi", "DefinitionUri", PAIR, Content.FILE),
        ("AWS::Serverless::LayerVersion", "ContentUri", PAIR, Content.ZIP),
        ("AWS::Serverless::StateMachine", "DefinitionUri", PAIR, Content.FILE),
        ("AWS::StepFunctions::StateMachine", "DefinitionS3Location", PAIR, Content.FILE),
    ],
)
def test_each_property_gets_the_shape_that_its_type_takes(
    kind: str, path: str, stored: dict[str, Any], content: Content
) -> None:
    outer, _, inner = path.partition(".")
    body = a_template(kind, {outer: {inner: "./local"} if inner else "./local", "Other": "./kept"})
    before = copy.deepcopy(body)
    (reference,) = local_references(body)
    assert (reference.value, reference.content, reference.place) == ("./local", content, f"Thing.{path}")
    wanted = {outer: {inner: stored} if inner else stored, "Other": "./kept"}
    assert rewritten(body) == a_template(kind, wanted)
    assert body == before


@pytest.mark.parametrize(
    "code",
    [
        {"ZipFile": "def handler(): pass"},
        {"ImageUri": "1.dkr.ecr.us-east-1.amazonaws.com/x:1"},
        {"S3Bucket": "theirs", "S3Key": "code.zip"},
        {"Fn::If": ["A", {"ZipFile": "x"}, {"ZipFile": "y"}]},
        "s3://theirs/code.zip",
    ],
)
def test_what_is_inline_or_remote_is_left_alone(code: object) -> None:
    body = a_template("AWS::Lambda::Function", {"Code": code})
    assert local_references(body) == ()
    assert rewritten(body) == body


def test_a_nested_stack_on_the_web_is_left_alone() -> None:
    url = "https://s3.amazonaws.com/theirs/nested.yaml"
    assert local_references(a_template("AWS::CloudFormation::Stack", {"TemplateURL": url})) == ()


def test_functions_are_named_so_that_their_code_can_be_checked_in_the_account() -> None:
    body = {
        "Resources": {
            "Form": {"Type": "AWS::Lambda::Function", "Properties": {"Code": "a"}},
            "Sam": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "b"}},
            "Layer": {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": "c"}},
        }
    }
    assert [(r.logical_id, r.function) for r in local_references(body)] == [
        ("Form", True),
        ("Layer", False),
        ("Sam", True),
    ]


def test_code_that_sam_shares_belongs_to_every_function_without_its_own() -> None:
    body = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Globals": {"Function": {"CodeUri": "src/"}},
        "Resources": {
            "A": {"Type": "AWS::Serverless::Function", "Properties": {}},
            "B": {"Type": "AWS::Serverless::Function"},
            "C": {"Type": "AWS::Serverless::Function", "Properties": {"CodeUri": "own/"}},
        },
    }
    assert [(r.logical_id, r.value) for r in local_references(body)] == [
        ("A", "src/"),
        ("B", "src/"),
        ("C", "own/"),
    ]
    after = rewritten(body)
    assert after["Globals"] == {"Function": {"CodeUri": PAIR}}
    assert after["Transform"] == "AWS::Serverless-2016-10-31"


def test_includes_are_found_wherever_they_stand() -> None:
    include = {"Name": "AWS::Include", "Parameters": {"Location": "part.yaml"}}
    stored = {"Name": "AWS::Include", "Parameters": {"Location": URI}}
    body = {
        "Transform": ["AWS::Serverless-2016-10-31", copy.deepcopy(include)],
        "Resources": {
            "Fn::Transform": copy.deepcopy(include),
            "Api": {
                "Type": "AWS::ApiGateway::RestApi",
                "Properties": {"Body": {"paths": [{"Fn::Transform": copy.deepcopy(include)}]}},
            },
        },
    }
    after = rewritten(body)
    assert after["Transform"] == ["AWS::Serverless-2016-10-31", stored]
    assert after["Resources"]["Fn::Transform"] == stored
    assert after["Resources"]["Api"]["Properties"] == {"Body": {"paths": [{"Fn::Transform": stored}]}}


def test_resources_inside_foreach_are_packaged_too() -> None:
    one = {"Type": "AWS::Lambda::Function", "Properties": {"Code": "src"}}
    body = {"Resources": {"Fn::ForEach::F": ["N", ["A", "B"], {"F${N}": one}]}}
    (reference,) = local_references(body)
    assert not reference.function
    (_, _, inner) = rewritten(body)["Resources"]["Fn::ForEach::F"]
    assert inner["F${N}"]["Properties"] == {"Code": CODE}
