"""What an account says of operations, templates and code, read exactly."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pipeline.adapters.aws.operations import operation_of
from pipeline.errors import NotFound, WrongAccount
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.ids import digest
from pipeline.model.stack import StackSnapshot, StackStatus
from tests.adapters.aws.places import (
    NOW,
    PLACE,
    STACK,
    TOKEN,
    refusal,
    stacks,
)
from tests.adapters.aws.scripted import ScriptedAws


def event(status: str, *, token: str = TOKEN, logical_id: str = "", reason: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "StackId": STACK,
        "StackName": "svc-intake",
        "EventId": "e",
        "Timestamp": NOW,
        "LogicalResourceId": logical_id or "svc-intake",
        "PhysicalResourceId": f"p-{logical_id}" if logical_id else STACK,
        "ResourceStatus": status,
        "ClientRequestToken": token,
    }
    return found | ({"ResourceStatusReason": reason} if reason else {})


def test_an_operation_is_found_by_its_token_with_its_newest_status_and_first_failure() -> None:
    pages = [
        {"StackEvents": [event("UPDATE_IN_PROGRESS", token="somebody-else")]},
        {
            "StackEvents": [
                event("UPDATE_ROLLBACK_COMPLETE"),
                event("UPDATE_FAILED", logical_id="B", reason="Resource update cancelled"),
                event("UPDATE_FAILED", logical_id="A", reason="no such role"),
            ]
        },
        {"StackEvents": [event("UPDATE_IN_PROGRESS", reason="User Initiated")]},
    ]
    aws = ScriptedAws(describe_stack_events=[pages])

    assert stacks(aws).operation(PLACE, STACK, TOKEN) == StackSnapshot(
        stack_id=STACK,
        status=StackStatus.UPDATE_ROLLBACK_COMPLETE,
        reason="A: no such role",
        last_token=TOKEN,
    )


def test_reading_events_ends_where_an_older_operation_begins() -> None:
    def pages() -> Any:
        yield {"StackEvents": [event("UPDATE_COMPLETE"), event("UPDATE_IN_PROGRESS")]}
        yield {"StackEvents": [event("CREATE_COMPLETE", token="older")]}
        raise AssertionError("a page too far")

    found = operation_of(pages(), TOKEN)

    assert found == StackSnapshot(stack_id=STACK, status=StackStatus.UPDATE_COMPLETE, last_token=TOKEN)


def test_a_token_that_no_event_carries_is_none_and_so_is_a_stack_that_does_not_exist() -> None:
    pages = [{"StackEvents": [event("UPDATE_COMPLETE", token="older")]}, {"StackEvents": []}]
    gone = refusal("ValidationError", "Stack [svc-intake] does not exist")
    adapter = stacks(ScriptedAws(describe_stack_events=[pages, gone]))

    assert adapter.operation(PLACE, STACK, TOKEN) is None
    assert adapter.operation(PLACE, "svc-intake", TOKEN) is None


def test_waiting_for_review_is_not_an_operation() -> None:
    pages = [{"StackEvents": [event("REVIEW_IN_PROGRESS", reason="User Initiated")]}]

    assert stacks(ScriptedAws(describe_stack_events=[pages])).operation(PLACE, STACK, TOKEN) is None


def test_a_template_has_one_digest_as_text_and_as_a_dictionary() -> None:
    template = {"Resources": {"A": {"Type": "AWS::SNS::Topic"}}, "Description": "ä"}
    wanted = digest(sha256_hex(canonical(template)))
    aws = ScriptedAws(
        get_template=[{"TemplateBody": template}, {"TemplateBody": json.dumps(template, indent=3)}]
    )
    adapter = stacks(aws)

    assert [adapter.template(PLACE, STACK), adapter.template(PLACE, STACK)] == [wanted, wanted]
    assert aws.asked[0].params == {"StackName": STACK, "TemplateStage": "Original"}


@pytest.mark.parametrize("body", ["Resources:\n  A:\n    Type: AWS::SNS::Topic\n", {"Size": 1.5}])
def test_a_template_without_a_canonical_form_compares_unequal_instead_of_failing(body: Any) -> None:
    found = stacks(ScriptedAws(get_template=[{"TemplateBody": body}])).template(PLACE, STACK)

    assert found.startswith("sha256:")


def resource(logical_id: str, kind: str, physical_id: str) -> dict[str, Any]:
    return {
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": physical_id,
        "ResourceType": kind,
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": NOW,
    }


def test_code_digests_are_those_of_the_account_as_hexadecimal() -> None:
    code = bytes(range(32))
    rows = [
        resource("Form", "AWS::Lambda::Function", "svc-intake-form"),
        resource("Lost", "AWS::Lambda::Function", "svc-intake-lost"),
        resource("Other", "AWS::Lambda::Function", "not-asked-for"),
        resource("Queue", "AWS::SQS::Queue", "q"),
    ]
    answer = {
        "CodeSha256": base64.b64encode(code).decode(),
        "FunctionArn": "arn:aws:lambda:eu-west-1:012345670123:function:svc-intake-form",
    }
    aws = ScriptedAws(
        list_stack_resources=[[{"StackResourceSummaries": rows[:1]}, {"StackResourceSummaries": rows[1:]}]],
        get_function_configuration=[answer, NotFound("gone")],
    )

    found = stacks(aws).function_digests(PLACE, STACK, ("Form", "Lost", "Queue"))

    assert found == {"Form": digest(code.hex())}
    assert [a.params for a in aws.asked[1:]] == [
        {"FunctionName": "svc-intake-form"},
        {"FunctionName": "svc-intake-lost"},
    ]


def test_a_function_of_another_account_is_refused() -> None:
    rows = [resource("Form", "AWS::Lambda::Function", "form")]
    answer = {
        "CodeSha256": base64.b64encode(bytes(32)).decode(),
        "FunctionArn": "arn:aws:lambda:eu-west-1:999999999999:function:form",
    }
    aws = ScriptedAws(
        list_stack_resources=[{"StackResourceSummaries": rows}], get_function_configuration=[answer]
    )

    with pytest.raises(WrongAccount):
        stacks(aws).function_digests(PLACE, STACK, ("Form",))
