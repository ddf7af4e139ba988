"""What a case is: a family, a seed and a place, which together say everything; and what a family has to offer.

A seed is a number: its millions say which family. `--seed N --crash-at K` therefore names one case of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pipeline.adapters.simulated.cloud import Temper
from tests.faults.forking import Verdict, in_child, verdict_of
from tests.faults.stage import SWIFT, Stage
from tests.faults.stories import STORIES, Story

__all__ = [
    "FAMILY_SPAN",
    "Case",
    "Family",
    "Result",
    "each_in_a_child",
    "seeds",
    "set_stage",
    "sharing",
    "story_of",
]

FAMILY_SPAN = 1_000_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """seed: with the family's millions in it. place: the boundary, or what a family makes of it."""

    seed: int
    place: int = 0

    @property
    def letter(self) -> str:
        return LETTERS[self.seed // FAMILY_SPAN]

    @property
    def number(self) -> int:
        """The seed inside its family."""
        return self.seed % FAMILY_SPAN

    @property
    def command(self) -> str:
        return f"scripts/faults --seed {self.seed} --crash-at {self.place}"


@dataclass(frozen=True, slots=True)
class Result:
    case: Case
    verdict: Verdict


class Play(Protocol):
    def __call__(self, case: Case, tmp: Path) -> None:
        """Raises where something is wrong. Deterministic: the same case is the same, wherever it is played."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """cases: in order; with `large`, all there are. batch: plays many with one scene; in processes of their own."""

    letter: str
    title: str
    invariants: tuple[str, ...]
    cases: Callable[[bool], Sequence[Case]]
    play: Play
    batch: Callable[[Sequence[Case], Path], Iterator[Result]]
    scene: Callable[[Case], object] = field(default=lambda case: case.number)
    """cases of one scene are played in one batch"""


def seeds(letter: str) -> int:
    """Where the seeds of a family begin."""
    return LETTERS.index(letter) * FAMILY_SPAN


def sharing(
    prepare: Callable[[Case, Path], Stage], act: Callable[[Stage, Case], None]
) -> tuple[Play, Callable[[Sequence[Case], Path], Iterator[Result]]]:
    """(play, batch) of a family whose cases begin on the same scene: set once, and each case has a copy of it."""

    def play(case: Case, tmp: Path) -> None:
        act(prepare(case, tmp), case)

    def batch(cases: Sequence[Case], tmp: Path) -> Iterator[Result]:
        try:
            stage = prepare(cases[0], tmp)
        except Exception as fault:  # noqa: BLE001 - no case can begin on this scene, and each has to say so
            verdict = verdict_of(fault)
            yield from (Result(case, verdict) for case in cases)
            return
        for case in cases:
            yield Result(case, in_child(lambda case=case: act(stage, case)))  # type: ignore[misc]

    return play, batch


def each_in_a_child(play: Play) -> Callable[[Sequence[Case], Path], Iterator[Result]]:
    """For families whose cases have nothing in common that would be worth keeping."""

    def batch(cases: Sequence[Case], tmp: Path) -> Iterator[Result]:
        for number, case in enumerate(cases):
            folder = tmp / str(number)
            folder.mkdir()
            yield Result(case, in_child(lambda case=case, folder=folder: play(case, folder)))  # type: ignore[misc]

    return batch


def set_stage(story: Story, tmp: Path, world: int = 0, *, strict: bool = True) -> Stage:
    """The scene of a story, ready to be disturbed. world: 0 the plain one; others are slower, later, stranger."""
    stage = Stage(tmp, fleet=story.fleet, policy=story.policy, temper=temper_of(world), strict=strict)
    story.prepare(stage)
    stage.wire.seen.clear()
    return stage


def temper_of(world: int) -> Temper:
    if world == 0:
        return Temper(times=SWIFT)
    times = replace(SWIFT, lag=timedelta(seconds=5 * (world % 2)), update=timedelta(seconds=3 + world))
    return Temper(seed=world, times=times, honours_client_token=world % 2 == 0)


def story_of(number: int) -> Story:
    return STORIES[number % len(STORIES)]
