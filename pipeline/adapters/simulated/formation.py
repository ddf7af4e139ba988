"""Room: adapters/simulated. CloudFormation of one account and Region. It knows no faults and no other account.

Facts: botocore service model `cloudformation` 2010-05-15 and the CloudFormation User Guide, unless another source
is named at a method. The caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.adapters.simulated.faults import draw
from pipeline.adapters.simulated.stack import (
    ChangeSet,
    CloudTimes,
    Content,
    Operation,
    ScriptedRelease,
    Stack,
    changes_between,
    creation,
    outputs_of,
    update,
)
from pipeline.errors import (
    ChangeSetBusy,
    ChangeSetGone,
    ExecutionTokenUsed,
    ReleaseError,
    RequestRefused,
    StackBusy,
    WrongAccount,
)
from pipeline.model.ids import Digest
from pipeline.model.stack import (
    DEPLOYABLE,
    EMPTY_CHANGE_SET_REASONS,
    ChangeSetView,
    ExecutionStatus,
    StackSnapshot,
    StackStatus,
)
from pipeline.ports import ChangeSetRequest, Place

__all__ = ["Formation", "Happening"]

S = StackStatus
_EMPTY_REASONS = (
    f"{EMPTY_CHANGE_SET_REASONS[0]}. Submit different information to create a change set.",
    f"{EMPTY_CHANGE_SET_REASONS[1]}.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One operation that took effect on a stack: the truth that tests compare everything with.

    before, after: releases by name; empty where there was, or was to be, none. outcome: the status in which it
    ends, or will end, at `settled`.
    """

    place: Place
    stack: str
    token: str
    before: str
    after: str
    outcome: StackStatus
    at: datetime
    settled: datetime


class Formation:
    def __init__(self, place: Place, now: Callable[[], datetime], times: CloudTimes, seed: int) -> None:
        self.place = place
        self.history: list[Happening] = []
        self._now = now
        self._times = times
        self._seed = seed
        self._stacks: list[Stack] = []
        self._used: dict[str, Stack] = {}

    # --- looking -------------------------------------------------------------------------------

    def find(self, name: str, at: datetime | None = None) -> Stack | None:
        """By name the one that is not deleted; by id also a deleted one ("for deleted stacks you must specify the
        unique stack ID", DescribeStacks)."""
        moment = at or self._now()
        if name.startswith("arn:"):
            if name.split(":")[4] != self.place.account:
                raise WrongAccount(f"{name} is not in account {self.place.account}")
            return next((stack for stack in self._stacks if stack.id == name), None)
        found = [stack for stack in self._stacks if stack.name == name and not stack.is_gone(moment)]
        return found[-1] if found else None

    def content(self, name: str) -> Content | None:
        """What truly runs there, without any lag."""
        stack = self.find(name)
        return None if stack is None else stack.content_at(self._now())

    def describe(self, name: str) -> StackSnapshot | None:
        """Eventually consistent: for `lag` after an execution it shows what was before. (AWS promises nothing;
        every deployment tool's polling loop has met a COMPLETE that belonged to the operation before.)"""
        seen = self._now() - self._times.lag
        stack = self.find(name, seen)
        if stack is None:
            return None
        content = stack.content_at(seen)
        outputs = () if content is None else outputs_of(content, self.place.account, self.place.region)
        return stack.snapshot(seen, outputs)

    def operation(self, name: str, token: str) -> StackSnapshot | None:
        """All events of one operation carry its ClientRequestToken (StackEvent). By name the events of a deleted
        stack are not to be had. As late as DescribeStacks."""
        seen = self._now() - self._times.lag
        stack = self.find(name, seen)
        if stack is None:
            return None
        for operation in reversed(stack.operations):
            if operation.token == token and operation.started <= seen:
                status, reason = operation.status_at(seen)
                failed = next((r for at, _, r in operation.steps if at <= seen and "failed" in r), reason)
                return StackSnapshot(stack_id=stack.id, status=status, reason=failed, last_token=token)
        return None

    def template(self, name: str) -> Digest:
        """While an operation runs, GetTemplate gives the one that it goes to."""
        stack, now = self.find(name), self._now()
        if stack is None:
            raise _no_such_stack(name)
        running = stack.operations[-1] if stack.operations else None
        content = stack.content_at(now)
        if running is not None and running.complete is not None and now < running.complete:
            content = running.after
        if content is None:
            raise _no_such_stack(name)
        return content.release.template

    # --- change sets ---------------------------------------------------------------------------

    def create_change_set(
        self, request: ChangeSetRequest, release: ScriptedRelease, *, honours_token: bool
    ) -> tuple[str, str]:
        """Accepted at once, made later. A CREATE makes the stack, empty and REVIEW_IN_PROGRESS; a second CREATE
        change set on it is allowed. The same ClientToken again is "not another change set with the same name"."""
        stack = self.find(request.stack)
        known = stack.change_sets.get(request.name) if stack is not None else None
        if stack is not None and known is not None:
            if honours_token and known.token == request.token:
                return known.arn, stack.id
            raise ChangeSetBusy(f"AlreadyExistsException: ChangeSet {request.name} already exists")
        self._allow(request, stack)
        if stack is None:
            stack = Stack(name=request.stack, id=self._arn("stack", request.stack, len(self._stacks)))
            self._stacks.append(stack)
        made = self._change_set(request, release, stack)
        stack.change_sets[request.name] = made
        return made.arn, stack.id

    def _allow(self, request: ChangeSetRequest, stack: Stack | None) -> None:
        status = None if stack is None else stack.status_at(self._now())[0]
        exists = status is not None and status is not S.REVIEW_IN_PROGRESS
        if request.creating and exists:
            raise RequestRefused(
                f"ValidationError: Stack [{request.stack}] already exists and cannot be created again"
            )
        if not request.creating and not exists:
            raise RequestRefused(f"ValidationError: Stack [{request.stack}] does not exist")
        if not request.creating and status not in DEPLOYABLE:
            raise _busy(request.stack, status)

    def _change_set(self, request: ChangeSetRequest, release: ScriptedRelease, stack: Stack) -> ChangeSet:
        """A change set without changes ends FAILED, with one of two texts (AWS CLI, ADF and CDK know both)."""
        wanted = Content(release=release, parameters=tuple(sorted(request.parameters)))
        before = stack.content_at(self._now())
        reason = ""
        if before == wanted:
            reason = _EMPTY_REASONS[self._draw("empty", request.name) % 2]
        return ChangeSet(
            name=request.name,
            arn=self._arn("changeSet", request.name, len(stack.change_sets)),
            token=request.token,
            creating=request.creating,
            wanted=wanted,
            changes=() if reason else changes_between(before, wanted, self.place.account),
            reason=reason,
            ready=self._now() + self._varied(self._times.change_set, request.name),
            revision=stack.revision,
        )

    def describe_change_set(self, name: str, change_set: str) -> ChangeSetView:
        stack, found = self._change_set_of(name, change_set)
        return stack.view(found, self._now())

    def list_change_sets(self, name: str) -> tuple[str, ...]:
        stack = self.find(name)
        if stack is None:
            return ()
        return tuple(sorted(c.name for c in stack.change_sets.values() if c.executed_by is None))

    def delete_change_set(self, name: str, change_set: str) -> None:
        """Deleting the only change set of a stack in REVIEW_IN_PROGRESS leaves the empty stack. One that is being
        made or executed cannot be deleted: InvalidChangeSetStatus."""
        try:
            stack, found = self._change_set_of(name, change_set)
        except ChangeSetGone:
            return
        view = stack.view(found, self._now())
        if not view.is_settled or view.execution is ExecutionStatus.EXECUTE_IN_PROGRESS:
            raise ChangeSetBusy(f"InvalidChangeSetStatus: {found.name} is {view.status}, {view.execution}")
        del stack.change_sets[found.name]

    def _change_set_of(self, name: str, change_set: str) -> tuple[Stack, ChangeSet]:
        stack = self.find(name)
        for found in stack.change_sets.values() if stack is not None else ():
            if change_set in (found.name, found.arn) and stack is not None:
                return stack, found
        raise ChangeSetGone(f"ChangeSetNotFound: ChangeSet [{change_set}] does not exist")

    # --- executing -----------------------------------------------------------------------------

    def execute(
        self, name: str, change_set: str, token: str, breaks: Callable[[Content], frozenset[str]]
    ) -> None:
        """ "CloudFormation deletes all other change sets associated with the stack" (ExecuteChangeSet). Asked to
        start the same operation again it says any of three things, all of which mean: look."""
        if token in self._used:
            raise self._again(change_set, token)
        stack, found = self._change_set_of(name, change_set)
        view = stack.view(found, self._now())
        if view.execution is not ExecutionStatus.AVAILABLE:
            raise ChangeSetBusy(f"InvalidChangeSetStatus: {found.name} is {view.status}, {view.execution}")
        status = stack.status_at(self._now())[0]
        if status not in DEPLOYABLE and status is not S.REVIEW_IN_PROGRESS:
            raise _busy(name, status)
        found.executed_by = self._start(stack, token, found.wanted, breaks(found.wanted))
        stack.change_sets = {found.name: found}

    def _again(self, change_set: str, token: str) -> ReleaseError:
        answers: tuple[ReleaseError, ...] = (
            ExecutionTokenUsed(f"TokenAlreadyExists: {token}"),
            ChangeSetBusy(f"InvalidChangeSetStatus: {change_set} has been executed"),
            ChangeSetGone(f"ChangeSetNotFound: ChangeSet [{change_set}] does not exist"),
        )
        return answers[self._draw("again", token) % len(answers)]

    def by_hand(self, name: str, wanted: Content, breaks: frozenset[str]) -> None:
        """Somebody else creates or updates the stack, without a change set; those there are become OBSOLETE."""
        stack = self.find(name)
        if stack is None:
            stack = Stack(name=name, id=self._arn("stack", name, len(self._stacks)))
            self._stacks.append(stack)
        self._start(stack, "", wanted, breaks)

    def left_behind(self, name: str, content: Content, status: StackStatus) -> None:
        """The stack stands in `status` at once, as somebody has left it. Stands in no history."""
        stack, now = self.find(name), self._now()
        if stack is None:
            stack = Stack(name=name, id=self._arn("stack", name, len(self._stacks)))
            self._stacks.append(stack)
        stack.revision += 1
        # Begun before any lag, so that it is seen at once.
        begun = now - self._times.lag
        stack.operations.append(
            Operation(
                token="",
                started=begun,
                steps=((begun, status, ""),),
                before=None,
                after=content,
                complete=begun,
            )
        )

    def standing(self) -> tuple[Stack, ...]:
        return tuple(stack for stack in self._stacks if not stack.is_gone(self._now()))

    def _start(self, stack: Stack, token: str, wanted: Content, breaks: frozenset[str]) -> Operation:
        now = self._now()
        before = stack.content_at(now)
        times = self._varied_times(token or f"by hand {len(stack.operations)}")
        if stack.operations:
            operation = update(token, before, wanted, now, times, breaks)
        else:
            operation = creation(token, wanted, now, times, breaks)
        stack.operations.append(operation)
        stack.revision += 1
        if token:
            self._used[token] = stack
        settled, outcome = operation.settled
        self.history.append(
            Happening(
                place=self.place,
                stack=stack.name,
                token=token,
                before="" if before is None else before.release.release,
                after=wanted.release.release,
                outcome=outcome,
                at=now,
                settled=settled,
            )
        )
        return operation

    # --- chance --------------------------------------------------------------------------------

    def _draw(self, *what: object) -> int:
        return draw(self._seed, self.place, *what)

    def _varied(self, duration: timedelta, *what: object) -> timedelta:
        return duration * (50 + self._draw("time", *what) % 101) / 100

    def _varied_times(self, token: str) -> CloudTimes:
        t = self._times
        return CloudTimes(
            create=self._varied(t.create, token, 1),
            update=self._varied(t.update, token, 2),
            cleanup=self._varied(t.cleanup, token, 3),
            fail=self._varied(t.fail, token, 4),
        )

    def _arn(self, kind: str, name: str, number: int) -> str:
        place, digits = self.place, f"{self._draw(kind, name, number):016x}{number:016x}"
        unique = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        return f"arn:aws:cloudformation:{place.region}:{place.account}:{kind}/{name}/{unique}"


def _no_such_stack(name: str) -> RequestRefused:
    return RequestRefused(f"ValidationError: Stack with id {name} does not exist")


def _busy(name: str, status: StackStatus | None) -> StackBusy:
    return StackBusy(f"ValidationError: Stack:{name} is in {status} state and can not be updated.")
