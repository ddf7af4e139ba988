"""Floor 3, stages: brings one of Tidegate's own stacks to its template, through a change set. Re-runnable.

Nothing to change is nothing done. A stack that needs a person is left alone and named.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pipeline.errors import ChangeSetGone, OperationFailed, ReleaseError, Throttled
from pipeline.model.stack import (
    IN_PROGRESS,
    NEEDS_A_PERSON,
    SUCCEEDED,
    ChangeSetView,
    StackSnapshot,
    StackStatus,
)
from pipeline.ports import Clock, OwnStack, OwnStacks, Place
from stages.patience import NOT_YET, patiently, wait_until

__all__ = ["NEW_ACCOUNT", "Deployed", "deploy_own_stack"]

_LIMIT = timedelta(minutes=20)
_THROTTLED = timedelta(minutes=2)
NEW_ACCOUNT = timedelta(minutes=10)
"""How long a new account may take until its access role works (CreateAccount: "a few minutes")."""


_PRINCIPAL_UNKNOWN = "Invalid principal in policy"
"""IAM refuses a trust policy that names a role of another account until it has heard of that role; a new role
takes seconds to get about (IAM User Guide, "Troubleshooting: changes that I make are not always visible")."""
_PRINCIPAL_TRIES = 4
_PRINCIPAL_PAUSE = timedelta(seconds=10)


class _PrincipalUnknown(OperationFailed):
    """The stack was new and has cleared itself away; the same again will do soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """changed: False where the account had this stack already."""

    changed: bool
    outputs: tuple[tuple[str, str], ...]

    def output(self, name: str) -> str:
        return dict(self.outputs).get(name, "")


def deploy_own_stack(
    stacks: OwnStacks,
    clock: Clock,
    request: OwnStack,
    complete: Callable[[StackSnapshot | None], OwnStack] | None = None,
    usable: timedelta = timedelta(0),
) -> Deployed:
    """Waits until the account can be entered, at most `usable`, then until the stack is complete.

    complete: makes the request from what stands there now, so that a re-run keeps earlier parameters.
    """
    place = request.place
    meanwhile = NOT_YET if usable else (Throttled,)
    found = patiently(
        clock, lambda: stacks.describe(place, request.stack), max(usable, _THROTTLED), meanwhile
    )
    if found is not None and found.status in IN_PROGRESS:
        found = _settled(stacks, clock, place, request.stack)
    if found is not None and (found.status in NEEDS_A_PERSON):
        raise _needs_a_person(request, found)
    if complete is not None:
        request = complete(found)
    creating = found is None or found.status in (StackStatus.REVIEW_IN_PROGRESS, StackStatus.DELETE_COMPLETE)
    for _ in range(_PRINCIPAL_TRIES):
        try:
            return _change(stacks, clock, request, creating=creating)
        except _PrincipalUnknown:
            clock.sleep(_PRINCIPAL_PAUSE)
    return _change(stacks, clock, request, creating=creating)


def _change(stacks: OwnStacks, clock: Clock, request: OwnStack, *, creating: bool) -> Deployed:
    place, token = request.place, f"tg-{uuid.uuid4().hex}"
    change_set, stack_id = stacks.propose(request, token, creating=creating)
    view = wait_until(
        clock, lambda: _settled_view(stacks, place, stack_id, change_set), _LIMIT, lambda: _late(request)
    )
    if view.is_empty:
        stacks.delete_change_set(place, stack_id, change_set)
        return Deployed(changed=False, outputs=_outputs(stacks, place, request.stack))
    if view.status != "CREATE_COMPLETE":
        stacks.delete_change_set(place, stack_id, change_set)
        raise OperationFailed(
            f"the change set for {_where(request)} failed: {view.reason}",
            state="the stack was not changed",
            remedy="run the same command again once the cause is gone",
        )
    stacks.execute_change_set(place, stack_id, change_set, token)
    end = wait_until(clock, lambda: _ended(stacks, place, stack_id, token), _LIMIT, lambda: _late(request))
    if end.status not in SUCCEEDED:
        kind = _PrincipalUnknown if creating and _PRINCIPAL_UNKNOWN in end.reason else OperationFailed
        raise kind(
            f"{_where(request)} ended in {end.status}: {end.reason}",
            state="CloudFormation has put the stack back as it was, or removed it if it was new",
            remedy="run the same command again once the cause is gone",
        )
    return Deployed(changed=True, outputs=_outputs(stacks, place, stack_id))


def _settled_view(stacks: OwnStacks, place: Place, stack_id: str, change_set: str) -> ChangeSetView | None:
    try:
        view = stacks.describe_change_set(place, stack_id, change_set)
    except ChangeSetGone:
        # Just made, and not yet known everywhere.
        return None
    return view if view.is_settled else None


def _ended(stacks: OwnStacks, place: Place, stack_id: str, token: str) -> StackSnapshot | None:
    """How our own operation ended; a new stack that failed is deleted, and then found by its id only."""
    found = stacks.describe(place, stack_id)
    if found is None or found.status in IN_PROGRESS or found.status is StackStatus.REVIEW_IN_PROGRESS:
        return None
    if found.status in SUCCEEDED:
        return found
    told = stacks.operation(place, stack_id, token)
    return told if told is not None and told.status not in IN_PROGRESS else found


def _settled(stacks: OwnStacks, clock: Clock, place: Place, stack: str) -> StackSnapshot | None:
    """The stack once nobody works on it any more; None where it is gone."""

    def look() -> tuple[StackSnapshot | None] | None:
        found = stacks.describe(place, stack)
        return None if found is not None and found.status in IN_PROGRESS else (found,)

    late = OperationFailed(
        f"the stack {stack} in account {place.account} stays busy",
        state="nothing was changed",
        remedy="look at the stack's events, then run the same command again",
    )
    return wait_until(clock, look, _LIMIT, lambda: late)[0]


def _outputs(stacks: OwnStacks, place: Place, stack: str) -> tuple[tuple[str, str], ...]:
    found = stacks.describe(place, stack)
    return found.outputs if found is not None else ()


def _where(request: OwnStack) -> str:
    return f"the stack {request.stack} in account {request.place.account}, {request.place.region},"


def _late(request: OwnStack) -> ReleaseError:
    return OperationFailed(
        f"{_where(request)} was not complete after {_LIMIT}",
        state="CloudFormation goes on with it",
        remedy="run the same command again; it waits for the stack and goes on",
    )


def _needs_a_person(request: OwnStack, found: StackSnapshot) -> ReleaseError:
    return OperationFailed(
        f"{_where(request)} is in {found.status}: {found.reason or 'no reason given'}",
        state="nothing was changed",
        remedy=f"delete or repair that stack in account {request.place.account}, then run the same command again",
    )
