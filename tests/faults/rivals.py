"""Family E: two or three runners at once, leases that run out, and dead ones that wake up again.

Two ways. Nested: at a boundary of the first runner a second one, and at a boundary of that a third, carries the same
command out, and then the older ones wake. Interleaved: runners in threads of their own, of which exactly one moves at
a time, as a seed says; whoever is not chosen is stopped for longer than its lease.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.faults.cases import Case, Family, seeds, set_stage, sharing
from tests.faults.kills import MOMENTS, calls_of
from tests.faults.stage import Stage
from tests.faults.stories import STORIES
from tests.faults.transport import planned
from tests.faults.wire import Strike, boundaries

__all__ = ["RIVALS"]

WANTED = 1_000
NESTED = len(STORIES)


def _cases_e(large: bool) -> list[Case]:
    """seed = 100 x draw + story; the draw says how the second one ends and whether a third comes."""
    chance = Random(11)
    found: set[Case] = set()
    while len(found) < (20_000 if large else WANTED):
        number = chance.randrange(NESTED)
        place = chance.choice(boundaries(list(calls_of(0, STORIES[number].name))))
        found.add(Case(seeds("E") + 100 * chance.randrange(64) + number, place))
    return sorted(found, key=lambda case: (case.number % 100, case))


class _Rivals:
    """At the first runner's `place` a second barges in; it ends well, or dies after some calls, or is itself
    overtaken by a third one there."""

    def __init__(self, stage: Stage, case: Case) -> None:
        self.stage = stage
        self.place = case.place
        draw = case.number // 100
        self.how = draw % 4
        self.later = 3 + draw // 4 * 7
        self.moment = MOMENTS[draw % 3]
        self.depth = 0
        self.second_at = 0

    def __call__(self, number: int, _label: str) -> Strike | None:
        if self.depth == 0 and number == self.place:
            self.depth, self.second_at = 1, number + self.later
            self.stage.barges_in()
            return None
        if self.depth == 1 and number == self.second_at:
            self.depth = 2
            if self.how == 1:
                return Strike(moment=self.moment)
            if self.how in (2, 3):
                self.stage.barges_in()
        return None


def _prepare_e(case: Case, tmp: Path) -> Stage:
    return planned(set_stage(STORIES[case.number % 100], tmp))


def _act_e(stage: Stage, case: Case) -> None:
    stage.rivals = True
    stage.check.exact_moments = False
    stage.wire.hook = _Rivals(stage, case)
    stage.play(STORIES[case.number % 100].tell)


_PLAY_E, _BATCH_E = sharing(_prepare_e, _act_e)
RIVALS = Family(
    letter="E",
    title="two and three runners, leases that run out, sleepers that wake",
    invariants=("I7", "I8", "I9", "I17"),
    cases=_cases_e,
    play=_PLAY_E,
    batch=_BATCH_E,
    scene=lambda case: case.number % 100,
)
