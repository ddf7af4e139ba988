"""Floor 3, the stage that promotes: admits a plan to be carried out, and says how it ended.

It may be repeated at any time: a plan that was admitted before is gone on with, a finished one is left as it is.
The engine that carries the plan out is given; this stage decides only whether it may begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from pipeline.decide.approvals import wave_subject
from pipeline.errors import (
    ApprovalMissing,
    EffectDiffers,
    EvidenceMissing,
    IntegrityBroken,
    LeaseHeld,
    NotFound,
    PlanStale,
    ReleaseError,
    ReleaseHalted,
    ReleasePaused,
    RollbackIncomplete,
)
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import Digest, ReleaseName, TargetId
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.run_state import ENDED, Run, RunState, WaveStatus, fold_run
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState, evolve_target, fold_target
from pipeline.ports import Clock, Journal, Latch
from stages.approve import comment_for

__all__ = [
    "Admission",
    "active_release",
    "admit",
    "error_of",
    "read_run",
    "read_targets",
    "refuse_without_evidence",
]

_MOVES = (e.TargetClaimed, e.RollbackClaimed, e.TargetCleared)
"""What makes a plan that was made before it stale."""
_UNDER_WAY = frozenset({Run.PLANNED, Run.RUNNING, Run.ROLLING_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who asks: the fence of the lease that is held, and the person or job behind it."""

    fence: int
    actor: str


def read_run(journal: Journal, release: ReleaseName) -> RunState:
    """NotFound where nothing was ever said of this release."""
    entries = journal.read(e.release_stream(release))
    if not entries:
        raise NotFound(
            f"there is no release {release}",
            remedy=f"build it with `release build {release.service}`, from a commit tagged"
            f" {release.service}/{release.version}",
        )
    return fold_run(entries)


def read_targets(journal: Journal, plan: Plan) -> dict[TargetId, TargetState]:
    """Every target of the plan as this plan left it, whatever came later; PENDING where it has not touched it."""
    wanted = plan_digest(plan)
    found: dict[TargetId, TargetState] = {}
    for target in plan.targets:
        state, last = TargetState(), None
        for entry in journal.read(e.target_stream(plan.release.service, target.id)):
            state = evolve_target(state, entry)
            last = state if state.plan == wanted else last
        found[target.id] = last or state.between_runs()
    return found


def active_release(journal: Journal, service: str) -> tuple[ReleaseName, RunState] | None:
    """The release of a service that has begun and not ended, if there is one."""
    for stream in journal.streams(f"release/{service}@"):
        run = fold_run(journal.read(stream))
        if run.plan is not None and run.run not in ENDED:
            return ReleaseName.parse(stream.removeprefix("release/")), run
    return None


def admit(plan: Plan, journal: Journal, clock: Clock, who: Admission, latch: Latch | None = None) -> RunState:
    """Fix the plan in the release's journal, or find it fixed already. Called under the service's lease.

    EvidenceMissing: this digest did not pass `release test`. PlanStale: the world has moved since.
    LeaseHeld: another release of the service is under way. IntegrityBroken: the plan is of another digest.
    """
    run = read_run(journal, plan.release)
    if run.digest != plan.digest:
        raise IntegrityBroken(
            f"the plan is for {plan.digest}, but {plan.release} is {run.digest}",
            state="nothing was touched",
            remedy=f"make a new plan with `release plan {plan.release}`",
        )
    if run.plan == plan_digest(plan):
        return run
    _refuse_a_second_plan(plan, run)
    refuse_without_evidence(plan.release, plan.digest, run)
    _refuse_stale(plan, journal, clock)
    _make_room(plan, journal, who, latch)
    stream = e.release_stream(plan.release)
    fixed = e.PlanFixed(plan=plan_digest(plan), waves=len(plan.waves))
    head = journal.head(stream)
    journal.append(stream, (fixed,), expected=head.seq, fence=who.fence, actor=who.actor)
    return read_run(journal, plan.release)


def _refuse_a_second_plan(plan: Plan, run: RunState) -> None:
    if run.plan is None or run.run in ENDED:
        return
    if run.run is Run.HALTED:
        raise ReleaseHalted(
            f"{plan.release} is halted under another plan: {run.halted_because}",
            remedy=f"`release resume {plan.release} --reason …` or `release rollback {plan.release} --all`",
        )
    raise PlanStale(
        f"{plan.release} is already being promoted under the plan {run.plan.removeprefix('sha256:')[:12]}",
        state="nothing was touched; that plan keeps the windows, freezes and waves it was made with",
        remedy=f"go on with `release promote {plan.release}`; or take it back first, to begin anew:"
        f" `release rollback {plan.release} --all --reason …`",
    )


def refuse_without_evidence(release: ReleaseName, digest: Digest | None, run: RunState) -> None:
    """EvidenceMissing where this very digest did not pass `release test`."""
    evidence = run.evidence
    proven = evidence is not None and evidence.digest == digest
    if proven and evidence is not None and evidence.failed == 0 and evidence.passed > 0:
        return
    problem, remedy = f"{release} did not pass `release test`", f"run `release test {release}`"
    if proven and evidence is not None:
        problem = f"{release} failed its tests: {evidence.failed} failed, {evidence.passed} passed"
        remedy = f"mend the service and build a new version; `release test {release}` tries this one again"
    raise EvidenceMissing(problem, state="nothing was touched", remedy=remedy)


def _refuse_stale(plan: Plan, journal: Journal, clock: Clock) -> None:
    if clock.now() > plan.expires_at:
        raise PlanStale(
            f"the plan was made at {plan.created_at:%Y-%m-%d %H:%M} UTC and has expired",
            remedy=f"make a new one with `release plan {plan.release}`",
        )
    for target in plan.targets:
        entries = journal.read(e.target_stream(plan.release.service, target.id))
        later = [x for x in entries if x.at >= plan.created_at and isinstance(x.event, _MOVES)]
        if later:
            raise PlanStale(
                f"{target.id} has been changed since the plan was made, at {later[0].at:%H:%M:%S} UTC",
                remedy=f"make a new one with `release plan {plan.release}`",
            )


def _make_room(plan: Plan, journal: Journal, who: Admission, latch: Latch | None) -> None:
    """One release of a service at a time; a halted or paused one gives way and stays where it is.

    What it had not proven good by then is good nowhere: the way back stays each target's last verified release.
    """
    active = active_release(journal, plan.release.service)
    if active is None or active[0] == plan.release:
        return
    other, run = active
    halted = latch is not None and run.run is not Run.ROLLING_BACK and latch.read(str(other)) is not None
    if run.run in _UNDER_WAY and not halted:
        raise LeaseHeld(
            f"{other} is under way and {plan.release} has to wait",
            state=f"{other} is {run.run}",
            remedy=f"`release promote {other}` goes on with it; `release halt {other} --reason …` or `release pause"
            f" {other} --reason …` makes it give way",
        )
    _refuse_what_is_in_flight(other, journal)
    stream = e.release_stream(other)
    ended = e.RunEnded(outcome=e.Outcome.SUPERSEDED)
    expected = journal.head(stream).seq
    journal.append(stream, (ended,), expected=expected, fence=who.fence, actor=who.actor)


def _refuse_what_is_in_flight(other: ReleaseName, journal: Journal) -> None:
    """A runner that died may have left operations open: whoever gives way has to see them end first."""
    for stream in journal.streams(f"target/{other.service}/"):
        state = fold_target(journal.read(stream))
        if state.release == str(other) and state.phase in IN_FLIGHT:
            raise LeaseHeld(
                f"{stream.split('/', 2)[2]} is still in flight for {other}, which starts nothing more",
                state="nothing was touched",
                remedy=f"run `release promote {other}`: it follows what is open to its end and starts nothing",
            )


def error_of(
    plan: Plan, ending: Ending, run: RunState, targets: Mapping[TargetId, TargetState]
) -> ReleaseError | None:
    """What an ending means for the person who waits; None where all is as planned.

    A refusal because a target differs from the plan is told apart (exit 9): the remedy is a new plan.
    """
    release = plan.release
    state = _world_now(plan, targets)
    stale = next((s for t, s in targets.items() if _is_stale(s) and t not in run.forgiven), None)
    if stale is not None and ending.kind in (EndingKind.HALTED, EndingKind.ROLLED_BACK):
        return EffectDiffers(
            stale.reason, state=state, remedy=f"roll back or resume, then `release plan {release}` again"
        )
    match ending.kind:
        case EndingKind.HALTED:
            return ReleaseHalted(
                f"{release} is halted: {ending.reason or run.halted_because}",
                state=state,
                remedy=_after_a_halt(plan, run, targets),
            )
        case EndingKind.ROLLED_BACK:
            reason = run.rollback.reason if run.rollback is not None else ending.reason
            return ReleaseHalted(
                f"{release} was rolled back: {reason}",
                state=state,
                remedy=f"see `release history {release}`; mend it and release a new version",
            )
        case EndingKind.ROLLBACK_INCOMPLETE:
            left = [f"{t}: {s.reason}; then: {s.command}" for t, s in targets.items() if s.quarantined]
            return RollbackIncomplete(
                f"{release} could not be rolled back everywhere",
                state=state,
                details=tuple(left),
                remedy=f"look at each quarantined target, then `release status {release}`",
            )
        case EndingKind.PAUSED:
            return _paused(plan, ending, run, state)
        case EndingKind.AWAITING_APPROVAL:
            return _unapproved(plan, ending, run, state)
        case EndingKind.SUPERSEDED:
            return ReleaseHalted(
                f"{release} has given way to a later release and goes no further",
                state=state,
                remedy=f"see `release fleet`; `release plan {release} -o plan.json` would begin it anew",
            )
        case (
            EndingKind.SUCCEEDED
            | EndingKind.BAKING
            | EndingKind.WAITING
            | EndingKind.WAVE_PASSED
            | EndingKind.INTERRUPTED
        ):
            return None
        case _:
            assert_never(ending.kind)


def _paused(plan: Plan, ending: Ending, run: RunState, state: str) -> ReleasePaused:
    """Whether somebody said wait, or the judge cannot tell: a person goes on, or goes back."""
    back = "or `release rollback {0} --wave {1} --reason …`"
    for number, wave in enumerate(run.waves):
        if wave.status is not WaveStatus.INCONCLUSIVE:
            continue
        seen = f" --evidence {wave.looks[-1].evidence.removeprefix('sha256:')[:12]}" if wave.looks else ""
        return ReleasePaused(
            f"{plan.waves[number].name} of {plan.release} is neither proven good nor bad: {wave.reason}",
            state=f"{state}; {_until_halt(ending.until or run.waiting_until)}",
            remedy=f"see `release explain {plan.release}`; then `release resume {plan.release}{seen} --reason …` "
            + back.format(plan.release, plan.waves[number].number),
        )
    by = f" by {run.paused_by}" if run.paused_by else ""
    return ReleasePaused(
        f"{plan.release} is paused{by}: {ending.reason or run.paused_because}",
        state=f"{state}; {_until_halt(ending.until or run.waiting_until)}",
        remedy=f"`release resume {plan.release} --reason …` "
        + back.format(plan.release, _number_of(plan, run.current_wave)),
    )


def _unapproved(plan: Plan, ending: Ending, run: RunState, state: str) -> ApprovalMissing:
    number = _number_of(plan, run.current_wave)
    return ApprovalMissing(
        f"{plan.release} is not going on: {ending.reason}",
        state=f"{state}; {_until_halt(ending.until)}",
        details=(f"in a review on GitHub, the comment: {comment_for(plan, wave_subject(number))}",),
        remedy=f"anybody but {run.starter or 'whoever began it'} runs `release approve {plan.release} --wave"
        f" {number}`; then `release promote {plan.release}` goes on",
    )


def _until_halt(until: datetime | None) -> str:
    if until is None:
        return "it waits"
    return f"it waits until {until:%Y-%m-%d %H:%M} UTC and is halted then"


def _number_of(plan: Plan, place: int | None) -> int:
    """What a person calls the wave; the first where none is at hand."""
    return plan.waves[place or 0].number if plan.waves else 0


def _is_stale(state: TargetState) -> bool:
    return state.phase is Phase.FAILED and state.fault is e.Fault.STALE


def _after_a_halt(plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState]) -> str:
    wave = _number_of(plan, run.halted_in)
    failed = any(state.phase in (Phase.FAILED, Phase.UNKNOWN) for state in targets.values())
    retry = f", `release retry {plan.release} --reason …`" if failed else ""
    return (
        f"see `release status {plan.release}`; then `release rollback {plan.release} --wave {wave} --reason …`"
        f"{retry} or `release resume {plan.release} --reason …`"
    )


def _world_now(plan: Plan, targets: Mapping[TargetId, TargetState]) -> str:
    counts: dict[str, int] = {}
    for state in targets.values():
        counts[state.phase.value] = counts.get(state.phase.value, 0) + 1
    told = ", ".join(f"{count} {phase}" for phase, count in sorted(counts.items()))
    return f"of {len(plan.targets)} targets: {told}"
