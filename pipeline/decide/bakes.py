"""Floor 2, bakes: when a bake ends, when the judge looks, and what comes of what it says. Pure.

The looks are registered in advance: at equal parts of the bake, at its end, and once more if the bake was extended
because evidence was short. A bake never passes by waiting: what cannot be shown is for a person to decide.
"""

from __future__ import annotations

from datetime import datetime

from pipeline.model import event as e
from pipeline.model.plan import Plan, WaveKind
from pipeline.model.run_state import RunState, WaveState

__all__ = [
    "after_the_bake",
    "bake_end",
    "failed_look",
    "is_judged",
    "next_look",
    "unclear_look",
]


def is_judged(plan: Plan, number: int) -> bool:
    """Whether numbers are weighed here: of the canary, where the release says by which."""
    wave = plan.waves[number]
    return wave.kind is WaveKind.CANARY and (bool(plan.judge.metrics) or wave.min_requests > 0)


def bake_end(plan: Plan, wave: WaveState, lane: e.Lane | None, now: datetime) -> datetime:
    until = wave.bake_until or now
    if lane is e.Lane.FULL:
        return now
    if lane is e.Lane.EMERGENCY:
        return min(until, (wave.bake_from or now) + plan.emergency_bake)
    return until


def next_look(
    plan: Plan, number: int, run: RunState, lane: e.Lane | None, now: datetime
) -> tuple[int, datetime] | None:
    """The next look before the end of the bake and its time; a look that nobody was there for is passed over."""
    wave = run.waves[number]
    if not is_judged(plan, number) or lane is not None or wave.extended or wave.bake_from is None:
        return None
    part = plan.waves[number].bake / plan.judge.looks
    done = max((look.look for look in wave.looks), default=0)
    ahead = [(look, wave.bake_from + part * look) for look in range(done + 1, plan.judge.looks)]
    due = [moment for moment in ahead if moment[1] <= now]
    return due[-1] if due else next(iter(ahead), None)


def failed_look(wave: WaveState) -> str:
    """Why the judge has failed the wave; empty where it has not."""
    if not wave.looks or wave.looks[-1].verdict is not e.Verdict.FAIL:
        return ""
    return f"the judge failed the canary: {wave.looks[-1].reason}"


def unclear_look(plan: Plan, number: int, run: RunState, now: datetime) -> e.ReleaseEvent | None:
    """The whole fleet has moved: freeze, and blame nobody."""
    wave = run.waves[number]
    if wave.is_decided or not wave.looks or wave.looks[-1].verdict is not e.Verdict.FLEET_EVENT:
        return None
    return _undecided(plan, number, wave.looks[-1], now)


def after_the_bake(
    plan: Plan, number: int, run: RunState, lane: e.Lane | None, now: datetime
) -> int | e.ReleaseEvent | None:
    """The look to take now, what is to be said, or None where the wave may pass."""
    wave = run.waves[number]
    if not is_judged(plan, number) or lane is not None:
        return None
    if wave.final is None:
        return plan.judge.looks + (1 if wave.extended else 0)
    match wave.final.verdict:
        case _ if wave.is_decided:
            return None
        case e.Verdict.PASS:
            return None
        case e.Verdict.INCONCLUSIVE | e.Verdict.NO_DATA if _may_be_extended(plan, number, wave):
            until = now + plan.waves[number].extend
            return e.BakeExtended(wave=number, until=until, reason=wave.final.reason)
        case _:
            return _undecided(plan, number, wave.final, now)


def _may_be_extended(plan: Plan, number: int, wave: WaveState) -> bool:
    return not wave.extended and bool(plan.waves[number].extend)


def _undecided(plan: Plan, number: int, look: e.WaveJudged, now: datetime) -> e.WaveInconclusive:
    told = "the whole fleet has moved" if look.verdict is e.Verdict.FLEET_EVENT else "the judge cannot tell"
    return e.WaveInconclusive(
        wave=number,
        reason=f"{told}: {look.reason}",
        evidence=look.evidence,
        deadline=now + plan.waiting_deadline,
    )
