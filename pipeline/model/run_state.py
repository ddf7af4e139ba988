"""Floor 1, the state of a release: the fold of its stream. Total, like the fold of a target. No effects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias, assert_never

from pipeline.model import event as e
from pipeline.model.ids import Digest, TargetId
from pipeline.model.release import Evidence

__all__ = [
    "ENDED",
    "Approval",
    "Run",
    "RunState",
    "WaveState",
    "WaveStatus",
    "evolve_run",
    "fold_run",
]


class Run(StrEnum):
    NONE = "NONE"
    """built or tested, not planned"""
    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    """by a person, or because a person must decide"""
    HALTED = "HALTED"
    ROLLING_BACK = "ROLLING_BACK"
    SUCCEEDED = "SUCCEEDED"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"
    SUPERSEDED = "SUPERSEDED"


ENDED = frozenset({Run.SUCCEEDED, Run.ROLLED_BACK, Run.ROLLBACK_INCOMPLETE, Run.SUPERSEDED})


class WaveStatus(StrEnum):
    PENDING = "PENDING"
    GATED = "GATED"
    """waits for an approval or for its clients' windows"""
    DEPLOYING = "DEPLOYING"
    BAKING = "BAKING"
    JUDGING = "JUDGING"
    INCONCLUSIVE = "INCONCLUSIVE"
    """a person decides"""
    PASSED = "PASSED"
    FAILED = "FAILED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveState:
    status: WaveStatus = WaveStatus.PENDING
    claimed: frozenset[TargetId] = frozenset()
    bake_from: datetime | None = None
    bake_until: datetime | None = None
    looks: tuple[e.WaveJudged, ...] = ()
    """what the judge has said, oldest first"""
    extended: bool = False
    """the bake has had its one extension"""
    final: e.WaveJudged | None = None
    """what the judge said since this bake was over"""
    judging_from: datetime | None = None
    """when the bake was over; what was seen of a target before that says nothing of how it has baked"""
    decided: int = 0
    """how many looks there had been when a person decided last; what comes after them is not decided"""
    gate: e.WaveGated | None = None
    """what it waits for, or waited for before it started"""
    reason: str = ""
    hurried: bool = False
    """passed without its whole bake: good nowhere before the follow-up"""
    at_risk: bool = False
    """Still on a release that was rolled back in later waves."""

    @property
    def is_decided(self) -> bool:
        """A person has decided on the judge's newest look."""
        return bool(self.looks) and self.decided == len(self.looks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """given: what was approved, for which plan, by whom and until when."""

    given: e.ApprovalGiven
    at: datetime


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
    starter: str = ""
    """the identity that began this run: whoever approves is somebody else"""
    preflight_done: bool = False
    passed_over: tuple[e.PassedOver, ...] = ()
    notes: tuple[str, ...] = ()
    """what the pre-flight found and is no reason to stop"""
    deferred: tuple[tuple[TargetId, int], ...] = ()
    """(target, wave it goes with now); sorted"""
    approvals: tuple[Approval, ...] = ()
    lane_asked: e.LaneAsked | None = None
    lane_asked_by: str = ""
    paused_because: str = ""
    paused_by: str = ""
    waiting_until: datetime | None = None
    """when a pause or an undecided wave becomes a halt"""
    follow_up_until: datetime | None = None
    heads: e.HeadsSigned | None = None
    """the newest signed heads"""
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
    return replace(_evolve(state, event, entry), changed_at=entry.at)


def _evolve(state: RunState, event: e.ReleaseEvent, entry: e.Envelope) -> RunState:
    match event:
        case e.ReleaseBuilt():
            return replace(state, digest=event.digest, manifest=event.manifest)
        case e.ReleaseTested(evidence=evidence):
            return replace(state, evidence=evidence)
        case e.PlanFixed():
            return _planned(state, event, entry.actor)
        case e.PreflightDone(passed_over=passed_over, notes=notes):
            return replace(state, preflight_done=True, passed_over=passed_over, notes=notes)
        case e.RunHalted():
            return _halted(state, event)
        case e.RunPaused():
            return _paused(state, event)
        case e.RunResumed():
            return _resumed(state, event)
        case e.RetryOrdered(targets=targets):
            return _retried(state, frozenset(targets))
        case e.LaneAsked():
            return _lane_asked(state, event, entry.actor)
        case e.ApprovalGiven():
            return replace(state, approvals=(*state.approvals, Approval(given=event, at=entry.at)))
        case e.FollowUpScheduled(until=until):
            return replace(state, follow_up_until=until)
        case e.HeadsSigned():
            return replace(state, heads=event)
        case e.RollbackOrdered():
            return _rollback(state, event)
        case e.RunEnded():
            return replace(state, run=Run(event.outcome.value))
        case _:
            return _in_wave(state, event, entry.at)


_WaveEvent: TypeAlias = (
    e.WaveGated
    | e.WaveStarted
    | e.TargetsClaimed
    | e.TargetsDeferred
    | e.WaveBaking
    | e.BakeExtended
    | e.WaveJudging
    | e.WaveJudged
    | e.WaveInconclusive
    | e.WaveDecided
    | e.WavePassed
    | e.WaveFailed
    | e.WaveRolledBack
)


def _in_wave(state: RunState, event: _WaveEvent, at: datetime) -> RunState:
    number = event.wave
    if not 0 <= number < len(state.waves):
        return state
    match event:
        case e.WaveGated():
            return _wave(state, number, status=WaveStatus.GATED, gate=event)
        case e.WaveStarted():
            return _wave(replace(state, run=Run.RUNNING), number, status=WaveStatus.DEPLOYING)
        case e.TargetsClaimed(targets=targets):
            return _wave(state, number, claimed=state.waves[number].claimed | frozenset(targets))
        case e.TargetsDeferred(to=to, targets=targets):
            return _deferred(state, to, targets)
        case e.WaveBaking():
            return _baking(state, event, at)
        case e.BakeExtended(until=until):
            return _wave(state, number, status=WaveStatus.BAKING, bake_until=until, extended=True)
        case e.WaveJudging():
            return _wave(state, number, status=WaveStatus.JUDGING, final=None, judging_from=at)
        case e.WaveJudged():
            return _judged(state, event)
        case e.WaveInconclusive():
            return _undecided(state, event)
        case e.WaveDecided():
            return _decided(state, event, at)
        case e.WavePassed(hurried=hurried):
            return _wave(state, number, status=WaveStatus.PASSED, hurried=hurried)
        case e.WaveFailed(reason=reason):
            failed = _wave(state, number, status=WaveStatus.FAILED, reason=reason)
            return replace(failed, halted_in=number)
        case e.WaveRolledBack():
            done = WaveStatus.ROLLBACK_INCOMPLETE if event.incomplete else WaveStatus.ROLLED_BACK
            return _wave(state, number, status=done)
        case _:
            assert_never(event)


def _planned(state: RunState, event: e.PlanFixed, actor: str) -> RunState:
    return RunState(
        run=Run.PLANNED,
        digest=state.digest,
        manifest=state.manifest,
        evidence=state.evidence,
        plan=event.plan,
        waves=tuple(WaveState() for _ in range(event.waves)),
        starter=actor,
    )


def _wave(state: RunState, number: int, **changes: Any) -> RunState:
    if not 0 <= number < len(state.waves):
        return state
    changed = replace(state.waves[number], **changes)
    return replace(state, waves=(*state.waves[:number], changed, *state.waves[number + 1 :]))


def _lane_asked(state: RunState, event: e.LaneAsked, actor: str) -> RunState:
    """Whoever approved an earlier wish has not approved this one."""
    kept = tuple(a for a in state.approvals if not a.given.subject.startswith("lane:"))
    return replace(state, lane_asked=event, lane_asked_by=actor, approvals=kept)


def _deferred(state: RunState, to: int, targets: tuple[TargetId, ...]) -> RunState:
    moved = {**dict(state.deferred), **dict.fromkeys(targets, to)}
    return replace(state, deferred=tuple(sorted(moved.items())))


def _baking(state: RunState, event: e.WaveBaking, at: datetime) -> RunState:
    return _wave(
        state,
        event.wave,
        status=WaveStatus.BAKING,
        bake_from=at,
        bake_until=event.until,
        looks=(),
        extended=False,
        final=None,
        judging_from=None,
        decided=0,
    )


def _judged(state: RunState, event: e.WaveJudged) -> RunState:
    wave = state.waves[event.wave]
    final = event if wave.status is WaveStatus.JUDGING else None
    return _wave(state, event.wave, looks=(*wave.looks, event), final=final)


def _undecided(state: RunState, event: e.WaveInconclusive) -> RunState:
    state = _wave(state, event.wave, status=WaveStatus.INCONCLUSIVE, reason=event.reason)
    if state.run in (Run.HALTED, Run.ROLLING_BACK, *ENDED):
        return state
    return replace(
        state,
        run=Run.PAUSED,
        paused_because=event.reason,
        paused_by="tidegate",
        waiting_until=event.deadline,
    )


def _decided(state: RunState, event: e.WaveDecided, at: datetime) -> RunState:
    """Only the wave that waits for a decision takes one: what is decided once is decided for nothing else."""
    wave = state.waves[event.wave]
    if wave.status is not WaveStatus.INCONCLUSIVE:
        return state
    baking = wave.bake_until is not None and at < wave.bake_until
    status = WaveStatus.BAKING if baking else WaveStatus.JUDGING
    decided = _wave(state, event.wave, status=status, decided=len(wave.looks), reason="")
    return replace(_unpaused(decided), run=Run.RUNNING) if state.run is Run.PAUSED else decided


def _paused(state: RunState, event: e.RunPaused) -> RunState:
    if state.run not in (Run.PLANNED, Run.RUNNING):
        return state
    return replace(
        state,
        run=Run.PAUSED,
        paused_because=event.reason,
        paused_by=event.by,
        waiting_until=event.deadline,
    )


def _unpaused(state: RunState) -> RunState:
    return replace(state, paused_because="", paused_by="", waiting_until=None)


def _halted(state: RunState, event: e.RunHalted) -> RunState:
    return replace(
        state,
        run=state.run if state.run in ENDED else Run.HALTED,
        halted_because=event.reason,
        halted_by=event.by,
        halted_in=state.halted_in if state.halted_in is not None else state.current_wave,
    )


def _resumed(state: RunState, event: e.RunResumed) -> RunState:
    if state.run not in (Run.HALTED, Run.PAUSED):
        return state
    accepted = state.run is Run.HALTED
    state = replace(
        _unpaused(state),
        run=Run.RUNNING,
        halted_because="",
        halted_by="",
        halted_in=None,
        forgiven=state.forgiven | frozenset(event.forgiven),
    )
    for number, wave in enumerate(state.waves):
        if wave.status is WaveStatus.FAILED and accepted:
            # The end of a pause accepts nothing: what has failed still halts or goes back.
            state = _wave(state, number, status=WaveStatus.DEPLOYING, reason="")
        elif wave.status is WaveStatus.INCONCLUSIVE:
            # Going on is not deciding: the wave still waits for a person.
            state = replace(state, run=Run.PAUSED, paused_because=wave.reason, paused_by="tidegate")
        elif wave.status is WaveStatus.GATED:
            # A gate that stayed shut until it became a halt gets its whole time again.
            state = _wave(state, number, status=WaveStatus.PENDING, gate=None)
    return state


def _retried(state: RunState, targets: frozenset[TargetId]) -> RunState:
    """They are claimed anew, at the pace of their wave. Clients of a wave that has passed go with the present one;
    the service's own account goes with no wave of clients, and where every wave has passed its own is open again."""
    if state.run in (Run.ROLLING_BACK, *ENDED):
        return state
    forgiven = state.forgiven - targets
    state = replace(
        _unpaused(state), run=Run.RUNNING, halted_because="", halted_by="", halted_in=None, forgiven=forgiven
    )
    present = state.current_wave
    for number, wave in enumerate(state.waves):
        again = wave.claimed & targets
        if not again and wave.status is not WaveStatus.FAILED:
            continue
        state = _wave(state, number, claimed=wave.claimed - targets)
        if wave.status is not WaveStatus.PASSED:
            state = _deploying_again(state, number)
            continue
        moving = tuple(t for t in again if t.is_client and present is not None)
        if present is not None and moving:
            state = _deferred(state, present, moving)
        if len(moving) < len(again):
            # Whatever was owed of it is owed anew.
            state = _wave(state, number, status=WaveStatus.DEPLOYING, hurried=False)
            state = replace(state, follow_up_until=None)
    return state if present is None else _deploying_again(state, present)


def _deploying_again(state: RunState, number: int) -> RunState:
    """A wave that has something to deploy again bakes again afterwards."""
    if state.waves[number].status in (WaveStatus.PENDING, WaveStatus.GATED, WaveStatus.PASSED):
        return state
    return _wave(state, number, status=WaveStatus.DEPLOYING, reason="")


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
