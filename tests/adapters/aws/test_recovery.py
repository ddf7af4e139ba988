"""CloudFormationStacks: rollbacks that are continued, what holds them, and resources that come back."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import ExecutionTokenUsed, RequestRefused, StackBusy, WrongAccount
from pipeline.model.ids import digest
from pipeline.ports import ChangeSetRequest, ResourceToImport
from tests.adapters.aws.places import CFN, CHANGE_SET, ELSEWHERE, NOW, PLACE, STACK, TOKEN, refusal, stacks
from tests.adapters.aws.scripted import ScriptedAws

NESTED = f"{CFN}:stack/svc-intake-Inner-1X/5b1c7d00-0000-4000-8000-000000000009"


def row(logical_id: str, status: str = "UPDATE_COMPLETE", reason: str = "", **more: Any) -> dict[str, Any]:
    return {
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": f"real-{logical_id}",
        "ResourceType": "AWS::DynamoDB::Table",
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "LastUpdatedTimestamp": NOW,
    } | more


def listed(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"StackResourceSummaries": list(rows)}


def request(**more: Any) -> ChangeSetRequest:
    values: dict[str, Any] = {
        "stack": "svc-intake",
        "name": f"tg-{TOKEN}",
        "token": TOKEN,
        "creating": False,
        "template": digest("ab" * 32),
        "parameters": (),
        "tags": (),
    }
    return ChangeSetRequest(**(values | more))


# --- continuing a rollback -------------------------------------------------------------------------


def test_a_rollback_is_continued_with_its_token_and_the_role_the_stack_has() -> None:
    aws = ScriptedAws(continue_update_rollback=[{}])

    stacks(aws).continue_update_rollback(PLACE, STACK, TOKEN, ())

    assert [a.params for a in aws.asked] == [{"StackName": STACK, "ClientRequestToken": TOKEN}]


def test_only_what_was_named_is_skipped() -> None:
    aws = ScriptedAws(continue_update_rollback=[{}])

    stacks(aws).continue_update_rollback(PLACE, "svc-intake", TOKEN, ("Table", "svc-intake-Inner-1X.Files"))

    assert aws.asked[0].params["ResourcesToSkip"] == ["Table", "svc-intake-Inner-1X.Files"]


@pytest.mark.parametrize(
    "message",
    [
        "RollbackUpdatedStack cannot be called from current stack status",
        "ContinueUpdateRollback cannot be called from current stack status",
        f"Stack:{STACK} is in UPDATE_ROLLBACK_IN_PROGRESS state and can not be updated.",
        "Stack [svc-intake] does not exist",
    ],
)
def test_a_stack_that_is_not_stuck_any_more_is_busy(message: str) -> None:
    aws = ScriptedAws(continue_update_rollback=[refusal("ValidationError", message)])

    with pytest.raises(StackBusy):
        stacks(aws).continue_update_rollback(PLACE, STACK, TOKEN, ())


def test_a_resource_that_cannot_be_skipped_and_a_token_that_was_used_keep_their_own_errors() -> None:
    aws = ScriptedAws(
        continue_update_rollback=[
            refusal("ValidationError", "Resources [Table] are not in UPDATE_FAILED state"),
            ExecutionTokenUsed("used"),
        ]
    )

    with pytest.raises(RequestRefused):
        stacks(aws).continue_update_rollback(PLACE, STACK, TOKEN, ("Table",))
    with pytest.raises(ExecutionTokenUsed):
        stacks(aws).continue_update_rollback(PLACE, STACK, TOKEN, ())


def test_a_stack_of_another_account_is_never_continued() -> None:
    aws = ScriptedAws()

    with pytest.raises(WrongAccount):
        stacks(aws).continue_update_rollback(PLACE, ELSEWHERE, TOKEN, ())
    assert aws.asked == []


# --- what holds it ---------------------------------------------------------------------------------


def test_what_failed_is_named_with_its_reason_and_what_was_cancelled_is_not() -> None:
    pages = [
        listed(row("Table", "UPDATE_FAILED", "no such table"), row("Mark")),
        listed(
            row("Queue", "UPDATE_FAILED", "Resource update cancelled"),
            row("Files", "UPDATE_FAILED", "access denied"),
            row("Old", "DELETE_FAILED", "not empty"),
        ),
    ]
    aws = ScriptedAws(list_stack_resources=[pages])

    found = stacks(aws).failed_resources(PLACE, "svc-intake")

    assert list(found.items()) == [("Files", "access denied"), ("Table", "no such table")]


def test_a_failed_resource_of_a_nested_stack_is_named_by_that_stacks_own_name() -> None:
    inner = row(
        "Inner",
        "UPDATE_FAILED",
        "nested failed",
        PhysicalResourceId=NESTED,
        ResourceType="AWS::CloudFormation::Stack",
    )
    aws = ScriptedAws(list_stack_resources=[listed(inner), listed(row("Files", "UPDATE_FAILED", "denied"))])

    assert stacks(aws).failed_resources(PLACE, "svc-intake") == {"svc-intake-Inner-1X.Files": "denied"}
    assert [a.params["StackName"] for a in aws.asked] == ["svc-intake", NESTED]


def test_a_nested_stack_stands_for_itself_where_nothing_in_it_failed() -> None:
    inner = row(
        "Inner",
        "UPDATE_FAILED",
        "gone",
        PhysicalResourceId=NESTED,
        ResourceType="AWS::CloudFormation::Stack",
    )
    aws = ScriptedAws(list_stack_resources=[listed(inner), listed(row("Files"))])

    assert stacks(aws).failed_resources(PLACE, "svc-intake") == {"Inner": "gone"}


def test_physical_ids_are_those_of_the_named_resources_that_are_there() -> None:
    pages = [
        listed(row("Table"), row("Queue", "DELETE_COMPLETE")),
        listed(row("Kept", "DELETE_SKIPPED"), row("Unmade", PhysicalResourceId="")),
    ]
    aws = ScriptedAws(list_stack_resources=[pages])

    found = stacks(aws).physical_ids(PLACE, STACK, ["Table", "Queue", "Kept", "Unmade", "Nobody"])

    assert found == {"Table": "real-Table", "Kept": "real-Kept"}
    assert stacks(ScriptedAws()).physical_ids(PLACE, STACK, []) == {}


# --- resources that come back ------------------------------------------------------------------------


def test_what_exists_under_a_literal_name_is_imported_by_the_same_update() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])

    stacks(aws).create_change_set(PLACE, request(import_existing=True))

    params = aws.asked[0].params
    assert (params["ChangeSetType"], params["ImportExistingResources"], params["IncludeNestedStacks"]) == (
        "UPDATE",
        True,
        True,
    )
    assert "ResourcesToImport" not in params


@pytest.mark.parametrize("creating", [False, True])
def test_an_import_names_its_resources_and_asks_for_nothing_that_aws_refuses_with_it(creating: bool) -> None:
    table = ResourceToImport(
        logical_id="Table", resource_type="AWS::DynamoDB::Table", identifier=(("TableName", "svc-Table-1X"),)
    )
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])

    stacks(aws).create_change_set(PLACE, request(import_resources=(table,), creating=creating))

    params = aws.asked[0].params
    assert (params["ChangeSetType"], params["IncludeNestedStacks"]) == ("IMPORT", False)
    assert params["ResourcesToImport"] == [
        {
            "ResourceType": "AWS::DynamoDB::Table",
            "LogicalResourceId": "Table",
            "ResourceIdentifier": {"TableName": "svc-Table-1X"},
        }
    ]
    assert not {"OnStackFailure", "ImportExistingResources"} & params.keys()


def test_nothing_is_imported_unasked() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])

    stacks(aws).create_change_set(PLACE, request())

    assert not {"ImportExistingResources", "ResourcesToImport"} & aws.asked[0].params.keys()
