"""Floor 3, engine: one change set from its making to its execution. Every template mutation goes through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from pipeline.decide import target_steps as steps
from pipeline.decide.effects import as_planned, beside_an_orphan, foreseen, imported, let_go
from pipeline.decide.guard import findings, sentences
from pipeline.decide.stack_policy import asks_the_policy
from pipeline.decide.target_ends import change_set_failed
from pipeline.decide.waivers import covered
from pipeline.engine.bridging import crossing
from pipeline.engine.job import Job
from pipeline.engine.looking import drop_change_set, observation
from pipeline.engine.outcome import Again, Performed, Said, blocked, failed, halted
from pipeline.engine.world import Runner, World
from pipeline.errors import (
    BlockedByPolicy,
    ChangeSetBusy,
    ChangeSetGone,
    ExecutionTokenUsed,
    RequestRefused,
)
from pipeline.model import event as e
from pipeline.model.plan import EffectKind, PlannedTarget
from pipeline.model.stack import ChangeSetView, StackStatus, effect_of
from pipeline.model.waiver import SignedWaiver
from pipeline.ports import ChangeSetRequest

__all__ = ["execute", "find_change_set", "make_change_set", "read_change_set"]


def make_change_set(world: World, runner: Runner, job: Job, action: steps.MakeChangeSet) -> Performed:
    """Where the journal knows orphans here, whatever of them the template names is taken back in by it."""
    wanted = job.wanted
    stopped = halted(world, runner, job)
    if stopped is not None:
        return stopped
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
        import_existing=bool(action.importing) and not action.bridging,
    )
    try:
        if action.bridging:
            request = _bridging(world, job, action, request)
        arn, stack_id = world.stacks.create_change_set(job.place, request)
    except BlockedByPolicy as fault:
        return blocked(job, fault.problem, e.Fault.GUARD)
    except ChangeSetBusy:
        return find_change_set(world, job)
    except RequestRefused as fault:
        return failed(job, fault.problem, e.Fault.RELEASE)
    return Said((e.ChangeSetMade(arn=arn, stack_id=stack_id),))


def _bridging(
    world: World, job: Job, action: steps.MakeChangeSet, request: ChangeSetRequest
) -> ChangeSetRequest:
    """The same for an import that changes nothing else."""
    made = crossing(world, job, action.importing)
    return replace(
        request, template=made.template, parameters=made.parameters, import_resources=made.resources
    )


def find_change_set(world: World, job: Job) -> Performed:
    name = steps.change_set_name(job.action.id)
    try:
        view = world.stacks.describe_change_set(job.place, job.target.stack, name)
    except ChangeSetGone:
        return Said((e.ChangeSetAbandoned(reason="the change set was never made"),))
    return Said((e.ChangeSetMade(arn=view.arn, stack_id=view.stack_id),))


# --- reading ---------------------------------------------------------------------------------------


def read_change_set(world: World, runner: Runner, job: Job) -> Performed:
    """Whatever is not going to be executed is deleted at once: an empty one, a failed one, a refused one."""
    action = job.action
    view = world.stacks.describe_change_set(job.place, action.stack_id, action.change_set)
    if not view.is_settled:
        return Again(f"change set of {job.target.id} is {view.status}")
    if view.is_empty:
        drop_change_set(world, runner, job)
        return Said((e.ChangeSetEmpty(),))
    if view.status == "FAILED":
        drop_change_set(world, runner, job)
        return Said(change_set_failed(job.target, job.state, view.reason))
    inspected = _inspected(world, job, view)
    if inspected.instead is not None:
        drop_change_set(world, runner, job)
        return inspected.instead
    back = action.direction is e.Direction.BACK
    taken = imported(view.changes, job.state.orphans)
    added = {c.logical_id for c in view.changes if c.action == "Add"} | set(taken)
    return Said(
        (
            e.ChangeSetInspected(
                effect=effect_of(view.changes),
                added=tuple(sorted(added)),
                lets_go=let_go(view.changes, job.state.added) if back else (),
                imports=taken,
                waived=inspected.waived,
            ),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspected:
    """instead: what is said in place of its being executed."""

    instead: Said | None = None
    waived: tuple[str, ...] = ()


def _inspected(world: World, job: Job, view: ChangeSetView) -> _Inspected:
    """The guard, the waivers and the plan, in this order: a change that is blocked is no matter of being stale."""
    back = job.action.direction is e.Direction.BACK
    found = findings(
        view.changes,
        added_by_this_release=frozenset(job.state.added) if back else frozenset[str](),
        ours=frozenset((o.logical_id, o.physical_id) for o in job.state.orphans),
    )
    blocking, used = covered(found, job.waivers, job.target, world.clock.now())
    reasons = sentences(blocking)
    apart = beside_an_orphan(view.changes, job.state.orphans)
    if job.action.bridging:
        reasons = (*reasons, *_more_than_an_import(view))
    elif apart and (job.action.creating or world.artifacts is None):
        reasons = (*reasons, *apart.values())
    if not reasons:
        reasons = _refused_by_policy(world, job, view)
    if reasons:
        return _Inspected(instead=blocked(job, "; ".join(reasons), e.Fault.GUARD))
    if apart:
        return _Inspected(instead=Said((e.OrphansApart(logical_ids=tuple(apart)),)))
    difference = "" if back or job.action.bridging else _differs(job, view)
    if difference:
        return _Inspected(instead=failed(job, difference, e.Fault.STALE))
    return _Inspected(waived=tuple(_waived(waiver) for waiver in used))


def _refused_by_policy(world: World, job: Job, view: ChangeSetView) -> tuple[str, ...]:
    """What a person signed for, the stack's own policy may still refuse: better told before than tried."""
    if job.action.creating or not asks_the_policy(view.changes):
        return ()
    return tuple(
        f"{name}: the stack policy refuses it; a person with TidegateRepair has to change that policy first"
        for name in world.protection.denied(job.place, job.stack, view.changes)
    )


def _more_than_an_import(view: ChangeSetView) -> tuple[str, ...]:
    others = [c for c in view.changes if c.action != "Import"]
    return tuple(f"{c.logical_id} ({c.resource_type}): an import would also {c.action} it" for c in others)


def _waived(signed: SignedWaiver) -> str:
    waiver = signed.waiver
    return f"{waiver.logical_id}: {waiver.rule}, waived by {waiver.approver}: {waiver.reason}"


def _differs(job: Job, view: ChangeSetView) -> str:
    """How the change set at hand differs from the plan; empty where it does what was planned."""
    target, creating = job.target, job.action.creating
    match target.effect:
        case EffectKind.CREATE:
            return "" if creating else "the plan creates this stack, but it exists by now"
        case EffectKind.NOTHING:
            return "the plan has nothing to do here, but the stack has been changed since"
        case EffectKind.UPDATE if creating:
            return "the plan updates this stack, but it is gone"
        case EffectKind.UPDATE:
            return _differs_in_effect(target, job, view)
        case _:
            assert_never(target.effect)


def _differs_in_effect(target: PlannedTarget, job: Job, view: ChangeSetView) -> str:
    """What the plan saw as made anew, or as to be taken back in, may be in the stack by now."""
    known = (*job.state.orphans, *job.state.bridged)
    anew = as_planned(view.changes, job.state.orphans, job.state.bridged)
    same = target.effect_digest in [effect_of(each) for each in (view.changes, anew, foreseen(anew, known))]
    return "" if same else "the change set would do something else than the plan says"


# --- executing -------------------------------------------------------------------------------------


def execute(world: World, runner: Runner, job: Job) -> Performed:
    """Stack, latch, lease, in this order: what is read last is what can stop a late runner."""
    action = job.action
    moved = _has_moved(world, job)
    if moved:
        drop_change_set(world, runner, job)
        return Said((e.ExecutionAbandoned(reason=moved),))
    stopped = halted(world, runner, job)
    if stopped is not None:
        drop_change_set(world, runner, job)
        return stopped
    try:
        world.stacks.execute_change_set(job.place, action.stack_id, action.change_set, action.id)
    except ExecutionTokenUsed:
        return Said((e.ExecutionStarted(),))
    return Said((e.ExecutionStarted(),))


def _has_moved(world: World, job: Job) -> str:
    snapshot = world.stacks.describe(job.place, job.stack)
    if job.action.creating:
        review = snapshot is not None and snapshot.status is StackStatus.REVIEW_IN_PROGRESS
        return "" if review else "the stack is no longer waiting for its first change set"
    now = observation(snapshot)
    if now == job.action.seen:
        return ""
    return f"the stack has moved to {now.status or 'nothing'} since it was read"
