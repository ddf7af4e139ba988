"""What a template leaves undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pipeline.demo
from pipeline.decide.findings import OUTLIVING, Finding, findings_of
from pipeline.decide.stateful import NESTED_STACK, STATEFUL_TYPES
from pipeline.decide.template_text import parse_template

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def rules(kind: str, properties: dict[str, Any], **more: Any) -> list[str]:
    body = {"Resources": {"Thing": {"Type": kind, "Properties": properties, **KEPT, **more}}}
    return [finding.text for finding in findings_of(body, "t")]


@pytest.mark.parametrize(
    ("kind", "properties", "texts"),
    [
        ("AWS::S3::Bucket", {}, ["BucketEncryption must be given"]),
        ("AWS::S3::Bucket", {"BucketEncryption": {"ServerSideEncryptionConfiguration": [1]}}, []),
        ("AWS::DynamoDB::Table", {}, ["SSESpecification.SSEEnabled must be true"]),
        (
            "AWS::DynamoDB::Table",
            {"SSESpecification": {"SSEEnabled": False}},
            ["SSESpecification.SSEEnabled must be true"],
        ),
        ("AWS::DynamoDB::Table", {"SSESpecification": {"SSEEnabled": "true"}}, []),
        (
            "AWS::DynamoDB::Table",
            {"SSESpecification": {"SSEEnabled": {"Ref": "P"}}},
            ["SSESpecification.SSEEnabled must be true"],
        ),
        ("AWS::SQS::Queue", {}, ["KmsMasterKeyId must be given, or SqsManagedSseEnabled be true"]),
        ("AWS::SQS::Queue", {"SqsManagedSseEnabled": True}, []),
        ("AWS::SQS::Queue", {"KmsMasterKeyId": {"Fn::If": ["A", {"Fn::GetAtt": ["K", "Arn"]}, {"Ref": "P"}]}}, []),
        (
            "AWS::SQS::Queue",
            {"KmsMasterKeyId": {"Fn::If": ["A", {"Ref": "P"}, {"Ref": "AWS::NoValue"}]}},
            ["KmsMasterKeyId must be given, or SqsManagedSseEnabled be true"],
        ),
        ("AWS::SNS::Topic", {}, ["KmsMasterKeyId must be given"]),
        ("AWS::RDS::DBInstance", {"DBClusterIdentifier": {"Ref": "Cluster"}}, []),
        ("AWS::RDS::DBInstance", {}, ["StorageEncrypted must be true"]),
        (
            "AWS::DynamoDB::Table",
            {"SSESpecification": {"Fn::If": ["A", {"SSEEnabled": True}, {"Ref": "AWS::NoValue"}]}},
            ["SSESpecification.SSEEnabled must be true"],
        ),
        ("AWS::Lambda::Function", {}, []),
    ],
)  # fmt: skip
def test_what_is_not_encrypted_for_certain_is_found(
    kind: str, properties: dict[str, Any], texts: list[str]
) -> None:
    assert rules(kind, properties) == texts


def test_data_has_to_outlive_its_stack() -> None:
    body = {"Resources": {"Users": {"Type": "AWS::Cognito::UserPool", "DeletionPolicy": "Delete"}}}
    assert findings_of(body, "t") == (
        Finding(
            where="t: Resources.Users",
            rule="data-outlives-stack",
            text="DeletionPolicy must be Retain or Snapshot",
        ),
        Finding(
            where="t: Resources.Users",
            rule="data-outlives-stack",
            text="UpdateReplacePolicy must be Retain or Snapshot",
        ),
    )


SAMPLES = sorted((Path(pipeline.demo.__file__).parent / "sample").glob("*/*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_sample_services_leave_nothing_undone(path: Path) -> None:
    assert findings_of(parse_template(path.read_text(), path.name), path.name) == ()


HOLDING = sorted(STATEFUL_TYPES - {NESTED_STACK})


@pytest.mark.parametrize("kind", HOLDING)
def test_every_type_that_holds_data_needs_both_policies(kind: str) -> None:
    bare = {"Resources": {"Thing": {"Type": kind}}}

    assert [f.text for f in findings_of(bare, "t") if f.rule == OUTLIVING] == [
        "DeletionPolicy must be Retain or Snapshot",
        "UpdateReplacePolicy must be Retain or Snapshot",
    ]


@pytest.mark.parametrize(
    ("deletion", "replacing", "wanting"),
    [
        ("Retain", "Retain", []),
        ("Snapshot", "Snapshot", []),
        ("RetainExceptOnCreate", "Retain", []),
        ("RetainExceptOnCreate", "RetainExceptOnCreate", ["UpdateReplacePolicy"]),
        ("Delete", "Retain", ["DeletionPolicy"]),
        ("Retain", "Delete", ["UpdateReplacePolicy"]),
        ("Retain", None, ["UpdateReplacePolicy"]),
        ({"Fn::If": ["Live", "Retain", "Delete"]}, "Retain", ["DeletionPolicy"]),
        ({"Fn::If": ["Live", "Retain", "Snapshot"]}, "Retain", []),
        ({"Ref": "Policy"}, "Retain", ["DeletionPolicy"]),
    ],
)
def test_only_a_policy_that_surely_keeps_the_data_will_do(
    deletion: object, replacing: object, wanting: list[str]
) -> None:
    thing = {"Type": "AWS::KMS::Key", "DeletionPolicy": deletion, "UpdateReplacePolicy": replacing}

    found = findings_of({"Resources": {"Thing": thing}}, "t")

    assert [f.text.split(" ")[0] for f in found] == wanting


def test_a_nested_stack_needs_no_policy_of_its_own() -> None:
    assert findings_of({"Resources": {"Inner": {"Type": NESTED_STACK}}}, "t") == ()
