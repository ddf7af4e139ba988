"""Floor 3, engine: what can come of one action on one target, and what every action asks before it changes anything.

Nothing here calls CloudFormation or writes the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from pipeline.decide import target_ends as ends
from pipeline.engine.job import Job
from pipeline.engine.world import Runner, World
from pipeline.errors import FenceLost
from pipeline.model import event as e
from pipeline.model.target_state import Step

__all__ = [
    "Again",
    "Performed",
    "Said",
    "blocked",
    "failed",
    "halted",
    "kept_out",
    "still_ours",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Said:
    """These events are to be appended; the target can go on at once."""

    events: tuple[e.TargetEvent, ...]


@dataclass(frozen=True, slots=True)
class Again:
    """Nothing has changed; ask again. after None: the engine picks the delay by the age of the step."""

    reason: str
    after: timedelta | None = None
    trouble: bool = False
    """AWS could not be asked, rather than that it is still at work."""


Performed: TypeAlias = Said | Again

_PATIENCE_WITH_ACCESS = timedelta(minutes=30)
"""How long an operation under way is waited for in an account that suddenly cannot be entered."""
_AT_WORK = frozenset({Step.EXECUTION_INTENDED, Step.EXECUTING, Step.CONTINUE_INTENDED, Step.CONTINUING})
"""AWS is carrying out an operation of ours, or may be."""


def still_ours(world: World, runner: Runner) -> None:
    """FenceLost where a newer runner has taken the lease, even one that has finished since."""
    current = world.leases.current(runner.lease)
    if current is None or current.fence != runner.fence:
        holder = current.holder if current else "nobody"
        raise FenceLost(
            f"the lease {runner.lease} has passed to {holder}",
            state="this runner has stopped; what it started goes on under the new holder",
            remedy=f"run `release status {runner.lease.removeprefix('service/')}`",
        )


def halted(world: World, runner: Runner, job: Job) -> Said | None:
    """Latch first, lease last. A rollback goes on while the release is halted: that is what halting is for."""
    if job.action.direction is e.Direction.FORWARD:
        halt = world.latch.read(job.release)
        if halt is not None:
            return Said((e.TargetReleased(reason=f"halted by {halt.actor}: {halt.reason}"),))
    still_ours(world, runner)
    return None


def failed(job: Job, reason: str, fault: e.Fault) -> Said:
    return Said(ends.failed(job.target, job.state, reason, fault))


def blocked(job: Job, reason: str, fault: e.Fault) -> Said:
    """fault: ACCOUNT or GUARD. Skips a client in whose account nothing was executed; fails whatever else."""
    return Said(ends.blocked(job.target, job.state, reason, fault))


def unknown(job: Job, reason: str) -> Said:
    return Said(ends.given_up(job.target, job.state, reason))


def kept_out(world: World, job: Job, problem: str) -> Performed:
    """An operation that AWS carries out goes on without us: it is not called failed while it may still succeed."""
    if job.action.step not in _AT_WORK:
        return blocked(job, problem, e.Fault.ACCOUNT)
    since = job.action.since
    if since is not None and world.clock.now() - since < _PATIENCE_WITH_ACCESS:
        return Again(problem)
    return unknown(job, problem)
