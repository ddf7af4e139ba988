"""Room: adapters/simulated. What a stack policy forbids. Pure.

Facts: CloudFormation User Guide, "Prevent updates to stack resources": once a policy is set everything is denied
that no statement allows; an explicit Deny wins; Resource is `LogicalResourceId/NAME` with `*`; Condition knows
ResourceType; actions are Update:Modify, Update:Replace, Update:Delete, Update:*.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable
from typing import Any

from pipeline.model.stack import ResourceChange

__all__ = ["denied_by"]


def denied_by(policy: str, changes: Iterable[ResourceChange]) -> tuple[tuple[str, str], ...]:
    """Logical ids that the policy protects from these changes, with AWS's reason. policy empty: none."""
    if not policy:
        return ()
    statements: list[dict[str, Any]] = _listed(json.loads(policy)["Statement"])
    found = ((change, _action(change)) for change in changes)
    return tuple(
        (change.logical_id, _reason(action, change.logical_id))
        for change, action in found
        if action and not _allowed(statements, action, change)
    )


def _reason(action: str, logical_id: str) -> str:
    return (
        f"Action denied by stack policy: Statement [#1] does not allow [{action}] for resource "
        f"[LogicalResourceId/{logical_id}]"
    )


def _action(change: ResourceChange) -> str:
    if change.action == "Remove":
        return "Update:Delete"
    if change.action != "Modify":
        return ""
    return "Update:Replace" if change.replacement in ("True", "Conditional") else "Update:Modify"


def _allowed(statements: list[dict[str, Any]], action: str, change: ResourceChange) -> bool:
    met = [s["Effect"] for s in statements if _matches(s, action, change)]
    return "Allow" in met and "Deny" not in met


def _matches(statement: dict[str, Any], action: str, change: ResourceChange) -> bool:
    name = f"LogicalResourceId/{change.logical_id}"
    if "NotAction" in statement:
        acts = not _any(statement["NotAction"], action)
    else:
        acts = _any(statement.get("Action", ()), action)
    if "NotResource" in statement:
        meant = not _any(statement["NotResource"], name)
    else:
        meant = _any(statement.get("Resource", ()), name)
    return acts and meant and _typed(statement.get("Condition", {}), change.resource_type)


def _typed(condition: dict[str, Any], kind: str) -> bool:
    wanted = {**condition.get("StringEquals", {}), **condition.get("StringLike", {})}.get("ResourceType")
    return wanted is None or _any(wanted, kind)


def _any(patterns: object, text: str) -> bool:
    return any(fnmatch.fnmatchcase(text, str(pattern)) for pattern in _listed(patterns))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
