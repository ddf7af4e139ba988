"""The judge's arithmetic against oracles: full enumeration written out plainly, and scipy where it is installed."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest

from pipeline.decide.judge.account import movement, standing
from pipeline.decide.judge.cohort import Contrast, contrast
from pipeline.decide.judge.effects import Point, points
from pipeline.decide.judge.labels import drawn, every
from pipeline.decide.judge.looks import holm
from pipeline.decide.judge.tails import normal_tail, poisson_upper, student_quantile, student_tail
from pipeline.model.judgement import Role, Sample
from pipeline.model.judging import JudgePolicy
from tests.decide.judging import ERRORS, LATENCY, account, canary, of, slow

SCIPY = pytest.mark.xdist_group("scipy")
"""Importing it takes ten seconds: in one worker only."""


def a_point(number: int, role: Role, y: float, v: float = 0.1, stratum: str = "") -> Point:
    return Point(
        account=account(number, role),
        stratum=stratum,
        y=y,
        v=v,
        weight=1 / (v + 0.04),
        requests=1000,
        errors=10,
        expected=10.0,
        now=0.01,
        before=0.01,
        own_history=True,
    )


def a_group(rng: random.Random, canaries: int, controls: int, shift: float = 0.0) -> list[Point]:
    made = []
    for n in range(canaries + controls):
        role = Role.CANARY if n < canaries else Role.CONTROL
        y = rng.gauss(shift if n < canaries else 0.0, 0.4)
        made.append(a_point(n, role, y, v=rng.uniform(0.01, 0.8)))
    return made


# --- the permutation test --------------------------------------------------------------------------


def studentised(
    groups: Sequence[Sequence[Point]], labels: Sequence[Sequence[bool]], delta: float = 0.0
) -> float:
    """The statistic as docs/judge.md writes it, one term after the other."""
    top = bottom = 0.0
    for group, marks in zip(groups, labels, strict=True):
        y = [p.y - (delta if p.is_canary else 0.0) for p in group]
        w1 = sum(p.weight for p, mark in zip(group, marks, strict=True) if mark)
        w0 = sum(p.weight for p, mark in zip(group, marks, strict=True) if not mark)
        m1 = sum(p.weight * v for p, v, mark in zip(group, y, marks, strict=True) if mark) / w1
        m0 = sum(p.weight * v for p, v, mark in zip(group, y, marks, strict=True) if not mark) / w0
        variance = 1 / w1 + 1 / w0
        top += (m1 - m0) / variance
        bottom += 1 / variance
    return top / math.sqrt(bottom)


def labellings(groups: Sequence[Sequence[Point]]) -> list[list[list[bool]]]:
    choices = [
        [[n in chosen for n in range(len(g))] for chosen in itertools.combinations(range(len(g)), few)]
        for g in groups
        for few in [sum(p.is_canary for p in g)]
    ]
    return [list(labels) for labels in itertools.product(*choices)]


def p_of(groups: Sequence[Sequence[Point]], delta: float, *, above: bool) -> float:
    real = studentised(groups, [[p.is_canary for p in g] for g in groups], delta)
    every_one = [studentised(groups, labels, delta) for labels in labellings(groups)]
    hits = sum(s >= real - 1e-9 if above else s <= real + 1e-9 for s in every_one)
    return hits / len(every_one)


def judged(groups: Sequence[Sequence[Point]], tail: float = 0.05) -> Contrast:
    found = contrast(groups, seed=1, tail=tail)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(6))
def test_p_is_the_share_of_labelings_that_are_at_least_as_extreme(seed: int) -> None:
    rng = random.Random(seed)
    one = [a_group(rng, 3, 7, shift=rng.choice([0.0, 0.5]))]
    two = [
        a_group(rng, 1, 5),
        [a_point(50 + n, p.account.role, p.y) for n, p in enumerate(a_group(rng, 2, 4))],
    ]

    for groups in (one, two):
        found = judged(groups)
        assert found.exact
        assert found.labelings == found.drawn == len(labellings(groups))
        assert found.p == pytest.approx(p_of(groups, 0.0, above=True))


@pytest.mark.parametrize("seed", range(6))
def test_the_bounds_are_where_the_test_of_a_shift_turns(seed: int) -> None:
    groups = [a_group(random.Random(seed), 3, 8)]
    found = judged(groups)

    assert (
        p_of(groups, found.upper + 1e-6, above=False) <= 0.05 < p_of(groups, found.upper - 1e-6, above=False)
    )
    assert p_of(groups, found.lower - 1e-6, above=True) <= 0.05 < p_of(groups, found.lower + 1e-6, above=True)
    assert found.lower < found.shift < found.upper


def test_a_cohort_that_is_too_small_has_no_bounds() -> None:
    found = judged([a_group(random.Random(1), 1, 5)])

    assert (found.labelings, found.lower, found.upper) == (6, -math.inf, math.inf)


def test_a_sample_of_labelings_comes_close_to_all_of_them() -> None:
    group = a_group(random.Random(3), 4, 30, shift=0.45)  # 46,376 ways

    sampled = judged([group])

    assert (sampled.exact, sampled.drawn, sampled.labelings) == (False, 10_000, math.comb(34, 4))
    exact = p_of([group], 0.0, above=True)
    assert sampled.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 10_000) + 1e-4)


def test_p_of_a_sample_is_never_zero() -> None:
    group = [a_point(n, Role.CANARY if n < 5 else Role.CONTROL, 9.0 if n < 5 else n / 100) for n in range(45)]

    assert judged([group]).p == pytest.approx(1 / 10_000)


def test_without_canaries_or_without_controls_there_is_nothing_to_compare() -> None:
    rng = random.Random(1)

    assert contrast([a_group(rng, 3, 0)], seed=1, tail=0.05) is None
    assert contrast([a_group(rng, 0, 3)], seed=1, tail=0.05) is None


@SCIPY
def test_scipy_finds_the_same_p() -> None:
    stats = pytest.importorskip("scipy.stats")
    numpy = pytest.importorskip("numpy")
    for seed in range(5):
        group = a_group(random.Random(seed), 3, 9, shift=0.3)
        places = list(range(len(group)))

        def statistic(chosen: list[int], _: list[int], group: list[Point] = group) -> float:
            marks = [n in set(map(int, chosen)) for n in range(len(group))]
            return studentised([group], [marks])

        answer = stats.permutation_test(
            (numpy.array(places[:3]), numpy.array(places[3:])),
            statistic,
            permutation_type="independent",
            alternative="greater",
            n_resamples=numpy.inf,
            vectorized=False,
        )
        assert judged([group]).p == pytest.approx(answer.pvalue)


# --- drawing ---------------------------------------------------------------------------------------


def test_every_labelling_is_tried_once() -> None:
    found = list(every([(4, 2), (3, 1)]))

    assert len(found) == len(set(found)) == 18


def test_what_is_drawn_follows_from_the_seed_alone_and_from_all_of_it() -> None:
    strata = [(9, 3), (4, 1)]

    assert list(drawn(strata, 5, 20)) == list(drawn(strata, 5, 20))
    assert list(drawn(strata, 5, 20)) != list(drawn(strata, 6, 20))


def test_every_account_is_drawn_about_equally_often() -> None:
    counts = [0] * 10
    for labels in drawn([(10, 3)], 42, 20_000):
        assert len(set(labels[0])) == 3
        for place in labels[0]:
            counts[place] += 1

    assert all(abs(count - 6000) < 5 * math.sqrt(20_000 * 0.3 * 0.7) for count in counts)


def test_the_generator_is_the_published_one() -> None:
    """SplitMix64 from seed 1234567 begins with 6457827717110365317, 3203168211198807973, 9817491932198370423."""
    first = [labels[0][0] for labels in itertools.islice(drawn([(1_000_000, 1)], 1234567, 3), 3)]

    assert first == [n % 1_000_000 for n in (6457827717110365317, 3203168211198807973, 9817491932198370423)]


# --- tails -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [(0.0, 5, 0.5), (2.015048, 5, 0.05), (2.539483, 19, 0.01), (-2.539483, 19, 0.99), (31.820516, 1, 0.01)],
)
def test_students_tail_is_the_one_in_the_tables(t: float, freedom: int, tail: float) -> None:
    assert student_tail(t, freedom) == pytest.approx(tail, rel=1e-6)
    if 0 < tail < 0.5:
        assert student_quantile(tail, freedom) == pytest.approx(t, rel=1e-6)


@pytest.mark.parametrize(("count", "upper"), [(0, 2.995732), (1, 4.743865), (5, 10.513035), (50, 63.287126)])
def test_the_upper_bound_of_a_count_is_the_one_in_the_tables(count: int, upper: float) -> None:
    assert poisson_upper(count, 0.05) == pytest.approx(upper, rel=1e-5)


def test_the_bound_of_a_large_count_goes_on_where_the_exact_one_ends() -> None:
    assert poisson_upper(1001, 0.05) == pytest.approx(poisson_upper(1000, 0.05) + 1.03, abs=0.05)


@SCIPY
def test_scipy_knows_the_same_tails() -> None:
    stats = pytest.importorskip("scipy.stats")
    for t in (-3.0, -0.4, 0.0, 0.7, 2.2, 6.0, 40.0):
        assert normal_tail(t) == pytest.approx(float(stats.norm.sf(t)), rel=1e-9, abs=1e-300)
        for freedom in (1, 2, 5, 19, 59, 400):
            assert student_tail(t, freedom) == pytest.approx(float(stats.t.sf(t, freedom)), rel=1e-9)
    for count in (0, 3, 40, 999, 5000):
        exact = float(stats.chi2.ppf(0.95, 2 * count + 2) / 2)
        assert poisson_upper(count, 0.05) == pytest.approx(exact, rel=1e-6 if count < 1000 else 1e-4)


def test_holms_adjustment_is_the_published_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()
    assert holm([0.9, 0.8]) == (1.0, 1.0)


# --- effects ---------------------------------------------------------------------------------------


def test_a_rate_becomes_its_haldane_log_ratio() -> None:
    evidence = account(
        1, Role.CANARY, of("errors", Sample(requests=999, errors=8), Sample(requests=999, errors=3))
    )

    point = points([evidence], ERRORS, JudgePolicy())[0][0]

    assert point.y == pytest.approx(math.log(8.5 / 3.5))
    assert point.v == pytest.approx(1 / 8.5 + 1 / 3.5)
    assert point.weight == pytest.approx(1 / (point.v + 0.04))


def test_no_errors_after_no_errors_is_no_change_however_long_the_history() -> None:
    point = points([canary(1, 0, before=0)], ERRORS, JudgePolicy())[0][0]

    assert point.y == pytest.approx(0)


def test_a_latency_becomes_the_difference_of_logarithms() -> None:
    point = points([slow(1, Role.CANARY, 300_000)], LATENCY, JudgePolicy())[0][0]

    assert point.y == pytest.approx(math.log(1.5))
    assert (point.now, point.before) == (0.3, 0.2)


def test_the_spread_of_a_quantile_is_that_of_log_normal_requests() -> None:
    rng = random.Random(5)
    many = [math.log(sorted(math.exp(rng.gauss(0, 1)) for _ in range(1000))[989]) for _ in range(600)]
    mean = sum(many) / len(many)
    seen = sum((value - mean) ** 2 for value in many) / len(many)
    evidence = account(
        1, Role.CANARY, of("latency", Sample(requests=1000, level=9), Sample(requests=10**9, level=9))
    )

    assert points([evidence], LATENCY, JudgePolicy())[0][0].v == pytest.approx(seen, rel=0.2)


# --- one account, and the controls -----------------------------------------------------------------


def test_an_accounts_interval_widens_with_the_scatter_of_the_controls() -> None:
    rng = random.Random(2)
    calm = [a_point(10 + n, Role.CONTROL, rng.gauss(0, 0.1)) for n in range(20)]
    wild = [a_point(10 + n, Role.CONTROL, rng.gauss(0, 2.0)) for n in range(20)]
    suspect = a_point(1, Role.CANARY, 1.5)

    quiet, loud = (standing(suspect, controls, JudgePolicy(), 0.01) for controls in (calm, wild))

    assert quiet.p < 0.001 < 0.1 < loud.p
    assert quiet.limit < 1.5 < loud.limit


def test_without_controls_an_account_has_its_own_history_only() -> None:
    alone = standing(a_point(1, Role.CANARY, 1.5), [], JudgePolicy(), 0.01)

    spread = math.sqrt(0.14 + 0.01)
    assert alone.p == pytest.approx(normal_tail(1.5 / spread))
    assert alone.limit == pytest.approx(2.3263 * spread, rel=1e-4)


def test_one_control_alone_cannot_make_an_incident() -> None:
    assert movement([a_point(1, Role.CONTROL, 5.0)], JudgePolicy()).p == 1.0
    assert movement([a_point(n, Role.CONTROL, 1.0) for n in range(20)], JudgePolicy()).p < 1e-4
