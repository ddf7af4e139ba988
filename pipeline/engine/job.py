"""Floor 3, engine: one target as its tick sees it. No behaviour here."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.plan import Deployable, Plan, PlannedTarget
from pipeline.model.policy import AlarmsBefore
from pipeline.model.target_state import Action, TargetState
from pipeline.model.waiver import SignedWaiver
from pipeline.ports import Place

__all__ = ["Job", "job_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One target as its tick sees it. token of this attempt is `state.action.id`.

    alarms_before: what alarms that are in ALARM at the first look mean. waivers: those of the plan, whose signatures
    hold.
    """

    service: str
    release: str
    target: PlannedTarget
    state: TargetState
    health_hosts: tuple[str, ...]
    alarms_before: AlarmsBefore = AlarmsBefore.BLOCK
    waivers: tuple[SignedWaiver, ...] = ()

    @property
    def place(self) -> Place:
        return Place(self.target.account, self.target.id.region)

    @property
    def stack(self) -> str:
        """By id once it is known: a stack that cleared its own failed creation is found by nothing else."""
        action = self.state.action
        return action.stack_id if action is not None and action.stack_id else self.target.stack

    @property
    def action(self) -> Action:
        assert self.state.action is not None, "only a target with an action is ticked"
        return self.state.action

    @property
    def wanted(self) -> Deployable:
        wanted = self.action.wanted
        assert wanted is not None, "an action with nowhere to go is concluded before anything is performed"
        return wanted


def job_of(plan: Plan, target: PlannedTarget, state: TargetState) -> Job:
    return Job(
        service=plan.release.service,
        release=str(plan.release),
        target=target,
        state=state,
        health_hosts=plan.health_hosts,
        alarms_before=plan.alarms_before,
        waivers=plan.waivers,
    )
