"""When the judge looks during a bake, and what comes of what it says: it never passes by waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.decide.bakes import bake_end, is_judged, next_look
from pipeline.decide.run_steps import (
    Bake,
    Finished,
    Judge,
    MarkGood,
    Record,
    RunMove,
    Weigh,
    next_move,
)
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.plan import WaveKind
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus, fold_run
from pipeline.model.target_state import Phase, TargetState
from tests.decide.runs import NEW, NOW, a_plan, a_wave, digest_of, envelopes, states, t

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HEALTHY = TargetState(phase=Phase.HEALTHY, desired=NEW, observed=NEW.release, changed=True)
JUDGED = replace(HEALTHY, verdict=e.Verdict.PASS, settled_at=NOW + timedelta(days=2))
JUDGE = JudgePolicy(
    metrics=(MetricSpec(name="errors", kind=MetricKind.RATE, namespace="AWS/Lambda", errors="Errors"),),
    looks=3,
)
PLAN = replace(a_plan(replace(a_wave("k", kind=WaveKind.CANARY), extend=HOUR), a_wave("a")), judge=JUDGE)
BEGAN = NOW + timedelta(seconds=3)
"""the fourth event"""
OVER = BEGAN + HOUR
BAKING = (
    e.PlanFixed(plan=digest_of("plan"), waves=2),
    e.WaveStarted(wave=0),
    e.TargetsClaimed(wave=0, targets=(t("k"),)),
    e.WaveBaking(wave=0, until=OVER),
)
JUDGING = e.WaveJudging(wave=0)
PROOF = digest_of("numbers")


def said_by_the_judge(verdict: e.Verdict, look: int) -> e.WaveJudged:
    return e.WaveJudged(wave=0, look=look, verdict=verdict, reason="for a reason", evidence=PROOF)


def move(*said: e.ReleaseEvent, now: datetime = OVER, k: TargetState = JUDGED) -> RunMove:
    return next_move(PLAN, fold_run(envelopes((*BAKING, *said))), states(PLAN, k=k), now)


def test_the_judge_looks_at_every_registered_part_of_the_bake() -> None:
    assert move(now=BEGAN, k=HEALTHY) == Bake(BEGAN + 20 * MINUTE, (t("k"),))
    assert move(now=BEGAN + 20 * MINUTE, k=HEALTHY) == Weigh(0, 1)
    first = said_by_the_judge(e.Verdict.INCONCLUSIVE, 1)
    assert move(first, now=BEGAN + 21 * MINUTE, k=HEALTHY) == Bake(BEGAN + 40 * MINUTE, (t("k"),))
    assert move(first, now=BEGAN + 40 * MINUTE, k=HEALTHY) == Weigh(0, 2)
    second = said_by_the_judge(e.Verdict.INCONCLUSIVE, 2)
    assert move(first, second, now=BEGAN + 41 * MINUTE, k=HEALTHY) == Bake(OVER, (t("k"),))


def test_a_look_that_nobody_was_there_for_is_not_made_up_for() -> None:
    assert move(now=BEGAN + 40 * MINUTE, k=HEALTHY) == Weigh(0, 2)
    assert move(now=BEGAN + 45 * MINUTE, k=HEALTHY) == Weigh(0, 2)


def test_no_look_is_due_where_nothing_is_judged_hurried_extended_or_not_yet_baking() -> None:
    baking = WaveState(status=WaveStatus.BAKING, bake_from=BEGAN, bake_until=OVER)
    now = BEGAN + 20 * MINUTE

    def due(wave: WaveState, number: int = 0, lane: e.Lane | None = None) -> tuple[int, datetime] | None:
        return next_look(PLAN, number, RunState(waves=(wave, wave)), lane, now)

    assert due(baking) == (1, now)
    assert due(baking, number=1) is None
    assert due(baking, lane=e.Lane.EMERGENCY) is None
    assert due(replace(baking, extended=True)) is None
    assert due(replace(baking, bake_from=None)) is None


@pytest.mark.parametrize(
    ("lane", "began", "until", "end"),
    [
        (None, BEGAN, OVER, OVER),
        (None, BEGAN, None, BEGAN + MINUTE),
        (e.Lane.FULL, BEGAN, OVER, BEGAN + MINUTE),
        (e.Lane.EMERGENCY, BEGAN, OVER, BEGAN + 10 * MINUTE),
        (e.Lane.EMERGENCY, BEGAN, BEGAN + 5 * MINUTE, BEGAN + 5 * MINUTE),
        (e.Lane.EMERGENCY, None, OVER, BEGAN + 11 * MINUTE),
    ],
)
def test_a_lane_ends_a_bake_earlier_and_never_later(
    lane: e.Lane | None, began: datetime | None, until: datetime | None, end: datetime
) -> None:
    wave = WaveState(status=WaveStatus.BAKING, bake_from=began, bake_until=until)

    assert PLAN.emergency_bake == 10 * MINUTE
    assert bake_end(PLAN, wave, lane, BEGAN + MINUTE) == end


def test_the_hard_gates_come_before_the_numbers() -> None:
    assert move(now=OVER, k=HEALTHY) == Record(JUDGING)
    assert move(JUDGING, k=HEALTHY) == Judge((t("k"),))
    assert move(JUDGING) == Weigh(0, 3)


@pytest.mark.parametrize("said", [(), (JUDGING,)], ids=["early", "at the end"])
def test_a_fail_fails_the_wave_whenever_it_comes(said: tuple[e.ReleaseEvent, ...]) -> None:
    failed = Record(e.WaveFailed(wave=0, reason="the judge failed the canary: for a reason"))
    assert move(*said, said_by_the_judge(e.Verdict.FAIL, 1), now=BEGAN + 21 * MINUTE) == failed


def test_an_early_pass_ends_no_bake() -> None:
    early = said_by_the_judge(e.Verdict.PASS, 1)
    assert move(early, now=BEGAN + 21 * MINUTE) == Bake(BEGAN + 40 * MINUTE, (t("k"),))


def test_a_pass_at_the_end_lets_the_wave_pass() -> None:
    assert move(JUDGING, said_by_the_judge(e.Verdict.PASS, 3)) == MarkGood((t("k"),))


@pytest.mark.parametrize("verdict", [e.Verdict.INCONCLUSIVE, e.Verdict.NO_DATA])
def test_short_evidence_extends_the_bake_once_and_then_a_person_decides(verdict: e.Verdict) -> None:
    final = said_by_the_judge(verdict, 3)
    extended = e.BakeExtended(wave=0, until=OVER + HOUR, reason="for a reason")
    assert move(JUDGING, final) == Record(extended)
    longer = (JUDGING, final, extended)
    assert move(*longer, now=OVER + MINUTE) == Bake(OVER + HOUR, (t("k"),))
    assert move(*longer, JUDGING, now=OVER + HOUR) == Weigh(0, 4)
    again = said_by_the_judge(verdict, 4)
    undecided = e.WaveInconclusive(
        wave=0,
        reason="the judge cannot tell: for a reason",
        deadline=OVER + HOUR + timedelta(days=7),
        evidence=PROOF,
    )
    assert move(*longer, JUDGING, again, now=OVER + HOUR) == Record(undecided)
    stands = Ending(kind=EndingKind.PAUSED, reason=undecided.reason, until=undecided.deadline)
    assert move(*longer, JUDGING, again, undecided, now=OVER + 3 * HOUR) == Finished(stands)
    assert move(*longer, JUDGING, again, undecided, now=undecided.deadline) == Record(
        e.RunHalted(reason=f"nobody decided in time: {undecided.reason}", by="tidegate")
    )


def undecided(verdict: e.Verdict, look: int) -> tuple[e.ReleaseEvent, ...]:
    waits = e.WaveInconclusive(wave=0, reason="?", deadline=OVER + HOUR, evidence=PROOF)
    return (said_by_the_judge(verdict, look), waits)


def test_a_decision_lets_this_wave_pass_this_once() -> None:
    waits = (JUDGING, *undecided(e.Verdict.INCONCLUSIVE, 3))
    decided = e.WaveDecided(wave=0, reason="looked at the numbers", evidence=PROOF)
    bake_is_over = e.BakeExtended(wave=0, until=NOW, reason="?")
    assert move(bake_is_over, *waits, decided) == MarkGood((t("k"),))


def test_going_on_is_not_deciding() -> None:
    waits = (JUDGING, *undecided(e.Verdict.INCONCLUSIVE, 3))
    run = fold_run(envelopes((*BAKING, *waits, e.RunResumed(reason="go on"))))
    assert run.run is Run.PAUSED
    again = move(*waits, e.RunResumed(reason="go on"))
    assert isinstance(again, Record)
    assert isinstance(again.event, e.WaveInconclusive)
    assert isinstance(move(*waits, e.RunResumed(reason="go on"), again.event), Finished)


def test_a_fleet_event_freezes_and_blames_nobody() -> None:
    event = said_by_the_judge(e.Verdict.FLEET_EVENT, 1)
    frozen = e.WaveInconclusive(
        wave=0,
        reason="the whole fleet has moved: for a reason",
        deadline=BEGAN + 21 * MINUTE + timedelta(days=7),
        evidence=PROOF,
    )
    assert move(event, now=BEGAN + 21 * MINUTE) == Record(frozen)


def test_who_decides_during_the_bake_has_not_decided_its_end() -> None:
    waits = undecided(e.Verdict.FLEET_EVENT, 1)
    decided = (*waits, e.WaveDecided(wave=0, reason="an AWS incident, over", evidence=PROOF))
    assert move(*decided, now=BEGAN + 25 * MINUTE) == Bake(BEGAN + 40 * MINUTE, (t("k"),))
    assert move(*decided, JUDGING) == Weigh(0, 3)
    last = said_by_the_judge(e.Verdict.INCONCLUSIVE, 3)
    assert isinstance(move(*decided, JUDGING, last), Record)


def test_a_wave_that_was_forgiven_bakes_anew_and_is_judged_anew() -> None:
    halted = (
        said_by_the_judge(e.Verdict.FAIL, 1),
        e.WaveFailed(wave=0, reason="bad"),
        e.RunHalted(reason="bad", by="tidegate"),
        e.RunResumed(reason="it was the load test"),
    )
    again = OVER + HOUR
    assert move(*halted) == Record(e.WaveBaking(wave=0, until=again))
    baking = e.WaveBaking(wave=0, until=again)
    assert move(*halted, baking, now=NOW + timedelta(seconds=9, minutes=1)) == Bake(
        NOW + timedelta(seconds=8) + 20 * MINUTE, (t("k"),)
    )


def test_waves_behind_the_canary_are_not_judged_by_numbers() -> None:
    later = replace(PLAN, waves=(a_wave("k"), PLAN.waves[1]))
    run = fold_run(envelopes((*BAKING, JUDGING)))
    assert next_move(later, run, states(later, k=JUDGED), OVER) == MarkGood((t("k"),))


@pytest.mark.parametrize(("requests", "judged"), [(0, False), (1, True)])
def test_without_metrics_a_canary_is_judged_only_if_it_has_to_see_requests(
    requests: int, judged: bool
) -> None:
    bare = replace(PLAN, judge=JudgePolicy(), waves=(replace(PLAN.waves[0], min_requests=requests),))

    assert is_judged(bare, 0) is judged


def test_a_minimum_of_requests_is_weighed_although_nothing_else_is() -> None:
    bare = replace(PLAN, judge=JudgePolicy(), waves=(replace(PLAN.waves[0], min_requests=100), PLAN.waves[1]))
    run = fold_run(envelopes((*BAKING, JUDGING)))
    assert next_move(bare, run, states(bare, k=JUDGED), OVER) == Weigh(0, 3)
