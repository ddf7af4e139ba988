"""Floor 2, how a target's turn ends when it cannot go on, and whose fault that is. Pure.

An account's own fault, and a change that the guard refuses, stop that client and not the wave, as long as nothing was
executed there: SKIPPED, which burns no tolerance and has a cap. The service's own target is nobody's client, so that
whatever stops it has failed. On the way back everything that cannot go on is for a person: QUARANTINED.
"""

from __future__ import annotations

from pipeline.decide.causes import is_the_accounts_own
from pipeline.decide.stack_table import Treatment, when_ours
from pipeline.model import event as e
from pipeline.model.plan import PlannedTarget
from pipeline.model.policy import AlarmsBefore
from pipeline.model.stack import StackStatus
from pipeline.model.target_state import TargetState

__all__ = [
    "alarms_before",
    "blocked",
    "change_set_failed",
    "failed",
    "given_up",
    "left_to_a_person",
    "needs_a_person",
    "operation_ended",
    "quarantine_command",
    "skip_command",
]

Events = tuple[e.TargetEvent, ...]


def quarantine_command(target: PlannedTarget) -> str:
    """What a person holding the repair role types, once they have looked."""
    return (
        f"aws cloudformation describe-stack-events --stack-name {target.stack} --region {target.id.region}"
        f"   # as TidegateRepair in {target.account}"
    )


def skip_command(target: PlannedTarget, service: str) -> str:
    """What lets a stuck rollback go on without resources that a person names, once their cause cannot be mended."""
    return f"release clear {service} {target.id} --skip LOGICAL_ID --reason TEXT   # after: " + (
        quarantine_command(target)
    )


def _back(state: TargetState) -> bool:
    return state.action is not None and state.action.direction is e.Direction.BACK


def change_set_failed(target: PlannedTarget, state: TargetState, why: str) -> Events:
    """CloudFormation could not make the change set. why: its StatusReason."""
    reason = f"the change set failed: {why}"
    if is_the_accounts_own(why):
        return blocked(target, state, reason, e.Fault.ACCOUNT)
    return failed(target, state, reason, e.Fault.RELEASE)


def failed(target: PlannedTarget, state: TargetState, reason: str, fault: e.Fault) -> Events:
    """It was tried and did not work: FAILED on the way forward, and for a person on the way back."""
    if _back(state):
        quarantined = e.TargetQuarantined(reason=reason, command=quarantine_command(target))
        return (e.RollbackFailed(reason=reason), quarantined)
    return (e.TargetFailed(reason=reason, fault=fault),)


def blocked(target: PlannedTarget, state: TargetState, reason: str, fault: e.Fault) -> Events:
    """Something that is not the release's fault stands in the way. fault: ACCOUNT or GUARD."""
    if _back(state) or state.changed or not target.id.is_client:
        return failed(target, state, reason, fault)
    return (e.TargetSkipped(reason=reason, fault=fault),)


def needs_a_person(target: PlannedTarget, state: TargetState, reason: str, command: str = "") -> Events:
    """The stack was found as no call of the engine's can mend it."""
    if _back(state):
        return failed(target, state, reason, e.Fault.ACCOUNT)
    blameless = target.id.is_client and not state.changed
    quarantined = e.TargetQuarantined(
        reason=reason,
        command=command or quarantine_command(target),
        fault=e.Fault.ACCOUNT if blameless else None,
    )
    return (quarantined,)


def left_to_a_person(target: PlannedTarget, state: TargetState, reason: str, command: str = "") -> Events:
    """Our own operation failed and has left the stack as only a person can clear it."""
    quarantined = e.TargetQuarantined(reason=reason, command=command or quarantine_command(target))
    if _back(state):
        return (e.RollbackFailed(reason=reason), quarantined)
    return (e.TargetFailed(reason=reason, fault=e.Fault.RELEASE), quarantined)


def operation_ended(
    target: PlannedTarget, state: TargetState, status: str, why: str, address: str = ""
) -> Events:
    """What follows when the operation that the present action has executed shows this status. Empty: it is not over.

    status: of the stack; empty where it cannot be found. why: AWS's reason. address: where its health can be asked.
    """
    reason = f"the stack ended in {status}: {why or 'AWS gave no reason'}"
    if state.action is not None and state.action.bridging and status == StackStatus.IMPORT_COMPLETE:
        taken = e.OrphansTaken(logical_ids=state.action.imports)
        return (e.StackImported(status=status), taken)
    match when_ours(status):
        case Treatment.SUCCEEDED:
            return _settled(state, status, address)
        case Treatment.WAIT:
            return ()
        case Treatment.CONTINUE:
            return (e.StackStuck(reason=reason),)
        case Treatment.FAILED_PERSON:
            return left_to_a_person(target, state, reason)
        case _:
            own = is_the_accounts_own(why)
            return failed(target, state, reason, e.Fault.ACCOUNT if own else e.Fault.RELEASE)


def _settled(state: TargetState, status: str, address: str) -> Events:
    said: list[e.TargetEvent] = [e.StackSettled(status=status, reason="", address=address)]
    action = state.action
    if action is not None and action.lets_go:
        said.append(e.OrphansLeft(orphans=action.lets_go))
    if action is not None and action.imports:
        said.append(e.OrphansTaken(logical_ids=action.imports))
    return tuple(said)


def given_up(target: PlannedTarget, state: TargetState, reason: str) -> Events:
    """What is said of a target in flight that cannot be followed any longer."""
    if _back(state):
        return failed(target, state, reason, e.Fault.ACCOUNT)
    return (e.TargetUnknown(reason=reason),)


def alarms_before(
    target: PlannedTarget, state: TargetState, names: tuple[str, ...], policy: AlarmsBefore
) -> Events:
    """What is said at the first look of alarms that are in ALARM already; nothing where there are none.

    BLOCK: nothing is deployed on top of trouble. RECORD: they are left out when this target is judged.
    """
    if not names:
        return ()
    noted = e.AlarmsBefore(names=names)
    if policy is AlarmsBefore.RECORD:
        return (noted,)
    reason = f"in ALARM before anything was deployed: {', '.join(names)}"
    return (noted, *blocked(target, state, reason, e.Fault.ACCOUNT))
