"""Change sets as CloudFormationStacks reads them: all pages, nested ones too, nothing lost without a sign."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import ChangeSetGone, WrongAccount
from pipeline.model.stack import ChangeSetView, ExecutionStatus, PropertyChange, ResourceChange
from tests.adapters.aws.places import (
    CFN,
    CHANGE_SET,
    PLACE,
    STACK,
    TOKEN,
    refusal,
    stacks,
)
from tests.adapters.aws.scripted import ScriptedAws


def page(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "ChangeSetName": "tg-0123",
        "ChangeSetId": CHANGE_SET,
        "StackId": STACK,
        "StackName": "svc-intake",
        "Status": "CREATE_COMPLETE",
        "ExecutionStatus": "AVAILABLE",
        "Changes": list(changes),
    } | more


def change(logical_id: str, **more: Any) -> dict[str, Any]:
    found = {"LogicalResourceId": logical_id, "ResourceType": "AWS::SNS::Topic", "Action": "Modify"}
    return {"Type": "Resource", "ResourceChange": found | more}


def nested(logical_id: str, child: str, **more: Any) -> dict[str, Any]:
    ids = {"ChangeSetId": child} if child else {}
    return change(logical_id, ResourceType="AWS::CloudFormation::Stack", **ids, **more)


def detail(path: str, before: str, after: str) -> dict[str, Any]:
    return {
        "Target": {
            "Attribute": "Properties",
            "Name": path.split("/")[0],
            "RequiresRecreation": "Never",
            "Path": f"/Properties/{path}",
            "BeforeValue": before,
            "AfterValue": after,
            "AttributeChangeType": "Modify",
        },
        "Evaluation": "Static",
        "ChangeSource": "DirectModification",
    }


def child_arn(name: str) -> str:
    return f"{CFN}:changeSet/{name}/5b1c7d00-0000-4000-8000-00000000000a"


def test_every_page_of_a_change_set_is_read() -> None:
    table = change(
        "Table",
        ResourceType="AWS::DynamoDB::Table",
        Replacement="Conditional",
        PolicyAction="ReplaceAndDelete",
        Scope=["Tags", "Properties"],
        PhysicalResourceId="t-1",
    )
    aws = ScriptedAws(describe_change_set=[[page(change("A")), page(table, Status="CREATE_COMPLETE")]])

    view = stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET)

    assert view == ChangeSetView(
        name="tg-0123",
        arn=CHANGE_SET,
        stack_id=STACK,
        status="CREATE_COMPLETE",
        execution=ExecutionStatus.AVAILABLE,
        changes=(
            ResourceChange(logical_id="A", resource_type="AWS::SNS::Topic", action="Modify"),
            ResourceChange(
                logical_id="Table",
                resource_type="AWS::DynamoDB::Table",
                action="Modify",
                replacement="Conditional",
                policy_action="ReplaceAndDelete",
                scope=("Properties", "Tags"),
                physical_id="t-1",
            ),
        ),
    )
    assert [a.params for a in aws.asked] == [
        {"StackName": STACK, "ChangeSetName": CHANGE_SET, "IncludePropertyValues": True}
    ]


def test_the_details_of_a_change_are_read_but_only_the_values_that_the_guard_weighs_are_kept() -> None:
    table = change(
        "Table",
        ResourceType="AWS::DynamoDB::Table",
        Replacement="False",
        Scope=["Properties"],
        Details=[
            detail("DeletionProtectionEnabled", before="true", after="false"),
            detail("TableName", before="secret", after="another secret"),
            {"Target": {"Attribute": "Tags", "AfterValue": "secret"}, "Evaluation": "Static"},
        ],
    )
    aws = ScriptedAws(describe_change_set=[page(table)])

    (read,) = stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET).changes

    assert read.details == (
        PropertyChange(
            attribute="Properties",
            name="DeletionProtectionEnabled",
            path="/Properties/DeletionProtectionEnabled",
            change="Modify",
            recreation="Never",
            evaluation="Static",
            source="DirectModification",
            before="true",
            after="false",
        ),
        PropertyChange(
            attribute="Properties",
            name="TableName",
            path="/Properties/TableName",
            change="Modify",
            recreation="Never",
            evaluation="Static",
            source="DirectModification",
        ),
        PropertyChange(attribute="Tags", evaluation="Static"),
    )


def test_a_property_that_is_told_by_its_path_alone_is_known_by_name() -> None:
    row = detail("TimeToLiveSpecification/Enabled", before="false", after="true")
    del row["Target"]["Name"]
    table = change("Table", ResourceType="AWS::DynamoDB::Table", Details=[row])
    aws = ScriptedAws(describe_change_set=[page(table)])

    (read,) = stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET).changes

    assert [(d.name, d.after) for d in read.details] == [("TimeToLiveSpecification", "true")]


def test_nested_change_sets_are_followed_with_all_their_pages() -> None:
    aws = ScriptedAws(
        describe_change_set=[
            page(nested("Inner", child_arn("inner"))),
            [page(change("B")), page(nested("Deep", child_arn("deep")))],
            page(change("C", Action="Remove")),
        ]
    )

    view = stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET)

    assert [(c.logical_id, c.action) for c in view.changes] == [
        ("Inner", "Modify"),
        ("Inner/B", "Modify"),
        ("Inner/Deep", "Modify"),
        ("Inner/Deep/C", "Remove"),
    ]
    asked = [a.params["ChangeSetName"] for a in aws.asked]
    assert asked == [CHANGE_SET, child_arn("inner"), child_arn("deep")]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([page(nested("Inner", child_arn("x"))), ChangeSetGone("gone")], id="child is gone"),
        pytest.param(
            [page(nested("Inner", child_arn("x"))), refusal("ValidationError", "no such thing")],
            id="child is refused",
        ),
        pytest.param(
            [
                page(nested("Inner", child_arn("x"))),
                page(Status="FAILED", StatusReason="Access denied for the nested template"),
            ],
            id="child failed",
        ),
        pytest.param([page(nested("Inner", ""))], id="modified without a child"),
        pytest.param([page(nested("Inner", "", Action="Remove"))], id="removed without a child"),
    ],
)
def test_a_nested_change_set_that_cannot_be_read_is_an_unknown_change(answers: list[Any]) -> None:
    view = stacks(ScriptedAws(describe_change_set=answers)).describe_change_set(PLACE, STACK, CHANGE_SET)

    unknown = ResourceChange(logical_id="Inner/?", resource_type="", action="Unknown")
    assert unknown in view.changes


def test_a_nested_stack_without_changes_of_its_own_is_not_unknown() -> None:
    empty = page(
        Status="FAILED",
        ExecutionStatus="UNAVAILABLE",
        StatusReason="The submitted information didn't contain changes. Submit different information.",
    )
    aws = ScriptedAws(describe_change_set=[page(nested("Inner", child_arn("x"))), empty])

    view = stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET)

    assert [c.action for c in view.changes] == ["Modify"]


def test_a_nested_change_set_of_another_account_is_refused() -> None:
    foreign = child_arn("x").replace("012345670123", "999999999999")
    aws = ScriptedAws(describe_change_set=[page(nested("Inner", foreign))])

    with pytest.raises(WrongAccount):
        stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET)


def test_nested_change_sets_wait_until_the_parent_is_complete() -> None:
    pending = page(Status="CREATE_IN_PROGRESS", ExecutionStatus="UNAVAILABLE")
    aws = ScriptedAws(describe_change_set=[pending | {"Changes": [nested("Inner", child_arn("x"))]}])

    assert stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET).is_settled is False
    assert len(aws.asked) == 1


def test_a_change_of_an_unknown_kind_is_an_unknown_change() -> None:
    aws = ScriptedAws(describe_change_set=[page({"Type": "Weather"})])

    view = stacks(aws).describe_change_set(PLACE, STACK, CHANGE_SET)

    assert view.changes == (ResourceChange(logical_id="?", resource_type="", action="Unknown"),)


def test_a_change_set_on_a_stack_that_does_not_exist_is_gone() -> None:
    aws = ScriptedAws(
        describe_change_set=[refusal("ValidationError", "Stack [svc-intake] does not exist")],
        execute_change_set=[refusal("ValidationError", "Stack [svc-intake] does not exist")],
    )

    with pytest.raises(ChangeSetGone):
        stacks(aws).describe_change_set(PLACE, "svc-intake", "tg-0123")
    with pytest.raises(ChangeSetGone):
        stacks(aws).execute_change_set(PLACE, "svc-intake", "tg-0123", TOKEN)
