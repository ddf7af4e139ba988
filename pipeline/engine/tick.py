"""Floor 3, engine: one tick of one target: decide, write the intent, perform, write the outcome. Never sleeps.

This is the seam between engines: an in-process scheduler calls it here, a Lambda behind a state machine can call
the same function. What it returns is plain data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from pipeline.decide.target_steps import Conclude, Do, Done, Wait, next_step
from pipeline.engine.job import job_of
from pipeline.engine.ledger import Ledger
from pipeline.engine.perform import Again, Said, perform
from pipeline.engine.watch import watch
from pipeline.engine.world import Runner, World
from pipeline.errors import CredentialsRefused, ReleaseError
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, PlannedTarget
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState

__all__ = ["Tick", "TickStatus", "judge", "poll_delay", "tick"]

_FIRST_POLL = timedelta(milliseconds=300)
_LAST_POLL = timedelta(seconds=15)


class TickStatus(StrEnum):
    GO_ON = "GO_ON"
    """something changed: tick again at once"""
    WAIT = "WAIT"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    target: TargetId
    status: TickStatus
    until: datetime | None = None
    reason: str = ""
    trouble: bool = False
    """AWS could not be asked."""


def tick(world: World, runner: Runner, ledger: Ledger, plan: Plan, target: PlannedTarget) -> Tick:
    """Advance one target by at most one action. FenceLost stops the whole runner and passes through."""
    state = ledger.target(target.id)
    move = next_step(target, state, world.clock.now(), runner.fence)
    match move:
        case Done():
            return _ended(target.id, state)
        case Conclude(events=events):
            return _after(target.id, ledger.say(target.id, events))
        case Wait(until=until, reason=reason):
            return Tick(target=target.id, status=TickStatus.WAIT, until=until, reason=reason)
        case Do(action=action, intent=intent):
            if intent is not None:
                state = ledger.say(target.id, (intent,))
            outcome = perform(world, runner, job_of(plan, target, state), action)
            if isinstance(outcome, Said):
                return _after(target.id, ledger.say(target.id, outcome.events))
            return _again(world, target.id, state, outcome)


def judge(world: World, ledger: Ledger, plan: Plan, target: PlannedTarget) -> tuple[e.Verdict, str]:
    """One look at a HEALTHY target, during its bake or at the end of it. Writes nothing.

    Whatever keeps it from being read is NO_DATA; only this runner's own credentials stop the run.
    """
    state = ledger.target(target.id)
    assert state.desired is not None, "a HEALTHY target has been claimed"
    try:
        return watch(world, job_of(plan, target, state), state.desired)
    except CredentialsRefused:
        raise
    except ReleaseError as fault:
        return e.Verdict.NO_DATA, fault.problem


def poll_delay(age: timedelta, target: TargetId) -> timedelta:
    """A fifth of the step's age, between 0.3 and 15 s, give or take 20 % by target, so that a thousand targets
    that started together do not ask together."""
    delay = min(max(age / 5, _FIRST_POLL), _LAST_POLL)
    spread = sha256(str(target).encode()).digest()[0] / 255
    return delay * (0.8 + 0.4 * spread)


def _after(target: TargetId, state: TargetState) -> Tick:
    if state.phase in IN_FLIGHT:
        return Tick(target=target, status=TickStatus.GO_ON)
    return _ended(target, state)


def _ended(target: TargetId, state: TargetState) -> Tick:
    failed = state.phase in (Phase.FAILED, Phase.UNKNOWN, Phase.ROLLBACK_FAILED, Phase.QUARANTINED)
    status = TickStatus.FAILED if failed else TickStatus.DONE
    return Tick(target=target, status=status, reason=state.reason)


def _again(world: World, target: TargetId, state: TargetState, outcome: Again) -> Tick:
    now = world.clock.now()
    since = state.action.since if state.action is not None and state.action.since is not None else now
    after = outcome.after if outcome.after is not None else poll_delay(now - since, target)
    return Tick(
        target=target,
        status=TickStatus.WAIT,
        until=now + after,
        reason=outcome.reason,
        trouble=outcome.trouble,
    )
