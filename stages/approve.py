"""Floor 3, the stage in which somebody else says yes: to a wave that waits, or to a promotion in a hurry.

An approval is bound to the digest of the plan and ends by itself. It is never given by the identity that began the
run: what makes two identities two is decided in `pipeline.model.identity`, from what AWS or GitHub vouches for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.decide.approvals import lane_subject, may_approve, standing_approval, wave_subject
from pipeline.errors import ApprovalMissing, UsageError
from pipeline.model import event as e
from pipeline.model.identity import IdentityKind, github_person, identity_told, same
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.run_state import ENDED, Run, RunState, WaveStatus
from pipeline.ports import Clock, Journal, Review, Reviews
from stages.beside import say_beside

__all__ = [
    "Approver",
    "Waiting",
    "approve",
    "comment_for",
    "refuse_without_weight",
    "reviewer",
    "the_one_waiting",
    "waiting",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """subject: `wave:2` or `lane:full`. told: what it is, for a person."""

    subject: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """identity: whose yes it is. actor: who writes it down; the same where a person approves at a terminal.

    since: when the yes was given at the earliest; it expires from then on. None: now.
    """

    identity: str
    actor: str
    since: datetime | None = None


def waiting(plan: Plan, run: RunState, now: datetime) -> tuple[Waiting, ...]:
    """What somebody's approval is asked for at this moment, in the order of the run."""
    if run.run in (Run.NONE, Run.ROLLING_BACK, *ENDED):
        return ()
    digest, found = plan_digest(plan), []
    number = run.current_wave
    if number is not None and _needs_approval(plan, run, number):
        wave = plan.waves[number]
        found.append(Waiting(subject=wave_subject(wave.number), told=f"wave {wave.number} ({wave.name})"))
    if run.lane_asked is not None:
        lane = run.lane_asked.lane
        found.append(Waiting(subject=lane_subject(lane), told=f"promote --{lane.value}"))
    return tuple(w for w in found if standing_approval(run, w.subject, digest, now) is None)


def _needs_approval(plan: Plan, run: RunState, number: int) -> bool:
    return plan.waves[number].approval and run.waves[number].status in (WaveStatus.PENDING, WaveStatus.GATED)


def the_one_waiting(plan: Plan, run: RunState, now: datetime) -> Waiting:
    """UsageError where nothing waits, or where two things do and a person has to say which is meant."""
    found = waiting(plan, run, now)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            f"nothing of {plan.release} waits for an approval: it is {run.run}",
            state="nothing was approved",
            remedy=f"see `release status {plan.release}`",
        )
    named = " or ".join(_option(w.subject) for w in found)
    raise UsageError(
        f"{' and '.join(w.told for w in found)} of {plan.release} wait for an approval",
        state="nothing was approved",
        remedy=f"say which: {named}",
    )


def _option(subject: str) -> str:
    kind, _, name = subject.partition(":")
    return f"--{kind} {name}"


def approve(plan: Plan, subject: str, who: Approver, journal: Journal, clock: Clock) -> RunState:
    """Write down an approval that counts. ApprovalMissing (exit 6) where it would not: of the starter's own
    identity, of one that nobody vouches for, or one that has expired already. UsageError where the subject is not
    waited for, now or later. To approve what is approved changes nothing."""

    def say(run: RunState) -> tuple[e.ReleaseEvent, ...]:
        now = clock.now()
        _refuse_unknown(plan, run, subject)
        if standing_approval(run, subject, plan_digest(plan), now) is not None:
            return ()
        expires = (who.since or now) + plan.approval_life
        refuse_without_weight(plan, run, subject, who.identity)
        if expires <= now:
            raise ApprovalMissing(
                f"the approval of {subject} by {who.identity} is older than {plan.approval_life}",
                state="nothing was approved",
                remedy="approve again in a new workflow run, or `release approve` at a terminal",
            )
        given = e.ApprovalGiven(
            subject=subject,
            plan=plan_digest(plan),
            by=who.identity,
            expires=min(expires, now + plan.approval_life),
        )
        return (given,)

    return say_beside(journal, plan.release, say, who.actor)


def reviewer(plan: Plan, subject: str, environment: str, reviews: Reviews, actor: str) -> Approver:
    """The person who approved this subject of this plan in a review of the workflow's environment.

    A review counts where its comment names both, as `comment_for` words it: the host says neither when a review
    was given nor what of, so that a yes to another wave or another plan would pass for this one. Whoever began the
    workflow's run does not count. ApprovalMissing (exit 6) where no review counts; it says why not.
    """
    run = reviews.run()
    found = [r for r in reviews.reviews() if environment in r.environments and r.state == "approved"]
    worded = [r for r in found if _names(r.comment, plan, subject)]
    for review in reversed(worded):
        try:
            person = github_person(review.login)
        except ValueError:
            continue
        if not any(same(person, f"github:{login}") for login in run.starters):
            return Approver(identity=person.text, actor=actor, since=run.created_at)
    raise ApprovalMissing(
        f"no review of environment {environment} approves {subject} of {plan.release}: {_why_none(found, worded)}",
        state=f"nothing was approved; {plan.release} still waits",
        remedy=f"a reviewer who did not begin this workflow run approves {environment} with the comment:"
        f" {comment_for(plan, subject)}",
    )


def comment_for(plan: Plan, subject: str) -> str:
    """What a reviewer writes: `wave:2 of plan 0123456789ab`."""
    return f"{subject} of plan {plan_digest(plan).removeprefix('sha256:')[:12]}"


def _names(comment: str, plan: Plan, subject: str) -> bool:
    words = comment.lower().split()
    wanted = comment_for(plan, subject).split()
    places = [n for n in range(len(words)) if words[n : n + len(wanted)] == wanted]
    return bool(places)


def _why_none(found: Sequence[Review], worded: Sequence[Review]) -> str:
    if not found:
        return "nobody has approved it"
    if not worded:
        return "none of its comments names this wave or lane and this plan"
    login = worded[-1].login
    return f"{login} is no person" if login.endswith("[bot]") else f"{login} began this workflow run"


def refuse_without_weight(plan: Plan, run: RunState, subject: str, identity: str) -> None:
    """ApprovalMissing where this identity's yes would count for nothing: known before anybody is asked anything."""
    if identity_told(identity).kind is IdentityKind.UNPROVEN:
        raise ApprovalMissing(
            f"nobody vouches for {identity}: an approval needs an identity that AWS or GitHub knows",
            state="nothing was approved",
            remedy="log in to AWS (aws sso login), then run the same command again",
        )
    if not may_approve(run, subject, identity):
        began = "asked for this" if subject.startswith("lane:") else "began this run"
        raise ApprovalMissing(
            f"{identity} {began}, and its approval has to come from somebody else",
            state=f"nothing was approved; {plan.release} still waits",
            remedy=f"another person or role runs `release approve {plan.release} {_option(subject)}`",
        )


def _refuse_unknown(plan: Plan, run: RunState, subject: str) -> None:
    """A wave may be approved before its turn has come; what nobody asked for may not."""
    if run.plan == plan_digest(plan) and run.run not in (Run.NONE, Run.ROLLING_BACK, *ENDED):
        known = {wave_subject(w.number) for n, w in enumerate(plan.waves) if _needs_approval(plan, run, n)}
        if run.lane_asked is not None:
            known.add(lane_subject(run.lane_asked.lane))
        if subject in known:
            return
    raise UsageError(
        f"{subject} of {plan.release} asks for no approval: the release is {run.run}",
        state="nothing was approved",
        remedy=f"see `release status {plan.release}`",
    )
