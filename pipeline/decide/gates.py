"""Floor 2, gates: what a wave waits for before it starts, and whom it leaves for later. Pure.

A client outside its maintenance window never holds up the others: it goes with a later wave. Only where nobody of
a wave may be changed, and nobody of a later one either, does the run wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pipeline.decide.approvals import standing_approval, wave_subject
from pipeline.decide.windows import opens_at
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.members import members
from pipeline.model.plan import Plan, WaveKind
from pipeline.model.run_state import RunState

__all__ = ["defer", "first_opening", "gate_of", "listed", "waiting_since"]

_NAMED = 3


def gate_of(plan: Plan, number: int, run: RunState, now: datetime) -> e.WaveGated | e.TargetsDeferred | None:
    """What has to be said of a wave that has not started: that it waits, that its clients go later, or nothing."""
    if plan.waves[number].approval and not _is_approved(plan, number, run, now):
        who = f"somebody other than {run.starter}" if run.starter else "a second person"
        return e.WaveGated(
            wave=number,
            gate=e.Gate.APPROVAL,
            reason=f"wave {plan.waves[number].number} waits for the approval of {who}",
            deadline=now + plan.waiting_deadline,
        )
    return _window_gate(plan, number, run, now)


def _is_approved(plan: Plan, number: int, run: RunState, now: datetime) -> bool:
    subject = wave_subject(plan.waves[number].number)
    return run.plan is not None and standing_approval(run, subject, run.plan, now) is not None


def _window_gate(
    plan: Plan, number: int, run: RunState, now: datetime
) -> e.WaveGated | e.TargetsDeferred | None:
    together = members(plan, run, number)
    if not together or _any_open(plan, together, now):
        return None
    if plan.waves[number].kind is WaveKind.WAVE and _somebody_later_is_open(plan, number, run, now):
        return defer(plan, number, together, now)
    standing = run.waves[number].gate
    waited = standing is not None and standing.gate is e.Gate.WINDOW
    return e.WaveGated(
        wave=number,
        gate=e.Gate.WINDOW,
        reason=f"waits for the maintenance windows or freezes of {listed(together)}",
        until=_first_to_open(plan, number, run, together, now),
        deadline=standing.deadline if waited and standing is not None else now + plan.max_deferral,
    )


def _somebody_later_is_open(plan: Plan, number: int, run: RunState, now: datetime) -> bool:
    later = range(number + 1, len(plan.waves))
    return any(_any_open(plan, members(plan, run, n), now) for n in later)


def _first_to_open(
    plan: Plan, number: int, run: RunState, together: tuple[TargetId, ...], now: datetime
) -> datetime:
    """When there is something to do: also by a later wave, to which this one gives way."""
    if plan.waves[number].kind is not WaveKind.WAVE:
        return first_opening(plan, together, now)
    later = [t for n in range(number + 1, len(plan.waves)) for t in members(plan, run, n)]
    return first_opening(plan, (*together, *later), now)


def _any_open(plan: Plan, targets: Sequence[TargetId], now: datetime) -> bool:
    wanted = set(targets)
    return any(t.id in wanted and opens_at(t, now) <= now for t in plan.targets)


def defer(plan: Plan, number: int, late: tuple[TargetId, ...], now: datetime) -> e.TargetsDeferred | None:
    """They go with the next wave; None behind the last one."""
    if number + 1 >= len(plan.waves):
        return None
    opening = first_opening(plan, late, now)
    return e.TargetsDeferred(
        wave=number,
        to=number + 1,
        targets=late,
        reason=f"outside their maintenance windows or frozen, the first until {opening:%Y-%m-%d %H:%M} UTC",
    )


def first_opening(plan: Plan, targets: Sequence[TargetId], now: datetime) -> datetime:
    """When the first of these may be changed."""
    return min(opens_at(plan.target(target), now) for target in targets)


def waiting_since(run: RunState, now: datetime) -> datetime:
    """Since when nothing has moved in this run."""
    return run.changed_at if run.changed_at is not None else now


def listed(targets: Sequence[TargetId]) -> str:
    named = ", ".join(str(target) for target in targets[:_NAMED])
    return named if len(targets) <= _NAMED else f"{named} and {len(targets) - _NAMED} more"
