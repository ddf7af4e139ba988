"""Floor 2, the steps of a run: from the folded release and its targets to what the engine does next. Pure.

Bakes are stored deadlines; a halt only stops what has not started; nothing here waits. `next_move` is called again
after every change, so each move is small. What a wave waits for before it starts stands in `gates`, how its bake
ends in `bakes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from pipeline.decide.approvals import lane_in_force
from pipeline.decide.bakes import after_the_bake, bake_end, failed_look, next_look, unclear_look
from pipeline.decide.gates import defer, first_opening, gate_of, listed, waiting_since
from pipeline.decide.pace import failed_in, in_flight_in, next_claims
from pipeline.decide.rollback import ClaimRollback, next_rollback_move
from pipeline.decide.windows import opens_at
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import TargetId
from pipeline.model.members import members
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.policy import OnFail
from pipeline.model.run_state import ENDED, Run, RunState, WaveState, WaveStatus
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState

__all__ = [
    "Await",
    "Bake",
    "Claim",
    "Finished",
    "Judge",
    "MarkGood",
    "Record",
    "RunMove",
    "StartWave",
    "Wait",
    "Weigh",
    "next_move",
]


@dataclass(frozen=True, slots=True)
class StartWave:
    """Verify the release's digests and signature again, then say that the wave has started."""

    wave: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Read the latch, then claim. `targets` may be empty: claimed ones that never began are started again."""

    wave: int
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Record:
    event: e.ReleaseEvent


@dataclass(frozen=True, slots=True)
class Bake:
    """Nothing to start before `until`; keep an eye on `targets` while a runner is there."""

    until: datetime
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Judge:
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Weigh:
    """One registered look of the canary judge: gather the evidence, keep it, say what it shows."""

    wave: int
    look: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before `until`: every target that is left is outside its window."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class MarkGood:
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Await:
    """Only what is in flight can change anything now."""

    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    ending: Ending


RunMove: TypeAlias = (
    StartWave | Claim | ClaimRollback | Record | Bake | Judge | Weigh | Wait | MarkGood | Await | Finished
)

_ENDINGS = {
    Run.SUCCEEDED: EndingKind.SUCCEEDED,
    Run.ROLLED_BACK: EndingKind.ROLLED_BACK,
    Run.ROLLBACK_INCOMPLETE: EndingKind.ROLLBACK_INCOMPLETE,
    Run.SUPERSEDED: EndingKind.SUPERSEDED,
}


def next_move(plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime) -> RunMove:
    """targets: the state of every target of the plan, PENDING where this run has not touched it."""
    if run.run in ENDED:
        return Finished(Ending(kind=_ENDINGS[run.run], reason=run.halted_because))
    if run.run is Run.ROLLING_BACK:
        return _rolling_back(plan, run, targets)
    if run.run in (Run.HALTED, Run.PAUSED):
        return _stopped(plan, run, targets, now)
    number = run.current_wave
    if number is None:
        return _all_passed(plan, run, targets, now)
    return _wave_move(plan, number, run, targets, now)


def _stopped(plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime) -> RunMove:
    flying = tuple(t for t, state in targets.items() if state.phase in IN_FLIGHT)
    if flying:
        return Await(flying)
    if run.run is Run.HALTED:
        return Finished(Ending(kind=EndingKind.HALTED, reason=run.halted_because))
    if run.waiting_until is None:
        undecided = _undecided_still(plan, run, now)
        if undecided is not None:
            return Record(undecided)
    if run.waiting_until is not None and now >= run.waiting_until:
        return _waited_too_long(run.paused_because)
    return Finished(Ending(kind=EndingKind.PAUSED, reason=run.paused_because, until=run.waiting_until))


def _undecided_still(plan: Plan, run: RunState, now: datetime) -> e.WaveInconclusive | None:
    """A halt has come to its end and the wave under it is still undecided: nobody waits without a deadline."""
    for number, wave in enumerate(run.waves):
        if wave.status is WaveStatus.INCONCLUSIVE:
            return e.WaveInconclusive(
                wave=number,
                reason=wave.reason,
                evidence=wave.looks[-1].evidence if wave.looks else None,
                deadline=now + plan.waiting_deadline,
            )
    return None


def _waited_too_long(reason: str) -> RunMove:
    return Record(e.RunHalted(reason=f"nobody decided in time: {reason}", by="tidegate"))


def _all_passed(plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime) -> RunMove:
    """Every wave has passed. What was hurried has a last look still to come before it counts as good."""
    hurried = [n for n, wave in enumerate(run.waves) if wave.hurried]
    if not hurried:
        return Record(e.RunEnded(outcome=e.Outcome.SUCCEEDED))
    if run.follow_up_until is None:
        return Record(e.FollowUpScheduled(until=now + max(plan.waves[n].bake for n in hurried)))
    together = tuple(t for n in hurried for t in members(plan, run, n))
    failed = failed_in(together, run, targets)
    if len(failed) > sum(plan.waves[n].tolerance for n in hurried):
        return Record(e.RunHalted(reason=_told(failed, together, targets), by="tidegate"))
    healthy = tuple(t for t in together if targets[t].phase is Phase.HEALTHY)
    if now < run.follow_up_until:
        return Bake(run.follow_up_until, healthy)
    since = run.follow_up_until
    unseen = tuple(t for t in healthy if not _was_looked_at_since(targets[t], since))
    if unseen:
        return Judge(unseen)
    unbaked = tuple(t for t in healthy if targets[t].desired not in targets[t].goods)
    return MarkGood(unbaked) if unbaked else Record(e.RunEnded(outcome=e.Outcome.SUCCEEDED))


def _was_looked_at_since(state: TargetState, since: datetime | None) -> bool:
    if state.verdict is None or since is None:
        return state.verdict is not None
    return state.settled_at is not None and state.settled_at >= since


def _rolling_back(plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState]) -> RunMove:
    forward = tuple(t for t, state in targets.items() if state.phase in IN_FLIGHT - {Phase.ROLLING_BACK})
    if forward:
        return Await(forward)
    move = next_rollback_move(plan, run, targets)
    if isinstance(move, ClaimRollback):
        return move
    if isinstance(move, tuple):
        return Await(move)
    return Record(move)


def _wave_move(
    plan: Plan, number: int, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime
) -> RunMove:
    match run.waves[number].status:
        case WaveStatus.PENDING | WaveStatus.GATED:
            return _at_the_gate(plan, number, run, now)
        case WaveStatus.DEPLOYING:
            return _deploying(plan, number, run, targets, now)
        case WaveStatus.BAKING | WaveStatus.JUDGING:
            return _baking(plan, number, run, targets, now)
        case WaveStatus.INCONCLUSIVE:
            return Finished(Ending(kind=EndingKind.PAUSED, reason=run.waves[number].reason))
        case _:
            return _failed(plan, number, run)


def _at_the_gate(plan: Plan, number: int, run: RunState, now: datetime) -> RunMove:
    standing = run.waves[number].gate
    shut = gate_of(plan, number, run, now)
    if shut is None:
        return StartWave(number)
    if isinstance(shut, e.TargetsDeferred):
        return Record(shut)
    if standing is None or standing.gate is not shut.gate or standing.until != shut.until:
        return Record(shut)
    if now >= standing.deadline:
        return _waited_too_long(standing.reason)
    if standing.until is not None:
        return Wait(min(standing.until, standing.deadline), standing.reason)
    return Finished(
        Ending(kind=EndingKind.AWAITING_APPROVAL, reason=standing.reason, until=standing.deadline)
    )


def _deploying(
    plan: Plan, number: int, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime
) -> RunMove:
    wave, together = plan.waves[number], members(plan, run, number)
    claimed = run.waves[number].claimed
    failure = _failure(wave, together, run, targets)
    claims = () if failure else next_claims(plan, number, run, targets, now)
    if claims:
        return Claim(number, claims)
    flying = in_flight_in(together, claimed, targets)
    if failure:
        # A claim that never began is not begun now; only what runs is waited for.
        running = tuple(t for t in flying if targets[t].phase in IN_FLIGHT)
        return Await(running) if running else Record(e.WaveFailed(wave=number, reason=failure))
    pending = tuple(t for t in together if targets[t].phase is Phase.PENDING)
    shut = tuple(t for t in pending if opens_at(plan.target(t), now) > now)
    # A claim that never began, or was let go of by a halt, is not begun outside its window either.
    going = tuple(t for t in flying if t not in shut)
    if going:
        return Await(going)
    if pending:
        return _for_the_late(plan, number, shut or pending, run, targets, now)
    healthy = any(targets[t].phase is Phase.HEALTHY for t in together)
    return Record(e.WaveBaking(wave=number, until=now + (wave.bake if healthy else timedelta(0))))


def _for_the_late(
    plan: Plan,
    number: int,
    late: tuple[TargetId, ...],
    run: RunState,
    targets: Mapping[TargetId, TargetState],
    now: datetime,
) -> RunMove:
    """Everybody else of the wave is done, and it does not wait for them. A canary of which nobody has tried the
    release does, and so does the service's own account, which goes with no client's wave."""
    kind = plan.waves[number].kind
    tried = any(targets[t].phase is Phase.HEALTHY for t in members(plan, run, number))
    gives_way = kind is WaveKind.WAVE or (kind is WaveKind.CANARY and tried)
    deferred = defer(plan, number, late, now) if gives_way else None
    if deferred is not None:
        return Record(deferred)
    until = first_opening(plan, late, now)
    deadline = waiting_since(run, now) + plan.max_deferral
    reason = f"waits for the maintenance windows or freezes of {listed(late)}"
    if now >= deadline:
        return _waited_too_long(reason)
    return Wait(min(until, deadline), reason)


def _baking(
    plan: Plan, number: int, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime
) -> RunMove:
    wave, together, state = plan.waves[number], members(plan, run, number), run.waves[number]
    failure = _failure(wave, together, run, targets) or failed_look(state)
    if failure:
        return Record(e.WaveFailed(wave=number, reason=failure))
    healthy = tuple(t for t in together if targets[t].phase is Phase.HEALTHY)
    lane = lane_in_force(run, run.plan, now) if run.plan is not None else None
    if state.status is WaveStatus.BAKING or _was_cut_short(state, lane, now):
        return _bake_on(plan, number, run, healthy, lane, now)
    since = _over_since(state, lane)
    unseen = tuple(t for t in healthy if not _was_looked_at_since(targets[t], since))
    looking = () if lane is e.Lane.FULL else unseen
    if looking:
        return Judge(looking)
    weighed = after_the_bake(plan, number, run, lane, now)
    if isinstance(weighed, int):
        return Weigh(number, weighed)
    if weighed is not None:
        return Record(weighed)
    if lane is not None and healthy:
        return Record(e.WavePassed(wave=number, hurried=True))
    unbaked = tuple(t for t in healthy if targets[t].desired not in targets[t].goods)
    return MarkGood(unbaked) if unbaked else Record(e.WavePassed(wave=number))


def _was_cut_short(wave: WaveState, lane: e.Lane | None, now: datetime) -> bool:
    """The bake was ended early by a lane that is in force no more: what is left of it is not skipped."""
    return lane is None and wave.bake_until is not None and now < wave.bake_until


def _over_since(wave: WaveState, lane: e.Lane | None) -> datetime | None:
    """Since when the bake has been over, as whoever judges now has to see it."""
    moments = [wave.judging_from, wave.bake_until if lane is None else None]
    return max((moment for moment in moments if moment is not None), default=None)


def _bake_on(
    plan: Plan,
    number: int,
    run: RunState,
    healthy: tuple[TargetId, ...],
    lane: e.Lane | None,
    now: datetime,
) -> RunMove:
    frozen = unclear_look(plan, number, run, now)
    if frozen is not None:
        return Record(frozen)
    until = bake_end(plan, run.waves[number], lane, now)
    if now >= until:
        return Record(e.WaveJudging(wave=number))
    due = next_look(plan, number, run, lane, now)
    if due is None:
        return Bake(until, healthy)
    look, at = due
    return Weigh(number, look) if now >= at else Bake(min(until, at), healthy)


def _failure(
    wave: Wave, together: tuple[TargetId, ...], run: RunState, targets: Mapping[TargetId, TargetState]
) -> str:
    """Why the wave has failed, for a person; empty where it has not."""
    failed = failed_in(together, run, targets)
    if len(failed) > wave.tolerance:
        return _told(failed, together, targets)
    skipped = [t for t in together if targets[t].phase is Phase.SKIPPED or targets[t].blameless]
    if sum(t not in run.forgiven for t in skipped) > wave.max_skipped:
        return f"{len(skipped)} targets were skipped, and only {wave.max_skipped} may be"
    if wave.kind is not WaveKind.WAVE and together and len(skipped) == len(together):
        reason = targets[skipped[0]].reason
        return "every target was skipped, so nothing has been tried" + (f": {reason}" if reason else "")
    return ""


def _told(
    failed: tuple[TargetId, ...], together: tuple[TargetId, ...], targets: Mapping[TargetId, TargetState]
) -> str:
    many = f"{len(failed)} of {len(together)} targets failed" if len(failed) > 1 else f"{failed[0]} failed"
    return f"{many}: {targets[failed[0]].reason}"


def _failed(plan: Plan, number: int, run: RunState) -> RunMove:
    wave, reason = plan.waves[number], run.waves[number].reason
    if wave.on_fail is OnFail.HOLD:
        return Record(e.RunHalted(reason=reason, by="tidegate"))
    if not plan.rollback_safe:
        held = f"{reason} (held, not rolled back: this release says that going back is not safe)"
        return Record(e.RunHalted(reason=held, by="tidegate"))
    return Record(e.RollbackOrdered(waves=(number,), reason=reason, by="tidegate"))
