"""Floor 1, the state of one target: the fold of its stream, over all the releases it has seen. No effects.

Total: any prefix of any stream folds without raising; an event that makes no sense where it stands is recorded
in the journal all the same and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from pipeline.model import event as e
from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable

__all__ = ["IN_FLIGHT", "TERMINAL", "Action", "Phase", "Step", "TargetState", "evolve_target", "fold_target"]


class Phase(StrEnum):
    PENDING = "PENDING"
    CLAIMED = "CLAIMED"
    DEPLOYING = "DEPLOYING"
    VERIFYING = "VERIFYING"
    HEALTHY = "HEALTHY"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    QUARANTINED = "QUARANTINED"


IN_FLIGHT = frozenset({Phase.CLAIMED, Phase.DEPLOYING, Phase.VERIFYING, Phase.ROLLING_BACK})
TERMINAL = frozenset(Phase) - IN_FLIGHT - {Phase.PENDING}


class Step(StrEnum):
    """Where the present action on the stack stands; a journal that ends here is picked up here."""

    LOOK = "LOOK"
    """read the stack"""
    OBSERVED = "OBSERVED"
    CHANGE_SET_INTENDED = "CHANGE_SET_INTENDED"
    CHANGE_SET_MADE = "CHANGE_SET_MADE"
    INSPECTED = "INSPECTED"
    EXECUTION_INTENDED = "EXECUTION_INTENDED"
    EXECUTING = "EXECUTING"
    SETTLED = "SETTLED"
    VERIFIED = "VERIFIED"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One attempt to bring the stack to `wanted`, forward or back. id is the change set's name without `tg-`
    and the token of its execution."""

    direction: e.Direction
    wanted: Deployable | None
    """None: a rollback of a first deployment, which has nowhere to go back to."""
    step: Step = Step.LOOK
    id: str = ""
    creating: bool = False
    change_set: str = ""
    stack_id: str = ""
    seen: e.TargetObserved | None = None
    inherited: bool = False
    """Taken over from another holder: its change sets have to go before anything else is done."""
    since: datetime | None = None
    """when the present step began"""
    rounds: int = 0
    """How often the action went back to looking; bounded by decide."""
    changed: bool = False
    """A change set has been executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    phase: Phase = Phase.PENDING
    release: str = ""
    plan: Digest | None = None
    wave: int = -1
    desired: Deployable | None = None
    observed: str = ""
    """the release the account itself was last seen to run; empty where none was seen"""
    previous_good: Deployable | None = None
    captured: bool = False
    """previous_good was captured for this release, before its first write"""
    goods: tuple[Deployable, ...] = ()
    """Oldest first: what reached HEALTHY here, baked, and was not recalled."""
    action: Action | None = None
    verdict: e.Verdict | None = None
    reason: str = ""
    fault: e.Fault | None = None
    command: str = ""
    """what a person types to clear a quarantine"""
    settled_at: datetime | None = None
    added: tuple[str, ...] = ()
    """logical ids that this release created here"""
    changed: bool = False
    """This run has executed, or may have executed, a change set here."""

    @property
    def quarantined(self) -> bool:
        return self.phase is Phase.QUARANTINED


def fold_target(entries: Iterable[e.Envelope]) -> TargetState:
    state = TargetState()
    for entry in entries:
        state = evolve_target(state, entry)
    return state


def evolve_target(state: TargetState, entry: e.Envelope) -> TargetState:
    event = entry.event
    if isinstance(event, e.TargetStep):
        return _stepped(state, event, entry.at)
    if isinstance(event, e.TargetEnd):
        return _ended(state, event, entry.at)
    match event:
        case e.TargetClaimed():
            return _claimed(state, event, entry.at)
        case e.RollbackClaimed():
            return _rollback_claimed(state, event, entry.at)
        case e.TargetTakenOver():
            return _on_action(state, entry.at, inherited=True, keep_since=True)
        case e.TargetRecalled(release=release):
            return _recalled(state, release)
        case e.TargetCleared():
            cleared = TargetState(observed=state.observed, goods=state.goods)
            return cleared if state.quarantined else state
        case _:
            return state


def _claimed(state: TargetState, claimed: e.TargetClaimed, at: datetime) -> TargetState:
    # What another run left in flight here may still be executed by its runner: its change sets have to go first.
    interrupted = state.phase in IN_FLIGHT
    action = Action(direction=e.Direction.FORWARD, wanted=claimed.desired, since=at, inherited=interrupted)
    return TargetState(
        phase=Phase.CLAIMED,
        release=claimed.release,
        plan=claimed.plan,
        wave=claimed.wave,
        desired=claimed.desired,
        observed=state.observed,
        goods=state.goods,
        action=action,
        added=state.added if state.release == claimed.release else (),
    )


def _rollback_claimed(state: TargetState, claimed: e.RollbackClaimed, at: datetime) -> TargetState:
    if state.release != claimed.release:
        return state
    action = Action(direction=e.Direction.BACK, wanted=state.previous_good, since=at)
    return replace(state, phase=Phase.ROLLING_BACK, action=action, verdict=None)


def _recalled(state: TargetState, release: str) -> TargetState:
    goods = tuple(good for good in state.goods if good.release != release)
    previous = state.previous_good
    if previous is not None and previous.release == release:
        others = [good for good in goods if good.release != state.release]
        previous = others[-1] if others else None
    return replace(state, goods=goods, previous_good=previous)


def _on_action(state: TargetState, at: datetime, *, keep_since: bool = False, **changes: Any) -> TargetState:
    if state.action is None:
        return state
    since = state.action.since if keep_since else at
    return replace(state, action=replace(state.action, since=since, **changes))


def _stepped(
    state: TargetState,
    step: e.TargetStep,
    at: datetime,
) -> TargetState:
    if state.action is None:
        return state
    match step:
        case e.TargetObserved():
            return _observed(state, step, at)
        case e.ChangeSetIntended():
            changed = _on_action(
                state, at, step=Step.CHANGE_SET_INTENDED, id=step.action_id, creating=step.creating
            )
            return _deploying(changed)
        case e.ChangeSetMade():
            return _on_action(
                state, at, step=Step.CHANGE_SET_MADE, change_set=step.arn, stack_id=step.stack_id
            )
        case e.ChangeSetInspected():
            return replace(_on_action(state, at, step=Step.INSPECTED), added=(*state.added, *step.added))
        case e.ChangeSetEmpty():
            return _on_action(state, at, step=Step.SETTLED)
        case e.ExecutionIntended():
            forward = state.action.direction is e.Direction.FORWARD
            intended = _on_action(state, at, step=Step.EXECUTION_INTENDED)
            return replace(intended, changed=state.changed or forward)
        case e.ExecutionStarted():
            return _on_action(state, at, step=Step.EXECUTING, inherited=False, changed=True)
        case e.ChangeSetAbandoned() | e.ExecutionAbandoned():
            return _abandoned(state, state.action, at)
        case e.StackSettled():
            settled = _verifying(_on_action(state, at, step=Step.SETTLED))
            wanted = state.action.wanted
            return replace(settled, observed=wanted.release) if wanted is not None else settled
        case e.TargetVerified():
            return _verifying(_on_action(state, at, step=Step.VERIFIED))
        case _:
            assert_never(step)


def _abandoned(state: TargetState, action: Action, at: datetime) -> TargetState:
    """Back to looking. A take-over is nobody's failed attempt and costs no round."""
    rounds = action.rounds if action.inherited else action.rounds + 1
    forward = action.direction is e.Direction.FORWARD
    state = replace(state, changed=action.changed if forward else state.changed)
    return _on_action(state, at, step=Step.LOOK, inherited=False, change_set="", id="", rounds=rounds)


def _observed(state: TargetState, seen: e.TargetObserved, at: datetime) -> TargetState:
    state = _on_action(state, at, step=Step.OBSERVED, seen=seen, stack_id=seen.stack_id)
    release = seen.mark.split(" ")[0] if seen.mark else ""
    if state.captured or state.phase is Phase.ROLLING_BACK:
        return replace(state, observed=release)
    others = [good for good in state.goods if good.release != state.release]
    previous = others[-1] if others else None
    return replace(state, observed=release, previous_good=previous, captured=True)


def _deploying(state: TargetState) -> TargetState:
    return replace(state, phase=Phase.DEPLOYING) if state.phase is Phase.CLAIMED else state


def _verifying(state: TargetState) -> TargetState:
    forward = state.phase in (Phase.CLAIMED, Phase.DEPLOYING)
    return replace(state, phase=Phase.VERIFYING) if forward else state


def _ended(
    state: TargetState,
    end: e.TargetEnd,
    at: datetime,
) -> TargetState:
    state = _on_action(state, at, step=Step.DONE)
    state = replace(state, settled_at=at)
    match end:
        case e.TargetHealthy():
            return replace(state, phase=Phase.HEALTHY, observed=state.release, reason="", fault=None)
        case e.TargetJudged(verdict=verdict, reason=reason):
            return _judged(state, verdict, reason)
        case e.TargetGood():
            return _good(state)
        case e.TargetFailed(reason=reason, fault=fault):
            return replace(state, phase=Phase.FAILED, reason=reason, fault=fault)
        case e.TargetUnknown(reason=reason):
            return replace(state, phase=Phase.UNKNOWN, reason=reason)
        case e.TargetSkipped(reason=reason):
            return replace(state, phase=Phase.SKIPPED, reason=reason)
        case e.TargetReleased():
            return replace(state, phase=Phase.PENDING, action=None)
        case e.TargetRolledBack(to=to):
            goods = tuple(g for g in state.goods if g.release != state.release)
            return replace(state, phase=Phase.ROLLED_BACK, observed=to, goods=goods)
        case e.RollbackFailed(reason=reason):
            return replace(state, phase=Phase.ROLLBACK_FAILED, reason=reason)
        case e.TargetQuarantined(reason=reason, command=command):
            return replace(state, phase=Phase.QUARANTINED, reason=reason, command=command)
        case _:
            assert_never(end)


def _judged(state: TargetState, verdict: e.Verdict, reason: str) -> TargetState:
    """What cannot be read is never healthy: only PASS leaves a target HEALTHY."""
    state = replace(state, verdict=verdict, reason="" if verdict is e.Verdict.PASS else reason)
    if state.phase is not Phase.HEALTHY or verdict is e.Verdict.PASS:
        return state
    phase = Phase.FAILED if verdict is e.Verdict.FAIL else Phase.UNKNOWN
    return replace(state, phase=phase, fault=e.Fault.RELEASE)


def _good(state: TargetState) -> TargetState:
    if state.desired is None:
        return state
    others = tuple(g for g in state.goods if g.release != state.desired.release)
    return replace(state, goods=(*others, state.desired))
