"""Room: adapters/simulated. The Protection port over the simulated cloud, and what CloudFormation makes of a policy.

It holds the policies as AWS would and can be asked what a policy denies; it never loosens one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.formation import Formation
from pipeline.decide.stack_policy import GUARDED_TYPES, tightened
from pipeline.errors import NotFound
from pipeline.model.stack import ResourceChange
from pipeline.ports import Place

__all__ = ["SimulatedProtection", "denied_by"]


class SimulatedProtection:
    """ports.Protection. policies: what was set, by place and stack name. lasting: stacks that cannot be deleted."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud
        self.policies: dict[tuple[Place, str], str] = {}
        self.lasting: set[tuple[Place, str]] = set()
        self.writes = 0

    def protect(self, place: Place, stack: str, spare: frozenset[str] = frozenset()) -> None:
        def effect(formation: Formation) -> None:
            found, content = formation.find(stack), formation.content(stack)
            if found is None or content is None:
                raise NotFound(f"there is no stack {stack} to protect in {place.account}, {place.region}")
            key = (place, found.name)
            kept = {name for name, kind in content.release.resources if kind in GUARDED_TYPES} - spare
            policy = tightened(self.policies.get(key, ""), kept)
            if policy is not None:
                self.policies[key] = policy.decode("ascii")
                self.writes += 1
            self.lasting.add(key)

        self._cloud.call("protect", place, effect)


def denied_by(policy: str, changes: Sequence[ResourceChange]) -> tuple[str, ...]:
    """Logical ids of the changes that CloudFormation would refuse under this policy; empty without a policy.

    Source: CloudFormation User Guide, "Prevent updates to stack resources": a Deny overrides every Allow, and what
    no statement allows is denied; statements name LogicalResourceId/NAME with wildcards, or types by condition.
    """
    if not policy:
        return ()
    statements = json.loads(policy)["Statement"]
    return tuple(
        change.logical_id
        for change in changes
        if (action := _action(change)) and not _allowed(statements, action, change)
    )


def _action(change: ResourceChange) -> str:
    if change.action == "Remove":
        return "Update:Delete"
    if change.action != "Modify":
        return ""
    return "Update:Modify" if change.replacement in ("", "False") else "Update:Replace"


def _allowed(statements: list[dict[str, Any]], action: str, change: ResourceChange) -> bool:
    effects = {s["Effect"] for s in statements if _speaks_of(s, action, change)}
    return "Allow" in effects and "Deny" not in effects


def _speaks_of(statement: dict[str, Any], action: str, change: ResourceChange) -> bool:
    types = statement.get("Condition", {}).get("StringEquals", {}).get("ResourceType")
    return (
        any(_like(action, each) for each in _listed(statement["Action"]))
        and any(_like(f"LogicalResourceId/{change.logical_id}", r) for r in _listed(statement["Resource"]))
        and (types is None or change.resource_type in _listed(types))
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
