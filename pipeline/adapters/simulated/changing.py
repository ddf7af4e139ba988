"""Room: adapters/simulated. Everything that changes a stack: executions, continued rollbacks, other people's hands.

Facts: API reference of ExecuteChangeSet and ContinueUpdateRollback, unless another source is named at a function.
It knows no faults of the wire. The caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.adapters.simulated.change_sets import busy, new_stack, taken_names
from pipeline.adapters.simulated.changes import Deed, Physical, changes_between, deeds_of
from pipeline.adapters.simulated.formation import Formation, no_such_stack
from pipeline.adapters.simulated.operations import (
    Start,
    continued,
    creation,
    deletion,
    importation,
    left_behind,
    update,
)
from pipeline.adapters.simulated.stack import ChangeSet, Content, Operation, Stack
from pipeline.adapters.simulated.stack_policy import denied_by
from pipeline.adapters.simulated.witness import Happening
from pipeline.errors import (
    ChangeSetBusy,
    ChangeSetGone,
    ExecutionTokenUsed,
    ReleaseError,
    RequestRefused,
    StackBusy,
)
from pipeline.model.stack import (
    DEPLOYABLE,
    ExecutionStatus,
    ResourceChange,
    StackStatus,
)

__all__ = [
    "Ill",
    "IllOf",
    "continue_update_rollback",
    "delete_by_hand",
    "deploy_by_hand",
    "execute",
    "leave_behind",
]

S = StackStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Ill:
    """How a release is broken in one account. hows: as in Break. blamed: what fails, with AWS's reason."""

    hows: frozenset[str] = frozenset()
    blamed: tuple[tuple[str, str], ...] = ()


IllOf = Callable[[Content], Ill]


# --- executing -------------------------------------------------------------------------------------


def execute(formation: Formation, name: str, change_set: str, token: str, ill_of: IllOf) -> None:
    """ "CloudFormation deletes all other change sets associated with the stack" (ExecuteChangeSet). Asked to
    start the same operation again it says any of three things, all of which mean: look."""
    if token in formation.used:
        raise _again(formation, change_set, token)
    stack, found = formation.change_set_of(name, change_set)
    view = stack.view(found, formation.now())
    if view.execution is not ExecutionStatus.AVAILABLE:
        raise ChangeSetBusy(f"InvalidChangeSetStatus: {found.name} is {view.status}, {view.execution}")
    status = stack.status_at(formation.now())[0]
    if status not in DEPLOYABLE and status is not S.REVIEW_IN_PROGRESS:
        raise busy(name, status)
    found.executed_by = _start(
        formation, stack, found.wanted, ill_of(found.wanted), token=token, change_set=found
    )
    stack.change_sets = {found.name: found}


def _again(formation: Formation, change_set: str, token: str) -> ReleaseError:
    answers: tuple[ReleaseError, ...] = (
        ExecutionTokenUsed(f"TokenAlreadyExists: {token}"),
        ChangeSetBusy(f"InvalidChangeSetStatus: {change_set} has been executed"),
        ChangeSetGone(f"ChangeSetNotFound: ChangeSet [{change_set}] does not exist"),
    )
    return answers[formation.draw("again", token) % len(answers)]


def _start(
    formation: Formation,
    stack: Stack,
    wanted: Content,
    ill: Ill,
    *,
    token: str = "",
    change_set: ChangeSet | None = None,
    on_failure: str = "",
) -> Operation:
    now = formation.now()
    before, ids = stack.content_at(now), stack.ids_at(now)
    changes = changes_between(before, wanted, ids) if change_set is None else change_set.changes
    ill = _with_refusals(formation, stack, wanted, changes, ill)
    deed = deeds_of(changes, ids, lambda logical, kind: _named(formation, wanted, logical, kind))
    start = Start(
        token=token,
        at=now,
        times=formation.varied_times(token or f"by hand {len(stack.operations)}"),
        before=before,
        wanted=wanted,
        breaks=ill.hows,
        blamed=ill.blamed,
        ids_before=ids,
        ids_after=deed.ids,
    )
    if change_set is not None and change_set.importing:
        operation = importation(start)
    elif stack.operations:
        operation = update(start, on_failure or "ROLLBACK")
    else:
        operation = creation(start, on_failure or "DELETE")
    named = "" if change_set is None else change_set.name
    _note(formation, stack, operation, deed, how="change set" if change_set else "by hand", change_set=named)
    return operation


def _with_refusals(
    formation: Formation, stack: Stack, wanted: Content, changes: tuple[ResourceChange, ...], ill: Ill
) -> Ill:
    """The stack policy and names that are taken make an update fail, whatever the release is like."""
    denied = denied_by(stack.policy, changes)
    taken = tuple(
        (logical, f"{physical} already exists in stack or account")
        for logical, physical in taken_names(formation, wanted, changes).items()
    )
    if not denied and not taken:
        return ill
    return Ill(hows=ill.hows | {"deploy"}, blamed=denied + taken)


def _named(formation: Formation, wanted: Content, logical: str, kind: str) -> str:
    """The literal name, or one that no resource of this account has ever had."""
    literal = dict(wanted.release.named).get(logical)
    if literal is not None:
        return literal
    plain = f"{logical.lower()}-{formation.place.account}"
    number, name = 1, plain
    while Physical(resource_type=kind, physical_id=name) in formation.inventory:
        number, name = number + 1, f"{plain}-{number + 1}"
    return name


def _note(
    formation: Formation,
    stack: Stack,
    operation: Operation,
    deed: Deed,
    *,
    how: str,
    change_set: str = "",
    skipped: tuple[str, ...] = (),
) -> None:
    """The operation begins: into the stack, the inventory and the history."""
    stack.operations.append(operation)
    stack.revision += 1
    formation.touched += 1
    if operation.token:
        formation.used[operation.token] = stack
    if operation.complete is not None:
        _carry_out(formation, stack, deed)
    wanted = operation.wanted
    settled, outcome = operation.settled
    formation.history.append(
        Happening(
            place=formation.place,
            stack=stack.name,
            token=operation.token,
            before="" if operation.before is None else operation.before.release.release,
            after="" if wanted is None else wanted.release.release,
            outcome=outcome,
            at=operation.started,
            settled=settled,
            how=how,
            change_set=change_set,
            made=deed.made if operation.complete is not None else (),
            destroyed=deed.destroyed if operation.complete is not None else (),
            orphaned=deed.orphaned if operation.complete is not None else (),
            imported=deed.imported if operation.complete is not None else (),
            skipped=skipped,
        )
    )


def _carry_out(formation: Formation, stack: Stack, deed: Deed) -> None:
    for thing in (*deed.made, *deed.imported):
        formation.inventory[thing] = stack.id
    for thing in deed.destroyed:
        formation.inventory.pop(thing, None)
    for thing in deed.orphaned:
        formation.inventory[thing] = ""


def continue_update_rollback(
    formation: Formation, name: str, token: str, skip: Sequence[str], ill_of: IllOf
) -> None:
    """Works where the cause has gone: whatever still has the break `continue` fails again, unless it is skipped.
    "You can specify only resources that are in the UPDATE_FAILED state because a rollback failed." """
    if token in formation.used:
        raise ExecutionTokenUsed(f"TokenAlreadyExists: {token}")
    stack, now = formation.find(name), formation.now()
    current = None if stack is None else stack.current(now)
    if stack is None or current is None or current.status_at(now)[0] is not S.UPDATE_ROLLBACK_FAILED:
        raise StackBusy("ValidationError: RollbackUpdatedStack cannot be called from current stack status")
    unknown = sorted(set(skip) - {logical for logical, _ in current.stuck})
    if unknown:
        raise RequestRefused(
            f"ValidationError: {unknown} cannot be skipped: not UPDATE_FAILED by the rollback"
        )
    runs = current.content_at(now)
    ill = ill_of(current.wanted) if current.wanted is not None else Ill()
    left = [each for each in current.stuck if each[0] not in skip] if "continue" in ill.hows else []
    ids = current.ids_at(now)
    start = Start(
        token=token,
        at=now,
        times=formation.varied_times(token),
        before=runs,
        wanted=current.wanted,
        ids_before=ids,
    )
    stack.drifted |= set(skip)
    _note(
        formation, stack, continued(start, left), Deed(ids=ids), how="continue", skipped=tuple(sorted(skip))
    )


# --- other hands -----------------------------------------------------------------------------------


def deploy_by_hand(
    formation: Formation, name: str, wanted: Content, ill: Ill, *, on_failure: str = ""
) -> None:
    """Somebody else creates or updates the stack, without a change set; those there are become OBSOLETE.

    on_failure: DELETE, ROLLBACK or DO_NOTHING; what OnFailure of CreateStack and DisableRollback of UpdateStack ask.
    """
    stack = formation.find(name) or new_stack(formation, name)
    _start(formation, stack, wanted, ill, on_failure=on_failure)


def delete_by_hand(formation: Formation, name: str, ill: Ill) -> None:
    """Somebody else deletes the stack. Refused by termination protection ("Stack [x] cannot be deleted while
    TerminationProtection is enabled"); what has DeletionPolicy Retain stays, and belongs to nobody."""
    stack, now = formation.find(name), formation.now()
    if stack is None:
        raise no_such_stack(name)
    if stack.protected:
        raise RequestRefused(
            f"ValidationError: Stack [{name}] cannot be deleted while TerminationProtection is enabled"
        )
    before, ids = stack.content_at(now), stack.ids_at(now)
    kept = () if before is None else before.release.retained
    things = {
        logical: Physical(resource_type=kind, physical_id=ids[logical], logical_id=logical)
        for logical, kind in (() if before is None else before.release.resources)
        if logical in ids
    }
    start = Start(
        token="",
        at=now,
        times=formation.varied_times(f"delete {len(stack.operations)}"),
        before=before,
        wanted=None,
        breaks=ill.hows,
        blamed=ill.blamed,
        ids_before=ids,
    )
    deed = Deed(
        ids={},
        destroyed=tuple(thing for logical, thing in things.items() if logical not in kept),
        orphaned=tuple(thing for logical, thing in things.items() if logical in kept),
    )
    _note(formation, stack, deletion(start), deed, how="delete")


def leave_behind(formation: Formation, name: str, content: Content, status: StackStatus, ill: Ill) -> None:
    """The stack stands in `status` at once, as somebody has left it. Stands in no history."""
    stack = formation.find(name) or new_stack(formation, name)
    now = formation.now()
    deed = deeds_of(
        changes_between(stack.content_at(now), content, stack.ids_at(now)),
        stack.ids_at(now),
        lambda logical, kind: _named(formation, content, logical, kind),
    )
    start = Start(
        token="",
        # Begun before any lag, so that it is seen at once.
        at=now - formation.temper.times.lag,
        times=formation.temper.times,
        before=None,
        wanted=content,
        blamed=ill.blamed,
        ids_after=deed.ids,
    )
    stack.revision += 1
    stack.operations.append(left_behind(start, status))
    _carry_out(formation, stack, deed)
