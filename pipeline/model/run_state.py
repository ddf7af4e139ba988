"""Floor 1, the state of a release: the fold of its stream. Total, like the fold of a target. No effects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from pipeline.model import event as e
from pipeline.model.ids import Digest, TargetId
from pipeline.model.release import Evidence

__all__ = ["ENDED", "Run", "RunState", "WaveState", "WaveStatus", "evolve_run", "fold_run"]


class Run(StrEnum):
    NONE = "NONE"
    """built or tested, not planned"""
    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    HALTED = "HALTED"
    ROLLING_BACK = "ROLLING_BACK"
    SUCCEEDED = "SUCCEEDED"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"
    SUPERSEDED = "SUPERSEDED"


ENDED = frozenset({Run.SUCCEEDED, Run.ROLLED_BACK, Run.ROLLBACK_INCOMPLETE, Run.SUPERSEDED})


class WaveStatus(StrEnum):
    PENDING = "PENDING"
    DEPLOYING = "DEPLOYING"
    BAKING = "BAKING"
    JUDGING = "JUDGING"
    PASSED = "PASSED"
    FAILED = "FAILED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveState:
    status: WaveStatus = WaveStatus.PENDING
    claimed: frozenset[TargetId] = frozenset()
    bake_until: datetime | None = None
    reason: str = ""
    at_risk: bool = False
    """Still on a release that was rolled back in later waves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    run: Run = Run.NONE
    digest: Digest | None = None
    manifest: Digest | None = None
    evidence: Evidence | None = None
    plan: Digest | None = None
    waves: tuple[WaveState, ...] = ()
    halted_because: str = ""
    halted_by: str = ""
    halted_in: int | None = None
    """the number of the wave in which it halted or failed last"""
    forgiven: frozenset[TargetId] = frozenset()
    rollback: e.RollbackOrdered | None = None
    before_rollback: Run = Run.NONE
    """what a rollback of single targets goes back to"""
    changed_at: datetime | None = None

    def wave(self, number: int) -> WaveState:
        return self.waves[number]

    @property
    def current_wave(self) -> int | None:
        """The first wave that has not passed; None when all have."""
        for number, wave in enumerate(self.waves):
            if wave.status is not WaveStatus.PASSED:
                return number
        return None


def fold_run(entries: Iterable[e.Envelope]) -> RunState:
    state = RunState()
    for entry in entries:
        state = evolve_run(state, entry)
    return state


def evolve_run(state: RunState, entry: e.Envelope) -> RunState:
    event = entry.event
    if not isinstance(event, e.ReleaseEvent):
        return state
    return replace(_evolve(state, event), changed_at=entry.at)


def _evolve(state: RunState, event: e.ReleaseEvent) -> RunState:
    match event:
        case e.ReleaseBuilt():
            return replace(state, digest=event.digest, manifest=event.manifest)
        case e.ReleaseTested(evidence=evidence):
            return replace(state, evidence=evidence)
        case e.PlanFixed():
            return RunState(
                run=Run.PLANNED,
                digest=state.digest,
                manifest=state.manifest,
                evidence=state.evidence,
                plan=event.plan,
                waves=tuple(WaveState() for _ in range(event.waves)),
            )
        case e.WaveStarted():
            return _wave(replace(state, run=Run.RUNNING), event.wave, status=WaveStatus.DEPLOYING)
        case e.TargetsClaimed():
            return _claim(state, event)
        case e.WaveBaking():
            return _wave(state, event.wave, status=WaveStatus.BAKING, bake_until=event.until)
        case e.WaveJudging():
            return _wave(state, event.wave, status=WaveStatus.JUDGING)
        case e.WavePassed():
            return _wave(state, event.wave, status=WaveStatus.PASSED)
        case e.WaveFailed():
            failed = _wave(state, event.wave, status=WaveStatus.FAILED, reason=event.reason)
            return replace(failed, halted_in=event.wave)
        case e.RunHalted():
            return _halted(state, event)
        case e.RunResumed():
            return _resumed(state, event)
        case e.RollbackOrdered():
            return _rollback(state, event)
        case e.WaveRolledBack():
            done = WaveStatus.ROLLBACK_INCOMPLETE if event.incomplete else WaveStatus.ROLLED_BACK
            return _wave(state, event.wave, status=done)
        case e.RunEnded():
            return replace(state, run=Run(event.outcome.value))
        case _:
            assert_never(event)


def _wave(state: RunState, number: int, **changes: Any) -> RunState:
    if not 0 <= number < len(state.waves):
        return state
    changed = replace(state.waves[number], **changes)
    return replace(state, waves=(*state.waves[:number], changed, *state.waves[number + 1 :]))


def _claim(state: RunState, event: e.TargetsClaimed) -> RunState:
    if not 0 <= event.wave < len(state.waves):
        return state
    claimed = state.waves[event.wave].claimed | frozenset(event.targets)
    return _wave(state, event.wave, claimed=claimed)


def _halted(state: RunState, event: e.RunHalted) -> RunState:
    return replace(
        state,
        run=state.run if state.run in ENDED else Run.HALTED,
        halted_because=event.reason,
        halted_by=event.by,
        halted_in=state.halted_in if state.halted_in is not None else state.current_wave,
    )


def _resumed(state: RunState, event: e.RunResumed) -> RunState:
    if state.run is not Run.HALTED:
        return state
    state = replace(
        state,
        run=Run.RUNNING,
        halted_because="",
        halted_by="",
        halted_in=None,
        forgiven=state.forgiven | frozenset(event.forgiven),
    )
    for number, wave in enumerate(state.waves):
        if wave.status is WaveStatus.FAILED:
            state = _wave(state, number, status=WaveStatus.DEPLOYING, reason="")
    return state


def _rollback(state: RunState, event: e.RollbackOrdered) -> RunState:
    before = state.before_rollback if state.run is Run.ROLLING_BACK else state.run
    state = replace(state, run=Run.ROLLING_BACK, rollback=event, before_rollback=before)
    if event.targets:
        return state
    for number, wave in enumerate(state.waves):
        if number in event.waves:
            state = _wave(state, number, status=WaveStatus.ROLLING_BACK, at_risk=False)
        elif wave.status is WaveStatus.PASSED:
            state = _wave(state, number, at_risk=True)
    return state
