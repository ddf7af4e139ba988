"""Floor 2, decide/judge: tails of distributions, with the standard library alone. Pure.

Sources: the continued fraction of the incomplete beta function and Student's t as in Abramowitz and Stegun 26.5.8
and 26.7.1; the Wilson–Hilferty cube for large counts as in their 26.4.17.
"""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["normal_tail", "poisson_upper", "student_quantile", "student_tail"]

_NORMAL = NormalDist()
_STEPS = 400
_TINY = 1e-300
_MANY = 1000


def normal_tail(z: float) -> float:
    """P(Z >= z)."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def student_tail(t: float, freedom: int) -> float:
    """P(T >= t) with so many degrees of freedom; the normal distribution where there are none to be had."""
    if freedom < 1:
        return normal_tail(t)
    half = 0.5 * _beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return half if t >= 0 else 1 - half


def student_quantile(tail: float, freedom: int) -> float:
    """The t that is exceeded with probability `tail` (0 < tail < 0.5)."""
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > tail:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > tail else (low, middle)
    return high


def poisson_upper(count: int, tail: float) -> float:
    """The largest mean under which `count` events or fewer still have probability `tail`."""
    if count > _MANY:
        more = count + 1
        return more * (1 - 1 / (9 * more) + _NORMAL.inv_cdf(1 - tail) / (3 * math.sqrt(more))) ** 3
    low, high = float(count), 2.0 * count + 20.0
    while _at_most(count, high) > tail:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(count, middle) > tail else (low, middle)
    return high


def _at_most(count: int, mean: float) -> float:
    logs = [-mean + (k * math.log(mean) if k else 0.0) - math.lgamma(k + 1) for k in range(count + 1)]
    return math.fsum(math.exp(value) for value in logs)


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(front) * _fraction(a, b, x) / a
    return 1 - math.exp(front) * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's method."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away(1 + even * d)
        c = _away(1 + even / c)
        total *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away(1 + odd * d)
        c = _away(1 + odd / c)
        total *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return total


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
