"""What a wave waits for before it starts, whom it leaves for later, and how a run pauses, hurries and is approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.decide.gates import defer, gate_of, listed, waiting_since
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
    Wait,
    Weigh,
    next_move,
)
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.fleet import Freeze
from pipeline.model.members import members, wave_of
from pipeline.model.plan import Plan, WaveKind
from pipeline.model.run_state import Run, RunState, WaveStatus, fold_run
from pipeline.model.target_state import Phase, TargetState
from tests.decide.runs import NEW, NOW, a_plan, a_wave, digest_of, envelopes, states, t

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PLAN_DIGEST = digest_of("plan")
ANN, BOB = "aws-user:111111111111/ann", "aws-user:111111111111/bob"
HEALTHY = TargetState(phase=Phase.HEALTHY, desired=NEW, observed=NEW.release, changed=True, settled_at=NOW)
JUDGED = replace(HEALTHY, verdict=e.Verdict.PASS)
GOOD = replace(JUDGED, goods=(NEW,))
WAVES = (a_wave("k", kind=WaveKind.CANARY), a_wave("a", "b"), a_wave("c", number=3), a_wave(number=4))
FIXED = e.PlanFixed(plan=PLAN_DIGEST, waves=4)


def frozen(plan: Plan, **until: datetime) -> Plan:
    """The same plan, with some clients frozen until an instant."""
    targets = tuple(
        replace(x, freezes=(Freeze(reason="audit", start=NOW - DAY, end=until[x.id.owner]),))
        if x.id.owner in until
        else x
        for x in plan.targets
    )
    return replace(plan, targets=targets)


def passed(number: int) -> tuple[e.ReleaseEvent, ...]:
    return (
        e.WaveStarted(wave=number),
        e.TargetsClaimed(wave=number, targets=WAVES[number].targets),
        e.WaveBaking(wave=number, until=NOW),
        e.WaveJudging(wave=number),
        e.WavePassed(wave=number),
    )


def run_of(*said: e.ReleaseEvent) -> RunState:
    return fold_run(replace(entry, actor=ANN) for entry in envelopes(said))


def move(
    said: tuple[e.ReleaseEvent, ...], plan: Plan, now: datetime = NOW, **phases: Phase | TargetState
) -> RunMove:
    return next_move(plan, run_of(*said), states(plan, **phases), now)


PLAN = a_plan(*WAVES)


# --- windows and freezes ---------------------------------------------------------------------------


def test_a_wave_claims_whoever_may_be_changed_now_and_passes_over_the_others() -> None:
    plan = frozen(PLAN, a=NOW + HOUR)
    said = (FIXED, *passed(0), e.WaveStarted(wave=1))
    assert move(said, plan, k=GOOD) == Claim(1, (t("b"),))


def test_a_late_client_goes_with_the_next_wave_and_holds_up_nobody() -> None:
    plan = frozen(PLAN, a=NOW + HOUR)
    said = (FIXED, *passed(0), e.WaveStarted(wave=1), e.TargetsClaimed(wave=1, targets=(t("b"),)))
    assert move(said, plan, k=GOOD, b=HEALTHY) == Record(
        e.TargetsDeferred(
            wave=1,
            to=2,
            targets=(t("a"),),
            reason="outside their maintenance windows or frozen, the first until 2026-01-05 10:00 UTC",
        )
    )


def test_what_was_deferred_belongs_to_the_later_wave_alone() -> None:
    run = run_of(FIXED, e.TargetsDeferred(wave=1, to=2, targets=(t("a"),), reason="late"))
    assert [members(PLAN, run, n) for n in range(4)] == [(t("k"),), (t("b"),), (t("c"), t("a")), ()]
    assert [wave_of(PLAN, run, t(name)) for name in ("k", "a", "b", "c")] == [0, 2, 1, 2]


def test_a_wave_of_closed_clients_gives_way_to_a_later_one_that_is_open() -> None:
    plan = frozen(PLAN, a=NOW + HOUR, b=NOW + 2 * HOUR)
    answer = move((FIXED, *passed(0)), plan, k=GOOD)
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.TargetsDeferred)
    assert (answer.event.to, answer.event.targets) == (2, (t("a"), t("b")))


def test_where_nobody_at_all_may_be_changed_the_run_waits_for_the_first_to_open() -> None:
    plan = frozen(PLAN, a=NOW + 2 * HOUR, b=NOW + HOUR, c=NOW + 3 * HOUR)
    gated = e.WaveGated(
        wave=1,
        gate=e.Gate.WINDOW,
        reason="waits for the maintenance windows or freezes of a/us-east-1, b/us-east-1",
        until=NOW + HOUR,
        deadline=NOW + 14 * DAY,
    )
    assert move((FIXED, *passed(0)), plan, k=GOOD) == Record(gated)
    assert move((FIXED, *passed(0), gated), plan, k=GOOD) == Wait(NOW + HOUR, gated.reason)
    assert move((FIXED, *passed(0), gated), plan, now=NOW + HOUR, k=GOOD) == StartWave(1)


def test_a_canary_never_gives_way_it_waits_for_its_clients() -> None:
    plan = frozen(PLAN, k=NOW + HOUR)
    answer = move((FIXED,), plan)
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.WaveGated)
    assert (answer.event.gate, answer.event.until) == (e.Gate.WINDOW, NOW + HOUR)


def test_a_window_that_stays_shut_for_too_long_halts_the_run() -> None:
    plan = frozen(PLAN, a=NOW + 30 * DAY, b=NOW + 30 * DAY, c=NOW + 30 * DAY)
    first = move((FIXED, *passed(0)), plan, k=GOOD)
    assert isinstance(first, Record)
    later = move((FIXED, *passed(0), first.event), plan, now=NOW + 14 * DAY, k=GOOD)  # type: ignore[arg-type]
    assert later == Record(
        e.RunHalted(
            reason="nobody decided in time: waits for the maintenance windows or freezes of"
            " a/us-east-1, b/us-east-1",
            by="tidegate",
        )
    )


def test_the_last_wave_waits_for_the_late_and_an_empty_one_passes_at_once() -> None:
    said = (FIXED, *passed(0), *passed(1), *passed(2), e.WaveStarted(wave=3))
    everybody = dict.fromkeys("kabc", GOOD)
    assert move(said, PLAN, **everybody) == Record(e.WaveBaking(wave=3, until=NOW))
    late = (*said, e.TargetsDeferred(wave=2, to=3, targets=(t("c"),), reason="late"))
    answer = move(late, frozen(PLAN, c=NOW + HOUR), **{**everybody, "c": Phase.PENDING})
    assert answer == Wait(NOW + HOUR, "waits for the maintenance windows or freezes of c/us-east-1")


def test_a_wave_of_closed_clients_waits_no_longer_than_until_a_later_one_opens() -> None:
    plan = frozen(PLAN, a=NOW + 3 * DAY, b=NOW + 2 * DAY, c=NOW + HOUR)
    answer = move((FIXED, *passed(0)), plan, k=GOOD)
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.WaveGated)
    assert answer.event.until == NOW + HOUR
    then = move((FIXED, *passed(0), answer.event), plan, now=NOW + HOUR, k=GOOD)
    assert isinstance(then, Record)
    assert isinstance(then.event, e.TargetsDeferred)
    assert then.event.targets == (t("a"), t("b"))


def test_a_claim_that_a_halt_has_let_go_of_is_not_begun_outside_its_window() -> None:
    halted = e.RunHalted(reason="looks odd", by=ANN)
    claimed = e.TargetsClaimed(wave=1, targets=(t("a"), t("b")))
    said = (FIXED, *passed(0), e.WaveStarted(wave=1), claimed, halted, e.RunResumed(reason="fine"))
    shut = frozen(PLAN, a=NOW + HOUR)
    assert move(said, PLAN, k=GOOD, b=HEALTHY) == Await((t("a"),))
    answer = move(said, shut, k=GOOD, b=HEALTHY)
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.TargetsDeferred)
    assert answer.event.targets == (t("a"),)
    canary = (FIXED, e.WaveStarted(wave=0), e.TargetsClaimed(wave=0, targets=(t("k"),)))
    assert move(canary, frozen(PLAN, k=NOW + HOUR)) == Wait(
        NOW + HOUR, "waits for the maintenance windows or freezes of k/us-east-1"
    )


def test_a_late_client_does_not_hold_up_a_wave_of_which_all_others_were_skipped() -> None:
    said = (FIXED, *passed(0), e.WaveStarted(wave=1), e.TargetsClaimed(wave=1, targets=(t("b"),)))
    answer = move(said, frozen(PLAN, a=NOW + HOUR), k=GOOD, b=Phase.SKIPPED)
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.TargetsDeferred)


def test_the_services_own_account_never_goes_with_a_wave_of_clients() -> None:
    service = a_wave("@intake", "@intake/eu-west-1", kind=WaveKind.SERVICE)
    plan = a_plan(service, *WAVES[:1])
    later = replace(plan.targets[1], freezes=(Freeze(reason="audit", start=NOW - DAY, end=NOW + HOUR),))
    plan = replace(plan, targets=(plan.targets[0], later, *plan.targets[2:]))
    fixed = e.PlanFixed(plan=PLAN_DIGEST, waves=2)
    first = t("@intake")
    said = (fixed, e.WaveStarted(wave=0), e.TargetsClaimed(wave=0, targets=(first,)))
    found = {**states(plan), first: HEALTHY}
    assert next_move(plan, run_of(*said), found, NOW) == Wait(
        NOW + HOUR, "waits for the maintenance windows or freezes of @intake/eu-west-1"
    )


def test_a_wave_that_began_and_claimed_nobody_waits_no_longer_than_may_be_deferred() -> None:
    plan = frozen(PLAN, k=NOW + 30 * DAY)
    began = (FIXED, e.WaveStarted(wave=0))
    deadline = NOW + timedelta(seconds=1) + 14 * DAY  # the wave began with the second event
    why = "waits for the maintenance windows or freezes of k/us-east-1"
    assert move(began, plan, now=deadline - HOUR) == Wait(deadline, why)
    assert move(began, plan, now=deadline) == Record(
        e.RunHalted(reason=f"nobody decided in time: {why}", by="tidegate")
    )


def test_a_late_client_of_a_canary_goes_later_once_another_has_tried_the_release() -> None:
    plan = frozen(a_plan(a_wave("k", "l", kind=WaveKind.CANARY), WAVES[1]), l=NOW + HOUR)
    said = (e.PlanFixed(plan=PLAN_DIGEST, waves=2), e.WaveStarted(wave=0))
    claimed = e.TargetsClaimed(wave=0, targets=(t("k"),))
    answer = move((*said, claimed), plan, k=HEALTHY)
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.TargetsDeferred)
    assert (answer.event.to, answer.event.targets) == (1, (t("l"),))
    untried = move((*said, claimed), plan, k=Phase.SKIPPED)
    assert isinstance(untried, Wait)


def test_a_wait_is_told_again_when_what_it_waits_for_has_moved() -> None:
    said = (FIXED, e.WaveGated(wave=0, gate=e.Gate.WINDOW, reason="?", until=NOW + HOUR, deadline=NOW + DAY))
    answer = move(said, frozen(PLAN, k=NOW + 2 * HOUR))
    assert isinstance(answer, Record)
    assert isinstance(answer.event, e.WaveGated)
    assert (answer.event.until, answer.event.deadline) == (NOW + 2 * HOUR, NOW + DAY)


def test_a_wait_that_goes_on_keeps_the_deadline_that_it_began_with() -> None:
    later = NOW + 2 * HOUR
    plan = frozen(PLAN, k=NOW + DAY)
    first = gate_of(plan, 0, run_of(FIXED), NOW)
    assert isinstance(first, e.WaveGated)
    assert first.deadline == NOW + 14 * DAY
    longer = frozen(PLAN, k=NOW + 2 * DAY)
    assert gate_of(longer, 0, run_of(FIXED, first), later) == replace(first, until=NOW + 2 * DAY)


def test_a_wait_for_windows_that_follows_one_for_an_approval_has_a_deadline_of_its_own() -> None:
    asked = e.WaveGated(wave=0, gate=e.Gate.APPROVAL, reason="asked", deadline=NOW + DAY)
    found = gate_of(frozen(PLAN, k=NOW + DAY), 0, run_of(FIXED, asked), NOW + HOUR)
    assert isinstance(found, e.WaveGated)
    assert (found.gate, found.deadline) == (e.Gate.WINDOW, NOW + HOUR + 14 * DAY)


def test_the_late_may_go_with_the_last_wave_and_with_none_behind_it() -> None:
    late = (t("c"),)
    found = defer(frozen(PLAN, c=NOW + HOUR), 2, late, NOW)
    assert found is not None
    assert (found.wave, found.to, found.targets) == (2, 3, late)
    assert defer(PLAN, 3, late, NOW) is None


def test_a_run_in_which_nothing_has_moved_yet_has_waited_for_no_time() -> None:
    assert waiting_since(RunState(), NOW) == NOW
    assert waiting_since(RunState(changed_at=NOW - HOUR), NOW) == NOW - HOUR


def test_of_many_targets_three_are_named_and_the_others_counted() -> None:
    many = tuple(t(name) for name in "abcde")
    assert listed(many[:3]) == "a/us-east-1, b/us-east-1, c/us-east-1"
    assert listed(many[:4]) == "a/us-east-1, b/us-east-1, c/us-east-1 and 1 more"
    assert listed(many) == "a/us-east-1, b/us-east-1, c/us-east-1 and 2 more"


# --- approvals -------------------------------------------------------------------------------------

GUARDED = a_plan(WAVES[0], replace(WAVES[1], approval=True), *WAVES[2:])
ASKED = e.WaveGated(
    wave=1,
    gate=e.Gate.APPROVAL,
    reason="wave 2 waits for the approval of somebody other than aws-user:111111111111/ann",
    deadline=NOW + 7 * DAY,
)


def approval(by: str = BOB, **changed: object) -> e.ApprovalGiven:
    given = e.ApprovalGiven(subject="wave:2", plan=PLAN_DIGEST, by=by, expires=NOW + DAY)
    return replace(given, **changed)  # type: ignore[arg-type]


def test_a_wave_that_wants_an_approval_waits_for_it_and_ends_the_command() -> None:
    assert move((FIXED, *passed(0)), GUARDED, k=GOOD) == Record(ASKED)
    waits = Ending(kind=EndingKind.AWAITING_APPROVAL, reason=ASKED.reason, until=ASKED.deadline)
    assert move((FIXED, *passed(0), ASKED), GUARDED, k=GOOD) == Finished(waits)


def test_where_nobody_knows_who_began_the_run_a_second_person_is_asked_for() -> None:
    found = gate_of(GUARDED, 1, replace(run_of(FIXED, *passed(0)), starter=""), NOW)
    assert found == replace(ASKED, reason="wave 2 waits for the approval of a second person")


def test_an_approval_by_somebody_else_for_this_plan_opens_the_gate() -> None:
    said = (FIXED, *passed(0), ASKED, approval())
    assert move(said, GUARDED, k=GOOD) == StartWave(1)


def test_an_approval_of_another_plan_an_expired_one_or_ones_own_opens_nothing() -> None:
    other = approval(plan=digest_of("another plan"))
    expired = approval(expires=NOW)
    own = approval(by=ANN)
    elsewhere = approval(subject="wave:3")
    said = (FIXED, *passed(0), ASKED, other, expired, own, elsewhere)
    assert isinstance(move(said, GUARDED, k=GOOD), Finished)


def test_a_gate_that_nobody_opens_in_time_becomes_a_halt() -> None:
    said = (FIXED, *passed(0), ASKED)
    assert move(said, GUARDED, now=ASKED.deadline, k=GOOD) == Record(
        e.RunHalted(reason=f"nobody decided in time: {ASKED.reason}", by="tidegate")
    )


# --- pausing ---------------------------------------------------------------------------------------

PAUSED = e.RunPaused(reason="lunch", by=ANN, deadline=NOW + 7 * DAY)


def test_a_paused_run_starts_nothing_follows_what_is_in_flight_and_then_stops() -> None:
    said = (FIXED, e.WaveStarted(wave=0), e.TargetsClaimed(wave=0, targets=(t("k"),)), PAUSED)
    flying = TargetState(phase=Phase.DEPLOYING, desired=NEW)
    assert move(said, PLAN, k=flying) == Await((t("k"),))
    stopped = Ending(kind=EndingKind.PAUSED, reason="lunch", until=NOW + 7 * DAY)
    assert move(said, PLAN, k=HEALTHY) == Finished(stopped)


def test_a_resumed_run_goes_on_where_it_stood_and_a_forgotten_pause_becomes_a_halt() -> None:
    said = (FIXED, e.WaveStarted(wave=0), PAUSED)
    assert move((*said, e.RunResumed(reason="back")), PLAN) == Claim(0, (t("k"),))
    halted = Record(e.RunHalted(reason="nobody decided in time: lunch", by="tidegate"))
    assert move(said, PLAN, now=PAUSED.deadline) == halted


def test_a_wave_that_is_still_undecided_after_a_halt_gets_a_deadline_again() -> None:
    look = e.WaveJudged(wave=0, look=1, verdict=e.Verdict.NO_DATA, reason="dark", evidence=digest_of("seen"))
    undecided = e.WaveInconclusive(wave=0, reason="dark", deadline=NOW + DAY, evidence=look.evidence)
    halted = e.RunHalted(reason="nobody decided in time: dark", by="tidegate")
    said = (FIXED, *passed(0)[:-1], look, undecided, halted, e.RunResumed(reason="back"))
    again = replace(undecided, deadline=NOW + 9 * DAY)
    assert move(said, PLAN, now=NOW + 2 * DAY, k=HEALTHY) == Record(again)
    stopped = Ending(kind=EndingKind.PAUSED, reason="dark", until=NOW + 9 * DAY)
    assert move((*said, again), PLAN, now=NOW + 2 * DAY, k=HEALTHY) == Finished(stopped)


def test_the_end_of_a_pause_accepts_nothing_that_has_failed() -> None:
    failed = e.WaveFailed(wave=0, reason="the judge failed the canary")
    said = (FIXED, *passed(0)[:-1], failed, PAUSED, e.RunResumed(reason="back"))
    assert move(said, PLAN, k=HEALTHY) == Record(
        e.RollbackOrdered(waves=(0,), reason="the judge failed the canary", by="tidegate")
    )


# --- hurrying --------------------------------------------------------------------------------------

BAKING = (
    FIXED,
    e.WaveStarted(wave=0),
    e.TargetsClaimed(wave=0, targets=(t("k"),)),
    e.WaveBaking(wave=0, until=NOW + HOUR),
)


def lane(which: e.Lane) -> tuple[e.ReleaseEvent, ...]:
    asked = e.LaneAsked(lane=which, reason="fire", skips=("the rest of every bake",), ticket="INC-1")
    return (asked, approval(subject=f"lane:{which}"))


def test_a_lane_that_nobody_else_has_approved_changes_nothing() -> None:
    asked = lane(e.Lane.FULL)[0]
    assert move((*BAKING, asked), PLAN, k=HEALTHY) == Bake(NOW + HOUR, (t("k"),))
    own = approval(subject="lane:full", by=ANN)
    assert move((*BAKING, asked, own), PLAN, k=HEALTHY) == Bake(NOW + HOUR, (t("k"),))


def test_an_approval_of_an_earlier_wish_does_not_hold_for_a_later_one() -> None:
    said = (*BAKING, *lane(e.Lane.EMERGENCY), lane(e.Lane.FULL)[0])
    assert move(said, PLAN, k=HEALTHY) == Bake(NOW + HOUR, (t("k"),))


def test_full_ends_the_bake_at_once_and_nothing_counts_as_good_yet() -> None:
    said = (*BAKING, *lane(e.Lane.FULL))
    assert move(said, PLAN, k=HEALTHY) == Record(e.WaveJudging(wave=0))
    passes = Record(e.WavePassed(wave=0, hurried=True))
    assert move((*said, e.WaveJudging(wave=0)), PLAN, k=HEALTHY) == passes


def test_an_emergency_shortens_the_bake_and_still_looks_at_every_target() -> None:
    said = (*BAKING, *lane(e.Lane.EMERGENCY))
    short = NOW + timedelta(seconds=3, minutes=10)  # the bake began with the fourth event
    assert move(said, PLAN, k=HEALTHY) == Bake(short, (t("k"),))
    judging = (*said, e.WaveJudging(wave=0))
    assert move(judging, PLAN, now=short, k=HEALTHY) == Judge((t("k"),))
    judged = replace(JUDGED, settled_at=short)
    assert move(judging, PLAN, now=short, k=judged) == Record(e.WavePassed(wave=0, hurried=True))


def test_the_numbers_are_not_looked_at_in_a_bake_that_is_hurried() -> None:
    weighed = a_plan(replace(WAVES[0], min_requests=1), *WAVES[1:])
    plan = replace(weighed, judge=replace(weighed.judge, looks=20))
    now = (NOW + timedelta(seconds=3)) + timedelta(minutes=4)
    assert move(BAKING, plan, now=now, k=HEALTHY) == Weigh(0, 1)
    short = Bake((NOW + timedelta(seconds=3)) + timedelta(minutes=10), (t("k"),))
    assert move((*BAKING, *lane(e.Lane.EMERGENCY)), plan, now=now, k=HEALTHY) == short
    over = (*BAKING, *lane(e.Lane.FULL), e.WaveJudging(wave=0))
    assert move(over, plan, now=now, k=HEALTHY) == Record(e.WavePassed(wave=0, hurried=True))


def test_a_bake_that_was_cut_short_goes_on_when_the_lane_is_in_force_no_more() -> None:
    said = (*BAKING, *lane(e.Lane.EMERGENCY), e.WaveJudging(wave=0), lane(e.Lane.FULL)[0])
    early = replace(JUDGED, settled_at=NOW + timedelta(minutes=11))
    assert move(said, PLAN, now=NOW + timedelta(minutes=12), k=early) == Bake(NOW + HOUR, (t("k"),))
    assert move(said, PLAN, now=NOW + HOUR, k=early) == Judge((t("k"),))


def test_what_was_seen_before_the_end_of_a_bake_says_nothing_of_how_it_has_baked() -> None:
    """A wave that bakes once more, after a retry or an extension, is looked at once more."""
    again = (*BAKING, e.WaveJudging(wave=0), e.BakeExtended(wave=0, until=NOW, reason="dark"))
    said = (*again, e.WaveJudging(wave=0))
    assert move(
        said, PLAN, now=NOW + HOUR, k=replace(JUDGED, settled_at=NOW + timedelta(seconds=4))
    ) == Judge((t("k"),))
    assert move(
        said, PLAN, now=NOW + HOUR, k=replace(JUDGED, settled_at=NOW + timedelta(seconds=6))
    ) == MarkGood((t("k"),))


def test_neither_lane_skips_a_failure_the_pace_or_an_approval() -> None:
    for which in e.Lane:
        said = (FIXED, *lane(which), e.WaveStarted(wave=0))
        two = a_plan(a_wave("k", "l", kind=WaveKind.CANARY), *WAVES[1:])
        assert move(said, two) == Claim(0, (t("k"),))
        failed = TargetState(phase=Phase.FAILED, desired=NEW, reason="broken")
        assert move((*BAKING, *lane(which)), PLAN, k=failed) == Record(
            e.WaveFailed(wave=0, reason="k/us-east-1 failed: broken")
        )
        hurried = (FIXED, *lane(which), *passed(0)[:-1], e.WavePassed(wave=0, hurried=True))
        gated = move(hurried, GUARDED, k=JUDGED)
        assert isinstance(gated, Record)
        assert isinstance(gated.event, e.WaveGated)


HURRIED = (
    FIXED,
    *lane(e.Lane.FULL),
    *(e.WavePassed(wave=number, hurried=number < 3) for number in range(4)),
)


def test_a_hurried_release_owes_a_follow_up_before_it_is_good_or_done() -> None:
    everybody = dict.fromkeys("kabc", HEALTHY)
    assert move(HURRIED, PLAN, **everybody) == Record(e.FollowUpScheduled(until=NOW + HOUR))
    owing = (*HURRIED, e.FollowUpScheduled(until=NOW + HOUR))
    ids = tuple(t(name) for name in "kabc")
    assert move(owing, PLAN, **everybody) == Bake(NOW + HOUR, ids)
    assert move(owing, PLAN, now=NOW + HOUR, **everybody) == Judge(ids)


def test_the_follow_up_looks_anew_also_at_what_an_emergency_had_looked_at() -> None:
    owing = (*HURRIED, e.FollowUpScheduled(until=NOW + HOUR))
    early = dict.fromkeys("kabc", JUDGED)
    assert move(owing, PLAN, now=NOW + HOUR, **early) == Judge(tuple(t(name) for name in "kabc"))
    late = replace(JUDGED, settled_at=NOW + HOUR)
    assert move(owing, PLAN, now=NOW + HOUR, **dict.fromkeys("kabc", late)) == MarkGood(
        tuple(t(name) for name in "kabc")
    )
    good = replace(late, goods=(NEW,))
    assert move(owing, PLAN, now=NOW + HOUR, **dict.fromkeys("kabc", good)) == Record(
        e.RunEnded(outcome=e.Outcome.SUCCEEDED)
    )


def test_a_failure_in_the_follow_up_halts() -> None:
    owing = (*HURRIED, e.FollowUpScheduled(until=NOW + HOUR))
    failed = TargetState(phase=Phase.FAILED, desired=NEW, reason="slow")
    everybody = {"k": HEALTHY, "a": failed, "b": HEALTHY, "c": HEALTHY}
    assert move(owing, PLAN, **everybody) == Record(
        e.RunHalted(reason="a/us-east-1 failed: slow", by="tidegate")
    )
    assert move(owing, PLAN, **{**everybody, "b": failed}) == Record(
        e.RunHalted(reason="2 of 4 targets failed: slow", by="tidegate")
    )


# --- retrying --------------------------------------------------------------------------------------


def test_a_retry_claims_the_failed_target_again_at_the_pace_of_its_wave() -> None:
    halted = (
        FIXED,
        *passed(0),
        e.WaveStarted(wave=1),
        e.TargetsClaimed(wave=1, targets=(t("a"), t("b"))),
        e.WaveFailed(wave=1, reason="a failed"),
        e.RunHalted(reason="a failed", by="tidegate"),
        e.RetryOrdered(targets=(t("a"),), reason="mended"),
    )
    assert run_of(*halted).run is Run.RUNNING
    assert move(halted, PLAN, k=GOOD, b=HEALTHY) == Claim(1, (t("a"),))


def test_a_target_retried_after_its_wave_has_passed_goes_with_the_present_one() -> None:
    said = (
        FIXED,
        *passed(0),
        *passed(1),
        e.WaveStarted(wave=2),
        e.RetryOrdered(targets=(t("a"),), reason="mended"),
    )
    run = run_of(*said)
    assert members(PLAN, run, 1) == (t("b"),)
    assert members(PLAN, run, 2) == (t("c"), t("a"))
    assert run.waves[1].status is WaveStatus.PASSED


def test_a_target_retried_after_every_wave_has_passed_opens_its_own_again() -> None:
    owing = (*HURRIED, e.FollowUpScheduled(until=NOW + HOUR), e.RunHalted(reason="a failed", by="tidegate"))
    claimed = e.TargetsClaimed(wave=1, targets=(t("a"), t("b")))
    said = (*owing[:3], claimed, *owing[3:], e.RetryOrdered(targets=(t("a"),), reason="mended"))
    others = dict.fromkeys("kbc", JUDGED)
    assert move(said, PLAN, **others) == Claim(1, (t("a"),))
    assert run_of(*said).follow_up_until is None


def test_a_service_retried_after_its_wave_has_passed_goes_with_no_wave_of_clients() -> None:
    plan = a_plan(a_wave("@intake", kind=WaveKind.SERVICE), *WAVES[:2])
    service = t("@intake")
    said = (
        e.PlanFixed(plan=PLAN_DIGEST, waves=3),
        e.TargetsClaimed(wave=0, targets=(service,)),
        e.WavePassed(wave=0),
        e.WavePassed(wave=1),
        e.WaveStarted(wave=2),
        e.RetryOrdered(targets=(service,), reason="mended"),
    )
    assert [members(plan, run_of(*said), n) for n in range(3)] == [(service,), (t("k"),), (t("a"), t("b"))]
    assert move(said, plan, k=GOOD) == Claim(0, (service,))
