"""Floor 2, decide/judge: each account against its own predictive interval, and the controls against theirs. Pure.

An account's change is compared with what the controls did meanwhile. How far it may go by chance follows from its own
numbers, from the drift that accounts have, and from how much the controls scatter beyond that: where they scatter
more than the model says, every interval widens with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.decide.judge.effects import Point
from pipeline.decide.judge.tails import normal_tail, student_quantile, student_tail
from pipeline.model.judging import JudgePolicy

__all__ = ["Movement", "Standing", "movement", "standing"]

_OWN = 5
"""so many controls in an account's own stratum speak for it; with fewer, all controls do"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """The controls against their own history. shift: their mean log change; error: its standard error.

    scatter: variance beyond the model's, at least 1. p: of a shift above nothing; 1 where one control says nothing.
    """

    shift: float = 0.0
    error: float = 0.0
    scatter: float = 1.0
    freedom: int = 0
    p: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """beyond: the account's log change over the controls'. limit: the upper end of its predictive interval."""

    beyond: float
    limit: float
    p: float


def movement(controls: Sequence[Point], policy: JudgePolicy) -> Movement:
    if not controls:
        return Movement()
    ordered = sorted(controls, key=lambda p: (p.account.account, p.account.client))
    weight = math.fsum(p.weight for p in ordered)
    shift = math.fsum(p.weight * p.y for p in ordered) / weight
    freedom = len(ordered) - 1
    squares = math.fsum(p.weight * (p.y - shift) ** 2 for p in ordered)
    scatter = max(1.0, squares / freedom) if freedom else 1.0
    error = math.sqrt(scatter / weight)
    spread = math.hypot(error, policy.fleet_percent / 100)
    tail = student_tail(shift / spread, freedom) if freedom else 1.0
    return Movement(shift=shift, error=error, scatter=scatter, freedom=freedom, p=tail)


def standing(point: Point, controls: Sequence[Point], policy: JudgePolicy, tail: float) -> Standing:
    """tail: the chance that a good account is beyond `limit`. Without controls the fleet's own drift is added, and
    only the account's history speaks."""
    own = [p for p in controls if p.stratum == point.stratum]
    moved = movement(own if len(own) >= _OWN else controls, policy)
    fleet = 0.0 if controls else (policy.fleet_percent / 100) ** 2
    spread = math.sqrt(moved.scatter / point.weight + moved.error**2 + fleet)
    beyond = point.y - moved.shift
    chance = student_tail(beyond / spread, moved.freedom) if moved.freedom else normal_tail(beyond / spread)
    return Standing(beyond=beyond, limit=spread * _quantile(tail, moved.freedom), p=chance)


def _quantile(tail: float, freedom: int) -> float:
    return student_quantile(tail, freedom if freedom else 1_000_000)
