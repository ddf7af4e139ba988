"""Floor 3, engine: what stands in the account against what was planned, how it does, and its protection."""

from __future__ import annotations

from datetime import timedelta

from pipeline.engine.job import Job
from pipeline.engine.outcome import Again, Performed, Said, failed, still_ours
from pipeline.engine.watch import watch
from pipeline.engine.world import Runner, World
from pipeline.errors import (
    AnswerLost,
    CredentialsRefused,
    FenceLost,
    IntegrityBroken,
    ReleaseError,
    Throttled,
)
from pipeline.model import event as e

__all__ = ["check_health", "verify"]

_PATIENCE_ON_THE_WAY_BACK = 3
"""Alarms stay in ALARM for whole periods after their cause has gone; a good rollback must not be taken for a bad."""
_PATIENCE_WITH_PROTECTION = timedelta(minutes=5)


def verify(world: World, job: Job) -> Performed:
    wanted = job.wanted
    found = world.stacks.template(job.place, job.stack)
    if found != wanted.template:
        return failed(job, f"the stack's template is {found}, not {wanted.template}", e.Fault.INTEGRITY)
    names = [name for name, _ in wanted.functions]
    code = world.stacks.function_digests(job.place, job.stack, names) if names else {}
    for name, digest in wanted.functions:
        if code.get(name) != digest:
            reason = f"function {name} runs code {code.get(name, 'nobody can read')}, not {digest}"
            return failed(job, reason, e.Fault.INTEGRITY)
    return Said((e.TargetVerified(),))


def check_health(world: World, runner: Runner, job: Job) -> Performed:
    action, wanted = job.action, job.wanted
    back = action.direction is e.Direction.BACK
    verdict, reason = watch(world, job, wanted)
    if verdict is e.Verdict.PASS:
        if back:
            return Said((e.TargetRolledBack(to=wanted.release),))
        return _healthy(world, runner, job, reason)
    deadline = wanted.health.deadline * (_PATIENCE_ON_THE_WAY_BACK if back else 1)
    since = action.since
    if since is not None and world.clock.now() - since < deadline:
        return Again(reason, timedelta(seconds=1))
    return failed(job, f"not healthy within {deadline}: {reason}", e.Fault.RELEASE)


# --- protection ------------------------------------------------------------------------------------


def _healthy(world: World, runner: Runner, job: Job, reason: str) -> Performed:
    """The stack is protected as soon as it is healthy, and again when what has to be spared is another.

    What keeps it from being protected is written down and told, and does not make a healthy release a failed one:
    that would roll it back for nothing. The next deployment tries again.
    """
    healthy = e.TargetHealthy(changed=job.action.changed, reason=reason)
    if _is_protected(job):
        return Said((healthy,))
    still_ours(world, runner)
    spared = _spared(job)
    try:
        world.protection.protect(job.place, job.stack, frozenset(spared))
    except (FenceLost, CredentialsRefused, IntegrityBroken):
        raise
    except (Throttled, AnswerLost) as fault:
        since = job.action.since
        if since is not None and world.clock.now() - since < _PATIENCE_WITH_PROTECTION:
            return Again(fault.problem, timedelta(seconds=2), trouble=True)
        return _unprotected(runner, job, healthy, fault)
    except ReleaseError as fault:
        return _unprotected(runner, job, healthy, fault)
    return Said((healthy, e.TargetProtected(stack_id=job.stack, spared=spared)))


def _spared(job: Job) -> tuple[str, ...]:
    """What a rollback has to be able to let go of. There is no way back from a first deployment: nothing is spared."""
    return job.state.added if job.state.previous_good is not None else ()


def _is_protected(job: Job) -> bool:
    """A leased test account is cleaned afterwards, so that nothing there is ever protected."""
    if job.target.id.owner.startswith("~"):
        return True
    return job.state.protected == job.stack and job.state.spared == _spared(job)


def _unprotected(runner: Runner, job: Job, healthy: e.TargetHealthy, fault: ReleaseError) -> Said:
    runner.warned(f"{job.target.id} is healthy, but its stack could not be protected: {fault.problem}")
    return Said((healthy, e.TargetUnprotected(reason=fault.problem)))
