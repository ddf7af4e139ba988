"""Floor 3, engine: following an operation on a stack to its end, and letting CloudFormation try again to undo one."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.decide import target_steps as steps
from pipeline.decide.target_ends import failed, operation_ended
from pipeline.engine.job import Job
from pipeline.engine.looking import EVENTS_MAY_LAG
from pipeline.engine.outcome import Again, Performed, Said, halted, still_ours
from pipeline.engine.world import Runner, World
from pipeline.errors import ExecutionTokenUsed, RequestRefused, StackBusy
from pipeline.model import event as e
from pipeline.model.plan import Deployable
from pipeline.model.stack import IN_PROGRESS, SUCCEEDED, StackSnapshot, StackStatus, parameters_digest
from pipeline.model.target_state import Action
from pipeline.ports import Place

__all__ = ["continue_rollback", "find_continuation", "follow_continuation", "poll"]


def poll(world: World, job: Job) -> Performed:
    """DescribeStacks may lag behind ExecuteChangeSet, so an ending is believed only when the stack shows this
    very release, when its events say so under this operation's token, or when it is the first ending the stack
    ever had."""
    action = job.action
    snapshot = world.stacks.describe(job.place, job.stack)
    if snapshot is not None and snapshot.status in IN_PROGRESS:
        return Again(f"{job.target.id} is in {snapshot.status}")
    if snapshot is not None and snapshot.status in SUCCEEDED and _shows(snapshot, job.wanted):
        address = dict(snapshot.outputs).get(job.wanted.health.url_output, "")
        return Said(operation_ended(job.target, job.state, snapshot.status, "", address))
    operation = world.stacks.operation(job.place, job.stack, action.id)
    ending = _ending(action, snapshot, operation)
    if ending is None:
        return Again(f"{job.target.id}: the stack has not shown its ending yet")
    why = operation.reason if operation is not None else snapshot.reason if snapshot is not None else ""
    said = operation_ended(job.target, job.state, ending, why)
    return Said(said) if said else Again(f"{job.target.id} is in {ending}")


def _ending(
    action: Action, snapshot: StackSnapshot | None, operation: StackSnapshot | None
) -> StackStatus | None:
    """How our operation ended; None where that cannot be told yet.

    A new stack has had no operation but ours, so whatever it ended in is ours, even where the events of its
    clearing away (OnStackFailure=DELETE) do not carry our token.
    """
    if operation is not None and operation.status not in IN_PROGRESS:
        return operation.status
    if action.creating and snapshot is not None and snapshot.status is not StackStatus.REVIEW_IN_PROGRESS:
        return snapshot.status
    return None


def _shows(snapshot: StackSnapshot, wanted: Deployable) -> bool:
    same = parameters_digest(snapshot.readable_parameters) == parameters_digest(wanted.parameters)
    return snapshot.mark == steps.mark_of(wanted) and same


# --- UPDATE_ROLLBACK_FAILED ------------------------------------------------------------------------


def continue_rollback(world: World, runner: Runner, job: Job, action: steps.ContinueRollback) -> Performed:
    """A stack that we have broken is mended while the release is halted, too; one found broken is left then.

    What a person has named has to be among what keeps the stack from rolling back: nothing else may be skipped.
    """
    if job.action.failure:
        still_ours(world, runner)
    else:
        stopped = halted(world, runner, job)
        if stopped is not None:
            return stopped
    stray = _stray(world, job.place, job.stack, action.skip)
    if stray:
        reason = f"{', '.join(stray)} is not among the resources that failed to roll back"
        return Said((e.ContinueAbandoned(reason=reason),))
    try:
        world.stacks.continue_update_rollback(job.place, job.stack, action.id, action.skip)
    except ExecutionTokenUsed:
        return Said((e.ContinueStarted(),))
    except (RequestRefused, StackBusy) as fault:
        return Said((e.ContinueAbandoned(reason=fault.problem),))
    return Said((e.ContinueStarted(),))


def _stray(world: World, place: Place, stack: str, skip: Sequence[str]) -> tuple[str, ...]:
    if not skip:
        return ()
    broken = world.stacks.failed_resources(place, stack)
    return tuple(name for name in skip if name not in broken)


def find_continuation(world: World, job: Job) -> Performed:
    """The answer never came. The token in the stack's events proves that it was continued; a stack that moves, or
    has left UPDATE_ROLLBACK_FAILED, shows it as well. The events of one that has not moved get their time."""
    action = job.action
    if world.stacks.operation(job.place, job.stack, action.continue_id) is not None:
        return Said((e.ContinueStarted(),))
    snapshot = world.stacks.describe(job.place, job.stack)
    if snapshot is None or snapshot.status is not StackStatus.UPDATE_ROLLBACK_FAILED:
        return Said((e.ContinueAbandoned(reason="the stack has moved: looking again"),))
    since = action.since
    if since is not None and world.clock.now() - since < EVENTS_MAY_LAG:
        return Again(f"{job.target.id}: nobody can tell yet whether the rollback was continued")
    return Said((e.ContinueAbandoned(reason="the rollback was not continued"),))


def follow_continuation(world: World, job: Job) -> Performed:
    """Its ending is that of the events under its own token: DescribeStacks may still show the failure before it.
    Where the events stay silent for long, the stack itself is believed."""
    action = job.action
    snapshot = world.stacks.describe(job.place, job.stack)
    if snapshot is not None and snapshot.status in IN_PROGRESS:
        return Again(f"{job.target.id} is in {snapshot.status}")
    ended = world.stacks.operation(job.place, job.stack, action.continue_id)
    if ended is None and action.since is not None and world.clock.now() - action.since > EVENTS_MAY_LAG:
        ended = snapshot
    if ended is None or ended.status in IN_PROGRESS:
        return Again(f"{job.target.id}: the stack has not shown the end of its rollback yet")
    if ended.status is StackStatus.UPDATE_ROLLBACK_FAILED:
        return Said((e.ContinueAbandoned(reason=ended.reason or "AWS gave no reason"),))
    return _continued(job, ended.status)


def _continued(job: Job, status: StackStatus) -> Said:
    """What had failed stays failed: the stack is where it was before. One that was found broken is looked at anew."""
    action = job.action
    continued = e.StackContinued(status=status, skipped=action.skip)
    if not action.failure:
        return Said((continued,))
    reason = f"{action.failure}; its rollback was continued and ended in {status}"
    if action.skip:
        reason += f" without {', '.join(action.skip)}"
    return Said((continued, *failed(job.target, job.state, reason, e.Fault.RELEASE)))
