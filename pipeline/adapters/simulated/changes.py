"""Room: adapters/simulated. What a change set says, and what executing it makes, destroys, orphans and imports. Pure.

Facts: API reference, ResourceChange (Action, Replacement, PolicyAction) and CreateChangeSet; User Guide,
"DeletionPolicy attribute", "UpdateReplacePolicy attribute", "Import AWS resources into a CloudFormation stack
automatically" and "… manually".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.adapters.simulated.stack import Content
from pipeline.model.stack import ResourceChange

__all__ = ["Deed", "Physical", "changes_between", "deeds_of", "with_imports"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Physical:
    """One real resource of an account."""

    resource_type: str
    physical_id: str
    logical_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What an execution does to real resources. ids: physical ids by logical id once it is complete."""

    ids: Mapping[str, str]
    made: tuple[Physical, ...] = ()
    destroyed: tuple[Physical, ...] = ()
    orphaned: tuple[Physical, ...] = ()
    imported: tuple[Physical, ...] = ()


def changes_between(
    before: Content | None, wanted: Content, ids: Mapping[str, str]
) -> tuple[ResourceChange, ...]:
    """ids: physical ids as they stand. A release that scripts its changes has the last word on an update.

    "CloudFormation compares the stack's information with the information that you submit in the change set and lists
    the differences" (CreateChangeSet): a resource that stays as it is does not stand in a change set at all.
    """
    if wanted.release.changes is not None and before is not None:
        return tuple(sorted(wanted.release.changes))
    old = {} if before is None else dict(before.release.resources)
    new = dict(wanted.release.resources)
    found = [ResourceChange(logical_id=n, resource_type=new[n], action="Add") for n in new if n not in old]
    kept = frozenset(before.release.retained) if before is not None else frozenset()
    for name, kind in old.items():
        if name not in new:
            found.append(
                ResourceChange(
                    logical_id=name,
                    resource_type=kind,
                    action="Remove",
                    policy_action="Retain" if name in kept else "Delete",
                    physical_id=ids.get(name, ""),
                )
            )
        elif before is not None and (scope := _scope(name, before, wanted)):
            found.append(_modified(name, kind, wanted, scope, ids.get(name, "")))
    return tuple(sorted(found))


def _scope(name: str, before: Content, wanted: Content) -> tuple[str, ...]:
    """What of a resource differs (ResourceChange, Scope); empty where nothing does. Every function takes the stack's
    parameters into its environment."""
    old, new = before.release, wanted.release
    code = dict(old.functions).get(name), dict(new.functions).get(name)
    own = code[0] != code[1] or dict(old.defined).get(name) != dict(new.defined).get(name)
    told = code[1] is not None and before.parameters != wanted.parameters
    differs = own or told or (name in new.replaces and before != wanted)
    policies = ("DeletionPolicy", "UpdateReplacePolicy")
    return (
        *(("Properties",) if differs else ()),
        *(policies if (name in old.retained) != (name in new.retained) else ()),
    )


def _modified(name: str, kind: str, wanted: Content, scope: tuple[str, ...], physical: str) -> ResourceChange:
    replaced = name in wanted.release.replaces
    policy = "ReplaceAndRetain" if name in wanted.release.retained else "ReplaceAndDelete"
    return ResourceChange(
        logical_id=name,
        resource_type=kind,
        action="Modify",
        replacement="True" if replaced else "False",
        policy_action=policy if replaced else "",
        scope=scope,
        physical_id=physical,
    )


def with_imports(changes: tuple[ResourceChange, ...], found: Mapping[str, str]) -> tuple[ResourceChange, ...]:
    """found: physical ids by logical id. What would have been added is imported instead."""
    return tuple(
        sorted(
            ResourceChange(
                logical_id=change.logical_id,
                resource_type=change.resource_type,
                action="Import",
                physical_id=found[change.logical_id],
            )
            if change.action == "Add" and change.logical_id in found
            else change
            for change in changes
        )
    )


def deeds_of(
    changes: tuple[ResourceChange, ...], ids: Mapping[str, str], name: Callable[[str, str], str]
) -> Deed:
    """ids: as they stand. name: the physical id of a new resource, from its logical id and type.

    A replacement that is only conditional is carried out: nobody may count on its not being so.
    """
    after = dict(ids)
    made: list[Physical] = []
    destroyed: list[Physical] = []
    orphaned: list[Physical] = []
    imported: list[Physical] = []
    for change in changes:
        logical, kind = change.logical_id, change.resource_type
        old = Physical(
            resource_type=kind, physical_id=change.physical_id or ids.get(logical, ""), logical_id=logical
        )
        gone = orphaned if change.policy_action in _KEEPING else destroyed
        if change.action == "Import":
            imported.append(old)
            after[logical] = old.physical_id
        elif change.action == "Remove":
            gone.append(old)
            after.pop(logical, None)
        elif change.action == "Add" or change.replacement in ("True", "Conditional"):
            after[logical] = name(logical, kind)
            made.append(Physical(resource_type=kind, physical_id=after[logical], logical_id=logical))
            if change.action != "Add":
                gone.append(old)
        elif change.action not in ("Modify", "SyncWithActual"):
            # Dynamic, or a word of AWS that nobody here knows: the worst that it may mean.
            destroyed.append(old)
    return Deed(
        ids=after,
        made=tuple(made),
        destroyed=tuple(destroyed),
        orphaned=tuple(orphaned),
        imported=tuple(imported),
    )


_KEEPING = frozenset({"Retain", "ReplaceAndRetain", "Snapshot", "ReplaceAndSnapshot"})
"""The data outlives the change: the resource itself, or a snapshot of it."""
