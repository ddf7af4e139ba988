"""Floor 1, members: which targets go with which wave of a run, late ones included. No effects."""

from __future__ import annotations

from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan
from pipeline.model.run_state import RunState

__all__ = ["members", "wave_of"]


def members(plan: Plan, run: RunState, number: int) -> tuple[TargetId, ...]:
    """The plan's targets of this wave, without those that were deferred from it, and then those deferred to it."""
    if not run.deferred:
        return plan.waves[number].targets
    moved = dict(run.deferred)
    stayed = tuple(t for t in plan.waves[number].targets if moved.get(t, number) == number)
    came = tuple(t.id for t in plan.targets if moved.get(t.id) == number and t.id not in stayed)
    return stayed + came


def wave_of(plan: Plan, run: RunState, target: TargetId) -> int:
    """The wave a target goes with now. KeyError where the plan does not hold it."""
    return dict(run.deferred).get(target, plan.wave_of(target))
