"""Floor 3, engine: one target as its tick sees it. No behaviour here."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.plan import PlannedTarget
from pipeline.model.target_state import TargetState
from pipeline.ports import Place

__all__ = ["Job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One target as its tick sees it. token of this attempt is `state.action.id`."""

    service: str
    release: str
    target: PlannedTarget
    state: TargetState
    health_hosts: tuple[str, ...]

    @property
    def place(self) -> Place:
        return Place(self.target.account, self.target.id.region)

    @property
    def stack(self) -> str:
        """By id once it is known: a stack that cleared its own failed creation is found by nothing else."""
        action = self.state.action
        return action.stack_id if action is not None and action.stack_id else self.target.stack
