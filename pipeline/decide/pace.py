"""Floor 2, pace: how many targets may start now. DESIGN rule 1: never bet more than has been won. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never

from pipeline.decide.windows import opens_at
from pipeline.model.ids import TargetId
from pipeline.model.members import members
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.policy import Pace
from pipeline.model.run_state import RunState
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState

__all__ = ["FAILED_PHASES", "failed_in", "in_flight_in", "may_start", "next_claims"]

FAILED_PHASES = frozenset({Phase.FAILED, Phase.UNKNOWN, Phase.ROLLBACK_FAILED, Phase.QUARANTINED})


def failed_in(
    wave: Sequence[TargetId], run: RunState, targets: Mapping[TargetId, TargetState]
) -> tuple[TargetId, ...]:
    """UNKNOWN counts as failed, SKIPPED does not, nor what was found beyond repair before anything was done to it;
    what a person has forgiven no longer does. wave: its members."""
    return tuple(
        t
        for t in wave
        if targets[t].phase in FAILED_PHASES and not targets[t].blameless and t not in run.forgiven
    )


def in_flight_in(
    wave: Sequence[TargetId], claimed: frozenset[TargetId], targets: Mapping[TargetId, TargetState]
) -> tuple[TargetId, ...]:
    """A claimed target that has not begun is in flight as well: its claim has been counted."""
    return tuple(
        t
        for t in wave
        if targets[t].phase in IN_FLIGHT or (t in claimed and targets[t].phase is Phase.PENDING)
    )


def may_start(wave: Wave, *, failed: int, in_flight: int, healthy_so_far: int) -> int:
    """How many more targets of this wave may start.

    healthy_so_far: targets of the whole run that are HEALTHY on this release.
    """
    if failed > wave.tolerance:
        return 0
    if wave.kind in (WaveKind.SERVICE, WaveKind.CANARY):
        return max(0, 1 - failed - in_flight)
    match wave.pace:
        case Pace.STRICT:
            limit = min(wave.max_in_flight, wave.tolerance + 1 - failed)
        case Pace.WON:
            limit = min(wave.max_in_flight, max(1, healthy_so_far))
        case Pace.FULL:
            limit = wave.max_in_flight
        case _:
            assert_never(wave.pace)
    return max(0, limit - in_flight)


def next_claims(
    plan: Plan, number: int, run: RunState, targets: Mapping[TargetId, TargetState], now: datetime
) -> tuple[TargetId, ...]:
    """The targets of a wave to claim now, in the plan's order. Two Regions of one client are never in flight
    together, and a client's later Region waits for its earlier one. Nobody is claimed outside their window."""
    wave, together = plan.waves[number], members(plan, run, number)
    claimed = run.waves[number].claimed
    flying = in_flight_in(together, claimed, targets)
    room = may_start(
        wave,
        failed=len(failed_in(together, run, targets)),
        in_flight=len(flying),
        healthy_so_far=sum(1 for t in targets.values() if t.phase is Phase.HEALTHY),
    )
    busy = {t.owner for t in flying}
    planned = {target.id: target for target in plan.targets}
    claims: list[TargetId] = []
    for target in together:
        if len(claims) >= room:
            break
        if target in claimed or targets[target].phase is not Phase.PENDING:
            continue
        if target.owner not in busy and opens_at(planned[target], now) <= now:
            claims.append(target)
        busy.add(target.owner)
    return tuple(claims)
