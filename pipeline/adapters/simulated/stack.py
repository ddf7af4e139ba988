"""Room: adapters/simulated. One simulated stack: what it holds, what happens to it, and how that looks when.

Everything that will come of an operation is fixed when it starts; looking at it is a question of time only. Knows
nothing of accounts, faults or ports. Statuses and their order: CloudFormation User Guide, "Stack status codes".
"""

from __future__ import annotations

from collections.abc import Mapping
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
    "Steps",
    "outputs_of",
]

S = StackStatus
Steps = tuple[tuple[datetime, StackStatus, str], ...]
_NO_IDS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTimes:
    """How long things take, before each is varied by the seed to between half and one and a half of it.

    lag: for so long after an execution began, DescribeStacks and the stack's events still show what was before.
    list_lag: for so long a new change set is missing in ListChangeSets and DescribeChangeSet. Not varied.
    """

    change_set: timedelta = timedelta(seconds=4)
    create: timedelta = timedelta(seconds=60)
    update: timedelta = timedelta(seconds=40)
    cleanup: timedelta = timedelta(seconds=8)
    fail: timedelta = timedelta(seconds=20)
    lag: timedelta = timedelta(0)
    list_lag: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRelease:
    """What a template holds. outputs may carry {account} and {region}. replaces: logical ids that an update to
    this template replaces.

    retained: logical ids with DeletionPolicy and UpdateReplacePolicy Retain. named: logical id to the name that
    stands literally in the template. defined: logical id to whatever stands for its properties; what is neither there
    nor in functions has the same properties in every release. changes: what an update to this template says and does,
    word for word, instead of what follows from the resources.
    """

    template: Digest
    mark: str
    resources: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...] = ()
    functions: tuple[tuple[str, Digest], ...] = ()
    replaces: tuple[str, ...] = ()
    retained: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    defined: tuple[tuple[str, str], ...] = ()
    changes: tuple[ResourceChange, ...] | None = None

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
    """after None: the operation leaves nothing. steps: from when the stack has which status.

    wanted: what it was to bring, whatever came of it. ids_before, ids_after: physical ids by logical id.
    stuck: what its rollback could not undo, with the reason. cause: the first resource that failed, and why; empty
    where none did, or nobody said which.
    """

    token: str
    started: datetime
    steps: Steps
    before: Content | None
    after: Content | None
    complete: datetime | None
    """From when on `after` is what runs; None where it never does."""
    wanted: Content | None = None
    ids_before: Mapping[str, str] = field(default_factory=lambda: _NO_IDS)
    ids_after: Mapping[str, str] = field(default_factory=lambda: _NO_IDS)
    stuck: tuple[tuple[str, str], ...] = ()
    cause: str = ""

    def status_at(self, moment: datetime) -> tuple[StackStatus, str]:
        found = self.steps[0]
        for step in self.steps:
            if step[0] > moment:
                break
            found = step
        return found[1], found[2]

    def is_complete(self, moment: datetime) -> bool:
        return self.complete is not None and moment >= self.complete

    def content_at(self, moment: datetime) -> Content | None:
        return self.after if self.is_complete(moment) else self.before

    def ids_at(self, moment: datetime) -> Mapping[str, str]:
        return self.ids_after if self.is_complete(moment) else self.ids_before

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
    asked: datetime
    ready: datetime
    revision: int
    """Of the stack, when this change set was made."""
    importing: bool = False
    """ChangeSetType IMPORT."""
    executed_by: Operation | None = None


@dataclass(slots=True, kw_only=True)
class Stack:
    """One stack from its first change set to its deletion; the next stack of that name has another id.

    policy: the body of its stack policy, empty where it has none. protected: termination protection.
    """

    name: str
    id: str
    operations: list[Operation] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    revision: int = 0
    policy: str = ""
    protected: bool = False
    drifted: set[str] = field(default_factory=set)
    """Resources that a person had skipped in a rollback."""

    def current(self, moment: datetime) -> Operation | None:
        for operation in reversed(self.operations):
            if operation.started <= moment:
                return operation
        return None

    def status_at(self, moment: datetime) -> tuple[StackStatus, str]:
        """Before its first operation a stack is REVIEW_IN_PROGRESS, and stays so when its change set is deleted
        (User Guide, "Stack status codes"; ADF and CDK both had to learn it)."""
        current = self.current(moment)
        return (S.REVIEW_IN_PROGRESS, "User Initiated") if current is None else current.status_at(moment)

    def content_at(self, moment: datetime) -> Content | None:
        current = self.current(moment)
        return None if current is None else current.content_at(moment)

    def ids_at(self, moment: datetime) -> Mapping[str, str]:
        current = self.current(moment)
        return _NO_IDS if current is None else current.ids_at(moment)

    def running_since(self, moment: datetime) -> datetime | None:
        """When what runs now was complete."""
        for operation in reversed(self.operations):
            if operation.complete is not None and operation.complete <= moment:
                return operation.complete
        return None

    def is_gone(self, moment: datetime) -> bool:
        """Nothing happens to a stack after it is deleted, so that the last operation alone decides."""
        if not self.operations or self.operations[-1].steps[-1][1] is not S.DELETE_COMPLETE:
            return False
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
            good = status in (S.CREATE_COMPLETE, S.UPDATE_COMPLETE, S.IMPORT_COMPLETE)
            return ExecutionStatus.EXECUTE_COMPLETE if good else ExecutionStatus.EXECUTE_FAILED
        if change_set.revision != self.revision:
            return ExecutionStatus.OBSOLETE
        if moment < change_set.ready or change_set.reason:
            return ExecutionStatus.UNAVAILABLE
        return ExecutionStatus.AVAILABLE


def outputs_of(content: Content, account: str, region: str) -> tuple[tuple[str, str], ...]:
    """Every output with its account and Region filled in, and the mark."""
    filled = tuple(
        (name, value.replace("{account}", account).replace("{region}", region))
        for name, value in content.release.outputs
    )
    return (*filled, (OUTPUT_OF_MARK, content.release.mark)) if content.release.mark else filled
