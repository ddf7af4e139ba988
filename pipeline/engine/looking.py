"""Floor 3, engine: reading a stack before anything is done to it, and clearing what may be executed late."""

from __future__ import annotations

from datetime import timedelta

from pipeline.decide.stack_table import Treatment, when_found
from pipeline.decide.target_ends import alarms_before
from pipeline.engine.job import Job
from pipeline.engine.outcome import Again, Performed, Said, still_ours
from pipeline.engine.world import Runner, World
from pipeline.errors import ChangeSetBusy, ChangeSetGone
from pipeline.model import event as e
from pipeline.model.stack import (
    IN_PROGRESS,
    ExecutionStatus,
    StackSnapshot,
    StackStatus,
    parameters_digest,
)
from pipeline.model.target_state import Step

__all__ = ["EVENTS_MAY_LAG", "clear_then_look", "drop_change_set", "look", "observation"]

EVENTS_MAY_LAG = timedelta(minutes=2)
"""How long a stack's events are waited for before their silence counts as a no."""
_ALIVE = frozenset({Treatment.UPDATE, Treatment.WAIT, Treatment.CONTINUE})
_UNDER_EXECUTION = frozenset(
    {ExecutionStatus.EXECUTE_IN_PROGRESS, ExecutionStatus.EXECUTE_COMPLETE, ExecutionStatus.EXECUTE_FAILED}
)


def look(world: World, job: Job) -> Performed:
    """The stack as it stands; at the first look of a deployment also the alarms that are in ALARM already."""
    snapshot = world.stacks.describe(job.place, job.target.stack)
    names: tuple[str, ...] = ()
    if snapshot is not None and snapshot.status is StackStatus.REVIEW_IN_PROGRESS:
        names = world.stacks.list_change_sets(job.place, job.target.stack)
    seen = observation(snapshot, names)
    if job.action.seen == seen and snapshot is not None and snapshot.status in IN_PROGRESS:
        return Again(f"{job.target.id} is in {snapshot.status}, changed by somebody else")
    if job.state.captured or job.action.direction is e.Direction.BACK:
        return Said((seen,))
    noted = alarms_before(job.target, job.state, _in_alarm(world, job, seen), job.alarms_before)
    return Said((seen, *noted))


def _in_alarm(world: World, job: Job, seen: e.TargetObserved) -> tuple[str, ...]:
    """A stack that nothing can be deployed to is judged by its status alone."""
    if not job.wanted.health.alarms or when_found(seen.status) not in _ALIVE:
        return ()
    states = world.alarms.states(job.place, job.target.stack)
    return tuple(sorted(name for name, state in states.items() if state == "ALARM"))


def observation(snapshot: StackSnapshot | None, change_sets: tuple[str, ...] = ()) -> e.TargetObserved:
    if snapshot is None:
        return e.TargetObserved(stack_id="", status="", mark="", parameters=parameters_digest(()))
    mark = snapshot.mark
    return e.TargetObserved(
        stack_id=snapshot.stack_id,
        status=snapshot.status,
        mark=mark.text() if mark else "",
        parameters=parameters_digest(snapshot.readable_parameters),
        change_sets=change_sets,
    )


def drop_change_set(world: World, runner: Runner, job: Job) -> None:
    still_ours(world, runner)
    world.stacks.delete_change_set(job.place, job.action.stack_id, job.action.change_set)


def clear_then_look(world: World, runner: Runner, job: Job) -> Performed:
    """Nothing may be executed late; and what may have been executed is found out before anything is cleared."""
    if job.action.step is Step.EXECUTION_INTENDED:
        executed = _was_executed(world, runner, job)
        if executed is None:
            return Again(f"{job.target.id}: nobody can tell yet whether the change set was executed")
        if executed:
            return Said((e.ExecutionStarted(),))
    for name in world.stacks.list_change_sets(job.place, job.target.stack):
        if name.startswith("tg-"):
            still_ours(world, runner)
            try:
                world.stacks.delete_change_set(job.place, job.target.stack, name)
            except ChangeSetBusy:
                break  # somebody else's is being executed: the look that follows waits for its end
    return Said((e.ExecutionAbandoned(reason="looking again"),))


def _was_executed(world: World, runner: Runner, job: Job) -> bool | None:
    """Whether the change set of an execution whose answer never came was executed; None while nobody can tell.

    The stack's events prove it, but lag behind. A change set that can still be deleted was not executed and never
    will be; one that is busy is being executed. One that has vanished may be either, so the events get their time.
    """
    action = job.action
    if world.stacks.operation(job.place, job.stack, action.id) is not None:
        return True
    try:
        view = world.stacks.describe_change_set(job.place, job.target.stack, action.change_set)
        if view.execution in _UNDER_EXECUTION:
            return True
        drop_change_set(world, runner, job)
    except ChangeSetBusy:
        return True
    except ChangeSetGone:
        late = action.since is not None and world.clock.now() - action.since > EVENTS_MAY_LAG
        return False if late else None
    return False
