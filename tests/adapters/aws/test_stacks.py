"""CloudFormationStacks: the shape of every request, and what becomes of every answer."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.adapters.aws.session import Identity
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.errors import ChangeSetGone, RequestRefused, StackBusy, WrongAccount
from pipeline.model.ids import digest
from pipeline.model.stack import StackSnapshot, StackStatus
from pipeline.ports import ChangeSetRequest, Place
from tests.adapters.aws.places import (
    CHANGE_SET,
    ELSEWHERE,
    NOW,
    PLACE,
    STACK,
    TOKEN,
    identity_of,
    refusal,
    stacks,
)
from tests.adapters.aws.scripted import ScriptedAws


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


def test_the_adapter_knows_no_way_to_delete_a_stack() -> None:
    from pathlib import Path

    import pipeline.adapters.aws.stacks as module

    assert "delete_stack" not in Path(module.__file__ or "").read_text()
