"""Floor 2, the guard: what a change set may not do. Pure, and closed: whatever is not known to be safe blocks.

Source: CloudFormation API reference, ResourceChange (Action, Replacement, PolicyAction, Scope), ResourceChangeDetail
and ResourceTargetDefinition. A test compares every enum here with botocore's service model.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from pipeline.decide.stateful import (
    NESTED_STACK,
    PROTECTING_TYPES,
    RISKS,
    STATEFUL_TYPES,
    AnyChange,
    MustBe,
    NeverLess,
    Risk,
)
from pipeline.model.ids import Digest, TargetId
from pipeline.model.stack import PropertyChange, ResourceChange, effect_of

__all__ = [
    "KNOWN",
    "STATEFUL_TYPES",
    "GuardFinding",
    "findings",
    "is_waivable_rule",
    "sentences",
    "stops_only_itself",
]

KNOWN: Mapping[str, frozenset[str]] = {
    "ChangeAction": frozenset({"Add", "Modify", "Remove", "Import", "Dynamic", "SyncWithActual"}),
    "Replacement": frozenset({"True", "False", "Conditional"}),
    "PolicyAction": frozenset(
        {"Delete", "Retain", "Snapshot", "ReplaceAndDelete", "ReplaceAndRetain", "ReplaceAndSnapshot"}
    ),
    "ResourceAttribute": frozenset(
        {
            "Properties",
            "Metadata",
            "CreationPolicy",
            "UpdatePolicy",
            "DeletionPolicy",
            "UpdateReplacePolicy",
            "Tags",
        }
    ),
    "AttributeChangeType": frozenset({"Add", "Remove", "Modify", "SyncWithActual"}),
    "RequiresRecreation": frozenset({"Never", "Conditionally", "Always"}),
    "EvaluationType": frozenset({"Static", "Dynamic"}),
    "ChangeSource": frozenset(
        {
            "ResourceReference",
            "ParameterReference",
            "ResourceAttribute",
            "DirectModification",
            "Automatic",
            "NoModification",
        }
    ),
}
"""Every value of botocore's enums by the enum's name; what is not here blocks. AWS may leave all but the action out."""

_SAFE_POLICIES: Mapping[str, frozenset[str]] = {
    "DeletionPolicy": frozenset({"Retain", "RetainExceptOnCreate", "Snapshot"}),
    "UpdateReplacePolicy": frozenset({"Retain", "Snapshot"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFinding:
    """One thing that a change set may not do. `str()` of it is the sentence with what it speaks of.

    rule: what a waiver has to name: removal, replacement, unforeseen, undecided, import, protection,
    `property:NAME`, `policy:NAME`; unknown and unreadable ones cannot be waived.
    effect: digest of the whole change set, equal at every target with the same effect.
    """

    logical_id: str
    resource_type: str
    rule: str
    sentence: str
    physical_id: str = ""
    effect: Digest | None = None

    @property
    def waivable(self) -> bool:
        return is_waivable_rule(self.rule)

    def __str__(self) -> str:
        return f"{self.logical_id} ({self.resource_type}): {self.sentence}"


def findings(
    changes: Sequence[ResourceChange],
    *,
    added_by_this_release: Collection[str] = frozenset(),
    ours: Collection[tuple[str, str]] = frozenset(),
) -> tuple[GuardFinding, ...]:
    """Whatever blocks, in the change set's order; empty where the change set may be executed.

    added_by_this_release: on a rollback, logical ids that the release being rolled back created at this very
    target. Letting go of such a resource is allowed where its policy retains it.
    ours: (logical id, physical id) of what such a rollback let go of here, as the journal knows it: only that may
    be imported.
    """
    found = [
        finding
        for change in changes
        for finding in _of_change(change, added_by_this_release, frozenset(ours))
    ]
    if not found:
        return ()
    effect = effect_of(tuple(changes))
    return tuple(replace(finding, effect=effect) for finding in found)


_WAIVABLE = frozenset({"import", "protection", "removal", "replacement", "undecided", "unforeseen"})


def is_waivable_rule(rule: str) -> bool:
    """What nobody has read, or what this version does not know, nobody can answer for."""
    kind, colon, name = rule.partition(":")
    return rule in _WAIVABLE or (kind in ("property", "policy") and bool(colon and name))


def sentences(found: Sequence[GuardFinding]) -> tuple[str, ...]:
    return tuple(str(finding) for finding in found)


def stops_only_itself(target: TargetId) -> bool:
    """Whether a blocked change leaves the others alone: nothing has been touched, and the next client's change may
    well be harmless. A service's own account is different, because no client is served before its service; so is a
    test account, because there a release has to show that it can be deployed."""
    return target.is_client


# --- one change ------------------------------------------------------------------------------------


def _of_change(
    change: ResourceChange, added: Collection[str], ours: frozenset[tuple[str, str]]
) -> Iterator[GuardFinding]:
    unknown = tuple(_unknown_values(change))
    if unknown:
        yield from (_finding(change, rule, sentence) for rule, sentence in unknown)
        return
    match change.action:
        case "Add":
            return
        case "Import":
            if (change.logical_id, change.physical_id) not in ours or not change.physical_id:
                yield _finding(change, "import", "would take in a resource that no rollback here let go of")
        case "Dynamic":
            yield _finding(change, "unforeseen", "Dynamic cannot be foreseen")
        case "Remove":
            yield from _removal(change, added)
        case "SyncWithActual":
            # "resource will not be changed, only CloudFormation metadata will change"
            if change.replacement in ("True", "Conditional"):
                yield from _replacement(change)
        case _:
            yield from _modification(change)


def _finding(change: ResourceChange, rule: str, sentence: str) -> GuardFinding:
    return GuardFinding(
        logical_id=change.logical_id,
        resource_type=change.resource_type,
        rule=rule,
        sentence=sentence,
        physical_id=change.physical_id,
    )


def _unknown_values(change: ResourceChange) -> Iterator[tuple[str, str]]:
    """(rule, sentence) for what this version has never heard of, whatever the resource."""
    if change.action not in KNOWN["ChangeAction"]:
        yield "unknown", f"{change.action or 'an unnamed action'} cannot be foreseen"
    told = [("Replacement", change.replacement), ("PolicyAction", change.policy_action)]
    told += [("ResourceAttribute", attribute) for attribute in change.scope]
    if any(not detail.attribute for detail in change.details):
        yield "unknown", "AWS does not say what of it would change"
    for detail in change.details:
        told += [
            ("ResourceAttribute", detail.attribute),
            ("AttributeChangeType", detail.change),
            ("RequiresRecreation", detail.recreation),
            ("EvaluationType", detail.evaluation),
            ("ChangeSource", detail.source),
        ]
    for kind, value in dict.fromkeys(told):
        if value and value not in KNOWN[kind]:
            yield "unknown", f"AWS says {kind} {value}, which this version does not know"


# --- what goes away --------------------------------------------------------------------------------


def _removal(change: ResourceChange, added: Collection[str]) -> Iterator[GuardFinding]:
    if change.resource_type in PROTECTING_TYPES:
        if change.logical_id not in added:
            yield _finding(change, "protection", "would be removed, and with it the protection of others")
        return
    if change.resource_type not in STATEFUL_TYPES:
        return
    if change.policy_action not in ("Retain", "Snapshot"):
        yield _finding(change, "removal", "would be deleted with its data")
    elif change.policy_action == "Snapshot" or change.logical_id not in added:
        yield _finding(change, "removal", "would be let go of, and its data left without an owner")


def _replacement(change: ResourceChange) -> Iterator[GuardFinding]:
    perhaps = "" if change.replacement == "True" else "perhaps "
    if change.resource_type in PROTECTING_TYPES:
        sentence = f"would {perhaps}be replaced, and with it the protection of others"
        yield _finding(change, "protection", sentence)
        return
    if change.resource_type not in STATEFUL_TYPES:
        return
    if change.policy_action in ("ReplaceAndRetain", "ReplaceAndSnapshot"):
        loss = "by an empty one, and its data left behind"
    else:
        loss = "and lose its data"
    yield _finding(change, "replacement", f"would {perhaps}be replaced {loss}")


# --- what stays, but not as it was -----------------------------------------------------------------


def _modification(change: ResourceChange) -> Iterator[GuardFinding]:
    if change.is_tags_only or change.resource_type not in STATEFUL_TYPES | PROTECTING_TYPES:
        return
    match change.replacement:
        case "True" | "Conditional":
            yield from _replacement(change)
        case "False":
            if change.resource_type == NESTED_STACK and not change.nested_change_set:
                yield _finding(change, "unreadable", "the nested change set cannot be read")
        case _:
            yield _finding(change, "undecided", "AWS does not say whether it would be replaced")
    yield from _policies(change)
    yield from _properties(change)


def _policies(change: ResourceChange) -> Iterator[GuardFinding]:
    """A policy that no longer keeps the data makes the next removal one that nobody can take back."""
    for name, safe in _SAFE_POLICIES.items():
        details = [detail for detail in change.details if detail.attribute == name]
        if name not in change.scope and not details:
            continue
        if not details or any(detail.after not in safe for detail in details):
            yield _finding(change, f"policy:{name}", f"{name} would no longer be known to keep its data")


def _properties(change: ResourceChange) -> Iterator[GuardFinding]:
    risks = RISKS.get(change.resource_type)
    if risks is None:
        return
    details = [detail for detail in change.details if detail.attribute == "Properties"]
    nameless = any(not detail.name for detail in details)
    if nameless or ("Properties" in change.scope and not details):
        yield _finding(change, "undecided", "AWS does not say which of its properties would change")
    for name, risk in risks.items():
        named = [detail for detail in details if detail.name == name]
        if any(not _is_harmless(detail, risk) for detail in named):
            yield _finding(change, f"property:{name}", f"{_danger(name, risk)}, which may endanger its data")


def _danger(name: str, risk: Risk) -> str:
    match risk:
        case AnyChange():
            return f"{name} would change"
        case MustBe(value=value, flag=flag):
            return f"{f'{name}.{flag}' if flag else name} would change, and not provably to {value}"
        case NeverLess():
            return f"{name} would change, and not provably to more"
        case _:
            assert_never(risk)


def _is_harmless(detail: PropertyChange, risk: Risk) -> bool:
    if detail.change == "SyncWithActual":
        return True
    inside = _inside(detail)
    if isinstance(risk, MustBe) and risk.only_flag and inside and inside[0] != risk.flag:
        return True
    if detail.evaluation == "Dynamic" or detail.change == "Remove":
        return False
    match risk:
        case AnyChange():
            return False
        case MustBe(value=value, flag=flag):
            return _becomes(detail, inside, flag) == value
        case NeverLess():
            before, after = detail.before, detail.after
            return before.isdecimal() and after.isdecimal() and int(after) >= int(before)
        case _:
            assert_never(risk)


def _inside(detail: PropertyChange) -> list[str]:
    """The way below the topmost property; empty for the property itself, and where AWS does not tell."""
    return [part for part in detail.path.removeprefix("/Properties/").split("/") if part][1:]


def _becomes(detail: PropertyChange, inside: list[str], flag: str) -> str | None:
    """The value that decides, as text; None where it cannot be told."""
    if not flag or inside == [flag]:
        return detail.after if bool(flag) == bool(inside) else None
    if inside:
        return None
    try:
        whole = json.loads(detail.after)
    except (ValueError, RecursionError):
        return None
    found = whole.get(flag) if isinstance(whole, Mapping) else None
    return str(found).lower() if isinstance(found, bool) else found if isinstance(found, str) else None
