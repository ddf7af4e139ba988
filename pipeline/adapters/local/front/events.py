"""Room: adapters/local/front. EventBridge between accounts: buses with policies, as AWS has them.

ministack delivers within one account only and keeps no bus policy from a template. Here an event goes to another
account's bus when that bus's policy admits the sender (EventBridge user guide, "Sending and receiving events
between AWS accounts").
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from pipeline.adapters.local.front.facts import Answer, Handler

__all__ = ["guarded_events", "install_bus_policies"]

_BUS = re.compile(r"arn:aws:events:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):event-bus/(?P<name>.+)")
_JSON = "application/x-amz-json-1.1"


def guarded_events(original: Handler) -> Handler:
    """ministack's EventBridge with PutEvents to other accounts and whole bus policies."""

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        install_bus_policies()
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if action not in ("PutEvents", "PutPermission"):
            return await original(method, path, headers, body, query)
        document = json.loads(body or b"{}")
        if action == "PutPermission":
            _put_permission(document)
            return _answer({})
        results: list[dict[str, Any]] = []
        for entry in document.get("Entries", []):
            place = _foreign(entry.get("EventBusName", ""))
            if place is not None:
                results.append(_send(place, entry))
                continue
            single = json.dumps({"Entries": [entry]}).encode()
            status, answered, text = await original(method, path, headers, single, query)
            if status >= 400:
                return status, answered, text
            results.extend(json.loads(text)["Entries"])
        failed = sum("ErrorCode" in result for result in results)
        return _answer({"FailedEntryCount": failed, "Entries": results})

    return handle


def install_bus_policies() -> None:
    """Teach EventBridge to reach other accounts and CloudFormation AWS::Events::EventBusPolicy; idempotent."""
    from ministack.core.responses import get_account_id, get_region, request_scope
    from ministack.services import eventbridge
    from ministack.services.cloudformation import provisioners

    original = eventbridge._dispatch_to_event_bus
    if original.__module__ == __name__:
        return

    def dispatch(spec: Any, *arguments: Any) -> None:
        if (spec.account_id, spec.region) == (get_account_id(), get_region()):
            original(spec, *arguments)
            return
        sender = f"arn:aws:iam::{get_account_id()}:root"
        if spec.resource.startswith("event-bus/") and _admits(
            spec.account_id, spec.region, spec.resource.partition("/")[2], sender
        ):
            with request_scope(spec.account_id, spec.region):
                original(spec, *arguments)

    eventbridge._dispatch_to_event_bus = dispatch
    provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = {
        "create": _create_policy,
        "update": _update_policy,
        "delete": _delete_policy,
    }


# --- sending -----------------------------------------------------------------------------------------


def _foreign(name: str) -> re.Match[str] | None:
    """The bus that an ARN names, when it is not in the account and Region of the request."""
    from ministack.core.responses import get_account_id, get_region

    found = _BUS.fullmatch(name)
    if found is None or (found["account"], found["region"]) == (get_account_id(), get_region()):
        return None
    return found


def _send(place: re.Match[str], entry: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of PutEvents to another account's bus; the event keeps the sender's account."""
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region, request_scope
    from ministack.services import eventbridge

    if not _admits(place["account"], place["region"], place["name"], iam_evaluator.caller_arn()):
        text = f"The event bus {place.string} does not admit {iam_evaluator.caller_arn()}"
        return {"ErrorCode": "NotAuthorizedException", "ErrorMessage": text}
    record = {
        "EventId": str(uuid.uuid4()),
        "Source": entry.get("Source", ""),
        "DetailType": entry.get("DetailType", ""),
        "Detail": entry.get("Detail", "{}"),
        "EventBusName": place["name"],
        "Time": int(eventbridge._now_ts()),
        "Resources": entry.get("Resources", []),
        "Account": get_account_id(),
        "Region": get_region(),
    }
    with request_scope(place["account"], place["region"]):
        eventbridge._dispatch_event(record)
    return {"EventId": record["EventId"]}


def _admits(account: str, region: str, name: str, sender: str) -> bool:
    """Whether this bus exists and its policy admits the sender; within one account no policy is needed."""
    from ministack.core import iam_evaluator
    from ministack.services import eventbridge

    if not eventbridge._event_buses.contains_scoped(account, region, name):
        return False
    sending = sender.split(":")[4]
    if sending == account:
        return True
    context = iam_evaluator.EvalContext(
        principal_arn=sender,
        principal_type="AssumedRole",
        principal_account=sending,
        action="events:PutEvents",
        resource_arn=f"arn:aws:events:{region}:{account}:event-bus/{name}",
        region=region,
    )
    policy = eventbridge._event_bus_policies.get_scoped(account, region, name)
    return bool(policy) and iam_evaluator.evaluate_resource_policy(policy, context).decision == "Allow"


# --- policies ----------------------------------------------------------------------------------------


def _put_permission(document: Mapping[str, Any]) -> None:
    """PutPermission: a whole Policy, or one statement with a StatementId (API reference)."""
    from ministack.services import eventbridge

    bus = document.get("EventBusName") or "default"
    if "Policy" in document:
        eventbridge._event_bus_policies[bus] = json.loads(document["Policy"])
        return
    condition = document.get("Condition")
    statement: dict[str, Any] = {
        "Sid": document.get("StatementId", ""),
        "Effect": "Allow",
        "Principal": _principal(document.get("Principal", "*")),
        "Action": document.get("Action", "events:PutEvents"),
    }
    if condition:
        statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    _add_statement(bus, statement)


def _principal(named: Any) -> Any:
    return {"AWS": f"arn:aws:iam::{named}:root"} if isinstance(named, str) and named != "*" else named


def _add_statement(bus: str, statement: dict[str, Any]) -> None:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import eventbridge

    arn = f"arn:aws:events:{get_region()}:{get_account_id()}:event-bus/{bus}"
    policy = eventbridge._event_bus_policies.get(bus) or {"Version": "2012-10-17", "Statement": []}
    kept = [found for found in policy["Statement"] if found.get("Sid") != statement["Sid"]]
    eventbridge._event_bus_policies[bus] = {
        **policy,
        "Statement": [*kept, {"Resource": arn, **statement}],
    }


def _remove_statement(bus: str, statement_id: str) -> None:
    from ministack.services import eventbridge

    policy = eventbridge._event_bus_policies.get(bus)
    if policy:
        kept = [found for found in policy["Statement"] if found.get("Sid") != statement_id]
        eventbridge._event_bus_policies[bus] = {**policy, "Statement": kept}


def _create_policy(
    _logical_id: str, properties: Mapping[str, Any], _stack: str
) -> tuple[str, dict[str, Any]]:
    """AWS::Events::EventBusPolicy: Ref is the bus name and the statement id (resource reference)."""
    bus = properties.get("EventBusName") or "default"
    statement_id = properties["StatementId"]
    statement = properties.get("Statement")
    if isinstance(statement, dict):
        _add_statement(bus, {**statement, "Sid": statement_id})
    else:
        _put_permission({**properties, "EventBusName": bus})
    return f"{bus}|{statement_id}", {}


def _update_policy(
    physical_id: str, _old: Mapping[str, Any], new: Mapping[str, Any], stack: str
) -> tuple[str, dict[str, Any]]:
    """A changed bus or statement id makes another policy; CloudFormation then deletes the old one."""
    if physical_id == f"{new.get('EventBusName') or 'default'}|{new['StatementId']}":
        _remove_statement(*_parts(physical_id))
    return _create_policy("", new, stack)


def _delete_policy(physical_id: str, _properties: Mapping[str, Any]) -> None:
    _remove_statement(*_parts(physical_id))


def _parts(physical_id: str) -> tuple[str, str]:
    bus, _, statement_id = physical_id.partition("|")
    return bus, statement_id


def _answer(document: dict[str, Any]) -> Answer:
    return 200, {"Content-Type": _JSON}, json.dumps(document).encode()
