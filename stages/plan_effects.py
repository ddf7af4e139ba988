"""Floor 3, stages: what a release would change at one target, as CloudFormation itself says. Nothing is left behind.

For a stack that exists a change set is made, read and deleted; a first creation is shown from the template.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from pipeline.decide.effects import foreseen
from pipeline.decide.planning import Effect
from pipeline.decide.target_steps import mark_of, tag_of
from pipeline.errors import AccountUnusable, OperationFailed, Throttled
from pipeline.model.ids import AccountId, TargetId, stack_name
from pipeline.model.plan import Deployable, EffectKind, PlannedTarget
from pipeline.model.release import BuiltStack
from pipeline.model.stack import DEPLOYABLE, ResourceChange, StackStatus, parameters_digest
from pipeline.model.target_state import TargetState
from pipeline.ports import ChangeSetRequest, Clock, Place, Stacks

__all__ = ["Wish", "observe"]

_PATIENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A target before its account was asked: what it should run, and how the journal knows it."""

    service: str
    target: TargetId
    account: AccountId
    desired: Deployable
    stack: BuiltStack
    state: TargetState

    def planned(self, effect: Effect) -> PlannedTarget:
        return PlannedTarget(
            id=self.target,
            account=self.account,
            stack=stack_name(self.service),
            desired=self.desired,
            effect=effect.kind,
            effect_digest=effect.digest,
        )


def observe(wish: Wish, stacks: Stacks, clock: Clock) -> Effect | str:
    """The effect, or why the target cannot take part. OperationFailed where AWS cannot make the change set."""
    place = Place(wish.account, wish.target.region)
    name = stack_name(wish.service)
    try:
        snapshot = stacks.describe(place, name)
        if snapshot is None or snapshot.status is StackStatus.REVIEW_IN_PROGRESS:
            return Effect(kind=EffectKind.CREATE, changes=_creation(wish.stack))
        if snapshot.status not in DEPLOYABLE:
            return f"its stack is in {snapshot.status}"
        running = snapshot.mark.release if snapshot.mark is not None else ""
        same = parameters_digest(snapshot.readable_parameters) == parameters_digest(wish.desired.parameters)
        if snapshot.mark == mark_of(wish.desired) and same:
            return Effect(kind=EffectKind.NOTHING, running=running)
        changes = foreseen(_ask(wish, stacks, clock, place), wish.state.orphans)
    except AccountUnusable as fault:
        return fault.problem
    kind = EffectKind.UPDATE if changes else EffectKind.NOTHING
    return Effect(kind=kind, changes=changes, running=running)


def _creation(stack: BuiltStack) -> tuple[ResourceChange, ...]:
    return tuple(
        ResourceChange(logical_id=name, resource_type=kind, action="Add")
        for name, kind in stack.resource_types
    )


def _ask(wish: Wish, stacks: Stacks, clock: Clock, place: Place) -> tuple[ResourceChange, ...]:
    """Make a change set, read it and delete it whatever it says."""
    seed = f"plan\n{wish.desired.digest}\n{wish.target}\n{clock.now().isoformat()}"
    identity = hashlib.sha256(seed.encode()).hexdigest()[:32]
    request = ChangeSetRequest(
        stack=stack_name(wish.service),
        name=f"tg-{identity}",
        token=identity,
        creating=False,
        template=wish.desired.template,
        parameters=wish.desired.parameters,
        tags=(
            ("tidegate:client", tag_of(wish.target)),
            ("tidegate:managed-by", "tidegate"),
            ("tidegate:service", wish.service),
        ),
        description=f"what {wish.desired.release} would change",
        # As the deployment will ask: else the effect would look another one then.
        import_existing=bool(wish.state.orphans),
    )
    arn, _ = stacks.create_change_set(place, request)
    try:
        return _read(wish, stacks, clock, place, arn)
    finally:
        stacks.delete_change_set(place, request.stack, arn)


def _read(wish: Wish, stacks: Stacks, clock: Clock, place: Place, arn: str) -> tuple[ResourceChange, ...]:
    started = clock.now()
    delay = timedelta(milliseconds=300)
    while clock.now() - started < _PATIENCE:
        try:
            view = stacks.describe_change_set(place, stack_name(wish.service), arn)
        except Throttled:
            clock.sleep(timedelta(seconds=2))
            continue
        if view.is_empty:
            return ()
        if view.status == "FAILED":
            raise OperationFailed(
                f"AWS cannot make a change set for {wish.target}: {view.reason}",
                state="nothing was changed",
                remedy="mend the template or its parameters, then build and plan again",
            )
        if view.is_settled:
            return view.changes
        clock.sleep(delay)
        delay = min(delay * 1.5, timedelta(seconds=5))
    raise OperationFailed(
        f"the change set for {wish.target} was not ready after {_PATIENCE}",
        state="nothing was changed",
        remedy="plan again",
    )
