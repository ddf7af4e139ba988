"""Room: adapters/simulated. One simulated stack: what it holds, what happens to it, and how that looks when.

Everything that will come of an operation is fixed when it starts; looking at it is a question of time only. Knows
nothing of accounts, faults or ports. Statuses and their order: CloudFormation User Guide, "Stack status codes".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.model.ids import Digest
from pipeline.model.stack import (
    OUTPUT_OF_MARK,
    ChangeSetView,
    ExecutionStatus,
    ResourceChange,
    StackSnapshot,
    StackStatus,
)

__all__ = [
    "ChangeSet",
    "CloudTimes",
    "Content",
    "Operation",
    "ScriptedRelease",
    "Stack",
    "changes_between",
    "creation",
    "outputs_of",
    "update",
]

S = StackStatus
Steps = tuple[tuple[datetime, StackStatus, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTimes:
    """How long things take, before each is varied by the seed to between half and one and a half of it.

    lag: for so long after an execution began, DescribeStacks and the stack's events still show what was before.
    Not varied.
    """

    change_set: timedelta = timedelta(seconds=4)
    create: timedelta = timedelta(seconds=60)
    update: timedelta = timedelta(seconds=40)
    cleanup: timedelta = timedelta(seconds=8)
    fail: timedelta = timedelta(seconds=20)
    lag: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRelease:
    """What a template holds. outputs may carry {account} and {region}. replaces: logical ids that an update to
    this template replaces."""

    template: Digest
    mark: str
    resources: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...] = ()
    functions: tuple[tuple[str, Digest], ...] = ()
    replaces: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        return self.mark.split(" ")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What stands, or shall stand, in a stack."""

    release: ScriptedRelease
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """after None: the operation leaves nothing. steps: from when the stack has which status."""

    token: str
    started: datetime
    steps: Steps
    before: Content | None
    after: Content | None
    complete: datetime | None
    """From when on `after` is what runs; None where it never does."""

    def status_at(self, moment: datetime) -> tuple[StackStatus, str]:
        found = [step for step in self.steps if step[0] <= moment]
        _, status, reason = found[-1] if found else self.steps[0]
        return status, reason

    def content_at(self, moment: datetime) -> Content | None:
        return self.after if self.complete is not None and moment >= self.complete else self.before

    @property
    def settled(self) -> tuple[datetime, StackStatus]:
        moment, status, _ = self.steps[-1]
        return moment, status


@dataclass(slots=True, kw_only=True)
class ChangeSet:
    name: str
    arn: str
    token: str
    creating: bool
    wanted: Content
    changes: tuple[ResourceChange, ...]
    reason: str
    """Why it fails; empty where it does not."""
    ready: datetime
    revision: int
    """Of the stack, when this change set was made."""
    executed_by: Operation | None = None


@dataclass(slots=True, kw_only=True)
class Stack:
    """One stack from its first change set to its deletion; the next stack of that name has another id."""

    name: str
    id: str
    operations: list[Operation] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    revision: int = 0

    def _current(self, moment: datetime) -> Operation | None:
        begun = [operation for operation in self.operations if operation.started <= moment]
        return begun[-1] if begun else None

    def status_at(self, moment: datetime) -> tuple[StackStatus, str]:
        """Before its first operation a stack is REVIEW_IN_PROGRESS, and stays so when its change set is deleted
        (User Guide, "Stack status codes"; ADF and CDK both had to learn it)."""
        current = self._current(moment)
        return (S.REVIEW_IN_PROGRESS, "User Initiated") if current is None else current.status_at(moment)

    def content_at(self, moment: datetime) -> Content | None:
        current = self._current(moment)
        return None if current is None else current.content_at(moment)

    def running_since(self, moment: datetime) -> datetime | None:
        """When what runs now was complete."""
        done = [o.complete for o in self.operations if o.complete is not None and o.complete <= moment]
        return done[-1] if done else None

    def is_gone(self, moment: datetime) -> bool:
        return self.status_at(moment)[0] is S.DELETE_COMPLETE

    def snapshot(self, moment: datetime, outputs: tuple[tuple[str, str], ...]) -> StackSnapshot:
        """`last_token` stays empty: DescribeStacks does not carry ClientRequestToken (API model, `Stack`)."""
        status, reason = self.status_at(moment)
        content = self.content_at(moment)
        return StackSnapshot(
            stack_id=self.id,
            status=status,
            reason=reason,
            outputs=() if content is None else outputs,
            parameters=() if content is None else content.parameters,
        )

    def view(self, change_set: ChangeSet, moment: datetime) -> ChangeSetView:
        settled = moment >= change_set.ready
        status = "CREATE_IN_PROGRESS" if not settled else "FAILED" if change_set.reason else "CREATE_COMPLETE"
        return ChangeSetView(
            name=change_set.name,
            arn=change_set.arn,
            stack_id=self.id,
            status=status,
            execution=self._execution(change_set, moment),
            reason=change_set.reason if settled else "",
            changes=change_set.changes if settled else (),
        )

    def _execution(self, change_set: ChangeSet, moment: datetime) -> ExecutionStatus:
        """OBSOLETE: "the stack was updated outside the change set" (DescribeChangeSet, ExecutionStatus)."""
        if change_set.executed_by is not None:
            end, status = change_set.executed_by.settled
            if moment < end:
                return ExecutionStatus.EXECUTE_IN_PROGRESS
            good = status in (S.CREATE_COMPLETE, S.UPDATE_COMPLETE)
            return ExecutionStatus.EXECUTE_COMPLETE if good else ExecutionStatus.EXECUTE_FAILED
        if change_set.revision != self.revision:
            return ExecutionStatus.OBSOLETE
        if moment < change_set.ready or change_set.reason:
            return ExecutionStatus.UNAVAILABLE
        return ExecutionStatus.AVAILABLE


# --- what an operation will come to ----------------------------------------------------------------


def creation(
    token: str, wanted: Content, at: datetime, times: CloudTimes, breaks: frozenset[str]
) -> Operation:
    """OnStackFailure=DELETE: a failed creation deletes itself and is gone by name; "if the deletion of the stack
    fails, the status of the stack is DELETE_FAILED" (CreateChangeSet, OnStackFailure)."""
    done = at + times.create
    steps: Steps = ((at, S.CREATE_IN_PROGRESS, "User Initiated"),)
    if "deploy" not in breaks:
        steps = (*steps, (done, S.CREATE_COMPLETE, ""))
        return Operation(token=token, started=at, steps=steps, before=None, after=wanted, complete=done)
    end = S.DELETE_FAILED if "rollback" in breaks else S.DELETE_COMPLETE
    steps = (
        *steps,
        (done, S.DELETE_IN_PROGRESS, f"{_failure(wanted, 'create')}. Delete requested by user."),
        (done + times.fail, end, _failure(wanted, "delete") if end is S.DELETE_FAILED else ""),
    )
    return Operation(token=token, started=at, steps=steps, before=None, after=None, complete=None)


def update(
    token: str,
    before: Content | None,
    wanted: Content,
    at: datetime,
    times: CloudTimes,
    breaks: frozenset[str],
) -> Operation:
    """Good: UPDATE_COMPLETE_CLEANUP_IN_PROGRESS comes before UPDATE_COMPLETE. Bad: CloudFormation rolls back by
    itself, and where that fails too the stack stays UPDATE_ROLLBACK_FAILED for a person."""
    done = at + times.update
    steps: Steps = ((at, S.UPDATE_IN_PROGRESS, "User Initiated"),)
    if "deploy" not in breaks:
        steps = (
            *steps,
            (done, S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS, ""),
            (done + times.cleanup, S.UPDATE_COMPLETE, ""),
        )
        return Operation(token=token, started=at, steps=steps, before=before, after=wanted, complete=done)
    failed = done + times.fail
    steps = (*steps, (done, S.UPDATE_ROLLBACK_IN_PROGRESS, _failure(wanted, "update")))
    if "rollback" in breaks:
        steps = (*steps, (failed, S.UPDATE_ROLLBACK_FAILED, _failure(wanted, "update")))
    else:
        steps = (
            *steps,
            (failed, S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS, ""),
            (failed + times.cleanup, S.UPDATE_ROLLBACK_COMPLETE, ""),
        )
    return Operation(token=token, started=at, steps=steps, before=before, after=wanted, complete=None)


def _failure(wanted: Content, verb: str) -> str:
    name = wanted.release.resources[0][0] if wanted.release.resources else "Resource"
    return f"The following resource(s) failed to {verb}: [{name}]"


# --- what a change set says ------------------------------------------------------------------------


def changes_between(before: Content | None, wanted: Content, account: str) -> tuple[ResourceChange, ...]:
    """Physical ids carry the account, so that nobody can mistake equal effects for equal texts."""
    old = {} if before is None else dict(before.release.resources)
    new = dict(wanted.release.resources)
    found = [ResourceChange(logical_id=n, resource_type=new[n], action="Add") for n in new if n not in old]
    for name, kind in old.items():
        physical = f"{name.lower()}-{account}"
        if name not in new:
            found.append(
                ResourceChange(
                    logical_id=name,
                    resource_type=kind,
                    action="Remove",
                    policy_action="Delete",
                    physical_id=physical,
                )
            )
        elif before != wanted:
            replaced = name in wanted.release.replaces
            found.append(
                ResourceChange(
                    logical_id=name,
                    resource_type=kind,
                    action="Modify",
                    replacement="True" if replaced else "False",
                    policy_action="ReplaceAndDelete" if replaced else "",
                    scope=("Properties",),
                    physical_id=physical,
                )
            )
    return tuple(sorted(found))


def outputs_of(content: Content, account: str, region: str) -> tuple[tuple[str, str], ...]:
    """Every output with its account and Region filled in, and the mark."""
    filled = tuple(
        (name, value.replace("{account}", account).replace("{region}", region))
        for name, value in content.release.outputs
    )
    return (*filled, (OUTPUT_OF_MARK, content.release.mark)) if content.release.mark else filled
