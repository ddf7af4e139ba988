"""Room: adapters/simulated. Making and deleting change sets, imports among them. It executes none.

Facts: API reference of CreateChangeSet and DeleteChangeSet, unless another source is named at a function. It knows
no faults of the wire. The caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.adapters.simulated.changes import Physical, changes_between, with_imports
from pipeline.adapters.simulated.formation import Formation
from pipeline.adapters.simulated.stack import ChangeSet, Content, ScriptedRelease, Stack
from pipeline.errors import ChangeSetBusy, ChangeSetGone, RequestRefused, StackBusy
from pipeline.model.stack import (
    DEPLOYABLE,
    EMPTY_CHANGE_SET_REASONS,
    ExecutionStatus,
    ResourceChange,
    StackStatus,
)
from pipeline.ports import ChangeSetRequest

__all__ = ["busy", "create_change_set", "delete_change_set", "new_stack", "taken_names"]

S = StackStatus
_EMPTY_REASONS = (
    f"{EMPTY_CHANGE_SET_REASONS[0]}. Submit different information to create a change set.",
    f"{EMPTY_CHANGE_SET_REASONS[1]}.",
)
_TAKEN = "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]."
_UNRETAINED = (
    "CloudFormation is attempting to import some resources because they already exist in your account. The resources "
    "must have the DeletionPolicy attribute set to 'Retain' or 'RetainExceptOnCreate' in the template for successful "
    "import. The affected resources are "
)


def create_change_set(
    formation: Formation, request: ChangeSetRequest, release: ScriptedRelease
) -> tuple[str, str]:
    """Accepted at once, made later. A CREATE makes the stack, empty and REVIEW_IN_PROGRESS; a second CREATE
    change set on it is allowed. The same ClientToken again is "not another change set with the same name"."""
    stack = formation.find(request.stack)
    known = stack.change_sets.get(request.name) if stack is not None else None
    if stack is not None and known is not None:
        if formation.temper.honours_client_token and known.token == request.token:
            return known.arn, stack.id
        raise ChangeSetBusy(f"AlreadyExistsException: ChangeSet {request.name} already exists")
    _allow(formation, request, stack)
    wanted = Content(release=release, parameters=tuple(sorted(request.parameters)))
    _allow_import(formation, request, stack, wanted)
    if stack is None:
        stack = new_stack(formation, request.stack)
    made = _change_set(formation, request, wanted, stack)
    stack.change_sets[request.name] = made
    formation.touched += 1
    return made.arn, stack.id


def new_stack(formation: Formation, name: str) -> Stack:
    stack = Stack(name=name, id=formation.arn("stack", name, len(formation.stacks)))
    formation.stacks.append(stack)
    return stack


def _allow(formation: Formation, request: ChangeSetRequest, stack: Stack | None) -> None:
    """ "You can't use the UPDATE type to create a change set for a new stack or the CREATE type to create a change
    set for an existing stack." The adapter calls each of these StackBusy: the stack is not as it was seen."""
    status = None if stack is None else stack.status_at(formation.now())[0]
    exists = status is not None and status is not S.REVIEW_IN_PROGRESS
    if request.creating and exists:
        raise StackBusy(
            f"ValidationError: Stack [{request.stack}] already exists and cannot be created again with the "
            f"changeSet [{request.name}]."
        )
    if not request.creating and not exists:
        raise StackBusy(f"ValidationError: Stack [{request.stack}] does not exist")
    if not request.creating and status not in DEPLOYABLE:
        raise busy(request.stack, status)


def _allow_import(
    formation: Formation, request: ChangeSetRequest, stack: Stack | None, wanted: Content
) -> None:
    """An import may change nothing else: outputs ("As part of the import operation, you cannot modify or add
    [Outputs]"), other resources; every resource to import has a DeletionPolicy (User Guide, "Import … manually")."""
    if not request.import_resources:
        return
    if request.import_existing:
        raise RequestRefused(
            "ValidationError: ImportExistingResources is not supported for IMPORT change sets"
        )
    before = None if stack is None else stack.content_at(formation.now())
    old = {} if before is None else dict(before.release.resources)
    asked = {r.logical_id for r in request.import_resources}
    if before is not None and _outside(before) != _outside(wanted):
        raise RequestRefused(
            "ValidationError: As part of the import operation, you cannot modify or add [Outputs]"
        )
    if dict(wanted.release.resources).keys() != old.keys() | asked or asked & old.keys():
        raise RequestRefused(
            "ValidationError: As part of the import operation, you cannot modify, add or remove other resources"
        )
    bare = sorted(asked - set(wanted.release.retained))
    if bare:
        raise RequestRefused(f"ValidationError: Resources {bare} is missing DeletionPolicy attribute")


def _outside(content: Content) -> tuple[object, ...]:
    """What of a template is no resource."""
    return content.release.mark, content.release.outputs, content.parameters


def _change_set(formation: Formation, request: ChangeSetRequest, wanted: Content, stack: Stack) -> ChangeSet:
    now = formation.now()
    changes, reason = _made_of(formation, request, wanted, stack)
    return ChangeSet(
        name=request.name,
        arn=formation.arn("changeSet", request.name, len(stack.change_sets)),
        token=request.token,
        creating=request.creating,
        wanted=wanted,
        changes=() if reason else changes,
        reason=reason,
        asked=now,
        ready=now + formation.varied(formation.temper.times.change_set, request.name),
        revision=stack.revision,
        importing=bool(request.import_resources),
    )


def _made_of(
    formation: Formation, request: ChangeSetRequest, wanted: Content, stack: Stack
) -> tuple[tuple[ResourceChange, ...], str]:
    """Changes, or why there are none. A change set without changes ends FAILED, with one of two texts (AWS CLI, ADF
    and CDK know both)."""
    before, ids = stack.content_at(formation.now()), stack.ids_at(formation.now())
    if before == wanted:
        return (), _EMPTY_REASONS[formation.draw("empty", request.name) % 2]
    changes = changes_between(before, wanted, ids)
    if request.import_resources:
        found = {r.logical_id: r.identifier[-1][1] for r in request.import_resources}
        lost = [name for name, physical in found.items() if not _is_free(formation, wanted, name, physical)]
        adopted = [c for c in changes if c.action == "Add"]
        return with_imports(tuple(adopted), found), _not_importable(lost)
    taken = taken_names(formation, wanted, changes)
    if request.import_existing:
        bare = sorted(name for name in taken if name not in wanted.release.retained)
        owned = [name for name in taken if not _is_free(formation, wanted, name, taken[name])]
        return with_imports(changes, taken), _UNRETAINED + ", ".join(bare) if bare else _not_importable(owned)
    return changes, _TAKEN if taken and formation.temper.early_validation else ""


def _not_importable(names: Sequence[str]) -> str:
    return f"Resources {sorted(names)} do not exist or belong to another stack" if names else ""


def _is_free(formation: Formation, wanted: Content, logical: str, physical: str) -> bool:
    kind = dict(wanted.release.resources)[logical]
    return formation.inventory.get(Physical(resource_type=kind, physical_id=physical)) == ""


def taken_names(formation: Formation, wanted: Content, changes: tuple[ResourceChange, ...]) -> dict[str, str]:
    """What would be added under a literal name that a real resource has already."""
    names = dict(wanted.release.named)
    return {
        change.logical_id: names[change.logical_id]
        for change in changes
        if change.action == "Add"
        and change.logical_id in names
        and Physical(resource_type=change.resource_type, physical_id=names[change.logical_id])
        in formation.inventory
    }


def delete_change_set(formation: Formation, name: str, change_set: str) -> None:
    """Nothing happens where there is none. Deleting the only change set of a stack in REVIEW_IN_PROGRESS leaves
    the empty stack. One that is being made or executed cannot be deleted: InvalidChangeSetStatus."""
    try:
        stack, found = formation.change_set_of(name, change_set)
    except ChangeSetGone:
        return
    view = stack.view(found, formation.now())
    if not view.is_settled or view.execution is ExecutionStatus.EXECUTE_IN_PROGRESS:
        raise ChangeSetBusy(f"InvalidChangeSetStatus: {found.name} is {view.status}, {view.execution}")
    del stack.change_sets[found.name]
    formation.touched += 1


def busy(name: str, status: StackStatus | None) -> StackBusy:
    return StackBusy(f"ValidationError: Stack:{name} is in {status} state and can not be updated.")
