"""Families A and B: the runner dies, once at every boundary or twice anywhere, and the command is typed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from pipeline.adapters.simulated.faults import Moment
from tests.faults import forking
from tests.faults.cases import Case, Family, Result, seeds, set_stage
from tests.faults.forking import Verdict, verdict_of
from tests.faults.stage import Stage
from tests.faults.stories import STORIES, Story
from tests.faults.wire import CHANGING, Strike, boundaries

__all__ = ["ONE_KILL", "TWO_KILLS"]

MOMENTS = tuple(Moment)
WORLDS = 3
LAGGING = 1
"""The world in which descriptions lag behind and CreateChangeSet takes no token: two deaths happen there."""
SECOND = 60
"""A second death comes within so many calls of the first."""


def _parts(number: int) -> tuple[int, Story, Moment]:
    """seed = 100 x world + 3 x story + moment."""
    world, rest = divmod(number, 100)
    return world, STORIES[rest // 3 % len(STORIES)], MOMENTS[rest % 3]


@cache
def calls_of(world: int, name: str) -> tuple[str, ...]:
    """The labels of all calls of the undisturbed story."""
    story = next(story for story in STORIES if story.name == name)
    with TemporaryDirectory() as folder:
        # A story that fails undisturbed fails again in its cases, which say so: one of them has to be there.
        seen = ["journal.append"]
        with suppress(Exception):
            stage = set_stage(story, Path(folder), world)
            seen = stage.wire.seen
            stage.play(story.tell)
    return tuple(seen)


def _changing(calls: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(n for n, label in enumerate(calls, start=1) if label.rpartition(".")[2] in CHANGING)


# --- A -------------------------------------------------------------------------------------------------------------


def _cases_a(large: bool) -> list[Case]:
    """Every call that changes something; with `large` every look worth it as well, in three worlds.

    Right after an append nothing has changed but what the next call's `before` is: there `after` is tried only at
    calls into an account, unless `large`.
    """
    found = []
    for world in range(WORLDS if large else 1):
        for number, story in enumerate(STORIES):
            calls = calls_of(world, story.name)
            for place in boundaries(list(calls)) if large else _changing(calls):
                moments = MOMENTS if large or calls[place - 1].startswith("stacks.") else MOMENTS[:2]
                seed = seeds("A") + 100 * world + 3 * number
                found += [Case(seed + moment, place) for moment in range(len(moments))]
    return sorted(found)


def _play_a(case: Case, tmp: Path) -> None:
    world, story, moment = _parts(case.number)
    stage = set_stage(story, tmp, world)
    stage.wire.hook = lambda number, _label: Strike(moment=moment) if number == case.place else None
    _tell(stage, story)


def _tell(stage: Stage, story: Story) -> None:
    stage.play(story.tell)


def _batch_a(cases: Sequence[Case], tmp: Path) -> Iterator[Result]:
    """One telling of the story for all its deaths: at each boundary a child is forked, and dies there."""
    world, story, _ = _parts(cases[0].number)
    dying: dict[int, list[Case]] = {}
    for case in cases:
        dying.setdefault(case.place, []).append(case)
    results: list[Result] = []
    child = False

    def hook(number: int, _label: str) -> Strike | None:
        nonlocal child
        for case in () if child else dying.pop(number, ()):
            if forking.spawn() is None:
                results.append(Result(case, forking.result()))
                continue
            child = True
            return Strike(moment=_parts(case.number)[2])
        return None

    verdict = Verdict()
    try:
        stage = set_stage(story, tmp, world)
        stage.wire.hook = hook
        _tell(stage, story)
    except BaseException as fault:
        if not child and not isinstance(fault, Exception):
            raise
        verdict = verdict_of(fault)
    if child:
        forking.tell_and_leave(verdict)
    yield from results
    # What is left lies behind the last call, or the story itself fails undisturbed.
    yield from (Result(case, verdict) for left in dying.values() for case in left)


ONE_KILL = Family(
    letter="A",
    title="the runner is killed at every boundary, before, in and after the call",
    invariants=("I4", "I8", "I9", "I10", "I14", "I17"),
    cases=_cases_a,
    play=_play_a,
    batch=_batch_a,
    scene=lambda case: case.number // 3,
)


# --- B -------------------------------------------------------------------------------------------------------------


def _cases_b(large: bool) -> list[Case]:
    """Pairs drawn from a seed: first anywhere worth it, then soon after."""
    chance = Random(7)
    wanted = 50_000 if large else 1_500
    found: set[Case] = set()
    while len(found) < wanted:
        number = chance.randrange(len(STORIES))
        calls = calls_of(LAGGING, STORIES[number].name)
        place = chance.choice(_changing(calls))
        found.add(Case(seeds("B") + 1000 * chance.randrange(SECOND * 9) + number, place))
    return sorted(found, key=lambda case: (case.number % 1000, case))


def _play_b(case: Case, tmp: Path) -> None:
    story = STORIES[case.number % 1000]
    stage = set_stage(story, tmp, LAGGING)
    stage.wire.hook = _Twice(case)
    _tell(stage, story)


class _Twice:
    """seed = 1000 x (9 x distance + 3 x first moment + second moment) + story."""

    def __init__(self, case: Case) -> None:
        distance, moments = divmod(case.number // 1000, 9)
        self.due = {
            case.place: MOMENTS[moments // 3],
            case.place + 1 + distance: MOMENTS[moments % 3],
        }

    def __call__(self, number: int, _label: str) -> Strike | None:
        moment = self.due.get(number)
        return None if moment is None else Strike(moment=moment)


def _batch_b(cases: Sequence[Case], tmp: Path) -> Iterator[Result]:
    story = STORIES[cases[0].number % 1000]
    dying: dict[int, list[Case]] = {}
    for case in cases:
        dying.setdefault(case.place, []).append(case)
    results: list[Result] = []
    second: _Twice | None = None

    def hook(number: int, label: str) -> Strike | None:
        nonlocal second
        if second is not None:
            return second(number, label)
        for case in dying.pop(number, ()):
            if forking.spawn() is None:
                results.append(Result(case, forking.result()))
                continue
            second = _Twice(case)
            return second(number, label)
        return None

    verdict = Verdict()
    try:
        stage = set_stage(story, tmp, LAGGING)
        stage.wire.hook = hook
        _tell(stage, story)
    except BaseException as fault:
        if second is None and not isinstance(fault, Exception):
            raise
        verdict = verdict_of(fault)
    if second is not None:
        forking.tell_and_leave(verdict)
    yield from results
    yield from (Result(case, verdict) for left in dying.values() for case in left)


TWO_KILLS = Family(
    letter="B",
    title="two deaths, the second on the way back from the first",
    invariants=("I4", "I8", "I9", "I10", "I14", "I17"),
    cases=_cases_b,
    play=_play_b,
    batch=_batch_b,
    scene=lambda case: case.number % 1000,
)
