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

from pipeline.decide.stack_table import Treatment, when_found
from pipeline.decide.target_ends import (
    blocked,
    failed,
    given_up,
    left_to_a_person,
    needs_a_person,
    quarantine_command,
    skip_command,
)
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.plan import Deployable, PlannedTarget
from pipeline.model.stack import Mark, StackStatus, parameters_digest
from pipeline.model.target_state import IN_FLIGHT, Action, Step, TargetState

__all__ = [
    "BUSY_LIMIT",
    "CONTINUE_AFTER",
    "MAX_CONTINUES",
    "MAX_ROUNDS",
    "CheckHealth",
    "ClearThenLook",
    "Conclude",
    "ContinueRollback",
    "Do",
    "Done",
    "Execute",
    "FindChangeSet",
    "FindContinuation",
    "FollowContinuation",
    "Look",
    "MakeChangeSet",
    "Move",
    "Poll",
    "ReadChangeSet",
    "StepAction",
    "Verify",
    "Wait",
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
MAX_CONTINUES = 3
"""How often an action lets CloudFormation try again to undo an update; after that a person has to find the cause."""
CONTINUE_AFTER = (timedelta(0), timedelta(seconds=30), timedelta(minutes=2))
"""How long before each of these attempts: what kept it from working may pass by itself, such as throttling."""
STEP_LIMITS = {
    Step.CHANGE_SET_MADE: timedelta(hours=1),
    Step.EXECUTING: timedelta(hours=36),
    Step.CONTINUING: timedelta(hours=36),
}
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
    """importing: orphans that it takes back in where the template names them. bridging: it imports all of them and
    does nothing else."""

    creating: bool
    id: str
    importing: tuple[e.Orphan, ...] = ()
    bridging: bool = False


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
class ContinueRollback:
    """ContinueUpdateRollback. skip: only what a person has named."""

    id: str
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FindContinuation:
    """Was it continued although no answer came?"""


@dataclass(frozen=True, slots=True)
class FollowContinuation:
    """Until the continued rollback has come to its end."""


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
    | ContinueRollback
    | FindContinuation
    | FollowContinuation
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to ask before `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    pass


Move: TypeAlias = Do | Conclude | Wait | Done


def action_id(plan: str, target: TargetId, direction: e.Direction, attempt: int | str, fence: int) -> str:
    """32 hex digits. The fence is in it: a new holder's change sets never have an old holder's names.

    attempt: the round of looking, behind the number of a retry that a person ordered.
    """
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


_WITH_AWS = frozenset({Step.EXECUTING, Step.CONTINUE_INTENDED, Step.CONTINUING, Step.SETTLED, Step.VERIFIED})
"""Where a change set left open can do no harm any more: what was executed has outdated every other one."""


def next_step(target: PlannedTarget, state: TargetState, now: datetime, fence: int) -> Move:
    """The next action, a conclusion, or Done where the target is in no one's hands."""
    action = state.action
    if action is None or state.phase not in IN_FLIGHT:
        return Done()
    if action.inherited and action.step not in _WITH_AWS and not action.failure:
        return Do(action=ClearThenLook())
    if action.rounds > MAX_ROUNDS:
        reason = f"gave up after {action.rounds} attempts to change the stack"
        return Conclude(events=blocked(target, state, reason, e.Fault.ACCOUNT))
    limit = STEP_LIMITS.get(action.step)
    if limit is not None and action.since is not None and now - action.since > limit:
        return _overdue(target, state, action, limit)
    return _by_step(target, state, action, now, fence)


def _by_step(target: PlannedTarget, state: TargetState, action: Action, now: datetime, fence: int) -> Move:
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
        case Step.STUCK:
            return _stuck(target, state, action, now, fence)
        case Step.CONTINUE_INTENDED:
            return Do(action=FindContinuation())
        case Step.CONTINUING:
            return Do(action=FollowContinuation())
        case Step.SETTLED:
            return Do(action=Verify())
        case Step.VERIFIED:
            return Do(action=CheckHealth())
        case Step.DONE:
            return Done()


def _overdue(target: PlannedTarget, state: TargetState, action: Action, limit: timedelta) -> Move:
    reason = f"AWS did not come to an end within {limit}"
    if action.step is Step.CHANGE_SET_MADE:
        return Conclude(events=blocked(target, state, reason, e.Fault.ACCOUNT))
    return Conclude(events=failed(target, state, reason, e.Fault.ACCOUNT))


def _after_observation(
    target: PlannedTarget, state: TargetState, action: Action, now: datetime, fence: int
) -> Move:
    seen = action.seen
    assert seen is not None, "the step OBSERVED is only reached by an observation"
    treatment = when_found(seen.status)
    if treatment is Treatment.WAIT:
        return _wait_for_others(target, state, action, seen, now)
    if treatment is Treatment.CONTINUE:
        return _stuck(target, state, action, now, fence)
    if action.failure:
        # The rollback of our own operation was continued by somebody else: no second try on top of it.
        reason = f"{action.failure}; the stack is in {seen.status or 'no status: it is gone'} since"
        return Conclude(events=failed(target, state, reason, e.Fault.RELEASE))
    if action.wanted is None:
        return _nowhere_to_go_back_to(target, state, seen)
    if treatment is Treatment.PERSON:
        reason = f"the stack is in {seen.status}, which only a person can leave"
        return Conclude(events=needs_a_person(target, state, reason))
    if treatment is Treatment.REVIEW and not _is_ours_to_create(state, seen):
        reason = "the stack is in REVIEW_IN_PROGRESS, and its first change set is somebody else's"
        return Conclude(events=needs_a_person(target, state, reason))
    if treatment is Treatment.UPDATE and _is_there(action.wanted, seen) and not state.bridged:
        return Do(action=Verify())
    return _make(target, state, action, fence, creating=treatment is not Treatment.UPDATE)


def _make(target: PlannedTarget, state: TargetState, action: Action, fence: int, *, creating: bool) -> Do:
    identity = action_id(
        f"{state.plan}/{state.release}", target.id, action.direction, _attempt(state, action.rounds), fence
    )
    bridging = bool(action.apart) and not creating
    importing = tuple(o for o in state.orphans if not bridging or o.logical_id in action.apart)
    return Do(
        action=MakeChangeSet(creating, identity, importing, bridging),
        intent=e.ChangeSetIntended(
            action_id=identity, creating=creating, importing=importing, bridging=bridging
        ),
    )


def _attempt(state: TargetState, number: int) -> int | str:
    return f"{state.attempt}.{number}" if state.attempt else number


def _is_there(wanted: Deployable, seen: e.TargetObserved) -> bool:
    return seen.mark == mark_of(wanted).text() and seen.parameters == parameters_digest(wanted.parameters)


def _is_ours_to_create(state: TargetState, seen: e.TargetObserved) -> bool:
    """A stack in REVIEW_IN_PROGRESS holds nothing, but whose change sets stand on it is about to make it."""
    foreign = [name for name in seen.change_sets if not name.startswith("tg-")]
    return not foreign and (state.made_stack or bool(seen.change_sets))


def _wait_for_others(
    target: PlannedTarget, state: TargetState, action: Action, seen: e.TargetObserved, now: datetime
) -> Move:
    """A stack that is moving, and not by our hand: never cancelled, looked at again until the limit."""
    if action.since is not None and now - action.since > BUSY_LIMIT:
        reason = f"the stack stayed in {seen.status}, changed by somebody else"
        return Conclude(events=blocked(target, state, reason, e.Fault.ACCOUNT))
    return Do(action=Look())


def _nowhere_to_go_back_to(target: PlannedTarget, state: TargetState, seen: e.TargetObserved) -> Move:
    empty = seen.status == StackStatus.REVIEW_IN_PROGRESS and _is_ours_to_create(state, seen)
    if empty or when_found(seen.status) is Treatment.CREATE:
        return Conclude(events=(e.TargetRolledBack(to=""),))
    reason = "this was the first deployment here: there is no earlier good release to go back to"
    return Conclude(events=(e.TargetQuarantined(reason=reason, command=quarantine_command(target)),))


# --- UPDATE_ROLLBACK_FAILED ------------------------------------------------------------------------


def _stuck(target: PlannedTarget, state: TargetState, action: Action, now: datetime, fence: int) -> Move:
    """CloudFormation could not undo an update: let it try again, a few times. Resources are left out of it only
    where a person has named them."""
    if action.continues >= MAX_CONTINUES:
        return Conclude(events=_stays_stuck(target, state, action))
    pause = CONTINUE_AFTER[action.continues]
    due = (action.since or now) + pause
    if pause and now < due:
        return Wait(
            until=due, reason=f"{target.id}: the rollback of the stack is continued again at {due:%H:%M:%S}"
        )
    identity = action_id(
        f"{state.plan}/{state.release}/continue",
        target.id,
        action.direction,
        f"{state.attempt}.{action.rounds}.{action.continues}",
        fence,
    )
    return Do(
        action=ContinueRollback(identity, state.skips),
        intent=e.ContinueIntended(action_id=identity, skip=state.skips),
    )


def _stays_stuck(target: PlannedTarget, state: TargetState, action: Action) -> tuple[e.TargetEvent, ...]:
    before = f"{action.failure}; " if action.failure else ""
    reason = (
        f"{before}the stack is in UPDATE_ROLLBACK_FAILED, and continuing its rollback"
        f" {action.continues} times did not help{f': {action.hindered}' if action.hindered else ''}"
    )
    command = skip_command(target, state.release.partition("@")[0])
    if action.failure or action.direction is e.Direction.BACK:
        return left_to_a_person(target, state, reason, command)
    return needs_a_person(target, state, reason, command)
