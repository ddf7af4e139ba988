"""Floor 2, decide/judge: every way in which the canary could have been drawn, or a seeded sample of them. Pure.

The generator is SplitMix64 (Steele, Lea, Flood 2014), written out here so that the same seed draws the same labels
with every Python there will ever be.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

__all__ = ["EXACT", "drawn", "every", "how_many_draws"]

EXACT = 20_000
"""so many labelings are all tried; of more, a sample"""
_DRAWS, _FEWEST_DRAWS, _WORK = 9_999, 1_999, 600_000
_MASK = (1 << 64) - 1


def every(strata: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """strata: (accounts, canaries among them). Of each stratum, the places of those labelled canary."""
    return itertools.product(*(itertools.combinations(range(size), few) for size, few in strata))


def how_many_draws(canaries: int) -> int:
    """9,999, and fewer for a large cohort: what is bounded is the work."""
    return max(_FEWEST_DRAWS, min(_DRAWS, _WORK // max(1, canaries)))


def drawn(strata: Sequence[tuple[int, int]], seed: int, draws: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """So many labelings, each as likely as any other."""
    state = seed & _MASK
    for _ in range(draws):
        labels: list[tuple[int, ...]] = []
        for size, few in strata:
            places = list(range(size))
            for place in range(few):
                state, other = _below(state, size - place)
                places[place], places[place + other] = places[place + other], places[place]
            labels.append(tuple(places[:few]))
        yield tuple(labels)


def _below(state: int, limit: int) -> tuple[int, int]:
    """(next state, a number below `limit`). Numbers of the last, incomplete round are drawn again."""
    fair = (1 << 64) - (1 << 64) % limit
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
        if mixed < fair:
            return state, mixed % limit
