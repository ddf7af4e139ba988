"""Floor 2, views: where a release stands, as rows that text, JSON and Markdown all show in the same way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.members import members
from pipeline.model.plan import Plan
from pipeline.model.release_event import Gate
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState
from pipeline.views.text import moment, plain, short

__all__ = ["MOVED_ON", "Progress", "TargetRow", "WaveRow", "next_step", "progress"]

MOVED_ON = "SUPERSEDED"
"""State of a target that a later release has claimed since: its own stream tells no more of this one."""

_FAILED = frozenset({Phase.FAILED, Phase.UNKNOWN, Phase.ROLLBACK_FAILED, Phase.QUARANTINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """One target of the release. client: the target's owner, `@intake` for the service's own account.

    wave: its name, empty for what the plan skips. desired, observed, previous_good: releases, empty where none.
    """

    id: TargetId
    account: str
    wave: str
    state: str
    desired: str
    observed: str
    previous_good: str
    reason: str
    command: str
    owed: tuple[str, ...] = ()
    """What somebody should look at although the target may be healthy, a sentence each."""

    @property
    def client(self) -> str:
        return self.id.owner

    @property
    def failed(self) -> bool:
        return self.state in _FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRow:
    number: int
    name: str
    state: str
    bake_until: datetime | None
    opens_at: datetime | None
    """of a wave that waits for its clients' windows"""
    at_risk: bool
    reason: str
    targets: int
    healthy: int
    in_flight: int
    failed: int
    rolled_back: int
    pending: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    release: ReleaseName
    run: RunState
    halted_in: str
    waves: tuple[WaveRow, ...]
    targets: tuple[TargetRow, ...]
    next: tuple[str, ...]
    """the next command, each further one an alternative; or what is waited for and the command after it"""


def progress(
    release: ReleaseName,
    plan: Plan | None,
    run: RunState,
    targets: Mapping[TargetId, TargetState],
    now: datetime,
) -> Progress:
    rows = (*_planned(plan, run, targets), *_skipped(plan), *_unplanned(release, plan, targets))
    waves = tuple(_wave(number, wave, plan, rows) for number, wave in enumerate(run.waves))
    return Progress(
        release=release,
        run=run,
        halted_in=_wave_name(plan, run.halted_in) if run.halted_in is not None else "",
        waves=waves,
        targets=rows,
        next=next_step(release, run, now, plan),
    )


def next_step(
    release: ReleaseName, run: RunState, now: datetime, plan: Plan | None = None
) -> tuple[str, ...]:
    """What to type next, the alternatives in order of likelihood; every state has at least one."""
    match run.run:
        case Run.NONE:
            return (_unplanned_step(release, run),)
        case Run.PLANNED:
            return (f"release promote {release}", *_hurry(release, run, now))
        case Run.RUNNING:
            return (_while_running(release, run, now, plan), *_hurry(release, run, now))
        case Run.HALTED:
            number = plan.waves[run.halted_in].number if plan and run.halted_in is not None else run.halted_in
            wave = f"--wave {number}" if number is not None else "--all"
            failed = any(state.status is WaveStatus.FAILED for state in run.waves)
            retry = (f"release retry {release} --reason TEXT",) if failed else ()
            resume = f"release resume {release} --reason TEXT"
            return (resume, *retry, f"release rollback {release} {wave} --reason TEXT")
        case Run.PAUSED:
            return _while_paused(release, run, plan)
        case Run.ROLLING_BACK:
            return (f"release promote {release} (goes on with the rollback)",)
        case Run.ROLLBACK_INCOMPLETE:
            return (f"release history {release}, then repair each failing target with the command beside it",)
        case Run.SUCCEEDED | Run.ROLLED_BACK | Run.SUPERSEDED:
            return ("release fleet",)
        case _:
            assert_never(run.run)


def _unplanned_step(release: ReleaseName, run: RunState) -> str:
    if run.evidence is None:
        return f"release test {release}"
    if run.evidence.failed or not run.evidence.passed:
        return f"release build {release.service} (a new version, once it is mended)"
    return f"release plan {release}"


def _while_paused(release: ReleaseName, run: RunState, plan: Plan | None) -> tuple[str, ...]:
    for number, wave in enumerate(run.waves):
        if wave.status is WaveStatus.INCONCLUSIVE:
            seen = f" --evidence {short(wave.looks[-1].evidence)}" if wave.looks else ""
            back = plan.waves[number].number if plan else number
            return (
                f"release explain {release}; then release resume {release}{seen} --reason TEXT",
                f"release rollback {release} --wave {back} --reason TEXT",
            )
    return (f"release resume {release} --reason TEXT", f"release rollback {release} --all --reason TEXT")


def _while_running(release: ReleaseName, run: RunState, now: datetime, plan: Plan | None) -> str:
    number = run.current_wave
    current = run.waves[number] if number is not None else WaveState()
    if current.status is WaveStatus.GATED and current.gate is not None:
        counted = plan.waves[number].number if plan and number is not None else number
        if current.gate.gate is Gate.APPROVAL and not _approved(run, f"wave:{counted}", now):
            return f"somebody else than {plain(run.starter)}: release approve {release}"
        if current.gate.until is not None and current.gate.until > now:
            return f"waiting until {moment(current.gate.until)}; then release promote {release}"
    if current.status is WaveStatus.BAKING and current.bake_until is not None and current.bake_until > now:
        return f"baking until {moment(current.bake_until)}; then release promote {release}"
    return f"release promote {release}"


def _hurry(release: ReleaseName, run: RunState, now: datetime) -> tuple[str, ...]:
    """Whoever has asked to hurry began the run or asked for it, so that somebody else has to say yes."""
    if run.lane_asked is None or _approved(run, f"lane:{run.lane_asked.lane.value}", now):
        return ()
    who = plain(run.lane_asked_by or run.starter)
    return (f"somebody else than {who}: release approve {release} --lane {run.lane_asked.lane.value}",)


def _approved(run: RunState, subject: str, now: datetime) -> bool:
    """Whether it has been approved, as far as a page can tell; the engine asks further than that."""
    return any(
        approval.given.subject == subject and approval.given.plan == run.plan and now < approval.given.expires
        for approval in run.approvals
    )


# --- rows ------------------------------------------------------------------------------------------


def _planned(plan: Plan | None, run: RunState, targets: Mapping[TargetId, TargetState]) -> list[TargetRow]:
    if plan is None:
        return []
    accounts = {target.id: target for target in plan.targets}
    rows = []
    for number, wave in enumerate(plan.waves):
        claimed = run.waves[number].claimed if number < len(run.waves) else frozenset()
        for target in members(plan, run, number):
            state = targets.get(target, TargetState())
            row = _row(target, state, _phase(state, plan.release, target in claimed), wave.name)
            desired = accounts[target].desired.release
            if row.state == Phase.PENDING and target not in wave.targets:
                row = replace(row, reason=f"deferred from {_wave_name(plan, plan.wave_of(target))}")
            rows.append(replace(row, account=accounts[target].account, desired=desired))
    return rows


def _phase(state: TargetState, release: ReleaseName, claimed: bool) -> str:
    if state.release == str(release):
        return state.phase.value
    return MOVED_ON if claimed and state.release else Phase.PENDING.value


def _row(target: TargetId, state: TargetState, phase: str, wave: str) -> TargetRow:
    present = phase not in (Phase.PENDING.value, MOVED_ON)
    last_good = state.goods[-1] if state.goods else None
    good = state.previous_good if present and state.captured else last_good
    return TargetRow(
        id=target,
        account="",
        wave=wave,
        state=phase,
        desired=state.desired.release if state.desired else "",
        observed=plain(state.observed),
        previous_good=good.release if good and phase != MOVED_ON else "",
        reason=plain(state.reason) if present else "",
        command=plain(state.command) if present else "",
        owed=_owed(state),
    )


def _owed(state: TargetState) -> tuple[str, ...]:
    found = []
    if state.drifted:
        found.append(
            f"left out of a rollback, so that they differ from their template: {', '.join(state.drifted)}"
        )
    if state.unprotected:
        found.append(f"not protected against deletion: {state.unprotected}")
    if state.orphans:
        names = ", ".join(orphan.logical_id for orphan in state.orphans)
        found.append(f"kept outside the stack until a release takes them back in: {names}")
    return tuple(plain(text) for text in found)


def _skipped(plan: Plan | None) -> list[TargetRow]:
    return [
        TargetRow(
            id=skipped.id,
            account="",
            wave="",
            state=Phase.SKIPPED.value,
            desired="",
            observed="",
            previous_good="",
            reason=plain(skipped.reason),
            command="",
        )
        for skipped in (plan.skipped if plan else ())
    ]


def _unplanned(
    release: ReleaseName, plan: Plan | None, targets: Mapping[TargetId, TargetState]
) -> list[TargetRow]:
    """Targets that carry this release although the plan at hand does not name them."""
    known = {target.id for target in plan.targets} | {s.id for s in plan.skipped} if plan else set()
    return [
        _row(target, state, state.phase.value, "")
        for target, state in sorted(targets.items())
        if target not in known and state.release == str(release)
    ]


def _wave(number: int, wave: WaveState, plan: Plan | None, rows: tuple[TargetRow, ...]) -> WaveRow:
    name = _wave_name(plan, number)
    states = [row.state for row in rows if row.wave == name]
    in_flight = sum(state in IN_FLIGHT for state in states)
    gate = wave.gate if wave.status is WaveStatus.GATED else None
    return WaveRow(
        number=plan.waves[number].number if plan and number < len(plan.waves) else number,
        name=name,
        state=wave.status.value,
        bake_until=wave.bake_until if wave.status is WaveStatus.BAKING else None,
        opens_at=gate.until if gate is not None else None,
        at_risk=wave.at_risk,
        reason=plain(gate.reason if gate is not None else wave.reason),
        targets=len(states),
        healthy=states.count(Phase.HEALTHY),
        in_flight=in_flight,
        failed=sum(state in _FAILED for state in states),
        rolled_back=states.count(Phase.ROLLED_BACK),
        pending=states.count(Phase.PENDING),
        skipped=states.count(Phase.SKIPPED),
    )


def _wave_name(plan: Plan | None, number: int) -> str:
    return plan.waves[number].name if plan and 0 <= number < len(plan.waves) else f"wave {number}"
