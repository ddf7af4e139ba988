"""How often the judge is wrong: a small version of `python -m tests.decide.judge_rates`, seeded, with wide margins."""

from __future__ import annotations

import pytest

from pipeline.model.target_event import Verdict
from tests.decide.judge_rates import COLUMNS, LATENCY, Scene, World, rates, table

BY_NAME = {scene.name: scene for scene in COLUMNS}
RUNS = 60


@pytest.mark.parametrize("scene", ["no change", "no change, lowest traffic", "no change, drift 0.4"])
def test_a_good_release_is_rarely_failed(scene: str) -> None:
    found = rates(3, 20, BY_NAME[scene], runs=RUNS)

    assert found[Verdict.FAIL] + found[Verdict.FLEET_EVENT] <= 4


def test_a_good_release_mostly_passes() -> None:
    assert rates(3, 20, BY_NAME["no change"], runs=RUNS)[Verdict.PASS] >= 0.75 * RUNS


def test_an_incident_of_the_whole_fleet_is_not_blamed_on_the_release() -> None:
    found = rates(3, 20, BY_NAME["fleet-wide 3x"], runs=RUNS)

    assert (found[Verdict.FAIL] <= 3, found[Verdict.FLEET_EVENT] >= 0.9 * RUNS) == (True, True)


def test_three_times_the_errors_are_mostly_seen_and_never_passed() -> None:
    found = rates(3, 20, BY_NAME["release 3x"], runs=RUNS)

    assert (found[Verdict.FAIL] >= 0.8 * RUNS, found[Verdict.PASS]) == (True, 0)


def test_exactly_what_is_allowed_passes_about_as_rarely_as_the_policy_says() -> None:
    assert rates(3, 20, BY_NAME["release 2x"], runs=RUNS)[Verdict.PASS] <= 0.15 * RUNS


def test_one_bad_account_among_good_ones_is_seen() -> None:
    assert rates(3, 20, BY_NAME["one account 10x"], runs=RUNS)[Verdict.FAIL] >= 0.8 * RUNS


@pytest.mark.parametrize("size", [(1, 20), (2, 8), (3, 6)])
def test_a_cohort_that_is_too_small_is_never_failed_and_never_passed(size: tuple[int, int]) -> None:
    for scene in ("no change", "release 5x"):
        found = rates(*size, BY_NAME[scene], runs=10)
        assert found[Verdict.FAIL] == found[Verdict.PASS] == 0


def test_latencies_are_judged_as_well() -> None:
    good = rates(3, 20, BY_NAME["no change"], runs=20, spec=LATENCY)
    slow = rates(3, 20, Scene("slow", release=4, world=World()), runs=20, spec=LATENCY)

    assert (good[Verdict.FAIL] <= 1, good[Verdict.PASS] >= 12) == (True, True)
    assert (slow[Verdict.FAIL] >= 16, slow[Verdict.PASS]) == (True, 0)


def test_the_table_is_the_same_for_the_same_seed() -> None:
    lines = [list(table([(2, 14)], COLUMNS[:2], runs=4, seed=9, spec=LATENCY)) for _ in range(2)]

    assert lines[0] == lines[1]
    assert len(lines[0]) == 3
