"""Room: adapters/local/front. AWS Organizations on the wire: JSON 1.1 in, the shared rules, JSON 1.1 out.

It translates and never decides; signature and permission have been checked before it is reached.
Shapes: botocore service model `organizations` 2016-11-28.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.adapters.local.front.cloud import Cloud
from pipeline.adapters.simulated.organization_faults import InvalidInput, OrganizationsFault
from pipeline.adapters.simulated.organization_tree import Node, Unit
from pipeline.adapters.simulated.organizations import DEFAULT_ROLE_NAME, Account, Creation

__all__ = ["OPERATIONS", "answer"]

_JSON = "application/x-amz-json-1.1"
Payload = Mapping[str, Any]
Document = dict[str, Any]
Operation = Callable[[Cloud, str, Payload], Document]


def answer(cloud: Cloud, caller: str, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Answer one request: (status, headers, body). `target` is the X-Amz-Target header."""
    operation = OPERATIONS.get(target.rpartition(".")[2])
    if operation is None:
        return _error(
            "UnknownOperationException", f"The local AWS has no Organizations operation {target!r}.", ""
        )
    try:
        payload = json.loads(body or b"{}")
        document = operation(cloud, caller, payload)
    except (json.JSONDecodeError, KeyError, TypeError) as fault:
        return _error(
            "InvalidInputException", f"A member of the request is missing or malformed: {fault}", ""
        )
    except OrganizationsFault as fault:
        return _error(fault.code, fault.message, fault.reason)
    finally:
        cloud.save()
    return 200, {"Content-Type": _JSON}, json.dumps(document).encode()


def _error(code: str, message: str, reason: str) -> tuple[int, dict[str, str], bytes]:
    document = {"__type": code, "Message": message, "message": message}
    if reason:
        document["Reason"] = reason
    return 400, {"Content-Type": _JSON, "x-amzn-ErrorType": code}, json.dumps(document).encode()


# --- shapes ------------------------------------------------------------------------------------------


def _page(cloud: Cloud, payload: Payload, member: str, items: Sequence[Document]) -> Document:
    """One page of a list; tokens are opaque, and a foreign one is refused."""
    size = min(int(payload.get("MaxResults", cloud.organization.limits.page_size)), 20)
    start = 0
    if token := payload.get("NextToken"):
        try:
            name, _, offset = base64.b64decode(token, validate=True).decode().partition(":")
            start = int(offset) if name == member else -1
        except (binascii.Error, UnicodeDecodeError, ValueError):
            start = -1
        if start < 0:
            raise InvalidInput("The NextToken is not valid.", reason="INVALID_NEXT_TOKEN")
    document: Document = {member: list(items[start : start + size])}
    if start + size < len(items):
        document["NextToken"] = base64.b64encode(f"{member}:{start + size}".encode()).decode()
    return document


def _arn(cloud: Cloud, kind: str, *parts: str) -> str:
    organization = cloud.organization.organization_id
    return f"arn:aws:organizations::{cloud.management_id}:{kind}/{'/'.join((organization, *parts))}"


def _account(cloud: Cloud, account: Account) -> Document:
    return {
        "Id": account.account_id,
        "Arn": _arn(cloud, "account", account.account_id),
        "Email": account.email,
        "Name": account.name,
        "Status": account.state,
        "State": account.state,
        "JoinedMethod": account.joined_method,
        "JoinedTimestamp": account.joined_at,
    }


def _creation(creation: Creation) -> Document:
    document: Document = {
        "Id": creation.creation_id,
        "AccountName": creation.name,
        "State": creation.state,
        "RequestedTimestamp": creation.requested_at,
    }
    if creation.state != "IN_PROGRESS":
        document["CompletedTimestamp"] = creation.ready_at
    if creation.state == "SUCCEEDED":
        document["AccountId"] = creation.account_id
    if creation.state == "FAILED":
        document["FailureReason"] = creation.failure
    return document


def _unit(cloud: Cloud, unit: Unit) -> Document:
    return {"Id": unit.unit_id, "Arn": _arn(cloud, "ou", unit.unit_id), "Name": unit.name}


def _nodes(nodes: Sequence[Node]) -> list[Document]:
    return [{"Id": node.node_id, "Type": node.kind} for node in nodes]


def _tags(payload: Payload) -> list[tuple[str, str]]:
    return [(tag["Key"], tag["Value"]) for tag in payload.get("Tags", ())]


# --- operations --------------------------------------------------------------------------------------


def _create_account(cloud: Cloud, caller: str, payload: Payload) -> Document:
    creation = cloud.organization.create_account(
        caller,
        email=payload["Email"],
        name=payload["AccountName"],
        role_name=payload.get("RoleName", DEFAULT_ROLE_NAME),
        tags=_tags(payload),
    )
    return {"CreateAccountStatus": _creation(creation)}


def _describe_creation(cloud: Cloud, caller: str, payload: Payload) -> Document:
    creation = cloud.organization.describe_creation(caller, payload["CreateAccountRequestId"])
    return {"CreateAccountStatus": _creation(creation)}


def _list_creations(cloud: Cloud, caller: str, payload: Payload) -> Document:
    creations = cloud.organization.creations(caller, payload.get("States", ()))
    return _page(cloud, payload, "CreateAccountStatuses", [_creation(creation) for creation in creations])


def _describe_account(cloud: Cloud, caller: str, payload: Payload) -> Document:
    return {"Account": _account(cloud, cloud.organization.account(caller, payload["AccountId"]))}


def _list_accounts(cloud: Cloud, caller: str, payload: Payload) -> Document:
    found = [_account(cloud, account) for account in cloud.organization.accounts(caller)]
    return _page(cloud, payload, "Accounts", found)


def _list_accounts_for_parent(cloud: Cloud, caller: str, payload: Payload) -> Document:
    accounts = cloud.organization.accounts_for_parent(caller, payload["ParentId"])
    return _page(cloud, payload, "Accounts", [_account(cloud, account) for account in accounts])


def _close_account(cloud: Cloud, caller: str, payload: Payload) -> Document:
    cloud.organization.close_account(caller, payload["AccountId"])
    return {}


def _move_account(cloud: Cloud, caller: str, payload: Payload) -> Document:
    cloud.organization.move_account(
        caller,
        payload["AccountId"],
        source=payload["SourceParentId"],
        destination=payload["DestinationParentId"],
    )
    return {}


def _describe_organization(cloud: Cloud, caller: str, _payload: Payload) -> Document:
    management = cloud.organization.describe(caller)
    arn = f"arn:aws:organizations::{cloud.management_id}:organization/{cloud.organization.organization_id}"
    return {
        "Organization": {
            "Id": cloud.organization.organization_id,
            "Arn": arn,
            "FeatureSet": "ALL",
            "MasterAccountArn": _arn(cloud, "account", management.account_id),
            "MasterAccountId": management.account_id,
            "MasterAccountEmail": management.email,
            "AvailablePolicyTypes": [],
        }
    }


def _list_roots(cloud: Cloud, caller: str, payload: Payload) -> Document:
    root_id = cloud.organization.browse(caller, "ListRoots").root_id
    root = {"Id": root_id, "Arn": _arn(cloud, "root", root_id), "Name": "Root", "PolicyTypes": []}
    return _page(cloud, payload, "Roots", [root])


def _list_parents(cloud: Cloud, caller: str, payload: Payload) -> Document:
    parent = cloud.organization.browse(caller, "ListParents").parent_of(payload["ChildId"])
    return _page(cloud, payload, "Parents", _nodes([parent]))


def _list_children(cloud: Cloud, caller: str, payload: Payload) -> Document:
    children = cloud.organization.children(caller, payload["ParentId"], payload["ChildType"])
    return _page(cloud, payload, "Children", _nodes(children))


def _create_unit(cloud: Cloud, caller: str, payload: Payload) -> Document:
    unit = cloud.organization.create_unit(
        caller, parent_id=payload["ParentId"], name=payload["Name"], tags=_tags(payload)
    )
    return {"OrganizationalUnit": _unit(cloud, unit)}


def _describe_unit(cloud: Cloud, caller: str, payload: Payload) -> Document:
    tree = cloud.organization.browse(caller, "DescribeOrganizationalUnit")
    return {"OrganizationalUnit": _unit(cloud, tree.unit(payload["OrganizationalUnitId"]))}


def _delete_unit(cloud: Cloud, caller: str, payload: Payload) -> Document:
    tree = cloud.organization.browse(caller, "DeleteOrganizationalUnit")
    tree.delete_unit(payload["OrganizationalUnitId"])
    return {}


def _list_units_for_parent(cloud: Cloud, caller: str, payload: Payload) -> Document:
    tree = cloud.organization.browse(caller, "ListOrganizationalUnitsForParent")
    units = [_unit(cloud, unit) for unit in tree.units_in(payload["ParentId"])]
    return _page(cloud, payload, "OrganizationalUnits", units)


def _tag_resource(cloud: Cloud, caller: str, payload: Payload) -> Document:
    cloud.organization.browse(caller, "TagResource").tag(payload["ResourceId"], _tags(payload))
    return {}


def _untag_resource(cloud: Cloud, caller: str, payload: Payload) -> Document:
    cloud.organization.browse(caller, "UntagResource").untag(payload["ResourceId"], payload["TagKeys"])
    return {}


def _list_tags(cloud: Cloud, caller: str, payload: Payload) -> Document:
    tags = cloud.organization.browse(caller, "ListTagsForResource").tags_of(payload["ResourceId"])
    return _page(cloud, payload, "Tags", [{"Key": key, "Value": value} for key, value in tags.items()])


OPERATIONS: Mapping[str, Operation] = {
    "CreateAccount": _create_account,
    "DescribeCreateAccountStatus": _describe_creation,
    "ListCreateAccountStatus": _list_creations,
    "DescribeAccount": _describe_account,
    "ListAccounts": _list_accounts,
    "ListAccountsForParent": _list_accounts_for_parent,
    "CloseAccount": _close_account,
    "MoveAccount": _move_account,
    "DescribeOrganization": _describe_organization,
    "ListRoots": _list_roots,
    "ListParents": _list_parents,
    "ListChildren": _list_children,
    "CreateOrganizationalUnit": _create_unit,
    "DescribeOrganizationalUnit": _describe_unit,
    "DeleteOrganizationalUnit": _delete_unit,
    "ListOrganizationalUnitsForParent": _list_units_for_parent,
    "TagResource": _tag_resource,
    "UntagResource": _untag_resource,
    "ListTagsForResource": _list_tags,
}
