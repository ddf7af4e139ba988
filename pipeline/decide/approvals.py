"""Floor 2, approvals: which approval counts for what, and whether a run may be hurried. Pure.

An approval is bound to the plan's digest, ends at its expiry, and is never that of the identity which began the
run, or which asked to hurry. Who cannot be proven to be somebody else is not somebody else.
"""

from __future__ import annotations

from datetime import datetime

from pipeline.model.identity import same
from pipeline.model.ids import Digest
from pipeline.model.release_event import Lane
from pipeline.model.run_state import Approval, RunState

__all__ = ["lane_in_force", "lane_subject", "may_approve", "standing_approval", "wave_subject"]

_LANES = {f"lane:{lane.value}": lane for lane in Lane}


def wave_subject(number: int) -> str:
    """number: the one that people count, `Wave.number`."""
    return f"wave:{number}"


def lane_subject(lane: Lane) -> str:
    return f"lane:{lane.value}"


def may_approve(run: RunState, subject: str, identity: str) -> bool:
    """Whether this identity is somebody else than whoever began the run and, for a lane, whoever asked for it."""
    if same(run.starter, identity):
        return False
    return subject not in _LANES or not same(run.lane_asked_by, identity)


def standing_approval(run: RunState, subject: str, plan: Digest, now: datetime) -> Approval | None:
    """The newest approval of the subject that counts at this moment; None where there is none."""
    for approval in reversed(run.approvals):
        given = approval.given
        bound = given.subject == subject and given.plan == plan == run.plan
        if bound and now < given.expires and may_approve(run, subject, given.by):
            return approval
    return None


def lane_in_force(run: RunState, plan: Digest, now: datetime) -> Lane | None:
    """How the run may hurry: only as it was asked for last, and only once somebody else has approved that."""
    if run.lane_asked is None:
        return None
    lane = run.lane_asked.lane
    return lane if standing_approval(run, lane_subject(lane), plan, now) is not None else None
