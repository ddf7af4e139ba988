"""Somebody else's yes: who may give it, to what, for which plan, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from pipeline.decide.approvals import lane_in_force, standing_approval
from pipeline.errors import ApprovalMissing, ReleaseError, UsageError
from pipeline.model import event as e
from pipeline.model.plan import plan_digest
from pipeline.ports import Review, WorkflowRun
from stages.approve import Approver, Waiting, approve, comment_for, reviewer, the_one_waiting, waiting
from tests.stages.desk import ADA, BOB, CAT, RUNNER, Desk

WAVE, LANE = "wave:2", "lane:full"
ROLE = "arn:aws:sts::123456789012:assumed-role/OnCall"


def at_the_gate(starter: str = ADA) -> Desk:
    """The second wave waits for somebody else."""
    desk = Desk()
    gate = e.WaveGated(
        wave=2,
        gate=e.Gate.APPROVAL,
        reason="waits for somebody",
        deadline=desk.clock.now() + timedelta(days=7),
    )
    desk.began(starter=starter)
    return desk.say(*desk.through(2), gate)


def asked(by: str = ADA) -> Desk:
    desk = Desk().began(e.WaveStarted(wave=0))
    return desk.say(e.LaneAsked(lane=e.Lane.FULL, reason="late", skips=("wave 1: all",)), actor=by)


def approved(desk: Desk, by: str, subject: str = WAVE) -> datetime | None:
    """Until when it is approved, as a runner reads it; None where it is not."""
    approve(desk.plan, subject, Approver(identity=by, actor=by), desk.journal, desk.clock)
    return until(desk, subject)


def until(desk: Desk, subject: str = WAVE) -> datetime | None:
    found = standing_approval(desk.run, subject, plan_digest(desk.plan), desk.clock.now())
    return found.given.expires if found is not None else None


def refused(desk: Desk, doing: Callable[[], object]) -> ReleaseError:
    before = desk.entries
    with pytest.raises(ReleaseError) as caught:
        doing()
    assert desk.entries == before, "nothing may have been written"
    assert caught.value.state
    assert caught.value.remedy
    return caught.value


# --- who ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [BOB, CAT, "github:bob", "aws-user:123456789012/bob"])
def test_somebody_else_approves_a_waiting_wave(by: str) -> None:
    desk = at_the_gate()

    assert approved(desk, by) == desk.clock.now() + desk.plan.approval_life
    assert desk.last.event == e.ApprovalGiven(
        subject=WAVE, plan=plan_digest(desk.plan), by=by, expires=desk.clock.now() + timedelta(hours=24)
    )
    assert (desk.last.actor, desk.last.fence) == (by, RUNNER.fence)


@pytest.mark.parametrize(
    ("starter", "by"),
    [
        (ADA, ADA),
        (ADA, ADA.upper().replace("SSO", "sso")),
        (CAT, CAT),
        (f"{ROLE}/first", CAT),
        ("unproven:ada@laptop", BOB),
        ("ci", BOB),
    ],
)
def test_whoever_began_the_run_or_may_have_done_so_cannot_approve_it(starter: str, by: str) -> None:
    desk = at_the_gate(starter)

    error = refused(desk, lambda: approved(desk, by))
    assert isinstance(error, ApprovalMissing)
    assert "has to come from somebody else" in error.problem
    assert "release approve intake@1.4.0 --wave 2" in error.remedy


def test_nobody_approves_without_an_identity_that_is_vouched_for() -> None:
    desk = at_the_gate()

    error = refused(desk, lambda: approved(desk, "unproven:bob@laptop"))
    assert isinstance(error, ApprovalMissing)
    assert "nobody vouches for unproven:bob@laptop" in error.problem


def test_an_approval_that_was_forged_past_the_verb_does_not_count_either() -> None:
    desk = at_the_gate()
    later = desk.clock.now() + timedelta(hours=1)
    for by in (ADA, "unproven:bob", "bob"):
        desk.say(e.ApprovalGiven(subject=WAVE, plan=plan_digest(desk.plan), by=by, expires=later), actor=by)

    assert until(desk) is None


# --- what --------------------------------------------------------------------------------------


def test_an_approval_holds_for_its_own_wave_and_plan_only() -> None:
    desk = at_the_gate()
    approved(desk, BOB)
    now, digest = desk.clock.now(), plan_digest(desk.plan)

    assert standing_approval(desk.run, "wave:1", digest, now) is None
    assert standing_approval(desk.run, LANE, digest, now) is None
    other = plan_digest(replace(desk.plan, bucket_prefix="other"))
    assert standing_approval(desk.run, WAVE, other, now) is None


def test_a_new_plan_forgets_the_approvals_of_the_old_one() -> None:
    desk = at_the_gate()
    approved(desk, BOB)
    desk.say(e.RunEnded(outcome=e.Outcome.SUPERSEDED), e.PlanFixed(plan=plan_digest(desk.plan), waves=3))

    assert desk.run.approvals == ()


def test_a_wave_may_be_approved_before_its_turn_but_not_one_that_asks_for_nobody() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    assert waiting(desk.plan, desk.run, desk.clock.now()) == ()

    assert approved(desk, BOB) is not None
    for subject in ("wave:1", "wave:7", LANE, "everything"):
        error = refused(desk, partial(approved, desk, BOB, subject))
        assert isinstance(error, UsageError)


def test_what_has_started_or_ended_needs_no_approval_any_more() -> None:
    started = at_the_gate().say(e.WaveStarted(wave=2))
    ended = at_the_gate().say(e.RunEnded(outcome=e.Outcome.SUPERSEDED))

    for desk in (started, ended):
        error = refused(desk, partial(approved, desk, BOB))
        assert "asks for no approval" in error.problem


def test_the_one_thing_that_waits_need_not_be_named() -> None:
    desk = at_the_gate()
    assert the_one_waiting(desk.plan, desk.run, desk.clock.now()) == Waiting(
        subject=WAVE, told="wave 2 (wave-2)"
    )

    desk.say(e.LaneAsked(lane=e.Lane.FULL, reason="late", skips=("all",)))
    error = refused(desk, lambda: the_one_waiting(desk.plan, desk.run, desk.clock.now()))
    assert error.remedy == "say which: --wave 2 or --lane full"

    approved(desk, BOB)
    assert the_one_waiting(desk.plan, desk.run, desk.clock.now()).subject == LANE
    approved(desk, BOB, LANE)
    error = refused(desk, lambda: the_one_waiting(desk.plan, desk.run, desk.clock.now()))
    assert "nothing of intake@1.4.0 waits for an approval" in error.problem


# --- how long ----------------------------------------------------------------------------------


def test_an_approval_ends_to_the_moment_and_may_be_given_again() -> None:
    desk = at_the_gate()
    expires = approved(desk, BOB)
    desk.later(hours=24, milliseconds=-1)
    assert until(desk) == expires
    desk.later(milliseconds=1)
    assert until(desk) is None

    assert approved(desk, BOB) == desk.clock.now() + timedelta(hours=24)


def test_to_approve_what_is_approved_changes_nothing() -> None:
    desk = at_the_gate()
    first = approved(desk, BOB)
    before = desk.entries
    desk.later(hours=1)

    assert approved(desk, CAT) == first
    assert desk.entries == before


# --- lanes -------------------------------------------------------------------------------------


def test_a_lane_is_approved_by_neither_the_starter_nor_whoever_asked_for_it() -> None:
    desk = asked(by=BOB)
    now, digest = desk.clock.now(), plan_digest(desk.plan)
    for by in (ADA, BOB):
        error = refused(desk, partial(approved, desk, by, LANE))
        assert "asked for this" in error.problem
    assert lane_in_force(desk.run, digest, now) is None

    assert approved(desk, CAT, LANE) is not None
    assert lane_in_force(desk.run, digest, now) is e.Lane.FULL
    assert lane_in_force(desk.run, digest, now + timedelta(hours=24)) is None


def test_the_approval_of_one_lane_opens_no_other() -> None:
    desk = asked()
    approved(desk, BOB, LANE)
    desk.say(e.LaneAsked(lane=e.Lane.EMERGENCY, reason="outage", skips=("all",), ticket="I-7"))

    assert lane_in_force(desk.run, plan_digest(desk.plan), desk.clock.now()) is None


# --- reviews on GitHub -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeReviews:
    """ports.Reviews, of a run that ada began."""

    found: tuple[Review, ...]
    created_at: datetime

    def run(self) -> WorkflowRun:
        return WorkflowRun(name="o/r/actions/runs/1", starters=("ada",), created_at=self.created_at)

    def reviews(self) -> tuple[Review, ...]:
        return self.found

    def pending(self) -> tuple[str, ...]:
        return ()


def review(login: str, comment: str, *, state: str = "approved", environment: str = "production") -> Review:
    return Review(login=login, state=state, comment=comment, environments=(environment,))


def test_a_reviewer_on_github_approves_what_the_comment_names() -> None:
    desk = at_the_gate(starter="aws-role:123456789012/Pipeline")
    created = desk.clock.now() - timedelta(hours=3)
    words = comment_for(desk.plan, WAVE)
    assert words == f"wave:2 of plan {plan_digest(desk.plan)[7:19]}"
    reviews = FakeReviews(found=(review("Bob", f"Looks fine: {words} Ship it"),), created_at=created)

    who = reviewer(desk.plan, WAVE, "production", reviews, "aws-role:123456789012/Pipeline")
    assert who == Approver(identity="github:Bob", actor="aws-role:123456789012/Pipeline", since=created)
    approve(desk.plan, WAVE, who, desk.journal, desk.clock)
    given = desk.last.event
    assert isinstance(given, e.ApprovalGiven)
    assert (given.by, given.expires) == ("github:Bob", created + timedelta(hours=24))
    assert desk.last.actor == "aws-role:123456789012/Pipeline"


def test_a_review_from_an_old_workflow_run_has_expired() -> None:
    desk = at_the_gate(starter="aws-role:123456789012/Pipeline")
    reviews = FakeReviews(
        found=(review("bob", comment_for(desk.plan, WAVE)),),
        created_at=desk.clock.now() - timedelta(hours=24),
    )
    who = reviewer(desk.plan, WAVE, "production", reviews, "aws-role:123456789012/Pipeline")

    error = refused(desk, lambda: approve(desk.plan, WAVE, who, desk.journal, desk.clock))
    assert isinstance(error, ApprovalMissing)


def test_reviews_that_say_something_else_do_not_count() -> None:
    desk = at_the_gate()
    words, other = comment_for(desk.plan, WAVE), comment_for(desk.plan, LANE)
    cases = (
        ((), "nobody has approved it"),
        ((review("bob", words, state="rejected"),), "nobody has approved it"),
        ((review("bob", words, state="pending"),), "nobody has approved it"),
        ((review("bob", words, environment="dev"),), "nobody has approved it"),
        ((review("bob", ""),), "none of its comments names"),
        ((review("bob", other),), "none of its comments names"),
        ((review("bob", words + "0"),), "none of its comments names"),
        ((review("bob", words.replace("wave:2", "wave:22")),), "none of its comments names"),
        ((review("ADA", words),), "ADA began this workflow run"),
        ((review("robot[bot]", words),), "robot[bot] is no person"),
    )
    for found, why in cases:
        reviews = FakeReviews(found=found, created_at=desk.clock.now())
        with pytest.raises(ApprovalMissing) as caught:
            reviewer(desk.plan, WAVE, "production", reviews, CAT)
        assert why in caught.value.problem
        assert words in caught.value.remedy
