"""Runs the matrix: picks the cases, spreads them over processes, counts. It knows no family's business."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.cases import Case, Family, Result
from tests.faults.forking import Verdict, in_child

__all__ = ["Report", "Tally", "pick", "replay", "run"]

BATCH = 96
"""Cases a process takes at a time: few enough to spread well, enough to share the setting of a scene."""


@dataclass(slots=True)
class Tally:
    cases: int = 0
    failures: int = 0
    seconds: float = 0.0
    invariants: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """failed: the first results that were not well, in the order of their cases."""

    families: dict[str, Tally] = field(default_factory=dict)
    failed: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(tally.cases for tally in self.families.values())

    @property
    def failures(self) -> int:
        return sum(tally.failures for tally in self.families.values())


def pick(families: Sequence[Family], wanted: int | None, *, large: bool) -> dict[str, list[Case]]:
    """All cases, or so many of them, evenly from each family and over each; the same ones every time."""
    every = {family.letter: list(family.cases(large)) for family in families}
    total = sum(map(len, every.values()))
    if wanted is None or wanted >= total:
        return every
    picked = {}
    for letter, cases in every.items():
        share = min(len(cases), max(1, round(len(cases) * wanted / total)))
        picked[letter] = [cases[n * len(cases) // share] for n in range(share)]
    return picked


def _batches(families: Sequence[Family], picked: dict[str, list[Case]]) -> Iterator[tuple[str, list[Case]]]:
    for family in families:
        ordered = sorted(picked[family.letter], key=lambda c, f=family: (repr(f.scene(c)), c.place, c))  # type: ignore[misc]
        for _, group in groupby(ordered, key=family.scene):
            cases = list(group)
            pieces = -(-len(cases) // BATCH)
            # Every n-th, so that no piece has all the early deaths, which take longest.
            yield from ((family.letter, cases[n::pieces]) for n in range(pieces))


_FAMILIES: dict[str, Family] = {}


def _begin(families: Sequence[Family]) -> None:
    """In a worker: what is there already is not to be copied into every child by the collector."""
    _FAMILIES.update({family.letter: family for family in families})
    gc.collect()
    gc.freeze()
    gc.disable()


def _spent() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _work(batch: tuple[str, list[Case]]) -> tuple[str, float, list[Result]]:
    letter, cases = batch
    began = _spent()
    with TemporaryDirectory(prefix="faults-") as folder:
        results = list(_FAMILIES[letter].batch(cases, Path(folder)))
    return letter, _spent() - began, results


def run(families: Sequence[Family], picked: dict[str, list[Case]], *, jobs: int, stop_at: int = 0) -> Report:
    """stop_at: so many failures are enough; 0 for all."""
    report = Report({f.letter: Tally(invariants=f.invariants) for f in families})
    began = time.perf_counter()
    batches = list(_batches(families, picked))
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, initializer=_begin, initargs=(families,)) as pool:
        for letter, seconds, results in pool.imap_unordered(_work, batches):
            tally = report.families[letter]
            tally.seconds += seconds
            tally.cases += len(results)
            bad = [result for result in results if result.verdict.failure]
            tally.failures += len(bad)
            report.failed += bad
            if stop_at and len(report.failed) >= stop_at:
                pool.terminate()
                break
    report.failed.sort(key=lambda result: result.case)
    report.seconds = time.perf_counter() - began
    return report


def replay(family: Family, case: Case) -> Verdict:
    """One case, from its beginning, in a process of its own."""
    with TemporaryDirectory(prefix="faults-") as folder:
        return in_child(lambda: family.play(case, Path(folder)))
