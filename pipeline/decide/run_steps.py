"""Floor 2, the steps of a run: from the folded release and its targets to what the engine does next. Pure.

Bakes are stored deadlines; a halt only stops what has not started; nothing here waits. `next_move` is called again
after every change, so each move is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pipeline.decide.pace import failed_in, in_flight_in, next_claims
from pipeline.decide.rollback import ClaimRollback, next_rollback_move
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.policy import OnFail
from pipeline.model.run_state import ENDED, Run, RunState, WaveStatus
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
class MarkGood:
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Await:
    """Only what is in flight can change anything now."""

    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    ending: Ending


RunMove: TypeAlias = StartWave | Claim | ClaimRollback | Record | Bake | Judge | MarkGood | Await | Finished

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
    if run.run is Run.HALTED:
        flying = tuple(t for t, state in targets.items() if state.phase in IN_FLIGHT)
        if flying:
            return Await(flying)
        return Finished(Ending(kind=EndingKind.HALTED, reason=run.halted_because))
    number = run.current_wave
    if number is None:
        return Record(e.RunEnded(outcome=e.Outcome.SUCCEEDED))
    return _wave_move(plan, number, run, targets, now)


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
        case WaveStatus.PENDING:
            return StartWave(number)
        case WaveStatus.DEPLOYING:
            return _deploying(plan, number, run, targets, now)
        case WaveStatus.BAKING | WaveStatus.JUDGING:
            return _baking(plan, number, run, targets, now)
        case _:
            return _failed(plan, number, run)


def _deploying(
    plan: Plan, number: int, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime
) -> RunMove:
    wave = plan.waves[number]
    claimed = run.waves[number].claimed
    failure = _failure(wave, run, targets)
    claims = () if failure else next_claims(plan, number, run, targets)
    if claims:
        return Claim(number, claims)
    flying = in_flight_in(wave, claimed, targets)
    if failure:
        # A claim that never began is not begun now; only what runs is waited for.
        running = tuple(t for t in flying if targets[t].phase in IN_FLIGHT)
        return Await(running) if running else Record(e.WaveFailed(wave=number, reason=failure))
    if flying:
        return Await(flying)
    return Record(e.WaveBaking(wave=number, until=now + wave.bake))


def _baking(
    plan: Plan, number: int, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime
) -> RunMove:
    wave = plan.waves[number]
    until = run.waves[number].bake_until or now
    failure = _failure(wave, run, targets)
    if failure:
        return Record(e.WaveFailed(wave=number, reason=failure))
    healthy = tuple(t for t in wave.targets if targets[t].phase is Phase.HEALTHY)
    if run.waves[number].status is WaveStatus.BAKING:
        if now < until:
            return Bake(until, healthy)
        return Record(e.WaveJudging(wave=number))
    unjudged = tuple(t for t in healthy if targets[t].verdict is None)
    if unjudged:
        return Judge(unjudged)
    unbaked = tuple(t for t in healthy if targets[t].desired not in targets[t].goods)
    if unbaked:
        return MarkGood(unbaked)
    return Record(e.WavePassed(wave=number))


def _failure(wave: Wave, run: RunState, targets: Mapping[TargetId, TargetState]) -> str:
    """Why the wave has failed, for a person; empty where it has not."""
    failed = failed_in(wave, run, targets)
    if len(failed) > wave.tolerance:
        first = failed[0]
        many = (
            f"{len(failed)} of {len(wave.targets)} targets failed" if len(failed) > 1 else f"{first} failed"
        )
        return f"{many}: {targets[first].reason}"
    skipped = [t for t in wave.targets if targets[t].phase is Phase.SKIPPED]
    if len(skipped) > wave.max_skipped:
        return f"{len(skipped)} targets were skipped, and only {wave.max_skipped} may be"
    if wave.kind is not WaveKind.WAVE and wave.targets and len(skipped) == len(wave.targets):
        return "every target was skipped, so nothing has been tried"
    return ""


def _failed(plan: Plan, number: int, run: RunState) -> RunMove:
    wave, reason = plan.waves[number], run.waves[number].reason
    if wave.on_fail is OnFail.HOLD:
        return Record(e.RunHalted(reason=reason, by="tidegate"))
    return Record(e.RollbackOrdered(waves=(number,), reason=reason, by="tidegate"))
