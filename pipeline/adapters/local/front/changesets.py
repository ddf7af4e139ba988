"""Room: adapters/local/front. What AWS CloudFormation refuses and ministack lets through, around its handler.

It refuses, or puts back what a call must not have changed; the deployment itself is ministack's.
Sources: API reference of CreateChangeSet and ExecuteChangeSet; reference page "Update behaviour of stacks";
wording of refusals as AWS answers them where it is known.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs, urlencode

from pipeline.adapters.local.front.events import install_bus_policies
from pipeline.adapters.local.front.facts import Answer, Handler, current_facts
from pipeline.adapters.local.front.limits import account_limits
from pipeline.adapters.local.front.objects import (
    ACTING_ROLE,
    install_code_reading,
    may_read,
    template_location,
)

__all__ = ["guarded_cloudformation"]

Members = dict[str, str]

_SERVICE = "cloudformation.amazonaws.com"
_XMLNS = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
# Stack statuses from which an update may start (CloudFormation user guide, "Stack status codes").
_UPDATABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "CREATE_FAILED",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_NAMED_BY_ARN = ("ListChangeSets", "DescribeChangeSet", "ExecuteChangeSet", "CreateChangeSet")
_GENERATION = "_tidegate_generation"
_ASKED_WITH = "_tidegate_asked_with"
_ROLE = "_tidegate_role"


class Refused(Exception):
    """CloudFormation's refusal, with its error code."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def guarded_cloudformation(original: Handler) -> Handler:
    """ministack's CloudFormation with AWS's refusals around it."""

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        install_code_reading()
        install_bus_policies()
        members = _members(body, query)
        action = members.get("Action", "")
        try:
            members = _prepare(action, members)
            _mark_obsolete()
            shortcut, before = _before(action, members)
        except Refused as refusal:
            return _error(refusal)
        if shortcut is not None:
            return shortcut
        form = urlencode(members).encode()
        answer = await original(method, path, headers, form, {})
        return _after(action, members, before, answer)

    return handle


# --- before ------------------------------------------------------------------------------------------


def _members(body: bytes, query: Mapping[str, Any]) -> Members:
    merged = {**query, **parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)}
    return {name: value[-1] if isinstance(value, list) else str(value) for name, value in merged.items()}


def _prepare(action: str, members: Members) -> Members:
    """Names instead of stack ARNs where ministack looks only for names; templates that may be read."""
    stack = _stack(members.get("StackName", ""))
    if action in _NAMED_BY_ARN and stack is not None and members["StackName"].startswith("arn:"):
        members = {**members, "StackName": stack["StackName"]}
    if action == "ListChangeSets" and (stack is None or stack["StackStatus"] == "DELETE_COMPLETE"):
        raise Refused("ValidationError", f"Stack [{members.get('StackName', '')}] does not exist")
    role = members.get("RoleARN", "")
    if role:
        _may_pass(role)
    ACTING_ROLE.set(role or (stack or {}).get(_ROLE, ""))
    return _readable_template(members)


def _readable_template(members: Members) -> Members:
    """The template of a TemplateURL is read with the caller's credentials, in whoever's bucket it is."""
    url = members.get("TemplateURL")
    if not url:
        return members
    place = template_location(url)
    if place is None:
        raise Refused("ValidationError", "TemplateURL must be a supported URL.")
    if not may_read(*place):
        raise Refused("ValidationError", "S3 error: Access Denied")
    return {**members, "TemplateURL": f"https://s3.amazonaws.com/{place[0]}/{place[1]}"}


def _before(action: str, members: Members) -> tuple[Answer | None, dict[str, Any]]:
    """A ready answer or None, and what `_after` must know."""
    stack = _stack(members.get("StackName", ""))
    match action:
        case "CreateChangeSet":
            repeated = _repeated(members)
            if repeated is not None:
                return repeated, {}
            _creatable(members, stack)
        case "CreateStack" | "UpdateStack" | "ContinueUpdateRollback":
            _token_is_new(members, stack)
        case "ExecuteChangeSet":
            _executable(members)
        case "DescribeAccountLimits":
            return account_limits(_XMLNS), {}
        case _:
            pass
    return None, {"stack": stack, "sets": frozenset(_change_sets().keys())}


def _creatable(members: Members, stack: dict[str, Any] | None) -> None:
    kind = members.get("ChangeSetType", "UPDATE")
    exists = stack is not None and stack["StackStatus"] not in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE")
    if stack is None or not exists:
        if kind == "UPDATE" and stack is not None and stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            raise Refused("ValidationError", f"Stack [{stack['StackName']}] does not exist")
        return
    if kind == "CREATE":
        name, change_set = stack["StackName"], members.get("ChangeSetName", "")
        message = (
            f"Stack [{name}] already exists and cannot be created again with the changeSet [{change_set}]."
        )
        raise Refused("ValidationError", message)
    if kind == "UPDATE" and stack["StackStatus"] not in _UPDATABLE:
        state = stack["StackStatus"]
        raise Refused(
            "ValidationError", f"Stack:{stack['StackId']} is in {state} state and can not be updated."
        )


def _executable(members: Members) -> None:
    """ExecuteChangeSet is refused while the stack is busy, and for a change set the stack has moved past."""
    found = _change_set(members)
    if found is None:
        return
    stack = _stack(found["StackId"])
    state = stack["StackStatus"] if stack else "DELETE_COMPLETE"
    if state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS":
        message = f"ChangeSet [{found['ChangeSetId']}] cannot be executed while its stack is in {state} state"
        raise Refused("InvalidChangeSetStatus", message)
    if found["ExecutionStatus"] != "AVAILABLE":
        message = (
            f"ChangeSet [{found['ChangeSetId']}] cannot be executed in its current execution status of "
            f"[{found['ExecutionStatus']}]"
        )
        raise Refused("InvalidChangeSetStatus", message)
    _token_is_new(members, stack)
    role = found.get(_ROLE, "")
    if role and stack is not None:
        stack[_ROLE] = role
    ACTING_ROLE.set(role or (stack or {}).get(_ROLE, ""))


def _token_is_new(members: Members, stack: dict[str, Any] | None) -> None:
    token = members.get("ClientRequestToken")
    if not token or stack is None:
        return
    if any(event.get("ClientRequestToken") == token for event in _events(stack["StackId"])):
        raise Refused("TokenAlreadyExistsException", f"A request with token {token} exists already")


def _repeated(members: Members) -> Answer | None:
    """CreateChangeSet again with the same ClientToken answers as the first time did (member ClientToken)."""
    token = members.get("ClientToken")
    if not token:
        return None
    for found in _change_sets().values():
        same = found["ChangeSetName"] == members.get("ChangeSetName") and found.get(_ASKED_WITH) == token
        if same and found["StackName"] == members.get("StackName"):
            return _created(found["ChangeSetId"], found["StackId"])
    return None


def _may_pass(role: str) -> None:
    """A RoleARN needs iam:PassRole on it, and must trust CloudFormation (API reference, member RoleARN)."""
    key = _signing_key()
    from ministack.core import iam_evaluator as evaluator
    from ministack.core.responses import get_account_id, get_region

    if f":{get_account_id()}:role/" not in role or not _trusts_cloudformation(role):
        raise Refused("ValidationError", f"Role {role} is invalid or cannot be assumed")
    service = {"iam:PassedToService": _SERVICE}
    denied = evaluator.enforce(key, "iam:PassRole", "iam", get_region(), role, service_context=service)
    if denied is not None:
        caller = evaluator.caller_arn()
        message = f"User: {caller} is not authorized to perform: iam:PassRole on resource: {role}"
        raise Refused("AccessDenied", message, 403)


def _signing_key() -> str:
    """The access key that signed the request in hand."""
    from ministack.core.router import extract_access_key_id

    return str(extract_access_key_id(dict(current_facts().headers)))


def _trusts_cloudformation(role: str) -> bool:
    from ministack.services import iam

    found = iam._roles.get(role.rpartition("/")[2])
    if found is None:
        return False
    document = found.get("AssumeRolePolicyDocument", "{}")
    document = json.loads(document) if isinstance(document, str) else document
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        services = (statement.get("Principal") or {}).get("Service", [])
        if _SERVICE in ([services] if isinstance(services, str) else services):
            return bool(statement.get("Effect") == "Allow")
    return False


# --- after -------------------------------------------------------------------------------------------


def _after(action: str, members: Members, before: Mapping[str, Any], answer: Answer) -> Answer:
    if answer[0] >= 400:
        return answer
    prior = before["stack"]
    if action in ("CreateChangeSet", "CreateStack") and prior is not None:
        _keep_deleted(prior)
    if action == "DescribeStacks":
        return _with_roles(answer)
    if action == "ListStackResources" and prior is not None:
        return _with_failures(prior, answer)
    if action == "CreateChangeSet":
        made = [found for key, found in _change_sets().items() if key not in before["sets"]]
        return _finish_change_set(members, prior, made[0], answer) if made else answer
    return answer


def _finish_change_set(
    members: Members, prior: dict[str, Any] | None, made: dict[str, Any], answer: Answer
) -> Answer:
    """Remember what the change set was made upon; a stack in review keeps its identity."""
    from ministack.services import cloudformation

    if (
        prior is not None
        and prior["StackStatus"] == "REVIEW_IN_PROGRESS"
        and made["StackId"] != prior["StackId"]
    ):
        cloudformation._stack_events.pop(made["StackId"], None)
        cloudformation._stacks[prior["StackName"]] = prior
        made["StackId"] = prior["StackId"]
        answer = _created(made["ChangeSetId"], prior["StackId"])
    made[_GENERATION] = len(_events(made["StackId"]))
    made[_ASKED_WITH] = members.get("ClientToken", "")
    made[_ROLE] = members.get("RoleARN", "")
    return answer


def _with_roles(answer: Answer) -> Answer:
    """DescribeStacks names the execution role of a stack (data type Stack, member RoleARN)."""
    from ministack.services import cloudformation

    status, headers, body = answer
    for stack in cloudformation._stacks.values():
        if stack.get(_ROLE):
            tag = f"<StackId>{escape(stack['StackId'])}</StackId>"
            body = body.replace(tag.encode(), f"{tag}<RoleARN>{escape(stack[_ROLE])}</RoleARN>".encode(), 1)
    return status, headers, body


def _with_failures(stack: dict[str, Any], answer: Answer) -> Answer:
    """What a rollback could not put back is UPDATE_FAILED, with its reason (API reference, StackResourceSummary)."""
    if stack["StackStatus"] != "UPDATE_ROLLBACK_FAILED":
        return answer
    status, headers, body = answer
    for logical_id in stack.get("_rollback_failed", {}):
        own = [event for event in _events(stack["StackId"]) if event["LogicalResourceId"] == logical_id]
        failed = [event for event in own if event["ResourceStatus"] == "UPDATE_FAILED"]
        reason = escape(str(failed[-1].get("ResourceStatusReason", ""))) if failed else ""
        head, tag, rest = body.partition(
            f"<LogicalResourceId>{escape(logical_id)}</LogicalResourceId>".encode()
        )
        before, opened, after = rest.partition(b"<ResourceStatus>")
        told = f"<ResourceStatusReason>{reason}</ResourceStatusReason>".encode()
        body = (
            head + tag + before + told + opened + b"UPDATE_FAILED" + after[after.find(b"</ResourceStatus>") :]
        )
    return status, headers, body


def _keep_deleted(prior: dict[str, Any]) -> None:
    """A deleted stack stays describable by its ARN when its name is used again (DescribeStacks, 90 days)."""
    from ministack.services import cloudformation

    if prior["StackStatus"] == "DELETE_COMPLETE":
        cloudformation._stacks[prior["StackId"]] = prior


def _mark_obsolete() -> None:
    """Change sets made before the stack's latest operation: ExecutionStatus OBSOLETE."""
    for found in _change_sets().values():
        made_at = found.get(_GENERATION)
        waiting = found["ExecutionStatus"] == "AVAILABLE" and made_at is not None
        if waiting and len(_events(found["StackId"])) > made_at:
            found["ExecutionStatus"] = "OBSOLETE"


# --- ministack's stores, in the scope of the request ---------------------------------------------------


def _change_sets() -> Any:
    from ministack.services import cloudformation

    return cloudformation._change_sets


def _events(stack_id: str) -> list[dict[str, Any]]:
    from ministack.services import cloudformation

    found: list[dict[str, Any]] = cloudformation._stack_events.get(stack_id) or []
    return found


def _stack(name: str) -> dict[str, Any] | None:
    from ministack.services.cloudformation.handlers import _resolve_stack

    found: dict[str, Any] | None = _resolve_stack(name) if name else None
    return found


def _change_set(members: Members) -> dict[str, Any] | None:
    from ministack.services.cloudformation.changesets import _find_change_set

    found: dict[str, Any] | None
    _, found = _find_change_set(members.get("ChangeSetName", ""), members.get("StackName", ""))
    return found


# --- answers -----------------------------------------------------------------------------------------


def _created(change_set_id: str, stack_id: str) -> Answer:
    result = f"<Id>{escape(change_set_id)}</Id><StackId>{escape(stack_id)}</StackId>"
    body = (
        f'<CreateChangeSetResponse xmlns="{_XMLNS}"><CreateChangeSetResult>{result}</CreateChangeSetResult>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></CreateChangeSetResponse>"
    )
    return 200, {"Content-Type": "text/xml"}, body.encode()


def _error(refusal: Refused) -> Answer:
    body = (
        f'<ErrorResponse xmlns="{_XMLNS}"><Error><Type>Sender</Type><Code>{refusal.code}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return refusal.status, {"Content-Type": "text/xml"}, body.encode()
