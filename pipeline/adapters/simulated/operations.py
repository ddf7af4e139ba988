"""Room: adapters/simulated. What an operation on a stack will come to: its statuses, one after the other, and when.

Pure: from what is wanted, how long things take and how the release is broken. Order of statuses: CloudFormation User
Guide, "Stack status codes"; API reference of CreateChangeSet (OnStackFailure), ContinueUpdateRollback, DeleteStack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipeline.adapters.simulated.stack import CloudTimes, Content, Operation, Steps
from pipeline.model.stack import StackStatus

__all__ = ["Start", "continued", "creation", "deletion", "importation", "left_behind", "update"]

S = StackStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What an operation begins with. breaks: `deploy`, `rollback`, `continue`, as in Break.

    blamed: what fails where it is broken, with AWS's reason; the first resource where nothing else is said.
    """

    token: str
    at: datetime
    times: CloudTimes
    before: Content | None
    wanted: Content | None
    breaks: frozenset[str] = frozenset()
    blamed: tuple[tuple[str, str], ...] = ()
    ids_before: Mapping[str, str] = field(default_factory=dict)
    ids_after: Mapping[str, str] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        return "deploy" in self.breaks

    @property
    def sticks(self) -> bool:
        """Undoing it fails as well."""
        return "rollback" in self.breaks

    @property
    def cause(self) -> str:
        """As the resource's own event tells it."""
        return ": ".join(self.blamed[0]) if self.blamed and self.fails else ""

    def says(self, verb: str) -> str:
        names = ", ".join(name for name, _ in self.blamed) or _first(self.wanted)
        return f"The following resource(s) failed to {verb}: [{names}]"

    @property
    def stuck(self) -> tuple[tuple[str, str], ...]:
        return self.blamed or ((_first(self.wanted), "Resource could not be restored"),)


def _first(content: Content | None) -> str:
    return (
        content.release.resources[0][0] if content is not None and content.release.resources else "Resource"
    )


def _operation(start: Start, steps: Steps, *, done: datetime | None) -> Operation:
    """done: from when what is wanted runs; None where it never does."""
    good = done is not None
    return Operation(
        token=start.token,
        started=start.at,
        steps=steps,
        before=start.before,
        after=start.wanted if good else None,
        complete=done,
        wanted=start.wanted,
        ids_before=start.ids_before,
        ids_after=start.ids_after if good else {},
        cause=start.cause,
    )


def creation(start: Start, on_failure: str = "DELETE") -> Operation:
    """on_failure: DELETE: a failed creation deletes itself and is gone by name; "if the deletion of the stack
    fails, the status of the stack is DELETE_FAILED" (CreateChangeSet, OnStackFailure). ROLLBACK leaves
    ROLLBACK_COMPLETE or ROLLBACK_FAILED, DO_NOTHING leaves CREATE_FAILED; the engine never asks for either."""
    done = start.at + start.times.create
    steps: Steps = ((start.at, S.CREATE_IN_PROGRESS, "User Initiated"),)
    if not start.fails:
        return _operation(start, (*steps, (done, S.CREATE_COMPLETE, "")), done=done)
    end, why = done + start.times.fail, start.says("create")
    if on_failure == "DO_NOTHING":
        return _operation(start, (*steps, (done, S.CREATE_FAILED, why)), done=None)
    if on_failure == "ROLLBACK":
        last = S.ROLLBACK_FAILED if start.sticks else S.ROLLBACK_COMPLETE
        under_way = S.ROLLBACK_IN_PROGRESS, f"{why}. Rollback requested by user."
    else:
        last = S.DELETE_FAILED if start.sticks else S.DELETE_COMPLETE
        under_way = S.DELETE_IN_PROGRESS, f"{why}. Delete requested by user."
    reason = start.says("delete") if start.sticks else ""
    return _operation(start, (*steps, (done, *under_way), (end, last, reason)), done=None)


def update(start: Start, on_failure: str = "ROLLBACK") -> Operation:
    """Good: UPDATE_COMPLETE_CLEANUP_IN_PROGRESS comes before UPDATE_COMPLETE. Bad: CloudFormation rolls back by
    itself, and where that fails too the stack stays UPDATE_ROLLBACK_FAILED. DO_NOTHING leaves UPDATE_FAILED."""
    done = start.at + start.times.update
    steps: Steps = ((start.at, S.UPDATE_IN_PROGRESS, "User Initiated"),)
    if not start.fails:
        cleanup = (done, S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS, "")
        good = (*steps, cleanup, (done + start.times.cleanup, S.UPDATE_COMPLETE, ""))
        return _operation(start, good, done=done)
    why = start.says("update")
    if on_failure == "DO_NOTHING":
        return _operation(start, (*steps, (done, S.UPDATE_FAILED, why)), done=None)
    back = (*steps, (done, S.UPDATE_ROLLBACK_IN_PROGRESS, why))
    return _rolled_back(start, back, done + start.times.fail, start.stuck if start.sticks else ())


def continued(start: Start, stuck: Sequence[tuple[str, str]]) -> Operation:
    """ContinueUpdateRollback. stuck: what still cannot be undone; what runs does not change either way."""
    steps: Steps = ((start.at, S.UPDATE_ROLLBACK_IN_PROGRESS, "User Initiated"),)
    operation = _rolled_back(start, steps, start.at + start.times.fail, tuple(stuck))
    return replace(operation, wanted=start.wanted)


def _rolled_back(start: Start, steps: Steps, end: datetime, stuck: tuple[tuple[str, str], ...]) -> Operation:
    if stuck:
        names = ", ".join(name for name, _ in stuck)
        why = f"The following resource(s) failed to update: [{names}]"
        return replace(
            _operation(start, (*steps, (end, S.UPDATE_ROLLBACK_FAILED, why)), done=None), stuck=stuck
        )
    cleanup = (end, S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS, "")
    last = (end + start.times.cleanup, S.UPDATE_ROLLBACK_COMPLETE, "")
    return _operation(start, (*steps, cleanup, last), done=None)


def importation(start: Start) -> Operation:
    """A change set of type IMPORT, on a stack or making one. Where it fails nothing was imported."""
    done = start.at + start.times.update
    steps: Steps = ((start.at, S.IMPORT_IN_PROGRESS, "User Initiated"),)
    if not start.fails:
        return _operation(start, (*steps, (done, S.IMPORT_COMPLETE, "")), done=done)
    why = start.says("import")
    last = S.IMPORT_ROLLBACK_FAILED if start.sticks else S.IMPORT_ROLLBACK_COMPLETE
    back = (done, S.IMPORT_ROLLBACK_IN_PROGRESS, why)
    end = (done + start.times.fail, last, why if start.sticks else "")
    return _operation(start, (*steps, back, end), done=None)


def deletion(start: Start) -> Operation:
    """By somebody else; the engine never deletes a stack."""
    end = start.at + start.times.fail
    last = S.DELETE_FAILED if start.sticks else S.DELETE_COMPLETE
    steps = (
        (start.at, S.DELETE_IN_PROGRESS, "User Initiated"),
        (end, last, start.says("delete") if start.sticks else ""),
    )
    gone = None if start.sticks else end
    return replace(_operation(start, steps, done=gone), after=None, ids_after={})


def left_behind(start: Start, status: StackStatus) -> Operation:
    """The stack stands in `status` at once, as somebody has left it."""
    stuck = start.stuck if status is S.UPDATE_ROLLBACK_FAILED else ()
    steps = ((start.at, status, ""),)
    return replace(_operation(start, steps, done=start.at), stuck=stuck)
