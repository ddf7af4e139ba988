"""What the judge says of a canary, and of how little it may say where there is little to go by."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.decide.judge import alpha_at, attainable, differences, is_final, judge, needed
from pipeline.model.judgement import Judged, Role, Sample, judged_from_json, judged_to_json
from pipeline.model.judging import JudgePolicy
from pipeline.model.target_event import Verdict
from tests.decide.judging import (
    ERRORS,
    LATENCY,
    POLICY,
    account,
    canary,
    cohort,
    control,
    of,
    slow,
)

QUIET = (18, 22, 19, 21, 20, 23, 17, 20, 24, 16, 20, 19, 21, 18, 22, 20, 20, 23, 17, 21)
CONTROLS = [control(100 + n, errors) for n, errors in enumerate(QUIET)]
GOOD = [canary(1, 19), canary(2, 22), canary(3, 20)]
BAD = [canary(1, 85), canary(2, 70), canary(3, 90)]


def test_a_good_release_passes_at_the_last_look_because_twice_the_errors_is_ruled_out() -> None:
    judgement = judge(cohort(GOOD + CONTROLS))

    assert (judgement.verdict, judgement.can_fail, judgement.short) == (Verdict.PASS, True, False)
    assert judgement.metrics[0].upper is not None
    assert float(judgement.metrics[0].upper) < 2
    assert judgement.reason == "errors: at most 1.13 times, 2 times is allowed"


def test_a_good_release_does_not_pass_before_the_last_look() -> None:
    judgement = judge(cohort(GOOD + CONTROLS, look=2))

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == "errors: nothing against it at look 2 of 3; only the last can pass it"


@pytest.mark.parametrize("look", [1, 2, 3, 4])
def test_a_release_with_four_times_the_errors_fails_at_whichever_look(look: int) -> None:
    judgement = judge(cohort(BAD + CONTROLS, look=look))

    assert judgement.verdict is Verdict.FAIL
    assert judgement.metrics[0].ratio is not None
    assert float(judgement.metrics[0].ratio) == pytest.approx(4, rel=0.02)
    assert "what the clients on the old version show, 2 times is allowed" in judgement.reason


def test_an_effect_below_the_allowed_one_does_not_fail_however_significant() -> None:
    many = [canary(n, 300, before=200, requests=40_000) for n in range(1, 6)]
    controls = [control(100 + n, 10 * errors, before=200, requests=40_000) for n, errors in enumerate(QUIET)]

    judgement = judge(cohort(many + controls))

    assert judgement.metrics[0].p is not None
    assert float(judgement.metrics[0].p) < 0.001
    assert judgement.verdict is Verdict.PASS


def test_when_the_controls_moved_too_nobody_is_blamed() -> None:
    moved = [control(100 + n, 4 * errors) for n, errors in enumerate(QUIET)]

    judgement = judge(cohort(BAD + moved))

    assert judgement.verdict is Verdict.FLEET_EVENT
    assert judgement.reason.endswith("nobody is to blame, nothing goes on")


def test_a_release_that_is_worse_than_an_incident_fails_where_it_was_drawn_by_lot() -> None:
    moved = [control(100 + n, 3 * errors) for n, errors in enumerate(QUIET)]
    worse = [canary(1, 600), canary(2, 620), canary(3, 580)]

    assert judge(cohort(worse + moved)).verdict is Verdict.FAIL
    assert judge(cohort(worse + moved, randomised=False)).verdict is Verdict.FLEET_EVENT


def test_one_bad_account_is_not_averaged_away_and_is_named() -> None:
    judgement = judge(cohort([canary(1, 19), canary(2, 200), canary(3, 20), canary(4, 18), *CONTROLS]))

    assert judgement.verdict is Verdict.FAIL
    assert "c2 (000000000002) alone is at" in judgement.reason
    suspects = [a.client for a in judgement.metrics[0].accounts if a.suspect]
    assert suspects == ["c2"]


def test_a_cohort_that_statistics_cannot_fail_is_told_so_and_does_not_pass() -> None:
    judgement = judge(cohort([*GOOD[:1], *CONTROLS]))

    assert (judgement.verdict, judgement.can_fail) == (Verdict.INCONCLUSIVE, False)
    assert judgement.reason == (
        "errors: statistics cannot fail this cohort; hard gates only (21 ways to draw it, 100 are needed)"
    )


def test_a_bad_account_in_such_a_cohort_is_still_named() -> None:
    judgement = judge(cohort([canary(1, 400), *CONTROLS]))

    assert (judgement.verdict, judgement.can_fail) == (Verdict.INCONCLUSIVE, False)
    assert "c1 (000000000001) alone is at" in judgement.reason


def test_without_controls_nothing_passes_and_nothing_fails() -> None:
    judgement = judge(cohort(GOOD))

    assert (judgement.verdict, judgement.can_fail) == (Verdict.INCONCLUSIVE, False)


def test_without_metrics_there_is_no_data() -> None:
    judgement = judge(cohort(GOOD + CONTROLS, policy=JudgePolicy(), min_requests=100))

    assert judgement.verdict is Verdict.NO_DATA
    assert judgement.reason == "there are no metrics to judge by, and 100 requests cannot be counted"


def test_without_any_account_there_is_no_data() -> None:
    assert judge(cohort([])).verdict is Verdict.NO_DATA
    assert judge(cohort(CONTROLS)).verdict is Verdict.NO_DATA


def test_canaries_that_could_not_be_read_are_no_data() -> None:
    unread = [account(n, Role.CANARY, of("errors", None, unread="Forbidden")) for n in (1, 2, 3)]

    judgement = judge(cohort(unread + CONTROLS))

    assert (judgement.verdict, judgement.short) == (Verdict.NO_DATA, True)
    assert judgement.reason == "errors: no canary account has a number: c1 Forbidden"


def test_one_canary_that_could_not_be_read_keeps_the_others_from_passing() -> None:
    unread = account(4, Role.CANARY, of("errors", None, unread="no data points"))

    judgement = judge(cohort([*GOOD, unread, *CONTROLS]))

    assert (judgement.verdict, judgement.short) == (Verdict.INCONCLUSIVE, True)
    assert judgement.reason == "errors: c4 (000000000004) no data points"


def test_an_idle_canary_proves_nothing() -> None:
    idle = account(4, Role.CANARY, of("errors", Sample(requests=0), Sample(requests=900, errors=1)))

    assert judge(cohort([*GOOD, idle, *CONTROLS])).reason == "errors: c4 (000000000004) served no requests"


def test_too_few_requests_at_one_account_are_too_few() -> None:
    few = canary(3, 1, before=1, requests=99)

    judgement = judge(cohort([*GOOD[:2], few, *CONTROLS], min_requests=100))

    assert (judgement.verdict, judgement.short) == (Verdict.INCONCLUSIVE, True)
    assert judgement.reason == "errors: c3 served 99 of 100 requests"


def test_a_disaster_fails_although_requests_are_few() -> None:
    bad = [canary(n, 60, before=1, requests=90) for n in (1, 2, 3)]

    assert judge(cohort(bad + CONTROLS, min_requests=100)).verdict is Verdict.FAIL


def test_too_few_expected_errors_prove_nothing() -> None:
    rare = [canary(n, 0, before=0) for n in (1, 2, 3)]
    controls = [control(100 + n, 0, before=0) for n in range(20)]

    judgement = judge(cohort(rare + controls))

    assert (judgement.verdict, judgement.short) == (Verdict.INCONCLUSIVE, True)
    assert "0 errors were to be expected without any change" in judgement.reason


def test_a_rate_that_is_certainly_negligible_passes_without_any_error_to_compare() -> None:
    spec = replace(ERRORS, negligible_ppm=1000)
    rare = [canary(n, 0, before=0) for n in (1, 2, 3)]
    controls = [control(100 + n, 0, before=0) for n in range(20)]

    judgement = judge(cohort(rare + controls, policy=replace(POLICY, metrics=(spec,))))

    assert judgement.verdict is Verdict.PASS
    assert judgement.reason == "errors: certainly below 1000 errors in a million requests"


def test_a_rate_below_what_matters_does_not_fail() -> None:
    spec = replace(ERRORS, negligible_ppm=1000)
    more = [canary(n, 3, before=0) for n in (1, 2, 3)]
    controls = [control(100 + n, 0, before=0) for n in range(20)]

    assert judge(cohort(more + controls, policy=replace(POLICY, metrics=(spec,)))).verdict is not Verdict.FAIL


def test_a_release_that_never_had_errors_and_now_has_many_fails() -> None:
    new = [canary(n, 40, before=0) for n in (1, 2, 3)]
    controls = [control(100 + n, 0, before=0) for n in range(20)]

    assert judge(cohort(new + controls)).verdict is Verdict.FAIL


def test_a_client_without_history_is_judged_by_the_fleets_and_that_is_said() -> None:
    young = account(4, Role.CANARY, of("errors", Sample(requests=4000, errors=21)))

    judgement = judge(cohort([*GOOD, young, *CONTROLS]))

    assert "no history of their own, the fleet's stands in: c4" in judgement.notes
    assert judgement.verdict is Verdict.PASS


def test_a_slower_release_fails_and_one_as_fast_passes() -> None:
    policy = JudgePolicy(metrics=(LATENCY,))
    controls = [slow(100 + n, Role.CONTROL, 10_000 * errors) for n, errors in enumerate(QUIET)]
    slower = [slow(n, Role.CANARY, 700_000) for n in (1, 2, 3)]
    same = [slow(n, Role.CANARY, 205_000) for n in (1, 2, 3)]

    assert judge(cohort(slower + controls, policy=policy)).verdict is Verdict.FAIL
    assert judge(cohort(same + controls, policy=policy)).verdict is Verdict.PASS


def test_every_metric_has_to_pass() -> None:
    policy = JudgePolicy(metrics=(ERRORS, LATENCY))

    judgement = judge(cohort(GOOD + CONTROLS, policy=policy))

    assert [m.verdict for m in judgement.metrics] == [Verdict.PASS, Verdict.NO_DATA]
    assert judgement.verdict is Verdict.NO_DATA


def test_metrics_that_are_not_critical_share_alpha() -> None:
    specs = tuple(replace(ERRORS, name=f"e{n}", critical=False) for n in range(4))
    twins = [
        replace(a, metrics=tuple(replace(a.metrics[0], metric=spec.name) for spec in specs))
        for a in BAD + CONTROLS
    ]

    judgement = judge(cohort(twins, policy=JudgePolicy(metrics=specs)))

    p = [float(m.p or 1) for m in judgement.metrics]
    assert [float(m.adjusted or 1) for m in judgement.metrics] == pytest.approx([4 * p[0]] * 4)


def test_labels_are_exchanged_inside_strata_where_these_are_large_enough() -> None:
    strata = ["a", "b", "c"]
    canaries = [canary(n, 20, stratum=s) for n, s in enumerate(strata, 1)]
    controls = [control(100 + n, e, stratum=strata[n % 3]) for n, e in enumerate(QUIET)]

    large = judge(cohort(canaries + controls))
    small = judge(cohort(canaries + controls[:8]))

    assert (large.stratified, large.metrics[0].labelings) == (True, 8 * 8 * 7)
    assert (small.stratified, small.metrics[0].labelings) == (False, 165)
    assert any(note.startswith("strata are too small") for note in small.notes)


def test_a_canary_that_was_chosen_by_hand_is_said_to_be() -> None:
    judgement = judge(cohort(GOOD + CONTROLS, randomised=False))

    assert "the cohort was not drawn by lot, so that p is only as good as the choice" in judgement.notes


def test_a_look_that_was_not_registered_decides_nothing() -> None:
    assert judge(cohort(BAD + CONTROLS, look=5)).verdict is not Verdict.PASS
    assert judge(cohort(GOOD + CONTROLS, look=5)).verdict is Verdict.INCONCLUSIVE


def test_the_shares_of_alpha_add_up_to_alpha() -> None:
    for looks in range(1, 8):
        policy = replace(POLICY, looks=looks)
        shares = [alpha_at(policy, look) for look in range(-1, looks + 3)]
        assert sum(shares) == pytest.approx(0.02)
    assert [is_final(POLICY, look) for look in (1, 2, 3, 4)] == [False, False, True, True]


def test_what_is_attainable_is_told_by_counts_alone() -> None:
    assert needed(POLICY) == 100
    assert [attainable(POLICY, 1, n) for n in (98, 99)] == [False, True]
    assert [attainable(POLICY, 2, n) for n in (12, 13)] == [False, True]
    assert [attainable(POLICY, 3, n) for n in (6, 7)] == [False, True]
    assert not attainable(POLICY, 0, 1000)


def test_what_was_kept_is_read_back_and_judged_to_the_same() -> None:
    evidence = cohort(BAD + CONTROLS)
    kept = Judged(evidence=evidence, judgement=judge(evidence))

    again = judged_from_json(judged_to_json(kept))

    assert again == kept
    assert differences(again.judgement, judge(again.evidence)) == ()


def test_a_changed_number_in_the_evidence_is_found_by_judging_again() -> None:
    kept = judge(cohort(BAD + CONTROLS))

    found = differences(kept, judge(cohort(GOOD + CONTROLS)))

    assert "verdict: FAIL was kept, PASS comes out" in found


def test_a_later_judge_that_comes_to_the_same_is_the_same() -> None:
    kept = judge(cohort(BAD + CONTROLS))

    assert differences(replace(kept, version=0, notes=("as people once put it",)), kept) == ()
