"""Floor 2, stack policies: what CloudFormation itself shall refuse, whoever asks. Pure; it only ever adds denials.

Once a policy is set everything is denied that it does not allow, executing a change set honours it and cannot
override it (CloudFormation User Guide, "Prevent updates to stack resources" and "Execute a change set"). A removal
needs `Update:Delete` whatever the resource's DeletionPolicy says, so what a rollback must be able to let go of
cannot be under that denial yet: it is by logical id, and grows. Replacing is denied by type, once and for all.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from pipeline.decide.stateful import PROTECTING_TYPES, STATEFUL_TYPES
from pipeline.errors import BlockedByPolicy
from pipeline.model.canonical import Json, canonical
from pipeline.model.stack import ResourceChange

__all__ = ["GUARDED_TYPES", "MAX_POLICY_BYTES", "asks_the_policy", "denied", "tightened"]

GUARDED_TYPES = STATEFUL_TYPES | PROTECTING_TYPES
MAX_POLICY_BYTES = 16384
"""API reference, SetStackPolicy: StackPolicyBody."""

_Statement: TypeAlias = Mapping[str, Json]

_ALLOW: _Statement = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
_ID = "LogicalResourceId/"


def tightened(current: str, guarded: Collection[str]) -> bytes | None:
    """The policy that a stack should have; None where it has it. It denies all that `current` denies, and more.

    current: as GetStackPolicy returns it; empty where there is none. guarded: logical ids of the stack's own
    resources that must never be removed. BlockedByPolicy where `current` is not a policy or there is no room.
    """
    statements = _statements(current)
    types, ids = frozenset(GUARDED_TYPES), frozenset(guarded)
    others: list[_Statement] = []
    for statement in statements:
        if (known := _denied_types(statement)) is not None:
            types |= known
        elif (named := _denied_ids(statement)) is not None:
            ids |= named
        else:
            others.append(statement)
    wanted = [*(others or [_ALLOW]), _never_replace(types), *([_never_remove(ids)] if ids else [])]
    if statements and {canonical(s) for s in statements} == {canonical(s) for s in wanted}:
        return None
    content = canonical({"Statement": wanted})
    if len(content) > MAX_POLICY_BYTES:
        raise BlockedByPolicy(
            f"the stack policy would have {len(content)} bytes, and AWS takes {MAX_POLICY_BYTES}",
            state="the stack keeps the policy it has",
            remedy="shorten that policy by hand, as TidegateRepair",
        )
    return content


def _statements(current: str) -> Sequence[_Statement]:
    if not current.strip():
        return ()
    try:
        found = json.loads(current)["Statement"]
    except (ValueError, TypeError, KeyError, RecursionError):
        found = None
    listed = [found] if isinstance(found, dict) else found
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise BlockedByPolicy(
            "the stack has a stack policy that cannot be read",
            state="the stack keeps the policy it has",
            remedy="look at it with `aws cloudformation get-stack-policy`, as TidegateRepair",
        )
    return listed


def _never_replace(types: Collection[str]) -> _Statement:
    return {
        "Effect": "Deny",
        "Action": "Update:Replace",
        "Principal": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"ResourceType": sorted(types)}},
    }


def _never_remove(ids: Collection[str]) -> _Statement:
    return {
        "Effect": "Deny",
        "Action": "Update:Delete",
        "Principal": "*",
        "Resource": [f"{_ID}{name}" for name in sorted(ids)],
    }


def _denied_types(statement: _Statement) -> frozenset[str] | None:
    """The types of a statement that `_never_replace` wrote, in this version or in another; None for any other."""
    condition = statement.get("Condition")
    equals = condition.get("StringEquals") if isinstance(condition, Mapping) else None
    types = _texts(equals.get("ResourceType")) if isinstance(equals, Mapping) else None
    return types if types is not None and statement == _never_replace(types) else None


def _denied_ids(statement: _Statement) -> frozenset[str] | None:
    named = _texts(statement.get("Resource"))
    if named is None or not all(name.startswith(_ID) for name in named):
        return None
    ids = frozenset(name.removeprefix(_ID) for name in named)
    return ids if statement == _never_remove(ids) else None


def _texts(value: Json) -> frozenset[str] | None:
    if not isinstance(value, list):
        return None
    texts = [each for each in value if isinstance(each, str)]
    return frozenset(texts) if len(texts) == len(value) else None


# --- what a policy would refuse --------------------------------------------------------------------


def asks_the_policy(changes: Iterable[ResourceChange]) -> bool:
    """Whether anything is removed or replaced, or may be: only then is a stack's policy worth a call."""
    return any(_action(change) in ("Update:Delete", "Update:Replace") for change in changes)


def denied(current: str, changes: Iterable[ResourceChange]) -> tuple[str, ...]:
    """Logical ids of the changes that CloudFormation would refuse under this policy; empty where there is none.

    A Deny overrides every Allow, and what no statement allows is denied. changes: of the policy's own stack.
    BlockedByPolicy where `current` is not a policy.
    """
    statements = _statements(current)
    if not statements:
        return ()
    return tuple(
        change.logical_id
        for change in changes
        if (action := _action(change)) and not _allowed(statements, action, change)
    )


def _action(change: ResourceChange) -> str:
    """Empty where no policy is asked: additions need no action of a stack policy."""
    if change.action in ("Remove", "Dynamic"):
        return "Update:Delete"
    if change.action != "Modify":
        return ""
    return "Update:Modify" if change.replacement == "False" else "Update:Replace"


def _allowed(statements: Sequence[_Statement], action: str, change: ResourceChange) -> bool:
    met = {statement.get("Effect") for statement in statements if _speaks_of(statement, action, change)}
    return "Allow" in met and "Deny" not in met


def _speaks_of(statement: _Statement, action: str, change: ResourceChange) -> bool:
    name = _ID + change.logical_id.rpartition("/")[2]
    acts = _meant(statement, "Action", action) and _meant(statement, "Resource", name)
    condition = statement.get("Condition")
    tests = list(condition.values()) if isinstance(condition, Mapping) else []
    wanted = [test.get("ResourceType") for test in tests if isinstance(test, Mapping)]
    return acts and all(_like(types, change.resource_type) for types in wanted)


def _meant(statement: _Statement, element: str, text: str) -> bool:
    if f"Not{element}" in statement:
        return not _like(statement[f"Not{element}"], text)
    return _like(statement.get(element), text)


def _like(patterns: Json, text: str) -> bool:
    listed = patterns if isinstance(patterns, list) else [patterns]
    return any(isinstance(each, str) and fnmatch.fnmatchcase(text, each) for each in listed)
