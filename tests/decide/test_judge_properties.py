"""What must hold of the judge whatever it is shown."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decide.judge import judge
from pipeline.decide.judge.looks import holm, labelings
from pipeline.model.judgement import (
    AccountEvidence,
    CohortEvidence,
    Judged,
    Role,
    Sample,
    judged_from_json,
    judged_to_json,
)
from pipeline.model.judging import JudgePolicy, MetricKind
from pipeline.model.target_event import Verdict
from tests.decide.judging import ERRORS, LATENCY, account, cohort, of

BADNESS = {
    Verdict.PASS: 0,
    Verdict.NO_DATA: 1,
    Verdict.INCONCLUSIVE: 1,
    Verdict.FLEET_EVENT: 1,
    Verdict.FAIL: 2,
}
QUICKLY = settings(deadline=None, max_examples=60)


@st.composite
def samples(draw: st.DrawFn, kind: MetricKind, least: int = 0) -> Sample:
    requests = draw(st.integers(least, 50_000))
    if kind is MetricKind.LATENCY:
        return Sample(requests=requests, level=draw(st.integers(1_000, 10**9)))
    return Sample(requests=requests, errors=min(requests, draw(st.integers(0, 400))))


@st.composite
def accounts(
    draw: st.DrawFn, role: Role, kind: MetricKind, numbers: range, *, whole: bool = False
) -> list[AccountEvidence]:
    name = ERRORS.name if kind is MetricKind.RATE else LATENCY.name
    least = 1 if whole else 0
    made = []
    for number in numbers:
        now = draw(samples(kind, least) if whole else st.none() | samples(kind))
        weeks = draw(st.lists(samples(kind, least), min_size=least, max_size=3))
        stratum = draw(st.sampled_from(["a", "b"]))
        made.append(account(number, role, of(name, now, *weeks), stratum=stratum))
    return made


@st.composite
def cohorts(
    draw: st.DrawFn, kind: MetricKind = MetricKind.RATE, *, whole: bool = False, most: int = 9
) -> CohortEvidence:
    canaries = draw(st.integers(1, 4))
    controls = draw(st.integers(0, most))
    people = draw(accounts(Role.CANARY, kind, range(1, canaries + 1), whole=whole))
    people += draw(accounts(Role.CONTROL, kind, range(100, 100 + controls), whole=whole))
    policy = JudgePolicy(metrics=(ERRORS if kind is MetricKind.RATE else LATENCY,))
    return cohort(people, look=draw(st.integers(1, 4)), policy=policy, seed=draw(st.integers(0, 2**48 - 1)))


@QUICKLY
@given(cohorts(), st.randoms(use_true_random=False))
def test_the_order_of_accounts_makes_no_difference(evidence: CohortEvidence, rng: random.Random) -> None:
    shuffled = list(evidence.accounts)
    rng.shuffle(shuffled)

    assert judge(replace(evidence, accounts=tuple(shuffled))) == judge(evidence)


@QUICKLY
@given(cohorts())
def test_what_was_kept_gives_the_same_judgement_again(evidence: CohortEvidence) -> None:
    kept = judged_from_json(judged_to_json(Judged(evidence=evidence, judgement=judge(evidence))))

    assert judge(kept.evidence) == kept.judgement


@QUICKLY
@given(cohorts(MetricKind.LATENCY, whole=True), st.sampled_from([2, 10, 1000]))
def test_the_unit_of_a_latency_makes_no_difference(evidence: CohortEvidence, factor: int) -> None:
    def scaled(sample: Sample | None) -> Sample | None:
        return None if sample is None else replace(sample, level=sample.level * factor)

    other = replace(
        evidence,
        accounts=tuple(
            replace(
                a,
                metrics=tuple(
                    replace(m, now=scaled(m.now), history=tuple(s for s in map(scaled, m.history) if s))
                    for m in a.metrics
                ),
            )
            for a in evidence.accounts
        ),
    )

    assert judge(other).verdict is judge(evidence).verdict


@QUICKLY
@given(cohorts(MetricKind.LATENCY, whole=True, most=12), st.integers(2, 50))
def test_slower_canaries_are_never_judged_better(evidence: CohortEvidence, factor: int) -> None:
    def slower(one: AccountEvidence) -> AccountEvidence:
        metric = one.metrics[0]
        assert metric.now is not None
        now = replace(metric.now, level=metric.now.level * factor)
        return replace(one, metrics=(replace(metric, now=now),))

    worse = replace(
        evidence,
        accounts=tuple(slower(a) if a.role is Role.CANARY else a for a in evidence.accounts),
    )

    assert BADNESS[judge(worse).verdict] >= BADNESS[judge(evidence).verdict]


@QUICKLY
@given(cohorts(whole=True, most=12), st.integers(2, 20))
def test_errors_many_times_over_never_turn_a_failure_into_a_pass(
    evidence: CohortEvidence, factor: int
) -> None:
    def more(one: AccountEvidence) -> AccountEvidence:
        metric = one.metrics[0]
        assert metric.now is not None
        now = replace(metric.now, errors=metric.now.errors * factor, requests=metric.now.requests * factor)
        return replace(one, metrics=(replace(metric, now=now),))

    before = judge(evidence).verdict
    worse = replace(
        evidence, accounts=tuple(more(a) if a.role is Role.CANARY else a for a in evidence.accounts)
    )
    after = judge(worse).verdict

    assert (before, after) not in {(Verdict.FAIL, Verdict.PASS)}


@QUICKLY
@given(cohorts())
def test_nothing_passes_without_data_of_every_canary(evidence: CohortEvidence) -> None:
    judgement = judge(evidence)
    canaries = [a.metrics[0].now for a in evidence.accounts if a.role is Role.CANARY]
    lacking = any(now is None or now.requests == 0 for now in canaries)

    assert not (judgement.verdict is Verdict.PASS and lacking)


@QUICKLY
@given(cohorts())
def test_a_pass_is_said_at_the_last_look_by_bounds_and_where_failing_was_possible(
    evidence: CohortEvidence,
) -> None:
    judgement = judge(evidence)

    if judgement.verdict is Verdict.PASS:
        assert judgement.final
        assert judgement.can_fail
        assert all(float(m.upper or "inf") < float(m.allowed) for m in judgement.metrics)


@QUICKLY
@given(cohorts())
def test_a_failure_has_an_effect_and_significance_together(evidence: CohortEvidence) -> None:
    judgement = judge(evidence)

    if judgement.verdict is Verdict.FAIL:
        metric = next(m for m in judgement.metrics if m.verdict is Verdict.FAIL)
        alone = any(a.suspect for a in metric.accounts)
        assert judgement.can_fail
        assert alone or (
            float(metric.ratio or 0) >= float(metric.allowed)
            and float(metric.adjusted or 1) <= float(metric.alpha)
        )


@QUICKLY
@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_only_makes_p_larger_and_keeps_its_order(values: list[float]) -> None:
    adjusted = holm(values)

    assert all(a >= v for a, v in zip(adjusted, values, strict=True))
    by_value = sorted(range(len(values)), key=lambda n: values[n])
    assert [adjusted[n] for n in by_value] == sorted(adjusted)


@QUICKLY
@given(st.integers(1, 5), st.integers(0, 60))
def test_more_controls_never_make_less_attainable(canaries: int, controls: int) -> None:
    assert labelings([(canaries, controls)]) <= labelings([(canaries, controls + 1)])
