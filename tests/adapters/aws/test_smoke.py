"""LambdaSmoke: what is invoked, with what, and what counts as an answer."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from pipeline.adapters.aws.session import NEVER_RETRIED
from pipeline.adapters.aws.smoke import LambdaSmoke
from pipeline.errors import AccessRefused, AnswerLost, CredentialsRefused, Throttled, WrongAccount
from pipeline.ports import HealthReading
from tests.adapters.aws.places import ELSEWHERE, NOW, PLACE, identity_of
from tests.adapters.aws.scripted import ScriptedAws

SMOKE = {
    "LogicalResourceId": "SmokeForms",
    "PhysicalResourceId": "svc-intake-SmokeForms-1X",
    "ResourceType": "AWS::Lambda::Function",
    "ResourceStatus": "CREATE_COMPLETE",
    "LastUpdatedTimestamp": NOW,
}


def scripted(*answers: Any, rows: tuple[dict[str, Any], ...] = (SMOKE,)) -> ScriptedAws:
    return ScriptedAws(list_stack_resources=[{"StackResourceSummaries": list(rows)}], invoke=list(answers))


def answered(payload: Any, **more: Any) -> dict[str, Any]:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {"StatusCode": 200, "Payload": io.BytesIO(text)} | more


def reading(aws: ScriptedAws) -> HealthReading:
    return LambdaSmoke(aws, identity_of).call(PLACE, "svc-intake", "SmokeForms")


def test_the_function_of_the_stack_is_invoked_once_with_what_is_asked_of_it() -> None:
    aws = scripted(answered({"healthy": True}))

    assert reading(aws) == HealthReading(healthy=True, readable=True, reason="")
    asked = aws.asked[-1]
    assert (asked.identity, asked.params["FunctionName"]) == (identity_of(PLACE), SMOKE["PhysicalResourceId"])
    assert asked.params["InvocationType"] == "RequestResponse"
    assert json.loads(asked.params["Payload"]) == {
        "tidegate": {
            "check": "smoke",
            "stack": "svc-intake",
            "account": PLACE.account,
            "region": PLACE.region,
        }
    }
    assert "LogType" not in asked.params
    assert ("lambda", "invoke") in NEVER_RETRIED


def test_a_no_carries_the_functions_own_reason_cut_and_cleaned() -> None:
    found = reading(scripted(answered({"healthy": False, "reason": "no\x1b[31m forms " + "x" * 400})))

    assert (found.healthy, found.readable) == (False, True)
    assert found.reason.startswith("SmokeForms: no [31m forms xxx")
    assert len(found.reason) < 230


@pytest.mark.parametrize(
    "payload",
    [
        {"healthy": "yes"},
        {"healthy": 1},
        {"reason": "fine"},
        ["healthy"],
        True,
        b"",
        b"not json",
        b"[" * 100_000,
        json.dumps({"healthy": True, "reason": "x" * 70_000}).encode(),
    ],
)
def test_whatever_is_no_plain_yes_or_no_is_not_readable(payload: Any) -> None:
    found = reading(scripted(answered(payload)))

    assert (found.healthy, found.readable) == (False, False)


def test_a_function_that_raised_is_not_readable_and_its_message_is_not_repeated() -> None:
    payload = {"errorType": "ValueError", "errorMessage": "form of Jane Doe", "stackTrace": ["Jane Doe"]}
    found = reading(scripted(answered(payload, FunctionError="Unhandled")))

    assert found == HealthReading(
        healthy=False, readable=False, reason="SmokeForms ended with an error (ValueError)"
    )


@pytest.mark.parametrize("fault", [AnswerLost("lost"), Throttled("slow down"), AccessRefused("denied")])
def test_a_call_that_fails_on_its_way_is_not_readable(fault: Exception) -> None:
    found = reading(scripted(fault))

    assert (found.healthy, found.readable) == (False, False)


@pytest.mark.parametrize("fault", [WrongAccount("elsewhere"), CredentialsRefused("expired")])
def test_what_is_not_about_the_function_is_raised(fault: Exception) -> None:
    with pytest.raises(type(fault)):
        reading(scripted(fault))


def test_an_answer_that_breaks_off_is_not_readable() -> None:
    class Broken:
        def read(self, amount: int) -> bytes:
            raise ReadTimeoutError(endpoint_url=f"after {amount}")

    found = reading(scripted({"StatusCode": 200, "Payload": Broken()}))

    assert (found.healthy, found.readable) == (False, False)


@pytest.mark.parametrize(
    "rows",
    [(), ({**SMOKE, "ResourceType": "AWS::SQS::Queue"},), ({**SMOKE, "ResourceStatus": "DELETE_COMPLETE"},)],
)
def test_a_function_that_is_not_there_is_not_invoked(rows: tuple[dict[str, Any], ...]) -> None:
    aws = scripted(rows=rows)

    found = reading(aws)
    assert (found.healthy, found.readable) == (False, False)
    assert found.reason == "the stack has no Lambda function SmokeForms"
    assert aws.operations() == ["list_stack_resources"]


def test_a_stack_of_another_account_is_refused() -> None:
    with pytest.raises(WrongAccount):
        LambdaSmoke(scripted(), identity_of).call(PLACE, ELSEWHERE, "SmokeForms")
