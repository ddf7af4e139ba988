"""Floor 3, engine: performs one short action on one target and returns what came of it as data. Never sleeps,
never writes the journal, never decides what comes next.

Whatever an adapter raises becomes an event or a wait here; only what must stop the whole run passes through:
FenceLost, and CredentialsRefused of the runner itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from pipeline.decide import target_steps as steps
from pipeline.engine.change_set import execute, find_change_set, make_change_set, read_change_set
from pipeline.engine.following import continue_rollback, find_continuation, follow_continuation, poll
from pipeline.engine.job import Job
from pipeline.engine.looking import clear_then_look, look
from pipeline.engine.outcome import Again, Performed, Said, failed, kept_out, still_ours, unknown
from pipeline.engine.verifying import check_health, verify
from pipeline.engine.world import Runner, World
from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    ChangeSetBusy,
    ChangeSetGone,
    CredentialsRefused,
    FenceLost,
    IntegrityBroken,
    ReleaseError,
    RequestRefused,
    StackBusy,
    Throttled,
)
from pipeline.model import event as e

__all__ = ["Again", "Performed", "Said", "perform", "still_ours"]

_THROTTLED = timedelta(seconds=2)


def perform(world: World, runner: Runner, job: Job, action: steps.StepAction) -> Performed:
    """One action. Errors of AWS become outcomes: see the module's docstring."""
    try:
        return _perform(world, runner, job, action)
    except Throttled as fault:
        return Again(fault.problem, _THROTTLED, trouble=True)
    except AnswerLost as fault:
        # The journal stands on the intent, so the next decision is to look.
        return Again(fault.problem, trouble=True)
    except (AccountUnusable, AccessRefused) as fault:
        return kept_out(world, job, fault.problem)
    except IntegrityBroken as fault:
        return failed(job, fault.problem, e.Fault.INTEGRITY)
    except (RequestRefused, StackBusy, ChangeSetBusy, ChangeSetGone) as fault:
        return Said((e.ChangeSetAbandoned(reason=fault.problem),))
    except (FenceLost, CredentialsRefused):
        raise
    except ReleaseError as fault:
        return unknown(job, fault.problem)


def _perform(world: World, runner: Runner, job: Job, action: steps.StepAction) -> Performed:
    match action:
        case steps.Look():
            return look(world, job)
        case steps.ClearThenLook():
            return clear_then_look(world, runner, job)
        case steps.MakeChangeSet():
            return make_change_set(world, runner, job, action)
        case steps.FindChangeSet():
            return find_change_set(world, job)
        case steps.ReadChangeSet():
            return read_change_set(world, runner, job)
        case steps.Execute():
            return execute(world, runner, job)
        case steps.Poll():
            return poll(world, job)
        case steps.ContinueRollback():
            return continue_rollback(world, runner, job, action)
        case steps.FindContinuation():
            return find_continuation(world, job)
        case steps.FollowContinuation():
            return follow_continuation(world, job)
        case steps.Verify():
            return verify(world, job)
        case steps.CheckHealth():
            return check_health(world, runner, job)
        case _:
            assert_never(action)
