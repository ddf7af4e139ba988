"""What a run does next, asked of the state that its own events add up to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pytest

from pipeline.decide.rollback import ClaimRollback
from pipeline.decide.run_steps import (
    Await,
    Bake,
    Claim,
    Finished,
    Judge,
    MarkGood,
    Record,
    RunMove,
    StartWave,
    next_move,
)
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.policy import OnFail
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus, fold_run
from pipeline.model.target_state import Phase, TargetState
from tests.decide.runs import NEW, NOW, a_plan, a_wave, digest_of, envelopes, states, t

Phases: TypeAlias = dict[str, Any]
"""What is said of targets, by client: a Phase or a whole TargetState."""

PLAN = a_plan(
    a_wave("@intake", kind=WaveKind.SERVICE),
    a_wave("k", "l", kind=WaveKind.CANARY),
    a_wave("a", "b", "c"),
)
FIXED = e.PlanFixed(plan=digest_of("plan"), waves=3)
HEALTHY = TargetState(phase=Phase.HEALTHY, desired=NEW, observed=NEW.release, changed=True)
JUDGED = replace(HEALTHY, verdict=e.Verdict.PASS, settled_at=NOW + timedelta(hours=1))
GOOD = replace(JUDGED, goods=(NEW,))
BROKEN = TargetState(phase=Phase.FAILED, desired=NEW, reason="no answer", changed=True)
UNTIL = NOW + timedelta(hours=1)


def passed(number: int) -> tuple[e.ReleaseEvent, ...]:
    return (
        e.WaveStarted(wave=number),
        e.TargetsClaimed(wave=number, targets=PLAN.waves[number].targets),
        e.WaveBaking(wave=number, until=NOW),
        e.WaveJudging(wave=number),
        e.WavePassed(wave=number),
    )


IN_CANARY = (FIXED, *passed(0), e.WaveStarted(wave=1))
CANARY_CLAIMED = (*IN_CANARY, e.TargetsClaimed(wave=1, targets=PLAN.waves[1].targets))
CANARY_BAKES = (*CANARY_CLAIMED, e.WaveBaking(wave=1, until=UNTIL))
CANARY_IS_JUDGED = (*CANARY_BAKES, e.WaveJudging(wave=1))
IN_WAVE = (FIXED, *passed(0), *passed(1), e.WaveStarted(wave=2))
WAVE_CLAIMED = (*IN_WAVE, e.TargetsClaimed(wave=2, targets=PLAN.waves[2].targets))
WON: Phases = {"intake": GOOD, "k": GOOD, "l": GOOD}


def claimed(*names: str, wave: int = 2) -> e.TargetsClaimed:
    return e.TargetsClaimed(wave=wave, targets=tuple(t(name) for name in names))


def run_of(*said: e.ReleaseEvent) -> RunState:
    return fold_run(envelopes(said))


def move(
    said: tuple[e.ReleaseEvent, ...], plan: Plan = PLAN, now: datetime = NOW, **phases: Phase | TargetState
) -> RunMove:
    return next_move(plan, run_of(*said), states(plan, **phases), now)


def with_wave(number: int, wave: Wave) -> Plan:
    return replace(PLAN, waves=(*PLAN.waves[:number], wave, *PLAN.waves[number + 1 :]))


# --- from wave to wave -------------------------------------------------------------------------


def test_a_run_begins_with_its_first_wave() -> None:
    assert move((FIXED,)) == StartWave(0)


def test_a_wave_that_has_started_claims_its_first_target() -> None:
    assert move((FIXED, e.WaveStarted(wave=0))) == Claim(0, (t("@intake"),))


def test_a_wave_waits_for_what_it_has_in_flight() -> None:
    assert move(CANARY_CLAIMED, intake=GOOD, k=HEALTHY, l=Phase.VERIFYING) == Await((t("l"),))


def test_a_claim_that_never_began_is_waited_for_like_one_that_did() -> None:
    assert move((*IN_CANARY, claimed("k", wave=1)), intake=GOOD) == Await((t("k"),))


def test_the_bake_begins_when_the_last_target_is_healthy() -> None:
    now = NOW + timedelta(minutes=7)
    baking = e.WaveBaking(wave=1, until=now + timedelta(hours=1))

    assert move(CANARY_CLAIMED, now=now, intake=GOOD, k=HEALTHY, l=HEALTHY) == Record(baking)


def test_a_bake_is_a_stored_deadline_and_nothing_starts_before_it() -> None:
    before = UNTIL - timedelta(milliseconds=1)

    for now in (NOW, before):
        assert move(CANARY_BAKES, now=now, intake=GOOD, k=HEALTHY, l=HEALTHY) == Bake(UNTIL, (t("k"), t("l")))
    assert move(CANARY_BAKES, now=UNTIL, intake=GOOD, k=HEALTHY, l=HEALTHY) == Record(e.WaveJudging(wave=1))


def test_after_the_bake_every_healthy_target_is_judged_once() -> None:
    moves = move(CANARY_IS_JUDGED, now=UNTIL, intake=GOOD, k=HEALTHY, l=JUDGED)

    assert moves == Judge((t("k"),))


def test_what_has_settled_since_and_was_not_judged_has_still_to_be() -> None:
    settled = replace(HEALTHY, settled_at=UNTIL)

    assert move(CANARY_IS_JUDGED, now=UNTIL, intake=GOOD, k=settled, l=GOOD) == Judge((t("k"),))


def test_where_nobody_wrote_down_when_a_bake_ended_any_verdict_on_it_counts() -> None:
    waves = (WaveState(status=WaveStatus.PASSED), WaveState(status=WaveStatus.JUDGING), WaveState())
    run = RunState(run=Run.RUNNING, waves=waves)

    assert next_move(PLAN, run, states(PLAN, intake=GOOD, k=HEALTHY, l=JUDGED), NOW) == Judge((t("k"),))
    assert next_move(PLAN, run, states(PLAN, intake=GOOD, k=GOOD, l=JUDGED), NOW) == MarkGood((t("l"),))


def test_what_has_baked_and_was_judged_well_is_good_before_the_wave_passes() -> None:
    assert move(CANARY_IS_JUDGED, now=UNTIL, intake=GOOD, k=JUDGED, l=GOOD) == MarkGood((t("k"),))
    assert move(CANARY_IS_JUDGED, now=UNTIL, intake=GOOD, k=GOOD, l=GOOD) == Record(e.WavePassed(wave=1))


def test_the_next_wave_starts_when_the_one_before_it_has_passed() -> None:
    assert move((FIXED, *passed(0))) == StartWave(1)
    assert move((FIXED, *passed(0), *passed(1)), **WON) == StartWave(2)


def test_a_run_has_succeeded_when_its_last_wave_has_passed() -> None:
    assert move((FIXED, *passed(0), *passed(1), *passed(2)), **WON) == Record(
        e.RunEnded(outcome=e.Outcome.SUCCEEDED)
    )


def test_a_plan_without_waves_succeeds_at_once() -> None:
    empty = replace(PLAN, waves=(), targets=())

    assert move((e.PlanFixed(plan=digest_of("plan"), waves=0),), empty) == Record(
        e.RunEnded(outcome=e.Outcome.SUCCEEDED)
    )


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (e.Outcome.SUCCEEDED, EndingKind.SUCCEEDED),
        (e.Outcome.ROLLED_BACK, EndingKind.ROLLED_BACK),
        (e.Outcome.ROLLBACK_INCOMPLETE, EndingKind.ROLLBACK_INCOMPLETE),
        (e.Outcome.SUPERSEDED, EndingKind.SUPERSEDED),
    ],
)
def test_a_run_that_has_ended_does_nothing_more(outcome: e.Outcome, kind: EndingKind) -> None:
    ended = (FIXED, e.RunEnded(outcome=outcome))

    assert move(ended, intake=Phase.FAILED) == Finished(Ending(kind=kind))


def test_a_run_that_was_superseded_says_why_it_had_halted() -> None:
    said = (FIXED, HALTED, e.RunEnded(outcome=e.Outcome.SUPERSEDED))

    assert move(said) == Finished(Ending(kind=EndingKind.SUPERSEDED, reason="looks odd"))


def test_an_undecided_wave_is_never_walked_past() -> None:
    waves = (WaveState(status=WaveStatus.INCONCLUSIVE, reason="nobody can tell"), WaveState(), WaveState())
    run = RunState(run=Run.RUNNING, waves=waves)

    assert next_move(PLAN, run, states(PLAN, intake=GOOD), NOW) == Finished(
        Ending(kind=EndingKind.PAUSED, reason="nobody can tell")
    )


# --- failing -----------------------------------------------------------------------------------


def test_a_failure_starts_nothing_and_lets_what_is_in_flight_run_to_its_end() -> None:
    flying = (*IN_WAVE, claimed("a", "b"))

    assert move(flying, **WON, a=BROKEN, b=Phase.DEPLOYING) == Await((t("b"),))


def test_a_claim_that_never_began_is_not_begun_after_a_failure() -> None:
    failed = e.WaveFailed(wave=2, reason="a/us-east-1 failed: no answer")

    assert move((*IN_WAVE, claimed("a", "b")), **WON, a=BROKEN) == Record(failed)


def test_several_failures_are_told_with_the_first_ones_reason() -> None:
    failed = e.WaveFailed(wave=2, reason="2 of 3 targets failed: no answer")

    assert move(WAVE_CLAIMED, **WON, a=HEALTHY, b=BROKEN, c=Phase.UNKNOWN) == Record(failed)


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.UNKNOWN, Phase.QUARANTINED])
def test_what_is_not_known_fails_a_wave_as_surely_as_a_failure(phase: Phase) -> None:
    found = move(CANARY_CLAIMED, intake=GOOD, k=TargetState(phase=phase, reason="not readable"))

    assert found == Record(e.WaveFailed(wave=1, reason="k/us-east-1 failed: not readable"))


def test_a_wave_goes_on_up_to_its_tolerance_and_fails_behind_it() -> None:
    tolerant = with_wave(2, replace(PLAN.waves[2], tolerance=1))
    said = (*IN_WAVE, claimed("a", "b"))

    assert move(said, tolerant, **WON, a=BROKEN, b=HEALTHY) == Claim(2, (t("c"),))
    assert move(said, tolerant, **WON, a=BROKEN, b=BROKEN) == Record(
        e.WaveFailed(wave=2, reason="2 of 3 targets failed: no answer")
    )


def test_a_wave_within_its_tolerance_bakes_and_judges_only_the_healthy() -> None:
    tolerant = with_wave(2, replace(PLAN.waves[2], tolerance=1))
    bakes = (*WAVE_CLAIMED, e.WaveBaking(wave=2, until=UNTIL))
    found: Phases = {**WON, "a": BROKEN, "b": HEALTHY, "c": HEALTHY}

    assert move(WAVE_CLAIMED, tolerant, **found) == Record(e.WaveBaking(wave=2, until=UNTIL))
    assert move(bakes, tolerant, **found) == Bake(UNTIL, (t("b"), t("c")))
    over = (*bakes, e.WaveJudging(wave=2))
    assert move(over, tolerant, now=UNTIL, **found) == Judge((t("b"), t("c")))


@pytest.mark.parametrize("said", [CANARY_BAKES, CANARY_IS_JUDGED])
def test_a_target_that_falls_ill_during_its_bake_fails_the_wave(said: tuple[e.ReleaseEvent, ...]) -> None:
    failed = e.WaveFailed(wave=1, reason="l/us-east-1 failed: no answer")

    assert move(said, intake=GOOD, k=HEALTHY, l=BROKEN) == Record(failed)


@pytest.mark.parametrize(("wave", "said"), [(0, (FIXED,)), (1, (FIXED, *passed(0))), (2, IN_WAVE)])
@pytest.mark.parametrize("on_fail", list(OnFail))
def test_a_failed_wave_halts_or_goes_back_as_its_policy_says(
    wave: int, said: tuple[e.ReleaseEvent, ...], on_fail: OnFail
) -> None:
    plan = with_wave(wave, replace(PLAN.waves[wave], on_fail=on_fail))
    events: dict[OnFail, e.ReleaseEvent] = {
        OnFail.HOLD: e.RunHalted(reason="no answer", by="tidegate"),
        OnFail.ROLLBACK: e.RollbackOrdered(waves=(wave,), reason="no answer", by="tidegate"),
    }

    assert move((*said, e.WaveFailed(wave=wave, reason="no answer")), plan) == Record(events[on_fail])


def test_a_failed_wave_of_a_release_that_cannot_go_back_is_held_and_says_why() -> None:
    plan = replace(PLAN, rollback_safe=False)

    assert move((FIXED, *passed(0), e.WaveFailed(wave=1, reason="no answer")), plan) == Record(
        e.RunHalted(
            reason="no answer (held, not rolled back: this release says that going back is not safe)",
            by="tidegate",
        )
    )


# --- skipping ----------------------------------------------------------------------------------


def test_a_skipped_target_holds_nothing_up() -> None:
    skipped = (*IN_WAVE, claimed("a", "b", "c"))

    assert move(skipped, **WON, a=Phase.SKIPPED, b=HEALTHY, c=HEALTHY) == Record(
        e.WaveBaking(wave=2, until=UNTIL)
    )


def test_more_skipped_targets_than_may_be_fail_the_wave() -> None:
    capped = with_wave(2, replace(PLAN.waves[2], max_skipped=1))
    found: Phases = {**WON, "a": Phase.SKIPPED, "c": HEALTHY}

    assert move(WAVE_CLAIMED, capped, **found, b=HEALTHY) == Record(e.WaveBaking(wave=2, until=UNTIL))
    assert move(WAVE_CLAIMED, capped, **found, b=Phase.SKIPPED) == Record(
        e.WaveFailed(wave=2, reason="2 targets were skipped, and only 1 may be")
    )


def test_nobody_more_is_claimed_once_too_many_were_skipped() -> None:
    capped = with_wave(2, replace(PLAN.waves[2], max_skipped=0))

    assert move((*IN_WAVE, claimed("a")), capped, **WON, a=Phase.SKIPPED) == Record(
        e.WaveFailed(wave=2, reason="1 targets were skipped, and only 0 may be")
    )


def test_a_canary_of_which_nothing_was_tried_proves_nothing() -> None:
    assert move(CANARY_CLAIMED, intake=GOOD, k=Phase.SKIPPED, l=Phase.SKIPPED) == Record(
        e.WaveFailed(wave=1, reason="every target was skipped, so nothing has been tried")
    )
    assert move(CANARY_CLAIMED, intake=GOOD, k=Phase.SKIPPED, l=HEALTHY) == Record(
        e.WaveBaking(wave=1, until=UNTIL)
    )


def test_a_canary_of_which_nothing_was_tried_tells_why_the_first_was_skipped() -> None:
    first = TargetState(phase=Phase.SKIPPED, reason="the account is suspended")
    second = TargetState(phase=Phase.SKIPPED, reason="the role is missing")

    assert move(CANARY_CLAIMED, intake=GOOD, k=first, l=second) == Record(
        e.WaveFailed(
            wave=1, reason="every target was skipped, so nothing has been tried: the account is suspended"
        )
    )


def test_a_later_wave_may_be_skipped_altogether_and_has_nothing_to_bake_then() -> None:
    found = move(WAVE_CLAIMED, **WON, a=Phase.SKIPPED, b=Phase.SKIPPED, c=Phase.SKIPPED)

    assert found == Record(e.WaveBaking(wave=2, until=NOW))


# --- halting and resuming ----------------------------------------------------------------------

HALTED = e.RunHalted(reason="looks odd", by="ann")


def test_a_halted_run_follows_what_is_in_flight_to_its_end_and_starts_nothing() -> None:
    said = (*IN_WAVE, claimed("a", "b"), HALTED)

    assert move(said, **WON, a=HEALTHY, b=Phase.DEPLOYING) == Await((t("b"),))
    assert move(said, **WON, a=HEALTHY, b=HEALTHY) == Finished(
        Ending(kind=EndingKind.HALTED, reason="looks odd")
    )


def test_a_halt_in_a_bake_ends_the_run_there_also_when_the_bake_is_over() -> None:
    later = UNTIL + timedelta(days=1)

    assert move((*CANARY_BAKES, HALTED), now=later, intake=GOOD, k=HEALTHY, l=HEALTHY) == Finished(
        Ending(kind=EndingKind.HALTED, reason="looks odd")
    )


def test_a_resumed_wave_goes_on_over_what_was_forgiven() -> None:
    failed = e.WaveFailed(wave=2, reason="a/us-east-1 failed: no answer")
    halted = (*IN_WAVE, claimed("a"), failed, e.RunHalted(reason=failed.reason, by="tidegate"))
    resumed = (*halted, e.RunResumed(reason="looked at it", forgiven=(t("a"),)))

    assert move(resumed, **WON, a=BROKEN) == Claim(2, (t("b"), t("c")))


def test_a_resumed_wave_fails_again_over_what_was_not_forgiven() -> None:
    failed = e.WaveFailed(wave=2, reason="a/us-east-1 failed: no answer")
    halted = (*IN_WAVE, claimed("a", "b"), failed, e.RunHalted(reason=failed.reason, by="tidegate"))
    resumed = (*halted, e.RunResumed(reason="looked at it", forgiven=(t("a"),)))

    assert move(resumed, **WON, a=BROKEN, b=BROKEN) == Record(
        e.WaveFailed(wave=2, reason="b/us-east-1 failed: no answer")
    )


def test_a_resume_accepts_what_was_skipped_beyond_the_cap_as_well() -> None:
    capped = with_wave(2, replace(PLAN.waves[2], max_skipped=0))
    failed = e.WaveFailed(wave=2, reason="1 targets were skipped, and only 0 may be")
    said = (*WAVE_CLAIMED, failed, e.RunHalted(reason=failed.reason, by="tidegate"))
    found: Phases = {**WON, "a": Phase.SKIPPED, "b": HEALTHY, "c": HEALTHY}

    assert move((*said, e.RunResumed(reason="seen")), capped, **found) == Record(failed)
    accepted = (*said, e.RunResumed(reason="seen", forgiven=(t("a"),)))
    assert move(accepted, capped, **found) == Record(e.WaveBaking(wave=2, until=UNTIL))


def test_a_resumed_bake_keeps_its_deadline() -> None:
    resumed = (*CANARY_BAKES, HALTED, e.RunResumed(reason="looked at it"))

    assert move(resumed, intake=GOOD, k=HEALTHY, l=HEALTHY) == Bake(UNTIL, (t("k"), t("l")))


def test_a_wave_that_was_never_weighed_and_is_undecided_after_a_halt_waits_with_a_new_deadline() -> None:
    undecided = e.WaveInconclusive(wave=1, reason="nobody can tell", deadline=UNTIL)
    resumed = (*CANARY_BAKES, undecided, HALTED, e.RunResumed(reason="looked at it"))
    now = NOW + timedelta(days=1)

    assert move(resumed, now=now, intake=GOOD, k=HEALTHY, l=HEALTHY) == Record(
        e.WaveInconclusive(wave=1, reason="nobody can tell", deadline=now + timedelta(days=7))
    )


# --- rolling back ------------------------------------------------------------------------------

BACK = e.RollbackOrdered(waves=(2,), reason="no answer", by="ann")
ROLLED_BACK = TargetState(phase=Phase.ROLLED_BACK, desired=NEW, observed="intake@1.3.0", changed=True)
GOING_BACK = replace(HEALTHY, phase=Phase.ROLLING_BACK)


def test_what_is_still_going_forward_is_waited_for_before_anything_goes_back() -> None:
    assert move((*WAVE_CLAIMED, BACK), **WON, a=HEALTHY, b=Phase.VERIFYING, c=BROKEN) == Await((t("b"),))


def test_one_target_goes_back_first_to_try_the_way() -> None:
    said = (*WAVE_CLAIMED, BACK)

    assert move(said, **WON, a=HEALTHY, b=HEALTHY, c=HEALTHY) == ClaimRollback((t("c"),))
    assert move(said, **WON, a=HEALTHY, b=HEALTHY, c=GOING_BACK) == Await((t("c"),))
    assert move(said, **WON, a=HEALTHY, b=HEALTHY, c=ROLLED_BACK) == ClaimRollback((t("b"), t("a")))


def test_a_wave_that_has_gone_back_is_recorded_and_then_the_end() -> None:
    back: Phases = {**WON, "a": ROLLED_BACK, "b": ROLLED_BACK, "c": ROLLED_BACK}
    wave = e.WaveRolledBack(wave=2)

    assert move((*WAVE_CLAIMED, BACK), **back) == Record(wave)
    assert move((*WAVE_CLAIMED, BACK, wave), **back) == Record(e.RunEnded(outcome=e.Outcome.ROLLED_BACK))


def test_what_could_not_go_back_is_named_and_the_rollback_is_incomplete() -> None:
    stuck = TargetState(phase=Phase.QUARANTINED, desired=NEW, observed=NEW.release, changed=True)
    back: Phases = {**WON, "a": stuck, "b": ROLLED_BACK, "c": ROLLED_BACK}
    wave = e.WaveRolledBack(wave=2, incomplete=(t("a"),))

    assert move((*WAVE_CLAIMED, BACK), **back) == Record(wave)
    assert move((*WAVE_CLAIMED, BACK, wave), **back) == Record(
        e.RunEnded(outcome=e.Outcome.ROLLBACK_INCOMPLETE)
    )


def test_what_was_found_beyond_repair_and_left_alone_is_nothing_that_has_to_go_back() -> None:
    found = TargetState(phase=Phase.QUARANTINED, fault=e.Fault.ACCOUNT, desired=NEW, observed="intake@1.3.0")
    order = e.RollbackOrdered(waves=(0, 1), reason="no answer", by="ann")
    said = (*IN_CANARY, order)
    gone: Phases = {"intake": GOING_BACK, "k": ROLLED_BACK, "l": found}

    assert move(said, **gone) == Record(e.WaveRolledBack(wave=1))
    clients = (*said, e.WaveRolledBack(wave=1))
    assert move(clients, **gone) == Await((t("@intake"),))
    over = (*clients, e.WaveRolledBack(wave=0))
    assert move(over, intake=ROLLED_BACK, k=ROLLED_BACK, l=found) == Record(
        e.RunEnded(outcome=e.Outcome.ROLLED_BACK)
    )


def test_the_service_goes_back_last_and_after_every_client() -> None:
    order = e.RollbackOrdered(waves=(0, 1), reason="no answer", by="ann", recall=True)
    said = (*CANARY_CLAIMED, order)
    canary = e.WaveRolledBack(wave=1)

    assert move(said, intake=GOOD, k=HEALTHY, l=BROKEN) == ClaimRollback((t("l"),))
    assert move(said, intake=GOOD, k=ROLLED_BACK, l=ROLLED_BACK) == Record(canary)
    assert move((*said, canary), intake=GOOD, k=ROLLED_BACK, l=ROLLED_BACK) == ClaimRollback((t("@intake"),))


def test_a_client_that_stays_on_the_release_keeps_the_service_on_it() -> None:
    order = e.RollbackOrdered(waves=(2,), reason="no answer", by="ann")
    back: Phases = {**WON, "a": ROLLED_BACK, "b": ROLLED_BACK, "c": ROLLED_BACK}
    said = (*WAVE_CLAIMED, order, e.WaveRolledBack(wave=2))

    assert move(said, **back) == Record(e.RunEnded(outcome=e.Outcome.ROLLED_BACK))


def test_when_the_last_client_has_left_the_release_the_service_leaves_it_too() -> None:
    order = e.RollbackOrdered(waves=(1,), reason="no answer", by="tidegate")
    said = (*CANARY_CLAIMED, order, e.WaveRolledBack(wave=1))

    assert move(said, intake=GOOD, k=ROLLED_BACK, l=ROLLED_BACK) == Record(
        e.RollbackOrdered(waves=(0,), reason="no answer", by="tidegate")
    )


def test_two_regions_of_one_client_go_back_one_after_the_other() -> None:
    plan = a_plan(a_wave("x", "a", "a/eu-west-1"))
    fixed = (e.PlanFixed(plan=digest_of("plan"), waves=1), e.WaveStarted(wave=0))
    order = e.RollbackOrdered(waves=(0,), reason="no answer", by="ann")
    run = run_of(*fixed, e.TargetsClaimed(wave=0, targets=plan.waves[0].targets), order)
    first: dict[TargetId, TargetState] = {**states(plan, x=ROLLED_BACK, a=HEALTHY)}
    second = {**first, t("a/eu-west-1"): GOING_BACK}
    third = {**first, t("a/eu-west-1"): ROLLED_BACK}

    assert next_move(plan, run, first, NOW) == ClaimRollback((t("a/eu-west-1"),))
    assert next_move(plan, run, second, NOW) == Await((t("a/eu-west-1"),))
    assert next_move(plan, run, third, NOW) == ClaimRollback((t("a"),))


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ((e.RunEnded(outcome=e.Outcome.SUCCEEDED),), e.RunEnded(outcome=e.Outcome.SUCCEEDED)),
        ((HALTED,), e.RunHalted(reason="single targets were rolled back: no answer", by="ann")),
    ],
)
def test_after_a_single_target_went_back_the_run_stands_where_it_stood(
    before: tuple[e.ReleaseEvent, ...], event: e.ReleaseEvent
) -> None:
    order = e.RollbackOrdered(waves=(2,), reason="no answer", by="ann", targets=(t("a"),))
    said = (*WAVE_CLAIMED, *before, order)

    assert move(said, **WON, a=GOOD, b=GOOD, c=GOOD) == ClaimRollback((t("a"),))
    assert move(said, **WON, a=ROLLED_BACK, b=GOOD, c=GOOD) == Record(event)
