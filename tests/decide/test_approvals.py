"""Which approval counts: bound to plan and subject, unexpired, and of somebody who is proven to be somebody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.approvals import (
    lane_in_force,
    lane_subject,
    may_approve,
    standing_approval,
    wave_subject,
)
from pipeline.model import event as e
from pipeline.model.run_state import Approval, RunState
from tests.decide.runs import NOW, digest_of

ADA, BOB, CAT = "sso:ada", "github:bob", "aws-role:123456789012/OnCall"
PLAN = digest_of("plan")
HOUR = timedelta(hours=1)
GIVEN = e.ApprovalGiven(subject="wave:2", plan=PLAN, by=BOB, expires=NOW + HOUR)


def a_run(*given: e.ApprovalGiven, lane: e.Lane | None = None, asked_by: str = ADA) -> RunState:
    asked = e.LaneAsked(lane=lane, reason="late", skips=("all",)) if lane is not None else None
    return RunState(
        plan=PLAN,
        starter=ADA,
        approvals=tuple(Approval(given=one, at=NOW) for one in given),
        lane_asked=asked,
        lane_asked_by=asked_by if asked is not None else "",
    )


def test_subjects_are_named_as_people_type_them() -> None:
    assert (wave_subject(2), lane_subject(e.Lane.FULL), lane_subject(e.Lane.EMERGENCY)) == (
        "wave:2",
        "lane:full",
        "lane:emergency",
    )


def test_an_approval_stands_until_just_before_it_expires() -> None:
    run = a_run(GIVEN)

    assert standing_approval(run, "wave:2", PLAN, NOW) == run.approvals[0]
    assert standing_approval(run, "wave:2", PLAN, NOW + HOUR - timedelta(milliseconds=1)) is not None
    assert standing_approval(run, "wave:2", PLAN, NOW + HOUR) is None


@pytest.mark.parametrize(
    "given",
    [
        replace(GIVEN, subject="wave:1"),
        replace(GIVEN, subject="lane:full"),
        replace(GIVEN, plan=digest_of("other")),
        replace(GIVEN, by=ADA),
        replace(GIVEN, by="sso:Ada"),
        replace(GIVEN, by="unproven:bob"),
        replace(GIVEN, by="bob"),
        replace(GIVEN, by=""),
    ],
)
def test_what_is_bound_elsewhere_or_given_by_nobody_else_does_not_count(given: e.ApprovalGiven) -> None:
    assert standing_approval(a_run(given), "wave:2", PLAN, NOW) is None


def test_an_approval_of_a_plan_that_the_run_has_left_behind_does_not_count() -> None:
    run = replace(a_run(GIVEN), plan=digest_of("next"))

    assert standing_approval(run, "wave:2", PLAN, NOW) is None
    assert standing_approval(run, "wave:2", digest_of("next"), NOW) is None


def test_the_newest_that_counts_is_the_one_that_stands() -> None:
    later = replace(GIVEN, by=CAT, expires=NOW + 2 * HOUR)
    own = replace(GIVEN, by=ADA, expires=NOW + 9 * HOUR)
    run = a_run(GIVEN, later, own)

    assert standing_approval(run, "wave:2", PLAN, NOW) == run.approvals[1]


def test_a_run_whose_starter_is_unproven_is_approved_by_nobody() -> None:
    for starter in ("", "ci", "unproven:ada"):
        run = replace(a_run(GIVEN), starter=starter)
        assert not may_approve(run, "wave:2", BOB)
        assert standing_approval(run, "wave:2", PLAN, NOW) is None


def test_whoever_asked_to_hurry_may_still_approve_a_wave_and_not_the_hurry() -> None:
    run = a_run(lane=e.Lane.FULL, asked_by=BOB)

    assert may_approve(run, "wave:2", BOB)
    assert not may_approve(run, "lane:full", BOB)
    assert not may_approve(run, "lane:full", ADA)
    assert may_approve(run, "lane:full", CAT)


@pytest.mark.parametrize("lane", list(e.Lane))
def test_a_lane_is_in_force_once_somebody_else_has_approved_that_very_lane(lane: e.Lane) -> None:
    right = replace(GIVEN, subject=lane_subject(lane))
    (wrong_lane,) = set(e.Lane) - {lane}
    wrong = replace(GIVEN, subject=lane_subject(wrong_lane))

    assert lane_in_force(a_run(right, lane=lane), PLAN, NOW) is lane
    assert lane_in_force(a_run(wrong, lane=lane), PLAN, NOW) is None
    assert lane_in_force(a_run(right, lane=lane), PLAN, NOW + HOUR) is None
    assert lane_in_force(a_run(right, lane=lane, asked_by=BOB), PLAN, NOW) is None
    assert lane_in_force(a_run(right), PLAN, NOW) is None
