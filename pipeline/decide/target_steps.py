"""Floor 2, the steps of one target: from the folded state and the time to the next short action. Pure.

The same steps serve a deploy and a rollback: a rollback is a deploy of the target's own previous good release,
through the same change set, guard and verification. Every call that changes something is preceded by an intent;
a state that stands on an intent therefore means "the answer never came": the next action is then to look.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.plan import Deployable, PlannedTarget
from pipeline.model.stack import DEPLOYABLE, IN_PROGRESS, Mark, StackStatus, parameters_digest
from pipeline.model.target_state import IN_FLIGHT, Action, Step, TargetState

__all__ = [
    "BUSY_LIMIT",
    "MAX_ROUNDS",
    "CheckHealth",
    "ClearThenLook",
    "Conclude",
    "Do",
    "Done",
    "Execute",
    "FindChangeSet",
    "Look",
    "MakeChangeSet",
    "Move",
    "Poll",
    "ReadChangeSet",
    "StepAction",
    "Verify",
    "action_id",
    "change_set_name",
    "given_up",
    "mark_of",
    "next_step",
    "quarantine_command",
    "tag_of",
]

MAX_ROUNDS = 8
"""How often a target may go back to looking before it is given up: every run ends."""
BUSY_LIMIT = timedelta(hours=1)
"""How long a stack that somebody else is changing is waited for."""
STEP_LIMITS = {Step.CHANGE_SET_MADE: timedelta(hours=1), Step.EXECUTING: timedelta(hours=36)}
"""How long AWS may take before nobody knows any more what it is doing. CloudFormation itself gives up on an operation
after 36 hours (User Guide, ECS blue/green deployments)."""


@dataclass(frozen=True, slots=True)
class Look:
    """Read the stack."""


@dataclass(frozen=True, slots=True)
class ClearThenLook:
    """Delete every `tg-` change set on the stack, so that nobody can execute one late, then find out whether
    the last action's token was used."""


@dataclass(frozen=True, slots=True)
class MakeChangeSet:
    creating: bool
    id: str


@dataclass(frozen=True, slots=True)
class FindChangeSet:
    """Was it made although no answer came?"""


@dataclass(frozen=True, slots=True)
class ReadChangeSet:
    """Wait until it is complete, read every page, ask the guard, compare with the plan."""


@dataclass(frozen=True, slots=True)
class Execute:
    """Read stack, latch and lease, in this order, then execute once."""


@dataclass(frozen=True, slots=True)
class Poll:
    pass


@dataclass(frozen=True, slots=True)
class Verify:
    """Mark, template and code in the account against the planned digests."""


@dataclass(frozen=True, slots=True)
class CheckHealth:
    pass


StepAction: TypeAlias = (
    Look
    | ClearThenLook
    | MakeChangeSet
    | FindChangeSet
    | ReadChangeSet
    | Execute
    | Poll
    | Verify
    | CheckHealth
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Do:
    """intent: to be appended before the action is performed."""

    action: StepAction
    intent: e.TargetEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """Nothing to call: the facts at hand decide."""

    events: tuple[e.TargetEvent, ...]


@dataclass(frozen=True, slots=True)
class Done:
    pass


Move: TypeAlias = Do | Conclude | Done


def action_id(plan: str, target: TargetId, direction: e.Direction, attempt: int, fence: int) -> str:
    """32 hex digits. The fence is in it: a new holder's change sets never have an old holder's names."""
    text = f"{plan}\n{target}\n{direction}\n{attempt}\n{fence}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def change_set_name(identity: str) -> str:
    return f"tg-{identity}"


def mark_of(wanted: Deployable) -> Mark:
    return Mark(release=wanted.release, digest=wanted.digest, commit=wanted.commit)


def tag_of(target: TargetId) -> str:
    """The owner as a tag value: stack tags go to every resource, and SSM, Lambda and IAM take no `~` in one.

    Source: their TagValue patterns, `[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*`, in botocore's service models.
    """
    return target.owner.removeprefix("~")


def quarantine_command(target: PlannedTarget) -> str:
    """What a person holding the repair role types, once they have looked."""
    return (
        f"aws cloudformation describe-stack-events --stack-name {target.stack} --region {target.id.region}"
        f"   # as TidegateRepair in {target.account}"
    )


def next_step(target: PlannedTarget, state: TargetState, now: datetime, fence: int) -> Move:
    """The next action, a conclusion, or Done where the target is in no one's hands."""
    action = state.action
    if action is None or state.phase not in IN_FLIGHT:
        return Done()
    if action.inherited and action.step not in (Step.EXECUTING, Step.SETTLED, Step.VERIFIED):
        return Do(action=ClearThenLook())
    if action.rounds > MAX_ROUNDS:
        return _give_up(target, action, f"gave up after {action.rounds} attempts to change the stack")
    limit = STEP_LIMITS.get(action.step)
    if limit is not None and action.since is not None and now - action.since > limit:
        return _give_up(target, action, f"AWS did not come to an end within {limit}")
    match action.step:
        case Step.LOOK:
            return Do(action=Look())
        case Step.OBSERVED:
            return _after_observation(target, state, action, now, fence)
        case Step.CHANGE_SET_INTENDED:
            return Do(action=FindChangeSet())
        case Step.CHANGE_SET_MADE:
            return Do(action=ReadChangeSet())
        case Step.INSPECTED:
            return Do(action=Execute(), intent=e.ExecutionIntended(action_id=action.id))
        case Step.EXECUTION_INTENDED:
            return Do(action=ClearThenLook())
        case Step.EXECUTING:
            return Do(action=Poll())
        case Step.SETTLED:
            return Do(action=Verify())
        case Step.VERIFIED:
            return Do(action=CheckHealth())
        case Step.DONE:
            return Done()


def _after_observation(
    target: PlannedTarget, state: TargetState, action: Action, now: datetime, fence: int
) -> Move:
    seen = action.seen
    assert seen is not None, "the step OBSERVED is only reached by an observation"
    status = StackStatus(seen.status) if seen.status else None
    if status in IN_PROGRESS:
        return _wait_for_others(target, action, seen, now)
    if action.wanted is None:
        return _nowhere_to_go_back_to(target, seen)
    absent = status is None or status is StackStatus.DELETE_COMPLETE
    if not absent and status is not StackStatus.REVIEW_IN_PROGRESS and status not in DEPLOYABLE:
        return _give_up(target, action, f"the stack is in {seen.status}, which only a person can leave")
    creating = absent or status is StackStatus.REVIEW_IN_PROGRESS
    if not creating and _is_there(action.wanted, seen):
        return Do(action=Verify())
    identity = action_id(f"{state.plan}/{state.release}", target.id, action.direction, action.rounds, fence)
    return Do(
        action=MakeChangeSet(creating, identity),
        intent=e.ChangeSetIntended(action_id=identity, creating=creating),
    )


def _is_there(wanted: Deployable, seen: e.TargetObserved) -> bool:
    return seen.mark == mark_of(wanted).text() and seen.parameters == parameters_digest(wanted.parameters)


def _wait_for_others(target: PlannedTarget, action: Action, seen: e.TargetObserved, now: datetime) -> Move:
    """A stack that is moving, and not by our hand: never cancelled, looked at again until the limit."""
    if action.since is not None and now - action.since > BUSY_LIMIT:
        return _give_up(target, action, f"the stack stayed in {seen.status}, changed by somebody else")
    return Do(action=Look())


def _nowhere_to_go_back_to(target: PlannedTarget, seen: e.TargetObserved) -> Move:
    if not seen.status or seen.status == StackStatus.DELETE_COMPLETE:
        return Conclude(events=(e.TargetRolledBack(to=""),))
    reason = "this was the first deployment here: there is no earlier good release to go back to"
    return Conclude(events=(e.TargetQuarantined(reason=reason, command=quarantine_command(target)),))


def given_up(target: PlannedTarget, state: TargetState, reason: str) -> tuple[e.TargetEvent, ...]:
    """What is said of a target in flight that cannot be followed any longer."""
    if state.action is not None and state.action.direction is e.Direction.BACK:
        quarantined = e.TargetQuarantined(reason=reason, command=quarantine_command(target))
        return (e.RollbackFailed(reason=reason), quarantined)
    return (e.TargetUnknown(reason=reason),)


def _give_up(target: PlannedTarget, action: Action, reason: str) -> Move:
    if action.direction is e.Direction.FORWARD:
        return Conclude(events=(e.TargetFailed(reason=reason, fault=e.Fault.ACCOUNT),))
    quarantined = e.TargetQuarantined(reason=reason, command=quarantine_command(target))
    return Conclude(events=(e.RollbackFailed(reason=reason), quarantined))
