"""Floor 3, the stage that lets a promotion hurry: asked by one identity, approved by another, written down.

A lane cuts bakes, and the full one judging too. It never touches the signature and digests, the guard, the fence,
the canary's own deploy, or the pace. Whatever was skipped is owed: a follow-up bake and a last look at every target.
"""

from __future__ import annotations

from pipeline.decide.approvals import lane_subject, standing_approval
from pipeline.decide.bakes import is_judged
from pipeline.errors import ApprovalMissing, UsageError
from pipeline.model import event as e
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.release_event import Lane
from pipeline.model.run_state import ENDED, Run, RunState, WaveStatus
from pipeline.ports import Clock, Journal
from pipeline.views.text import listed, span
from stages.approve import comment_for
from stages.promote import Admission, read_run

__all__ = ["ask_lane", "refuse_unapproved", "skips_of"]

NEVER_SKIPPED = (
    "never skipped: signature and digests, guard, fence, the canary's deploy, health, alarms, pace"
)


def skips_of(plan: Plan, run: RunState, lane: Lane) -> tuple[str, ...]:
    """What is left of the run that this lane leaves out, a line for each wave; empty where nothing is left."""
    lines = [
        _skipped(plan, number, lane)
        for number in range(len(plan.waves))
        if number >= len(run.waves) or run.waves[number].status is not WaveStatus.PASSED
    ]
    return tuple(line for line in lines if line)


def _skipped(plan: Plan, number: int, lane: Lane) -> str:
    wave = plan.waves[number]
    named = f"wave {wave.number} ({wave.name})"
    judged = ["its judging by numbers"] if is_judged(plan, number) else []
    if lane is Lane.FULL:
        bake = [f"what is left of its bake of {span(wave.bake)}", "the look at every target after it"]
        return f"{named}: {listed([*bake, *judged])}"
    cut = [f"all but {span(plan.emergency_bake)} of its bake of {span(wave.bake)}"]
    left_out = [*(cut if wave.bake > plan.emergency_bake else []), *judged]
    return f"{named}: {listed(left_out)}" if left_out else ""


def ask_lane(plan: Plan, lane: Lane, reason: str, ticket: str, journal: Journal, who: Admission) -> RunState:
    """Write down that somebody wants to hurry, with everything it would skip. Under the lease, after `admit`.

    To ask again for what was asked changes nothing. UsageError where the run cannot be hurried.
    """
    run = read_run(journal, plan.release)
    if run.run in (Run.NONE, Run.ROLLING_BACK, *ENDED):
        raise UsageError(
            f"{plan.release} is {run.run}: there is nothing to hurry",
            state="nothing was changed",
            remedy=f"see `release status {plan.release}`",
        )
    if run.lane_asked is not None and run.lane_asked.lane is lane:
        return run
    skips = skips_of(plan, run, lane)
    if not skips:
        raise UsageError(
            f"promote --{lane.value} would skip nothing that is left of {plan.release}",
            state="nothing was changed",
            remedy=f"run `release promote {plan.release}`",
        )
    stream = e.release_stream(plan.release)
    asked = e.LaneAsked(lane=lane, reason=reason, ticket=ticket, skips=skips)
    journal.append(stream, (asked,), expected=journal.head(stream).seq, fence=who.fence, actor=who.actor)
    return read_run(journal, plan.release)


def refuse_unapproved(plan: Plan, run: RunState, clock: Clock) -> None:
    """ApprovalMissing (exit 6) until somebody else than the one who asked has approved."""
    assert run.lane_asked is not None, "a lane has been asked for"
    lane = run.lane_asked.lane
    if standing_approval(run, lane_subject(lane), plan_digest(plan), clock.now()) is not None:
        return
    raise ApprovalMissing(
        f"promote --{lane.value} of {plan.release} was asked by {run.lane_asked_by} and waits for somebody else's"
        " approval",
        state="the request is written down; nothing was started or cut short by this command",
        details=(
            *run.lane_asked.skips,
            NEVER_SKIPPED,
            f"in a review on GitHub, the comment: {comment_for(plan, lane_subject(lane))}",
        ),
        remedy=f"another person or role runs `release approve {plan.release} --lane {lane.value}`; then run this"
        " command again",
    )
