"""CloudFormationStacks: the shape of every request, and what becomes of every answer."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.errors import ChangeSetGone, NotFound, RequestRefused, StackBusy, WrongAccount
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.ids import AccountId, digest
from pipeline.model.stack import ChangeSetView, ExecutionStatus, ResourceChange, StackSnapshot, StackStatus
from pipeline.ports import ChangeSetRequest, Place
from tests.adapters.aws.scripted import ScriptedAws

PLACE = Place(AccountId("012345670123"), "eu-west-1")
CFN = "arn:aws:cloudformation:eu-west-1:012345670123"
STACK = f"{CFN}:stack/svc-intake/5b1c7d00-0000-4000-8000-000000000001"
CHANGE_SET = f"{CFN}:changeSet/tg-0123/5b1c7d00-0000-4000-8000-000000000002"
ELSEWHERE = STACK.replace("012345670123", "999999999999")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TOKEN = "0123456789abcdef0123456789abcdef"


def identity_of(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateDeploy", external_id="x1")


def stacks(aws: Aws) -> CloudFormationStacks:
    return CloudFormationStacks(aws, identity_of, bucket_prefix="tidegate-artifacts-222222222222")


def refusal(code: str, message: str) -> AwsRefused:
    return AwsRefused.of(f"cloudformation: {code}: {message}", code, message, ())


def stack(**more: Any) -> dict[str, Any]:
    return {
        "StackId": STACK,
        "StackName": "svc-intake",
        "CreationTime": NOW,
        "StackStatus": "UPDATE_COMPLETE",
    } | more


def request(**more: Any) -> ChangeSetRequest:
    values: dict[str, Any] = {
        "stack": "svc-intake",
        "name": f"tg-{TOKEN}",
        "token": TOKEN,
        "creating": False,
        "template": digest("ab" * 32),
        "parameters": (("Client", "acme"),),
        "tags": (("tidegate:client", "acme"),),
        "description": "intake@1.4.0 to acme/eu-west-1",
    }
    return ChangeSetRequest(**(values | more))


# --- describing ------------------------------------------------------------------------------------


def test_a_stack_is_described_in_one_call_as_the_role_of_its_account() -> None:
    outputs = [
        {"OutputKey": "Url", "OutputValue": "https://x"},
        {"OutputKey": "Arn", "OutputValue": "arn:x"},
    ]
    parameters = [{"ParameterKey": "Client", "ParameterValue": "acme"}]
    answer = {"Stacks": [stack(Outputs=outputs, Parameters=parameters, StackStatusReason="because")]}
    aws = ScriptedAws(describe_stacks=[answer])

    found = stacks(aws).describe(PLACE, "svc-intake")

    assert found == StackSnapshot(
        stack_id=STACK,
        status=StackStatus.UPDATE_COMPLETE,
        reason="because",
        outputs=(("Arn", "arn:x"), ("Url", "https://x")),
        parameters=(("Client", "acme"),),
    )
    assert [(a.identity, a.region, a.params) for a in aws.asked] == [
        (identity_of(PLACE), "eu-west-1", {"StackName": "svc-intake"})
    ]


@pytest.mark.parametrize(
    "message",
    ["Stack with id svc-intake does not exist", "Stack [svc-intake] does not exist"],
)
def test_a_stack_that_does_not_exist_is_none(message: str) -> None:
    aws = ScriptedAws(describe_stacks=[refusal("ValidationError", message)])

    assert stacks(aws).describe(PLACE, "svc-intake") is None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationError", "Role arn:aws:iam::012345670123:role/TidegateExecution does not exist"),
        ("ValidationError", "the export on which Stack with id svc-intake does not exist depends"),
        ("SomethingElse", "Stack with id svc-intake does not exist"),
    ],
)
def test_another_refusal_is_not_mistaken_for_a_missing_stack(code: str, message: str) -> None:
    aws = ScriptedAws(describe_stacks=[refusal(code, message)])

    with pytest.raises(RequestRefused):
        stacks(aws).describe(PLACE, "svc-intake")


def test_a_stack_in_another_account_or_region_is_refused() -> None:
    for arn in (ELSEWHERE, STACK.replace("eu-west-1", "us-east-1")):
        aws = ScriptedAws(describe_stacks=[{"Stacks": [stack(StackId=arn)]}])

        with pytest.raises(WrongAccount):
            stacks(aws).describe(PLACE, "svc-intake")


def test_an_id_of_another_account_is_not_even_asked_for() -> None:
    aws = ScriptedAws()

    with pytest.raises(WrongAccount):
        stacks(aws).describe(PLACE, ELSEWHERE)

    assert aws.asked == []


def test_a_role_of_another_account_is_never_used() -> None:
    other = Identity(role_arn="arn:aws:iam::999999999999:role/TidegateDeploy")
    aws = ScriptedAws()

    with pytest.raises(WrongAccount):
        CloudFormationStacks(aws, lambda place: other, bucket_prefix="b").describe(PLACE, "svc-intake")

    assert aws.asked == []


def test_a_status_that_nobody_knows_is_a_clear_error() -> None:
    aws = ScriptedAws(describe_stacks=[{"Stacks": [stack(StackStatus="HIBERNATING")]}])

    with pytest.raises(RequestRefused, match="'HIBERNATING', which this version does not know"):
        stacks(aws).describe(PLACE, "svc-intake")


# --- making a change set ---------------------------------------------------------------------------


def test_an_update_change_set_carries_role_url_token_and_capabilities() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])

    assert stacks(aws).create_change_set(PLACE, request()) == (CHANGE_SET, STACK)

    key = f"sha256/{'ab' * 32}"
    assert [a.params for a in aws.asked] == [
        {
            "StackName": "svc-intake",
            "ChangeSetName": f"tg-{TOKEN}",
            "ClientToken": TOKEN,
            "ChangeSetType": "UPDATE",
            "TemplateURL": f"https://s3.eu-west-1.amazonaws.com/tidegate-artifacts-222222222222-eu-west-1/{key}",
            "Parameters": [{"ParameterKey": "Client", "ParameterValue": "acme"}],
            "Tags": [{"Key": "tidegate:client", "Value": "acme"}],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            "IncludeNestedStacks": True,
            "RoleARN": "arn:aws:iam::012345670123:role/TidegateExecution",
            "Description": "intake@1.4.0 to acme/eu-west-1",
        }
    ]


def test_a_creation_clears_its_own_failure() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": STACK}])

    stacks(aws).create_change_set(PLACE, request(creating=True, description=""))

    params = aws.asked[0].params
    assert (params["ChangeSetType"], params["OnStackFailure"]) == ("CREATE", "DELETE")
    assert "Description" not in params
    assert "DisableRollback" not in params


def test_urls_and_roles_follow_the_partition() -> None:
    place = Place(PLACE.account, "cn-north-1")
    ids = {
        "Id": CHANGE_SET.replace("eu-west-1", "cn-north-1").replace("arn:aws", "arn:aws-cn"),
        "StackId": STACK.replace("eu-west-1", "cn-north-1").replace("arn:aws", "arn:aws-cn"),
    }
    aws = ScriptedAws(create_change_set=[ids])

    stacks(aws).create_change_set(place, request())

    assert aws.asked[0].params["TemplateURL"].startswith("https://s3.cn-north-1.amazonaws.com.cn/tidegate-")
    assert aws.asked[0].params["RoleARN"] == "arn:aws-cn:iam::012345670123:role/TidegateExecution"


@pytest.mark.parametrize(
    "message",
    [
        f"Stack:{STACK} is in UPDATE_IN_PROGRESS state and can not be updated.",
        f"Stack:{STACK} is in ROLLBACK_COMPLETE state and can not be updated.",
        "Stack [svc-intake] already exists and cannot be created again with the changeSet [tg-1].",
        "Stack [svc-intake] does not exist",
    ],
)
def test_a_stack_that_cannot_take_the_change_set_now_is_busy(message: str) -> None:
    aws = ScriptedAws(create_change_set=[refusal("ValidationError", message)])

    with pytest.raises(StackBusy):
        stacks(aws).create_change_set(PLACE, request())


def test_a_bad_template_is_refused() -> None:
    message = "Template format error: Unresolved resource dependencies [Topic] in the Resources block"
    aws = ScriptedAws(create_change_set=[refusal("ValidationError", message)])

    with pytest.raises(RequestRefused, match="Unresolved resource dependencies"):
        stacks(aws).create_change_set(PLACE, request())


def test_a_change_set_that_came_to_another_account_is_refused() -> None:
    aws = ScriptedAws(create_change_set=[{"Id": CHANGE_SET, "StackId": ELSEWHERE}])

    with pytest.raises(WrongAccount):
        stacks(aws).create_change_set(PLACE, request())


# --- reading a change set --------------------------------------------------------------------------


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
    assert [a.params for a in aws.asked] == [{"StackName": STACK, "ChangeSetName": CHANGE_SET}]


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


# --- listing, deleting, executing ------------------------------------------------------------------


def test_change_sets_are_listed_over_all_pages() -> None:
    row = {"StackId": STACK, "ChangeSetName": "tg-1"}
    aws = ScriptedAws(
        list_change_sets=[[{"Summaries": [row]}, {"Summaries": [row | {"ChangeSetName": "mine"}]}]]
    )

    assert stacks(aws).list_change_sets(PLACE, "svc-intake") == ("tg-1", "mine")


def test_a_stack_that_does_not_exist_has_no_change_sets_and_none_to_delete() -> None:
    gone = refusal("ValidationError", "Stack [svc-intake] does not exist")
    aws = ScriptedAws(list_change_sets=[gone], delete_change_set=[gone, ChangeSetGone("gone"), {}])

    assert stacks(aws).list_change_sets(PLACE, "svc-intake") == ()
    for _ in range(3):
        stacks(aws).delete_change_set(PLACE, "svc-intake", "tg-1")


def test_execution_carries_the_token_and_retains_nothing_it_has_just_created() -> None:
    aws = ScriptedAws(execute_change_set=[{}])

    stacks(aws).execute_change_set(PLACE, STACK, CHANGE_SET, TOKEN)

    assert [a.params for a in aws.asked] == [
        {
            "StackName": STACK,
            "ChangeSetName": CHANGE_SET,
            "ClientRequestToken": TOKEN,
            "RetainExceptOnCreate": True,
        }
    ]


def test_execution_on_a_stack_that_is_busy_says_so() -> None:
    message = f"Stack:{STACK} is in UPDATE_IN_PROGRESS state and can not be updated."
    aws = ScriptedAws(execute_change_set=[refusal("ValidationError", message)])

    with pytest.raises(StackBusy):
        stacks(aws).execute_change_set(PLACE, STACK, CHANGE_SET, TOKEN)


# --- operations, templates, code -------------------------------------------------------------------


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

    from pipeline.adapters.aws.operations import operation_of

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


def test_the_adapter_knows_no_way_to_delete_a_stack() -> None:
    from pathlib import Path

    import pipeline.adapters.aws.stacks as module

    assert "delete_stack" not in Path(module.__file__ or "").read_text()
