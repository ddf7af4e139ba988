"""Floor 3, adapters: the Smoke port over Lambda. What cannot be read is never reported as healthy, nor raised.

It invokes one function of a stack in the planned account and reads its verdict. It must never repeat what a function
says of itself beyond its own `reason`: an exception's text may quote a client's data.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.adapters.aws.faults import clean
from pipeline.adapters.aws.reach import IdentityOf, Reach
from pipeline.adapters.aws.resources import StackResources
from pipeline.adapters.aws.session import Aws
from pipeline.errors import AnswerLost, CredentialsRefused, FenceLost, IntegrityBroken, ReleaseError
from pipeline.ports import HealthReading, Place

__all__ = ["LambdaSmoke"]

_ANSWER_LIMIT = 64 * 1024
"""bytes of an answer that are looked at; Lambda itself allows 6 MB"""
_REASON_LIMIT = 200
_LIST_MAX_AGE = 30.0


class LambdaSmoke:
    """One synchronous Invoke without log tail. The deploy role may invoke functions of services whose logical id
    begins with `Smoke`, and no other (pipeline/cloudformation/target.yaml).

    aws: its time limit for a call (25 s unless told) is how long the function may take; nothing invokes it again
    within one reading, as Lambda has no token that would make a repeated Invoke the same.
    """

    def __init__(self, aws: Aws, identity_of: IdentityOf, resources: StackResources | None = None) -> None:
        self._reach = Reach(aws, identity_of)
        self._resources = resources or StackResources(self._reach)

    def call(self, place: Place, stack: str, logical_id: str) -> HealthReading:
        try:
            function = self._function(place, stack, logical_id)
            if not function:
                return _unread(f"the stack has no Lambda function {logical_id}")
            return self._invoke(place, stack, logical_id, function)
        except AnswerLost:
            return _unread(f"{logical_id} did not answer in time")
        except (IntegrityBroken, CredentialsRefused, FenceLost):
            # Not about the function: the run must stop, not report an ill client.
            raise
        except ReleaseError as fault:
            return _unread(fault.problem)

    def _function(self, place: Place, stack: str, logical_id: str) -> str:
        if stack.startswith("arn:"):
            self._reach.landed(place, stack)
        for row in self._resources.read(place, stack, max_age=_LIST_MAX_AGE):
            if row.logical_id == logical_id and row.type == "AWS::Lambda::Function":
                return row.physical_id
        return ""

    def _invoke(self, place: Place, stack: str, logical_id: str, function: str) -> HealthReading:
        asked = {"check": "smoke", "stack": stack, "account": place.account, "region": place.region}
        answer = self._reach.call(
            place,
            "lambda",
            "invoke",
            FunctionName=function,
            InvocationType="RequestResponse",
            Payload=json.dumps({"tidegate": asked}).encode(),
        )
        text = _read(answer)
        if answer.get("FunctionError"):
            return _unread(f"{logical_id} ended with an error{_type_of(text)}")
        return _verdict(logical_id, text)


def _read(answer: dict[str, Any]) -> bytes:
    """The beginning of the answer; nothing where the connection broke while it came."""
    from botocore.exceptions import BotoCoreError

    body = answer.get("Payload")
    try:
        return bytes(body.read(_ANSWER_LIMIT + 1)) if body is not None else b""
    except BotoCoreError:
        return b""


def _verdict(logical_id: str, text: bytes) -> HealthReading:
    said = _object(text)
    healthy = said.get("healthy") if len(text) <= _ANSWER_LIMIT else None
    if not isinstance(healthy, bool):
        return _unread(f"{logical_id} does not answer {{'healthy': true or false}}")
    reason = said.get("reason", "")
    words = clean(reason, _REASON_LIMIT) if isinstance(reason, str) else ""
    if healthy:
        return HealthReading(healthy=True, readable=True, reason=words)
    return HealthReading(healthy=False, readable=True, reason=f"{logical_id}: {words or 'not healthy'}")


def _type_of(text: bytes) -> str:
    """The class of the error, never its message (Lambda's errorType and errorMessage)."""
    kind = _object(text).get("errorType")
    return f" ({clean(kind, 80)})" if isinstance(kind, str) and kind else ""


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unread(reason: str) -> HealthReading:
    return HealthReading(healthy=False, readable=False, reason=reason)
