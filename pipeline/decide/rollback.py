"""Floor 2, rolling back: which targets go back next, in the reverse order of the rollout. Pure.

One probe target goes first, so that a broken way back is not taken by a whole wave; then as many as any wave allows.
Wave 0, the service's own account, goes back last, and only when no client is left on the release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.members import members
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.run_state import Run, RunState, WaveStatus
from pipeline.model.target_state import Phase, TargetState

__all__ = ["ClaimRollback", "RollbackMove", "next_rollback_move", "waves_to_roll_back"]

_GOES_BACK = frozenset({Phase.HEALTHY, Phase.FAILED, Phase.UNKNOWN})
_SUFFERS = frozenset({Phase.FAILED, Phase.UNKNOWN})
_NOT_RESTORED = frozenset({Phase.ROLLBACK_FAILED, Phase.QUARANTINED})
_OFF_THE_RELEASE = frozenset({Phase.PENDING, Phase.SKIPPED, Phase.ROLLED_BACK, Phase.FAILED, Phase.UNKNOWN})
"""FAILED and UNKNOWN as well, where the account shows another release: nothing was changed there."""


@dataclass(frozen=True, slots=True)
class ClaimRollback:
    targets: tuple[TargetId, ...]


RollbackMove: TypeAlias = "ClaimRollback | tuple[TargetId, ...] | e.ReleaseEvent"
"""Claim these; wait for these; or record this."""


def waves_to_roll_back(run: RunState, from_wave: int, *, only: bool) -> tuple[int, ...]:
    """The waves that `rollback --wave N` restores: all from N on that have started, or just N."""
    started = [n for n, wave in enumerate(run.waves) if wave.status is not WaveStatus.PENDING]
    return tuple(n for n in started if n == from_wave or (n > from_wave and not only))


def next_rollback_move(plan: Plan, run: RunState, targets: Mapping[TargetId, TargetState]) -> RollbackMove:
    order = run.rollback
    assert order is not None, "a run is ROLLING_BACK only by an order"
    for number in sorted(order.waves, reverse=True):
        if _has_to_wait_for_clients(plan, number, order, targets):
            continue
        together = _members(plan, number, run, order, targets)
        flying = tuple(t for t in together if targets[t].phase is Phase.ROLLING_BACK)
        waiting = tuple(t for t in together if _goes_back(targets[t], order))
        if waiting:
            claims = _claims(plan, waiting, flying, probed=_has_probe(together, targets))
            return ClaimRollback(claims) if claims else flying
        if flying:
            return flying
        if not order.targets and run.waves[number].status is WaveStatus.ROLLING_BACK:
            left = tuple(t for t in together if _is_left(targets[t]))
            return e.WaveRolledBack(wave=number, incomplete=left)
    return _all_done(plan, run, order, targets)


def _goes_back(state: TargetState, order: e.RollbackOrdered) -> bool:
    """What this run has not changed stays as it is, unless a person names it or recalls the release: a target that
    ran the release before, as a good one, is no business of a later plan's failure."""
    if state.phase not in _GOES_BACK:
        return False
    return state.changed or order.recall or bool(order.targets)


def _is_left(state: TargetState) -> bool:
    """It could not be restored. What was found beyond repair before anything was done to it had no way back to go."""
    return state.phase in _NOT_RESTORED and not _was_left_alone(state)


def _was_left_alone(state: TargetState) -> bool:
    tried = state.action is not None and state.action.direction is e.Direction.BACK
    return state.blameless and not tried


def _has_to_wait_for_clients(
    plan: Plan, number: int, order: e.RollbackOrdered, targets: Mapping[TargetId, TargetState]
) -> bool:
    """The service's own account never goes below a client that is still on the release."""
    if plan.waves[number].kind is not WaveKind.SERVICE or order.targets:
        return False
    return not _no_client_left(plan, targets)


def _no_client_left(plan: Plan, targets: Mapping[TargetId, TargetState]) -> bool:
    return all(
        (targets[t.id].phase in _OFF_THE_RELEASE or _was_left_alone(targets[t.id]))
        and targets[t.id].observed != str(plan.release)
        for t in plan.targets
        if t.id.is_client
    )


def _members(
    plan: Plan,
    number: int,
    run: RunState,
    order: e.RollbackOrdered,
    targets: Mapping[TargetId, TargetState],
) -> tuple[TargetId, ...]:
    """Clients that suffer first, then the newest exposure; a client's later Region before its earlier one."""
    together = members(plan, run, number)
    suffering = {t.owner for t in together if targets[t].phase in _SUFFERS}
    newest_first = together[::-1]
    ordered = sorted(newest_first, key=lambda t: t.owner not in suffering)
    return tuple(t for t in ordered if not order.targets or t in order.targets)


def _has_probe(together: tuple[TargetId, ...], targets: Mapping[TargetId, TargetState]) -> bool:
    return any(targets[t].phase is Phase.ROLLED_BACK for t in together)


def _claims(
    plan: Plan, waiting: tuple[TargetId, ...], flying: tuple[TargetId, ...], *, probed: bool
) -> tuple[TargetId, ...]:
    """Faster than the rollout: once a first target is back, the widest wave's limit holds for every wave."""
    limit = max(wave.max_in_flight for wave in plan.waves) if probed else 1
    busy = {t.owner for t in flying}
    claims: list[TargetId] = []
    for target in waiting:
        if len(claims) + len(flying) >= limit:
            break
        if target.owner not in busy:
            claims.append(target)
        busy.add(target.owner)
    return tuple(claims)


def _all_done(
    plan: Plan, run: RunState, order: e.RollbackOrdered, targets: Mapping[TargetId, TargetState]
) -> e.ReleaseEvent:
    incomplete = any(
        _is_left(state) for t, state in targets.items() if not order.targets or t in order.targets
    )
    if order.targets and not incomplete:
        return _back_to_before(run, order)
    to_go = tuple(n for n, wave in enumerate(plan.waves) if _service_goes_as_well(n, wave, run, targets))
    if to_go and not order.targets and _no_client_left(plan, targets):
        return e.RollbackOrdered(waves=to_go, reason=order.reason, by=order.by, recall=order.recall)
    if incomplete or (order.recall and not _no_client_left(plan, targets)):
        return e.RunEnded(outcome=e.Outcome.ROLLBACK_INCOMPLETE)
    return e.RunEnded(outcome=e.Outcome.ROLLED_BACK)


def _service_goes_as_well(
    number: int, wave: Wave, run: RunState, targets: Mapping[TargetId, TargetState]
) -> bool:
    """A service wave that this run has changed and that has not been ordered back yet."""
    if wave.kind is not WaveKind.SERVICE:
        return False
    gone = run.waves[number].status in (WaveStatus.PENDING, *_WAVE_WENT_BACK)
    return not gone and any(targets[t].changed for t in wave.targets)


_WAVE_WENT_BACK = (WaveStatus.ROLLED_BACK, WaveStatus.ROLLBACK_INCOMPLETE)


def _back_to_before(run: RunState, order: e.RollbackOrdered) -> e.ReleaseEvent:
    """Single targets went back: the run itself stands where it stood."""
    if run.before_rollback is Run.SUCCEEDED:
        return e.RunEnded(outcome=e.Outcome.SUCCEEDED)
    if run.before_rollback in (Run.ROLLED_BACK, Run.ROLLBACK_INCOMPLETE):
        return e.RunEnded(outcome=e.Outcome(run.before_rollback.value))
    return e.RunHalted(reason=f"single targets were rolled back: {order.reason}", by=order.by)
