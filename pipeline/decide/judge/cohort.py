"""Floor 2, decide/judge: canaries against concurrent controls: a studentised permutation of labels in strata. Pure.

The statistic is the difference of weighted means of y, canaries less controls, strata weighted by their precision,
divided by its own standard error, which is computed anew for each labelling: without that the test fails where
canaries are small accounts. Shifting the canaries by delta keeps every labelling's statistic linear in delta, so the
confidence bounds by inversion are order statistics and need no search.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.decide.judge.effects import Point
from pipeline.decide.judge.labels import EXACT, drawn, every, how_many_draws

__all__ = ["Contrast", "contrast"]

_SLACK = 1e-9
"""Two statistics closer than this are a tie, whatever the last bit of a machine's logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """shift: the canaries' log change over the controls'. lower, upper: one-sided bounds of it. p: of a shift above
    nothing. labelings: how many there are; drawn: how many were looked at, the real one among them."""

    shift: float
    lower: float
    upper: float
    p: float
    labelings: int
    drawn: int
    exact: bool


@dataclass(frozen=True, slots=True)
class _Stratum:
    """Weights and weighted values by place, the real canaries first."""

    weights: tuple[float, ...]
    values: tuple[float, ...]
    canaries: int
    weight: float
    value: float
    real: float
    """weight of the real canaries"""


def contrast(groups: Sequence[Sequence[Point]], *, seed: int, tail: float) -> Contrast | None:
    """groups: the strata, or one group of all. None where no group holds both canaries and controls.

    tail: of each one-sided bound. The order of points does not matter.
    """
    strata = [s for s in map(_stratum, groups) if 0 < s.canaries < len(s.weights)]
    if not strata:
        return None
    sizes = [(len(s.weights), s.canaries) for s in strata]
    ways = math.prod(math.comb(size, few) for size, few in sizes)
    exact = ways <= EXACT
    draws = ways if exact else how_many_draws(sum(few for _, few in sizes))
    real = tuple(tuple(range(s.canaries)) for s in strata)
    level, slope = _statistic(strata, real)
    above, limits = 0, list[tuple[float, float]]()
    for labels in every(sizes) if exact else _with(real, drawn(sizes, seed, draws)):
        other, other_slope = (level, slope) if labels == real else _statistic(strata, labels)
        above += other >= level - _SLACK
        limits.append(_limits(level - other, slope - other_slope))
    looked = len(limits)
    rank = math.floor(tail * looked + _SLACK)
    return Contrast(
        shift=level / slope,
        lower=sorted(low for low, _ in limits)[rank],
        upper=sorted((high for _, high in limits), reverse=True)[rank],
        p=above / looked,
        labelings=ways,
        drawn=looked,
        exact=exact,
    )


def _with(
    real: tuple[tuple[int, ...], ...], others: Iterator[tuple[tuple[int, ...], ...]]
) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The real labelling belongs to those that could have been drawn: the +1 of a Monte-Carlo p."""
    yield real
    yield from others


def _stratum(group: Sequence[Point]) -> _Stratum:
    ordered = sorted(group, key=lambda p: (not p.is_canary, p.account.account, p.account.client))
    weights = tuple(p.weight for p in ordered)
    values = tuple(p.weight * p.y for p in ordered)
    canaries = sum(p.is_canary for p in ordered)
    return _Stratum(
        weights, values, canaries, math.fsum(weights), math.fsum(values), math.fsum(weights[:canaries])
    )


def _statistic(strata: Sequence[_Stratum], labels: Sequence[Sequence[int]]) -> tuple[float, float]:
    """(statistic, how much of it goes when the real canaries are shifted down by one)."""
    top = slope = precision = 0.0
    for stratum, chosen in zip(strata, labels, strict=True):
        weight = value = real = 0.0
        for place in chosen:
            weight += stratum.weights[place]
            value += stratum.values[place]
            if place < stratum.canaries:
                real += stratum.weights[place]
        rest = stratum.weight - weight
        exactness = weight * rest / stratum.weight  # 1 / (1/W of canaries + 1/W of controls)
        top += exactness * (value / weight - (stratum.value - value) / rest)
        slope += exactness * (real / weight - (stratum.real - real) / rest)
        precision += exactness
    return top / math.sqrt(precision), slope / math.sqrt(precision)


def _limits(lead: float, steeper: float) -> tuple[float, float]:
    """The shift below which this labelling is no less extreme than the real one, for the lower and the upper bound.

    A labelling whose statistic is steeper than the real one's never gives way; it counts against every shift.
    """
    if steeper <= _SLACK:
        return -math.inf, math.inf
    at = lead / steeper
    return at, at
