"""Stack policies and termination protection as StackProtection sets them: once, everywhere, and only tighter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.aws.protection import StackProtection
from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.decide.stack_policy import tightened
from pipeline.errors import NotFound, WrongAccount
from pipeline.model.ids import digest
from pipeline.model.stack import ResourceChange
from tests.adapters.aws.places import CFN, ELSEWHERE, PLACE, STACK, identity_of
from tests.adapters.aws.scripted import ScriptedAws

PREFIX = "tidegate-artifacts-222222222222"
INNER = f"{CFN}:stack/svc-intake-Inner-1ABC/5b1c7d00-0000-4000-8000-000000000003"


def described(*, protected: bool, stack_id: str = STACK) -> dict[str, Any]:
    return {
        "Stacks": [
            {
                "StackName": "svc-intake",
                "StackId": stack_id,
                "StackStatus": "UPDATE_COMPLETE",
                "CreationTime": "2026-11-23T00:00:00Z",
                "EnableTerminationProtection": protected,
            }
        ]
    }


def listed(**types: str) -> dict[str, Any]:
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": INNER if kind == "Stack" else name.lower(),
                "ResourceType": "AWS::CloudFormation::Stack" if kind == "Stack" else kind,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": "2026-11-23T00:00:00Z",
            }
            for name, kind in types.items()
        ]
    }


def policy(*ids: str) -> str:
    found = tightened("", ids)
    assert found is not None
    return found.decode()


def protection(aws: ScriptedAws, folder: Path) -> StackProtection:
    return StackProtection(aws, identity_of, FolderArtifacts(folder), PREFIX)


def asked(aws: ScriptedAws, operation: str) -> list[dict[str, Any]]:
    return [each.params for each in aws.asked if each.operation == operation]


def stored(folder: Path, url: str) -> str:
    name = digest(url.rsplit("/", 1)[1])
    return FolderArtifacts(folder).get(name, PLACE.region).decode()


TABLES = {"Forms": "AWS::DynamoDB::Table", "Form": "AWS::Lambda::Function", "Keys": "AWS::KMS::Key"}


def test_a_stack_gets_a_policy_that_is_an_artifact_of_its_own_region(tmp_path: Path) -> None:
    aws = ScriptedAws(
        describe_stacks=[described(protected=False)],
        list_stack_resources=[listed(**TABLES)],
        get_stack_policy=[{}],
        set_stack_policy=[{}],
        update_termination_protection=[{"StackId": STACK}],
    )

    protection(aws, tmp_path).protect(PLACE, "svc-intake")

    (given,) = asked(aws, "set_stack_policy")
    assert given["StackName"] == STACK
    assert given["StackPolicyURL"].startswith(
        f"https://s3.eu-west-1.amazonaws.com/{PREFIX}-eu-west-1/sha256/"
    )
    assert stored(tmp_path, given["StackPolicyURL"]) == policy("Forms", "Keys")
    assert asked(aws, "update_termination_protection") == [
        {"StackName": STACK, "EnableTerminationProtection": True}
    ]


def test_where_everything_is_set_nothing_is_written(tmp_path: Path) -> None:
    aws = ScriptedAws(
        describe_stacks=[described(protected=True)],
        list_stack_resources=[listed(**TABLES)],
        get_stack_policy=[{"StackPolicyBody": policy("Forms", "Keys", "Gone")}],
    )

    protection(aws, tmp_path).protect(PLACE, STACK)

    assert aws.operations() == ["describe_stacks", "list_stack_resources", "get_stack_policy"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_rollback_must_let_go_of_is_spared_until_the_next_release_stands(tmp_path: Path) -> None:
    def after(spare: frozenset[str], current: str) -> str:
        aws = ScriptedAws(
            describe_stacks=[described(protected=True)],
            list_stack_resources=[listed(**TABLES)],
            get_stack_policy=[{"StackPolicyBody": current} if current else {}],
            set_stack_policy=[{}],
        )
        protection(aws, tmp_path).protect(PLACE, STACK, spare)
        (given,) = asked(aws, "set_stack_policy")
        return stored(tmp_path, given["StackPolicyURL"])

    first = after(frozenset({"Keys"}), "")

    assert first == policy("Forms")
    assert after(frozenset(), first) == policy("Forms", "Keys")


def test_nested_stacks_get_a_policy_each_and_termination_protection_through_the_root(tmp_path: Path) -> None:
    aws = ScriptedAws(
        describe_stacks=[described(protected=False)],
        list_stack_resources=[
            listed(Inner="Stack"),
            listed(Forms="AWS::DynamoDB::Table", Files="AWS::S3::Bucket"),
        ],
        get_stack_policy=[{}, {}],
        set_stack_policy=[{}, {}],
        update_termination_protection=[{"StackId": STACK}],
    )

    protection(aws, tmp_path).protect(PLACE, STACK, frozenset({"Inner/Files", "Forms"}))

    given = asked(aws, "set_stack_policy")
    assert [(each["StackName"], stored(tmp_path, each["StackPolicyURL"])) for each in given] == [
        (STACK, policy("Inner")),
        (INNER, policy("Forms")),
    ]
    assert [each["StackName"] for each in asked(aws, "update_termination_protection")] == [STACK]


def test_somebody_elses_policy_is_added_to(tmp_path: Path) -> None:
    theirs = {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/Vpc"}
    aws = ScriptedAws(
        describe_stacks=[described(protected=True)],
        list_stack_resources=[listed(**TABLES)],
        get_stack_policy=[{"StackPolicyBody": json.dumps({"Statement": [theirs]})}],
        set_stack_policy=[{}],
    )

    protection(aws, tmp_path).protect(PLACE, STACK)

    (given,) = asked(aws, "set_stack_policy")
    assert json.loads(stored(tmp_path, given["StackPolicyURL"]))["Statement"][0] == theirs


def test_what_the_policies_deny_is_read_from_each_stack_for_its_own_changes(tmp_path: Path) -> None:
    aws = ScriptedAws(
        describe_stacks=[described(protected=True)],
        list_stack_resources=[listed(Inner="Stack", **TABLES), listed(Forms="AWS::DynamoDB::Table")],
        get_stack_policy=[{"StackPolicyBody": policy("Keys")}, {"StackPolicyBody": policy("Forms")}],
    )
    removals = [
        ResourceChange(logical_id=name, resource_type="AWS::DynamoDB::Table", action="Remove")
        for name in ("Forms", "Keys", "Inner/Forms", "Inner/Keys")
    ]

    denied = protection(aws, tmp_path).denied(PLACE, "svc-intake", removals)

    assert denied == ("Keys", "Inner/Forms")
    assert not [name for name in aws.operations() if name.startswith(("set_", "update_"))]


def test_a_stack_that_is_not_there_or_elsewhere_is_not_protected(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        protection(ScriptedAws(describe_stacks=[{"Stacks": []}]), tmp_path).protect(PLACE, "svc-intake")
    aws = ScriptedAws(describe_stacks=[described(protected=False, stack_id=ELSEWHERE)])
    with pytest.raises(WrongAccount):
        protection(aws, tmp_path).protect(PLACE, "svc-intake")
    assert aws.operations() == ["describe_stacks"]
