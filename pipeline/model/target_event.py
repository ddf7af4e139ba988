"""Floor 1, the events of a target's stream, in the past tense. No effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable

__all__ = [
    "AlarmsBefore",
    "ChangeSetAbandoned",
    "ChangeSetEmpty",
    "ChangeSetInspected",
    "ChangeSetIntended",
    "ChangeSetMade",
    "ContinueAbandoned",
    "ContinueIntended",
    "ContinueStarted",
    "Direction",
    "ExecutionAbandoned",
    "ExecutionIntended",
    "ExecutionStarted",
    "Fault",
    "Orphan",
    "OrphansApart",
    "OrphansLeft",
    "OrphansTaken",
    "RollbackClaimed",
    "RollbackFailed",
    "SkipsChosen",
    "StackContinued",
    "StackImported",
    "StackSettled",
    "StackStuck",
    "TargetClaimed",
    "TargetCleared",
    "TargetEnd",
    "TargetEvent",
    "TargetFailed",
    "TargetGood",
    "TargetHealthy",
    "TargetJudged",
    "TargetObserved",
    "TargetProtected",
    "TargetQuarantined",
    "TargetRecalled",
    "TargetReleased",
    "TargetRetried",
    "TargetRolledBack",
    "TargetSkipped",
    "TargetStep",
    "TargetTakenOver",
    "TargetUnknown",
    "TargetUnprotected",
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
    """What stood in the account before the first write. stack_id is empty where there was no stack.

    change_sets: names of those on a stack in REVIEW_IN_PROGRESS, which tell whose stack it is; not read otherwise.
    """

    stack_id: str
    status: str
    mark: str
    parameters: Digest
    last_token: str = ""
    change_sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsBefore:
    """Alarms of the stack that were in ALARM when this run first looked, before it changed anything."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A resource that stands in the account and belongs to no stack any more. physical_id: as AWS names it."""

    logical_id: str
    resource_type: str
    physical_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetIntended:
    """importing: orphans that this change set takes back in. bridging: and does nothing else."""

    action_id: str
    creating: bool
    importing: tuple[Orphan, ...] = ()
    bridging: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetMade:
    arn: str
    stack_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetInspected:
    """added: logical ids of resources this change set creates; a rollback may let go of these again.

    lets_go: retained resources that will belong to no stack once it has been executed. imports: logical ids of
    orphans that it takes back in. waived: what the guard said and a signed waiver let through, with its approver.
    """

    effect: Digest
    added: tuple[str, ...] = ()
    lets_go: tuple[Orphan, ...] = ()
    imports: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()


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
    """address: where its health can be asked, as the settled stack itself says; empty where it was not read."""

    status: str
    reason: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStuck:
    """Our operation ended in UPDATE_ROLLBACK_FAILED: CloudFormation could not undo it. reason: why it had failed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueIntended:
    """ContinueUpdateRollback is about to be called. skip: the resources that a person has named."""

    action_id: str
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueStarted:
    """AWS accepted the call, or its token was found in the stack's events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAbandoned:
    """It is certain that nothing was continued under this id."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackContinued:
    """The rollback that was stuck has come to its end. skipped: resources that differ from their template now."""

    status: str
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphansApart:
    """The release gives these no name of their own, so that an update would make them anew: they are imported first,
    by a change set that does nothing else. The one at hand has been deleted."""

    logical_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackImported:
    """An import of ours has ended well; the release itself is still to be deployed."""

    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphansLeft:
    """A rollback has let go of these; they keep their data."""

    orphans: tuple[Orphan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphansTaken:
    """A deployment has taken these back into the stack, by logical id."""

    logical_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVerified:
    """Mark, template and code in the account have the planned digests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealthy:
    """changed: False where the account already ran this release with these parameters.

    reason: what the verdict leaves out, such as an alarm that was in ALARM before the deployment.
    """

    changed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetProtected:
    """Stack policy and termination protection stand. stack_id: a stack made anew has to be protected anew.

    spared: logical ids that the policy leaves out, because a rollback of the release that added them has to be able
    to let go of them; the next release that stands here has them protected.
    """

    stack_id: str = ""
    spared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUnprotected:
    """The stack could not be protected. It is tried again with the next deployment; the target stays healthy."""

    reason: str


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
    """Nothing was executed here. fault: ACCOUNT or GUARD; None where nobody is to blame (suspended, frozen)."""

    reason: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReleased:
    """Put back among the pending: the run was halted before anything was executed here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRetried:
    """A failed or unknown target is pending again, with the same digest and the next attempt number."""

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
    """Left out of later releases until a person clears it. command: what that person types.

    fault: ACCOUNT where the stack was found like that, before this run had executed anything.
    """

    reason: str
    command: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCleared:
    """A person has looked at a quarantined target: later releases may plan with it again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipsChosen:
    """A person lets a stuck rollback go on without these resources, by logical id. Lifts a quarantine to FAILED, so
    that `release rollback --target` or the next deployment carries it out; what was skipped is drift from then on."""

    resources: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecalled:
    """A release is good here no more, whether or not it still runs: nothing ever goes back to it."""

    release: str


TargetStep: TypeAlias = (
    TargetObserved
    | AlarmsBefore
    | ChangeSetIntended
    | ChangeSetMade
    | ChangeSetInspected
    | ChangeSetEmpty
    | ChangeSetAbandoned
    | ExecutionIntended
    | ExecutionStarted
    | ExecutionAbandoned
    | StackSettled
    | StackStuck
    | ContinueIntended
    | ContinueStarted
    | ContinueAbandoned
    | StackContinued
    | StackImported
    | OrphansApart
    | OrphansLeft
    | OrphansTaken
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
    | TargetRetried
    | TargetProtected
    | TargetUnprotected
    | RollbackClaimed
    | SkipsChosen
    | TargetCleared
    | TargetRecalled
    | TargetStep
    | TargetEnd
)
