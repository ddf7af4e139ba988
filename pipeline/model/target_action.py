"""Floor 1, a target's phases and the action on its stack, as the fold of its stream makes them. No effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.model import event as e
from pipeline.model.plan import Deployable

__all__ = ["IN_FLIGHT", "TERMINAL", "Action", "Phase", "Step"]


class Phase(StrEnum):
    PENDING = "PENDING"
    CLAIMED = "CLAIMED"
    DEPLOYING = "DEPLOYING"
    VERIFYING = "VERIFYING"
    HEALTHY = "HEALTHY"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    QUARANTINED = "QUARANTINED"


IN_FLIGHT = frozenset({Phase.CLAIMED, Phase.DEPLOYING, Phase.VERIFYING, Phase.ROLLING_BACK})
TERMINAL = frozenset(Phase) - IN_FLIGHT - {Phase.PENDING}


class Step(StrEnum):
    """Where the present action on the stack stands; a journal that ends here is picked up here."""

    LOOK = "LOOK"
    """read the stack"""
    OBSERVED = "OBSERVED"
    CHANGE_SET_INTENDED = "CHANGE_SET_INTENDED"
    CHANGE_SET_MADE = "CHANGE_SET_MADE"
    INSPECTED = "INSPECTED"
    EXECUTION_INTENDED = "EXECUTION_INTENDED"
    EXECUTING = "EXECUTING"
    STUCK = "STUCK"
    """in UPDATE_ROLLBACK_FAILED, by our own operation"""
    CONTINUE_INTENDED = "CONTINUE_INTENDED"
    CONTINUING = "CONTINUING"
    SETTLED = "SETTLED"
    VERIFIED = "VERIFIED"
    DONE = "DONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One attempt to bring the stack to `wanted`, forward or back. id is the change set's name without `tg-`
    and the token of its execution."""

    direction: e.Direction
    wanted: Deployable | None
    """None: a rollback of a first deployment, which has nowhere to go back to."""
    step: Step = Step.LOOK
    id: str = ""
    creating: bool = False
    change_set: str = ""
    stack_id: str = ""
    seen: e.TargetObserved | None = None
    inherited: bool = False
    """Taken over from another holder: its change sets have to go before anything else is done."""
    since: datetime | None = None
    """when the present step began"""
    rounds: int = 0
    """How often the action went back to looking; bounded by decide."""
    changed: bool = False
    """A change set has been executed."""
    imports: tuple[str, ...] = ()
    """logical ids of orphans that the change set at hand takes back in"""
    bridging: bool = False
    """The change set at hand does nothing but import."""
    apart: tuple[str, ...] = ()
    """logical ids of orphans that have to be imported before the release itself"""
    lets_go: tuple[e.Orphan, ...] = ()
    """what the change set at hand leaves behind"""
    address: str = ""
    """where the settled stack says that its health can be asked"""
    failure: str = ""
    """why our own operation failed, where CloudFormation could not undo it"""
    continue_id: str = ""
    """token of the last ContinueUpdateRollback"""
    continues: int = 0
    """How often the stuck rollback of the stack was continued; bounded by decide."""
    skip: tuple[str, ...] = ()
    """what the last ContinueUpdateRollback leaves out"""
    hindered: str = ""
    """why the last ContinueUpdateRollback came to nothing"""
