"""Floor 3, engine: performs one short action on one target and returns what came of it as data. Never sleeps,
never writes the journal, never decides what comes next.

Whatever an adapter raises becomes an event or a wait here; only what must stop the whole run passes through:
FenceLost, and CredentialsRefused of the runner itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias, assert_never

from pipeline.decide import target_steps as steps
from pipeline.decide.guard import findings
from pipeline.engine.job import Job
from pipeline.engine.watch import watch
from pipeline.engine.world import Runner, World
from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    ChangeSetBusy,
    ChangeSetGone,
    CredentialsRefused,
    ExecutionTokenUsed,
    FenceLost,
    IntegrityBroken,
    ReleaseError,
    RequestRefused,
    StackBusy,
    Throttled,
)
from pipeline.model import event as e
from pipeline.model.plan import Deployable, EffectKind, PlannedTarget
from pipeline.model.stack import (
    IN_PROGRESS,
    SUCCEEDED,
    ChangeSetView,
    ExecutionStatus,
    StackSnapshot,
    StackStatus,
    effect_of,
    parameters_digest,
)
from pipeline.model.target_state import Action, Step
from pipeline.ports import ChangeSetRequest

__all__ = ["Again", "Performed", "Said", "perform", "still_ours"]


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

_THROTTLED = timedelta(seconds=2)
_EVENTS_MAY_LAG = timedelta(minutes=2)
_UNDER_EXECUTION = frozenset(
    {ExecutionStatus.EXECUTE_IN_PROGRESS, ExecutionStatus.EXECUTE_COMPLETE, ExecutionStatus.EXECUTE_FAILED}
)
_PATIENCE_ON_THE_WAY_BACK = 3
"""Alarms stay in ALARM for whole periods after their cause has gone; a good rollback must not be taken for a bad."""
_PATIENCE_WITH_ACCESS = timedelta(minutes=30)
"""How long an operation under way is waited for in an account that suddenly cannot be entered."""


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
        return _kept_out(world, job, fault.problem)
    except IntegrityBroken as fault:
        return _failed(job, fault.problem, e.Fault.INTEGRITY)
    except (RequestRefused, StackBusy, ChangeSetBusy, ChangeSetGone) as fault:
        return Said((e.ChangeSetAbandoned(reason=fault.problem),))
    except (FenceLost, CredentialsRefused):
        raise
    except ReleaseError as fault:
        return _unknown(job, fault.problem)


def _perform(world: World, runner: Runner, job: Job, action: steps.StepAction) -> Performed:
    match action:
        case steps.Look():
            return _look(world, job)
        case steps.ClearThenLook():
            return _clear_then_look(world, runner, job)
        case steps.MakeChangeSet():
            return _make_change_set(world, runner, job, action)
        case steps.FindChangeSet():
            return _find_change_set(world, job)
        case steps.ReadChangeSet():
            return _read_change_set(world, runner, job)
        case steps.Execute():
            return _execute(world, runner, job)
        case steps.Poll():
            return _poll(world, job)
        case steps.Verify():
            return _verify(world, job)
        case steps.CheckHealth():
            return _check_health(world, job)
        case _:
            assert_never(action)


# --- looking ---------------------------------------------------------------------------------------


def _look(world: World, job: Job) -> Performed:
    snapshot = world.stacks.describe(job.place, job.target.stack)
    seen = _observation(snapshot)
    previous = _action(job).seen
    if previous == seen and snapshot is not None and snapshot.status in IN_PROGRESS:
        return Again(f"{job.target.id} is in {snapshot.status}, changed by somebody else")
    return Said((seen,))


def _observation(snapshot: StackSnapshot | None) -> e.TargetObserved:
    if snapshot is None:
        return e.TargetObserved(stack_id="", status="", mark="", parameters=parameters_digest(()))
    mark = snapshot.mark
    return e.TargetObserved(
        stack_id=snapshot.stack_id,
        status=snapshot.status,
        mark=mark.text() if mark else "",
        parameters=parameters_digest(snapshot.readable_parameters),
    )


def _clear_then_look(world: World, runner: Runner, job: Job) -> Performed:
    """Nothing may be executed late; and what may have been executed is found out before anything is cleared."""
    if _action(job).step is Step.EXECUTION_INTENDED:
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
    action = _action(job)
    if _operation(world, job, action.id) is not None:
        return True
    try:
        view = world.stacks.describe_change_set(job.place, job.target.stack, action.change_set)
        if view.execution in _UNDER_EXECUTION:
            return True
        _drop_change_set(world, runner, job)
    except ChangeSetBusy:
        return True
    except ChangeSetGone:
        late = action.since is not None and world.clock.now() - action.since > _EVENTS_MAY_LAG
        return False if late else None
    return False


def _operation(world: World, job: Job, token: str) -> StackSnapshot | None:
    return world.stacks.operation(job.place, job.stack, token)


# --- the change set --------------------------------------------------------------------------------


def _make_change_set(world: World, runner: Runner, job: Job, action: steps.MakeChangeSet) -> Performed:
    wanted = _wanted(job)
    halted = _halted(world, runner, job)
    if halted is not None:
        return halted
    request = ChangeSetRequest(
        stack=job.target.stack,
        name=steps.change_set_name(action.id),
        token=action.id,
        creating=action.creating,
        template=wanted.template,
        parameters=wanted.parameters,
        tags=(
            ("tidegate:client", steps.tag_of(job.target.id)),
            ("tidegate:managed-by", "tidegate"),
            ("tidegate:service", job.service),
        ),
        description=f"{wanted.release} to {job.target.id}",
    )
    try:
        arn, stack_id = world.stacks.create_change_set(job.place, request)
    except ChangeSetBusy:
        return _find_change_set(world, job)
    except RequestRefused as fault:
        return _failed(job, fault.problem, e.Fault.RELEASE)
    return Said((e.ChangeSetMade(arn=arn, stack_id=stack_id),))


def _find_change_set(world: World, job: Job) -> Performed:
    name = steps.change_set_name(_action(job).id)
    try:
        view = world.stacks.describe_change_set(job.place, job.target.stack, name)
    except ChangeSetGone:
        return Said((e.ChangeSetAbandoned(reason="the change set was never made"),))
    return Said((e.ChangeSetMade(arn=view.arn, stack_id=view.stack_id),))


def _read_change_set(world: World, runner: Runner, job: Job) -> Performed:
    action = _action(job)
    view = world.stacks.describe_change_set(job.place, action.stack_id, action.change_set)
    if not view.is_settled:
        return Again(f"change set of {job.target.id} is {view.status}")
    if view.is_empty:
        _drop_change_set(world, runner, job)
        return Said((e.ChangeSetEmpty(),))
    if view.status == "FAILED":
        _drop_change_set(world, runner, job)
        return _failed(job, f"the change set failed: {view.reason}", e.Fault.RELEASE)
    refused = _refusal(job, view)
    if refused is not None:
        _drop_change_set(world, runner, job)
        return refused
    added = tuple(sorted(c.logical_id for c in view.changes if c.action == "Add"))
    return Said((e.ChangeSetInspected(effect=effect_of(view.changes), added=added),))


def _drop_change_set(world: World, runner: Runner, job: Job) -> None:
    still_ours(world, runner)
    action = _action(job)
    world.stacks.delete_change_set(job.place, action.stack_id, action.change_set)


def _refusal(job: Job, view: ChangeSetView) -> Said | None:
    back = _action(job).direction is e.Direction.BACK
    added = frozenset(job.state.added) if back else frozenset[str]()
    blocked = findings(view.changes, added_by_this_release=added)
    if blocked:
        return _failed(job, "; ".join(blocked), e.Fault.GUARD)
    if back:
        return None
    difference = _differs(job.target, _action(job).creating, view)
    return _failed(job, difference, e.Fault.STALE) if difference else None


def _differs(target: PlannedTarget, creating: bool, view: ChangeSetView) -> str:
    """How the change set at hand differs from the plan; empty where it does what was planned."""
    match target.effect:
        case EffectKind.CREATE:
            return "" if creating else "the plan creates this stack, but it exists by now"
        case EffectKind.NOTHING:
            return "the plan has nothing to do here, but the stack has been changed since"
        case EffectKind.UPDATE if creating:
            return "the plan updates this stack, but it is gone"
        case EffectKind.UPDATE:
            same = effect_of(view.changes) == target.effect_digest
            return "" if same else "the change set would do something else than the plan says"
        case _:
            assert_never(target.effect)


# --- executing -------------------------------------------------------------------------------------


def _execute(world: World, runner: Runner, job: Job) -> Performed:
    """Stack, latch, lease, in this order: what is read last is what can stop a late runner."""
    action = _action(job)
    moved = _has_moved(world, job, action)
    if moved:
        _drop_change_set(world, runner, job)
        return Said((e.ExecutionAbandoned(reason=moved),))
    halted = _halted(world, runner, job)
    if halted is not None:
        _drop_change_set(world, runner, job)
        return halted
    try:
        world.stacks.execute_change_set(job.place, action.stack_id, action.change_set, action.id)
    except ExecutionTokenUsed:
        return Said((e.ExecutionStarted(),))
    return Said((e.ExecutionStarted(),))


def _has_moved(world: World, job: Job, action: Action) -> str:
    snapshot = world.stacks.describe(job.place, job.stack)
    if action.creating:
        review = snapshot is not None and snapshot.status is StackStatus.REVIEW_IN_PROGRESS
        return "" if review else "the stack is no longer waiting for its first change set"
    now = _observation(snapshot)
    return "" if now == action.seen else f"the stack has moved to {now.status or 'nothing'} since it was read"


def _poll(world: World, job: Job) -> Performed:
    """DescribeStacks may lag behind ExecuteChangeSet, so an ending is believed only when the stack shows this
    very release, when its events say so under this operation's token, or when it is the first ending the stack
    ever had."""
    action = _action(job)
    snapshot = world.stacks.describe(job.place, job.stack)
    if snapshot is not None and snapshot.status in IN_PROGRESS:
        return Again(f"{job.target.id} is in {snapshot.status}")
    if snapshot is not None and snapshot.status in SUCCEEDED and _shows(snapshot, _wanted(job)):
        return Said((e.StackSettled(status=snapshot.status, reason=""),))
    operation = _operation(world, job, action.id)
    ending = _ending(action, snapshot, operation)
    if ending is None:
        return Again(f"{job.target.id}: the stack has not shown its ending yet")
    if ending in SUCCEEDED:
        return Said((e.StackSettled(status=ending, reason=""),))
    why = operation.reason if operation is not None else snapshot.reason if snapshot is not None else ""
    return _failed(job, f"the stack ended in {ending}: {why or 'AWS gave no reason'}", e.Fault.RELEASE)


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


# --- verifying and health --------------------------------------------------------------------------


def _verify(world: World, job: Job) -> Performed:
    wanted = _wanted(job)
    found = world.stacks.template(job.place, job.stack)
    if found != wanted.template:
        return _failed(job, f"the stack's template is {found}, not {wanted.template}", e.Fault.INTEGRITY)
    names = [name for name, _ in wanted.functions]
    code = world.stacks.function_digests(job.place, job.stack, names) if names else {}
    for name, digest in wanted.functions:
        if code.get(name) != digest:
            reason = f"function {name} runs code {code.get(name, 'nobody can read')}, not {digest}"
            return _failed(job, reason, e.Fault.INTEGRITY)
    return Said((e.TargetVerified(),))


def _check_health(world: World, job: Job) -> Performed:
    action, wanted = _action(job), _wanted(job)
    verdict, reason = watch(world, job, wanted)
    if verdict is e.Verdict.PASS:
        if action.direction is e.Direction.BACK:
            return Said((e.TargetRolledBack(to=wanted.release),))
        return Said((e.TargetHealthy(changed=action.changed),))
    back = action.direction is e.Direction.BACK
    deadline = wanted.health.deadline * (_PATIENCE_ON_THE_WAY_BACK if back else 1)
    since = action.since
    if since is not None and world.clock.now() - since < deadline:
        return Again(reason, timedelta(seconds=1))
    return _failed(job, f"not healthy within {deadline}: {reason}", e.Fault.RELEASE)


# --- what every action needs -----------------------------------------------------------------------


def _action(job: Job) -> Action:
    assert job.state.action is not None, "only a target with an action is ticked"
    return job.state.action


def _wanted(job: Job) -> Deployable:
    wanted = _action(job).wanted
    assert wanted is not None, "an action with nowhere to go is concluded before anything is performed"
    return wanted


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


def _halted(world: World, runner: Runner, job: Job) -> Said | None:
    """Latch first, lease last. A rollback goes on while the release is halted: that is what halting is for."""
    if _action(job).direction is e.Direction.FORWARD:
        halt = world.latch.read(job.release)
        if halt is not None:
            return Said((e.TargetReleased(reason=f"halted by {halt.actor}: {halt.reason}"),))
    still_ours(world, runner)
    return None


def _kept_out(world: World, job: Job, problem: str) -> Performed:
    """An operation that AWS carries out goes on without us: it is not called failed while it may still succeed."""
    action = _action(job)
    if action.step is not Step.EXECUTING:
        return _failed(job, problem, e.Fault.ACCOUNT)
    since = action.since
    if since is not None and world.clock.now() - since < _PATIENCE_WITH_ACCESS:
        return Again(problem)
    return _unknown(job, problem)


def _unknown(job: Job, reason: str) -> Said:
    if _action(job).direction is e.Direction.FORWARD:
        return Said((e.TargetUnknown(reason=reason),))
    return _failed(job, reason, e.Fault.ACCOUNT)


def _failed(job: Job, reason: str, fault: e.Fault) -> Said:
    if _action(job).direction is e.Direction.FORWARD:
        return Said((e.TargetFailed(reason=reason, fault=fault),))
    command = steps.quarantine_command(job.target)
    return Said((e.RollbackFailed(reason=reason), e.TargetQuarantined(reason=reason, command=command)))
