"""Floor 2, effects: what a change set does to resources that belong to no stack. Pure.

A rollback lets go of a retained resource that the release it undoes had added here; the next deployment of a release
that names it has to take it back in, with its data, and never make an empty one beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pipeline.model.stack import ResourceChange
from pipeline.model.target_event import Orphan

__all__ = ["as_planned", "beside_an_orphan", "foreseen", "imported", "let_go"]


def let_go(changes: Sequence[ResourceChange], added: Collection[str]) -> tuple[Orphan, ...]:
    """What will belong to no stack once this change set of a rollback has been executed.

    added: logical ids that the release being undone added here.
    """
    return tuple(
        Orphan(logical_id=c.logical_id, resource_type=c.resource_type, physical_id=c.physical_id)
        for c in sorted(changes)
        if c.action == "Remove" and c.policy_action == "Retain" and c.logical_id in added
    )


def imported(changes: Sequence[ResourceChange], orphans: Sequence[Orphan]) -> tuple[str, ...]:
    """Logical ids of the orphans that this change set takes back in."""
    return tuple(sorted(c.logical_id for c in changes if c.action == "Import" and _orphan_of(c, orphans)))


def beside_an_orphan(changes: Sequence[ResourceChange], orphans: Sequence[Orphan]) -> Mapping[str, str]:
    """Whatever would be made anew and empty, although the one before it still stands: a sentence by logical id."""
    return {
        change.logical_id: f"{change.logical_id} ({change.resource_type}): would be made anew beside"
        f" {orphan.physical_id}, which an earlier rollback here has let go of with its data"
        for change in changes
        if change.action == "Add" and (orphan := _orphan_of(change, orphans)) is not None
    }


def foreseen(changes: Sequence[ResourceChange], orphans: Sequence[Orphan]) -> tuple[ResourceChange, ...]:
    """The same changes as a plan shows them: CloudFormation would make anew what has no literal name, but the engine
    takes it back in."""
    return tuple(
        ResourceChange(
            logical_id=change.logical_id,
            resource_type=change.resource_type,
            action="Import",
            physical_id=orphan.physical_id,
        )
        if change.action == "Add" and (orphan := _orphan_of(change, orphans)) is not None
        else change
        for change in changes
    )


def as_planned(
    changes: Sequence[ResourceChange], orphans: Sequence[Orphan], bridged: Sequence[Orphan] = ()
) -> tuple[ResourceChange, ...]:
    """The same changes as a plan saw them that knew of no orphan: what is taken back in was to be added.

    bridged: orphans that were imported before, so that this change set leaves them alone or changes them in place.
    """
    names = frozenset(orphan.logical_id for orphan in bridged)
    others = [c for c in changes if not (c.logical_id in names and _is_in_place(c))]
    planned = [
        ResourceChange(logical_id=c.logical_id, resource_type=c.resource_type, action="Add")
        if c.action == "Import" and _orphan_of(c, orphans)
        else c
        for c in others
    ]
    return (
        *planned,
        *(
            ResourceChange(logical_id=o.logical_id, resource_type=o.resource_type, action="Add")
            for o in bridged
        ),
    )


def _is_in_place(change: ResourceChange) -> bool:
    return change.action == "Modify" and change.replacement in ("", "False")


def _orphan_of(change: ResourceChange, orphans: Sequence[Orphan]) -> Orphan | None:
    wanted = (change.logical_id, change.resource_type)
    return next((o for o in orphans if (o.logical_id, o.resource_type) == wanted), None)
