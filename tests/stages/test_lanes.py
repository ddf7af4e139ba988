"""Hurrying: what a lane leaves out, who is asked, and that nothing is cut short before somebody else has said yes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.errors import ApprovalMissing, UsageError
from pipeline.model import event as e
from pipeline.model.plan import plan_digest
from pipeline.model.run_state import RunState
from stages.approve import Approver, approve, comment_for
from stages.lanes import ask_lane, refuse_unapproved, skips_of
from tests.stages.desk import ADA, BOB, RUNNER, Desk, a_gated_plan

FULL, EMERGENCY = e.Lane.FULL, e.Lane.EMERGENCY


def asked(desk: Desk, lane: e.Lane = FULL, reason: str = "late", ticket: str = "") -> RunState:
    return ask_lane(desk.plan, lane, reason, ticket, desk.journal, RUNNER)


def test_the_full_lane_tells_what_it_skips_of_the_waves_that_are_left() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    left = "what is left of its bake of 1h, the look at every target after it"
    assert skips_of(desk.plan, desk.run, FULL) == (
        f"wave 0 (service): {left}",
        f"wave 1 (canary): {left}",
        f"wave 2 (wave-2): {left}",
    )
    desk.say(*desk.through(2)[1:])
    assert skips_of(desk.plan, desk.run, FULL) == (f"wave 2 (wave-2): {left}",)


def test_the_emergency_lane_tells_by_how_much_bakes_are_cut() -> None:
    plan = a_gated_plan()
    judged = replace(plan.waves[1], min_requests=100)
    short = replace(plan.waves[2], bake=timedelta(minutes=5))
    desk = Desk(plan=replace(plan, waves=(plan.waves[0], judged, short))).began(e.WaveStarted(wave=0))

    assert skips_of(desk.plan, desk.run, EMERGENCY) == (
        "wave 0 (service): all but 10m of its bake of 1h",
        "wave 1 (canary): all but 10m of its bake of 1h, its judging by numbers",
    )


def test_what_is_asked_for_is_written_down_with_all_that_it_skips() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    run = asked(desk, EMERGENCY, "outage", "I-7")

    assert desk.last.event == e.LaneAsked(
        lane=EMERGENCY, reason="outage", ticket="I-7", skips=skips_of(desk.plan, run, EMERGENCY)
    )
    assert run.lane_asked_by == ADA


def test_to_ask_again_changes_nothing_and_to_ask_for_the_other_does() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    asked(desk)
    before = desk.entries
    asked(desk, FULL, "still late")
    assert desk.entries == before

    assert asked(desk, EMERGENCY, "outage", "I-7").lane_asked == desk.last.event


def test_it_waits_until_somebody_else_has_approved_it() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    run = asked(desk)
    with pytest.raises(ApprovalMissing) as caught:
        refuse_unapproved(desk.plan, run, desk.clock)
    assert caught.value.exit_code == 6
    assert caught.value.details[:3] == skips_of(desk.plan, run, FULL)
    assert "never skipped" in caught.value.details[-2]
    assert comment_for(desk.plan, "lane:full") in caught.value.details[-1]
    assert "release approve intake@1.4.0 --lane full" in caught.value.remedy

    approved = approve(desk.plan, "lane:full", Approver(identity=BOB, actor=BOB), desk.journal, desk.clock)
    refuse_unapproved(desk.plan, approved, desk.clock)
    desk.later(hours=24)
    with pytest.raises(ApprovalMissing):
        refuse_unapproved(desk.plan, approved, desk.clock)


def test_the_follow_up_is_owed_for_the_plan_that_was_hurried_only() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    asked(desk)
    desk.say(e.RunEnded(outcome=e.Outcome.SUPERSEDED), e.PlanFixed(plan=plan_digest(desk.plan), waves=3))

    assert desk.run.lane_asked is None


@pytest.mark.parametrize(
    "event", [e.RunEnded(outcome=e.Outcome.SUCCEEDED), e.RollbackOrdered(waves=(0,), reason="bad", by=ADA)]
)
def test_nothing_is_hurried_that_has_ended_or_goes_back(event: e.ReleaseEvent) -> None:
    desk = Desk().began(event)

    with pytest.raises(UsageError, match="there is nothing to hurry"):
        asked(desk)


def test_where_every_bake_is_short_already_there_is_no_emergency() -> None:
    plan = a_gated_plan()
    short = tuple(replace(wave, bake=timedelta(minutes=10)) for wave in plan.waves)
    desk = Desk(plan=replace(plan, waves=short)).began(e.WaveStarted(wave=0))

    with pytest.raises(UsageError, match="would skip nothing"):
        asked(desk, EMERGENCY, "outage", "I-7")
