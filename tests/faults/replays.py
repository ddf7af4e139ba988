"""Family P: journals that earlier versions have written are folded, and gone on with from every cut."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.faults.cases import Case, Family, each_in_a_child, seeds
from tests.replay.again import take_up
from tests.replay.kept import Kept, read_kept, stories_kept

__all__ = ["REPLAYS"]


@cache
def _kept(name: str) -> Kept:
    return read_kept(name)


def _cases_p(_large: bool) -> list[Case]:
    return [
        Case(seeds("P") + number, cut)
        for number, name in enumerate(stories_kept())
        for cut in range(len(_kept(name).cuts))
    ]


def _play_p(case: Case, tmp: Path) -> None:
    kept = _kept(stories_kept()[case.number])
    take_up(kept, kept.cuts[case.place], tmp)


REPLAYS = Family(
    letter="P",
    title="journals kept from earlier versions fold to the same, and are gone on with",
    invariants=("I4", "I9", "I14"),
    cases=_cases_p,
    play=_play_p,
    batch=each_in_a_child(_play_p),
)
