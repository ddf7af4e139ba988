"""Floor 3, the stage that tries again: failed and unknown targets only, the same digest, the next attempt number.

First every such target's own stream says that it is pending again, then the release's stream orders the retry, so
that a runner which dies between the two leaves nothing that the same command does not pick up.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import NotFound, ReleaseHalted, ReleasePaused, UsageError
from pipeline.model import event as e
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.run_state import ENDED, Run, RunState
from pipeline.model.target_state import Phase, TargetState
from pipeline.ports import Journal, Latch
from stages.promote import Admission, read_run, read_targets

__all__ = ["retriable", "retry"]

_TRIED = (Phase.FAILED, Phase.UNKNOWN)


def retriable(plan: Plan, journal: Journal) -> tuple[TargetId, ...]:
    """Targets that failed or are unknown under this plan, and those whose retry began and was never ordered."""
    run, targets = read_run(journal, plan.release), read_targets(journal, plan)
    claimed = {target for wave in run.waves for target in wave.claimed}
    return tuple(
        target.id
        for target in plan.targets
        if targets[target.id].phase in _TRIED
        or (target.id in claimed and _was_begun(plan, journal, targets[target.id], target.id))
    )


def _was_begun(plan: Plan, journal: Journal, state: TargetState, target: TargetId) -> bool:
    if state.phase is not Phase.PENDING:
        return False
    entries = journal.read(e.target_stream(plan.release.service, target))
    return (
        bool(entries) and state.plan == plan_digest(plan) and isinstance(entries[-1].event, e.TargetRetried)
    )


def retry(
    plan: Plan, only: Sequence[TargetId], reason: str, journal: Journal, latch: Latch, who: Admission
) -> tuple[TargetId, ...]:
    """only: some of them; empty for all. Under the lease. Returns those that are tried again.

    NotFound for a target that the plan does not hold, UsageError for one that neither failed nor is unknown,
    ReleaseHalted where a person's halt still stands.
    """
    run = read_run(journal, plan.release)
    _refuse_unless_retriable(plan.release, run, latch)
    possible = retriable(plan, journal)
    wanted = tuple(dict.fromkeys(only)) or possible
    _refuse_others(plan, wanted, possible, journal)
    for target in wanted:
        stream = e.target_stream(plan.release.service, target)
        if read_targets(journal, plan)[target].phase in _TRIED:
            _append(journal, stream, e.TargetRetried(reason=reason), who)
    ordered = e.RetryOrdered(targets=wanted, reason=reason)
    _append(journal, e.release_stream(plan.release), ordered, who)
    return wanted


def _refuse_unless_retriable(release: ReleaseName, run: RunState, latch: Latch) -> None:
    halt = latch.read(str(release))
    if halt is not None and run.run not in ENDED:
        raise ReleaseHalted(
            f"{release} is halted by {halt.actor}: {halt.reason}",
            state="nothing was changed; a person's halt stands until a person resumes",
            remedy=f"first `release resume {release} --reason …`, then this command again",
        )
    if run.run is Run.PAUSED:
        raise ReleasePaused(
            f"{release} is paused: {run.paused_because}",
            state="nothing was changed; what waits for a person is not lifted by trying again",
            remedy=f"first `release resume {release} --reason …`, then this command again",
        )
    if run.run in (Run.RUNNING, Run.HALTED):
        return
    raise UsageError(
        f"{release} is {run.run}: there is nothing to try again under its plan",
        state="nothing was changed",
        remedy=f"see `release status {release}`; a new plan (release plan {release} -o plan.json) starts it anew",
    )


def _refuse_others(
    plan: Plan, wanted: Sequence[TargetId], possible: Sequence[TargetId], journal: Journal
) -> None:
    targets = read_targets(journal, plan)
    for target in wanted:
        if target not in targets:
            raise NotFound(
                f"{target} is not in the plan of {plan.release}",
                state="nothing was changed",
                remedy=f"its targets are listed by `release status {plan.release}`",
            )
        if target not in possible:
            raise UsageError(
                f"{target} is {targets[target].phase}: only failed and unknown targets are tried again",
                state="nothing was changed",
                remedy=f"see `release status {plan.release}`",
            )
    if not wanted:
        raise UsageError(
            f"no target of {plan.release} has failed or is unknown",
            state="nothing was changed",
            remedy=f"see `release status {plan.release}`",
        )


def _append(journal: Journal, stream: str, event: e.Event, who: Admission) -> None:
    expected = journal.head(stream).seq
    journal.append(stream, (event,), expected=expected, fence=who.fence, actor=who.actor)
