"""Floor 2, decide/judge: looks that are registered in advance, their shares of alpha, and what is attainable. Pure.

A quarter of alpha goes to the looks during the bake, in equal parts, and a quarter to the one look more that an
extended bake gets; the look at the end of the bake has the rest. The shares add up to alpha whatever happens, so that
looking often costs nothing (Bonferroni over looks).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pipeline.model.judging import JudgePolicy

__all__ = ["alpha_at", "attainable", "holm", "is_final", "labelings", "may_stratify", "needed"]


def is_final(policy: JudgePolicy, look: int) -> bool:
    """Whether PASS may be said: only at the end of the bake, or of its extension."""
    return look >= policy.looks


def alpha_at(policy: JudgePolicy, look: int) -> float:
    """The share of alpha at this look; 0 for a look that was not registered."""
    alpha = policy.alpha_permille / 1000
    if not 1 <= look <= policy.looks + 1:
        return 0.0
    if look == policy.looks + 1:
        return alpha / 4
    if policy.looks == 1:
        return alpha * 3 / 4
    return alpha / 2 if look == policy.looks else alpha / 4 / (policy.looks - 1)


def labelings(strata: Iterable[tuple[int, int]]) -> int:
    """In how many ways the canary could have been drawn. strata: (canaries, controls) of each."""
    return math.prod(math.comb(canaries + controls, canaries) for canaries, controls in strata)


def needed(policy: JudgePolicy) -> int:
    """So many ways there must be for the look at the end of the bake to fail anything at all: p is never below one in
    that many."""
    return math.ceil(1 / alpha_at(policy, policy.looks) - 1e-9) if policy.alpha_permille else 0


def attainable(policy: JudgePolicy, canaries: int, controls: int) -> bool:
    """Whether numbers, however bad, could fail a cohort of this size. For the plan as well as for the verdict."""
    return 0 < needed(policy) <= labelings([(canaries, controls)]) and canaries > 0


def may_stratify(policy: JudgePolicy, strata: Sequence[tuple[int, int]]) -> bool:
    """Whether labels can be exchanged inside strata: every canary needs controls of its own kind, and there must
    still be ways enough. Depends on counts alone, never on what was measured."""
    with_canaries = [pair for pair in strata if pair[0]]
    return all(controls for _, controls in with_canaries) and labelings(with_canaries) >= needed(policy) > 0


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment: in the order given, never below the value itself, at most 1."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, worst = [1.0] * len(values), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, values[place] * (len(values) - rank)))
        adjusted[place] = worst
    return tuple(adjusted)
