"""Floor 1, the events of a target's stream, in the past tense. No effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable

__all__ = [
    "ChangeSetAbandoned",
    "ChangeSetEmpty",
    "ChangeSetInspected",
    "ChangeSetIntended",
    "ChangeSetMade",
    "Direction",
    "ExecutionAbandoned",
    "ExecutionIntended",
    "ExecutionStarted",
    "Fault",
    "RollbackClaimed",
    "RollbackFailed",
    "StackSettled",
    "TargetClaimed",
    "TargetCleared",
    "TargetEnd",
    "TargetEvent",
    "TargetFailed",
    "TargetGood",
    "TargetHealthy",
    "TargetJudged",
    "TargetObserved",
    "TargetQuarantined",
    "TargetRecalled",
    "TargetReleased",
    "TargetRolledBack",
    "TargetSkipped",
    "TargetStep",
    "TargetTakenOver",
    "TargetUnknown",
    "TargetVerified",
    "Verdict",
]


class Direction(StrEnum):
    FORWARD = "forward"
    BACK = "back"


class Fault(StrEnum):
    """Whose fault a failure is."""

    RELEASE = "release"
    ACCOUNT = "account"
    """suspended, role missing, denied: told apart from a defect of the release"""
    STALE = "stale"
    """the change set would do something else than the plan says"""
    GUARD = "guard"
    INTEGRITY = "integrity"


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_DATA = "NO_DATA"
    FLEET_EVENT = "FLEET_EVENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetClaimed:
    release: str
    plan: Digest
    wave: int
    desired: Deployable


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTakenOver:
    """A new holder raised this stream's fence before it acts here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetObserved:
    """What stood in the account before the first write. stack_id is empty where there was no stack."""

    stack_id: str
    status: str
    mark: str
    parameters: Digest
    last_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetIntended:
    action_id: str
    creating: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetMade:
    arn: str
    stack_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetInspected:
    """added: logical ids of resources this change set creates; a rollback may let go of these again."""

    effect: Digest
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetEmpty:
    """AWS found nothing to change; the change set has been deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetAbandoned:
    """The change set is gone or useless; look at the stack again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionIntended:
    action_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStarted:
    """AWS accepted the execution, or its token was found in the stack's events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionAbandoned:
    """It is certain that nothing was executed under this action's id."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettled:
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVerified:
    """Mark, template and code in the account have the planned digests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealthy:
    """changed: False where the account already ran this release with these parameters."""

    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetJudged:
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGood:
    """Healthy and baked: from now on a place to roll back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFailed:
    reason: str
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUnknown:
    """What happened could not be read. Counts as failed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSkipped:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReleased:
    """Put back among the pending: the run was halted before anything was executed here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackClaimed:
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRolledBack:
    """to: the release it now runs; empty where nothing is left, because the first creation cleared itself."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFailed:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetQuarantined:
    """Left out of later releases until a person clears it. command: what that person types."""

    reason: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCleared:
    """A person has looked at a quarantined target: later releases may plan with it again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecalled:
    """A release is good here no more, whether or not it still runs: nothing ever goes back to it."""

    release: str


TargetStep: TypeAlias = (
    TargetObserved
    | ChangeSetIntended
    | ChangeSetMade
    | ChangeSetInspected
    | ChangeSetEmpty
    | ChangeSetAbandoned
    | ExecutionIntended
    | ExecutionStarted
    | ExecutionAbandoned
    | StackSettled
    | TargetVerified
)
"""What moves an action on the stack along."""

TargetEnd: TypeAlias = (
    TargetHealthy
    | TargetJudged
    | TargetGood
    | TargetFailed
    | TargetUnknown
    | TargetSkipped
    | TargetReleased
    | TargetRolledBack
    | RollbackFailed
    | TargetQuarantined
)
"""What is said once nothing is in flight any more."""

TargetEvent: TypeAlias = (
    TargetClaimed
    | TargetTakenOver
    | RollbackClaimed
    | TargetCleared
    | TargetRecalled
    | TargetStep
    | TargetEnd
)
