"""Floor 1, the state of one target: the fold of its stream, over all the releases it has seen. No effects.

Total: any prefix of any stream folds without raising; an event that makes no sense where it stands is recorded
in the journal all the same and changes nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias, assert_never

from pipeline.model import event as e
from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable
from pipeline.model.target_action import IN_FLIGHT, TERMINAL, Action, Phase, Step

__all__ = ["IN_FLIGHT", "TERMINAL", "Action", "Phase", "Step", "TargetState", "evolve_target", "fold_target"]

_RecoveryStep: TypeAlias = (
    e.StackStuck
    | e.ContinueIntended
    | e.ContinueStarted
    | e.ContinueAbandoned
    | e.StackContinued
    | e.StackImported
    | e.OrphansApart
    | e.OrphansLeft
    | e.OrphansTaken
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    phase: Phase = Phase.PENDING
    release: str = ""
    plan: Digest | None = None
    wave: int = -1
    desired: Deployable | None = None
    observed: str = ""
    """the release the account itself was last seen to run; empty where none was seen"""
    previous_good: Deployable | None = None
    captured: bool = False
    """previous_good was captured for this release, before its first write"""
    goods: tuple[Deployable, ...] = ()
    """Oldest first: what reached HEALTHY here, baked, and was not recalled."""
    action: Action | None = None
    verdict: e.Verdict | None = None
    reason: str = ""
    fault: e.Fault | None = None
    command: str = ""
    """what a person types to clear a quarantine"""
    settled_at: datetime | None = None
    added: tuple[str, ...] = ()
    """logical ids that this release created here"""
    changed: bool = False
    """This run has executed, or may have executed, a change set here."""
    attempt: int = 0
    """How often a person had this target tried again within its run."""
    alarms_before: tuple[str, ...] = ()
    """alarms in ALARM when this run first looked"""
    protected: str = ""
    """id of the stack that stack policy and termination protection were set for; empty where for none"""
    spared: tuple[str, ...] = ()
    """what the stack policy leaves out"""
    unprotected: str = ""
    """why the stack could not be protected"""
    orphans: tuple[e.Orphan, ...] = ()
    """Resources that rollbacks have let go of here, until a deployment takes them back in."""
    skips: tuple[str, ...] = ()
    """What a person has chosen to leave out when a stuck rollback is continued; used once."""
    drifted: tuple[str, ...] = ()
    """Resources left out of a rollback, which differ from their template since; until a person clears the target."""
    bridged: tuple[e.Orphan, ...] = ()
    """What an import has given the stack ahead of a release: it shows its old release, and is not quite that."""
    made_stack: bool = False
    """The stack's first change set was ours, and the stack has not been seen complete since."""

    @property
    def quarantined(self) -> bool:
        return self.phase is Phase.QUARANTINED

    @property
    def blameless(self) -> bool:
        """Stopped before anything was executed here, and not by a defect of the release: does not burn tolerance."""
        stopped = self.phase in (Phase.SKIPPED, Phase.QUARANTINED) and not self.changed
        return stopped and self.fault in (e.Fault.ACCOUNT, e.Fault.GUARD)

    def between_runs(self) -> TargetState:
        """What outlives a run; everything else belongs to the run that said it."""
        return TargetState(
            observed=self.observed,
            goods=self.goods,
            protected=self.protected,
            spared=self.spared,
            unprotected=self.unprotected,
            orphans=self.orphans,
            skips=self.skips,
            drifted=self.drifted,
            bridged=self.bridged,
            made_stack=self.made_stack,
        )


def fold_target(entries: Iterable[e.Envelope]) -> TargetState:
    state = TargetState()
    for entry in entries:
        state = evolve_target(state, entry)
    return state


def evolve_target(state: TargetState, entry: e.Envelope) -> TargetState:
    event = entry.event
    if isinstance(event, e.TargetStep):
        return _stepped(state, event, entry.at)
    if isinstance(event, e.TargetEnd):
        return _ended(state, event, entry.at)
    match event:
        case e.TargetClaimed():
            return _claimed(state, event, entry.at)
        case e.RollbackClaimed():
            return _rollback_claimed(state, event, entry.at)
        case e.TargetTakenOver():
            return _on_action(state, entry.at, inherited=True, keep_since=True)
        case e.TargetRecalled(release=release):
            return _recalled(state, release)
        case e.TargetRetried():
            return _retried(state)
        case e.SkipsChosen(resources=resources):
            return _skips_chosen(state, resources)
        case e.TargetProtected(stack_id=stack_id, spared=spared):
            return replace(state, protected=stack_id, spared=spared, unprotected="")
        case e.TargetUnprotected(reason=reason):
            return replace(state, unprotected=reason)
        case e.TargetCleared():
            # The person may have made the stack anew, so that nothing is known of it any more but its releases.
            cleared = TargetState(observed=state.observed, goods=state.goods, orphans=state.orphans)
            return cleared if state.quarantined else state
        case _:
            return state


def _claimed(state: TargetState, claimed: e.TargetClaimed, at: datetime) -> TargetState:
    # What another run, or an earlier attempt, left open here may still be executed: its change sets go first.
    interrupted = state.phase in IN_FLIGHT
    same_run = state.plan == claimed.plan and state.release == claimed.release
    action = Action(
        direction=e.Direction.FORWARD,
        wanted=claimed.desired,
        since=at,
        inherited=interrupted or (same_run and state.attempt > 0),
        changed=same_run and state.changed,
    )
    # A target put back among the pending has been captured and perhaps changed by this very run.
    base = state if same_run else state.between_runs()
    return replace(
        base,
        phase=Phase.CLAIMED,
        release=claimed.release,
        plan=claimed.plan,
        wave=claimed.wave,
        desired=claimed.desired,
        action=action,
        verdict=None,
        reason="",
        fault=None,
        command="",
        settled_at=None,
        added=state.added if state.release == claimed.release else (),
    )


def _retried(state: TargetState) -> TargetState:
    """Only what failed or is unknown; what this run knows of the target it goes on knowing."""
    if state.phase not in (Phase.FAILED, Phase.UNKNOWN):
        return state
    return replace(
        state,
        phase=Phase.PENDING,
        action=None,
        attempt=state.attempt + 1,
        verdict=None,
        reason="",
        fault=None,
        settled_at=None,
    )


def _skips_chosen(state: TargetState, resources: tuple[str, ...]) -> TargetState:
    phase = Phase.FAILED if state.phase in (Phase.QUARANTINED, Phase.ROLLBACK_FAILED) else state.phase
    return replace(state, skips=resources, phase=phase, command="")


def _rollback_claimed(state: TargetState, claimed: e.RollbackClaimed, at: datetime) -> TargetState:
    if state.release != claimed.release:
        return state
    # Where nobody knows how the way forward ended, a change set of it may still be open.
    open_ended = state.phase in IN_FLIGHT or state.phase is Phase.UNKNOWN
    action = Action(direction=e.Direction.BACK, wanted=state.previous_good, since=at, inherited=open_ended)
    return replace(state, phase=Phase.ROLLING_BACK, action=action, verdict=None)


def _recalled(state: TargetState, release: str) -> TargetState:
    goods = tuple(good for good in state.goods if good.release != release)
    previous = state.previous_good
    if previous is not None and previous.release == release:
        others = [good for good in goods if good.release != state.release]
        previous = others[-1] if others else None
    return replace(state, goods=goods, previous_good=previous)


def _on_action(state: TargetState, at: datetime, *, keep_since: bool = False, **changes: Any) -> TargetState:
    if state.action is None:
        return state
    since = state.action.since if keep_since else at
    return replace(state, action=replace(state.action, since=since, **changes))


def _stepped(state: TargetState, step: e.TargetStep, at: datetime) -> TargetState:
    action = state.action
    if action is None:
        return state
    match step:
        case e.TargetObserved():
            return _observed(state, action, step, at)
        case e.AlarmsBefore(names=names):
            return replace(state, alarms_before=names)
        case e.ChangeSetIntended():
            return _change_set_intended(state, step, at)
        case e.ChangeSetMade():
            return _on_action(
                state, at, step=Step.CHANGE_SET_MADE, change_set=step.arn, stack_id=step.stack_id
            )
        case e.ChangeSetInspected():
            inspected = replace(
                action, since=at, step=Step.INSPECTED, lets_go=step.lets_go, imports=step.imports
            )
            return replace(state, action=inspected, added=(*state.added, *step.added))
        case e.ChangeSetEmpty():
            return _on_action(state, at, step=Step.SETTLED)
        case e.ExecutionIntended():
            forward = action.direction is e.Direction.FORWARD
            intended = replace(action, since=at, step=Step.EXECUTION_INTENDED)
            return replace(state, action=intended, changed=state.changed or forward)
        case e.ExecutionStarted():
            return _on_action(state, at, step=Step.EXECUTING, inherited=False, changed=True)
        case e.ChangeSetAbandoned() | e.ExecutionAbandoned():
            return _abandoned(state, at)
        case e.StackSettled(address=address):
            return replace(
                state,
                action=replace(action, since=at, step=Step.SETTLED, address=address),
                phase=_verifying(state.phase),
                observed=state.observed if action.wanted is None else action.wanted.release,
                made_stack=False,
                bridged=(),
            )
        case e.TargetVerified():
            verified = replace(action, since=at, step=Step.VERIFIED)
            return replace(state, action=verified, phase=_verifying(state.phase))
        case _:
            return _recovering(state, step, at)


def _recovering(state: TargetState, step: _RecoveryStep, at: datetime) -> TargetState:
    match step:
        case e.StackStuck(reason=reason):
            return _on_action(state, at, step=Step.STUCK, failure=reason)
        case e.ContinueIntended(action_id=identity, skip=skip):
            return _continue_intended(state, identity, skip, at)
        case e.ContinueStarted():
            return _on_action(state, at, step=Step.CONTINUING, inherited=False)
        case e.ContinueAbandoned(reason=reason):
            return _on_action(state, at, step=Step.LOOK, inherited=False, hindered=reason)
        case e.StackContinued(skipped=skipped):
            drifted = (*state.drifted, *(name for name in skipped if name not in state.drifted))
            return replace(_on_action(state, at, step=Step.LOOK), skips=(), drifted=drifted)
        case e.OrphansApart(logical_ids=apart):
            return _abandoned(_on_action(state, at, apart=apart), at)
        case e.StackImported():
            return _imported(state, at)
        case e.OrphansLeft(orphans=orphans):
            names = frozenset(orphan.logical_id for orphan in orphans)
            others = tuple(o for o in state.orphans if o.logical_id not in names)
            return replace(state, orphans=(*others, *orphans))
        case e.OrphansTaken(logical_ids=taken):
            return replace(state, orphans=tuple(o for o in state.orphans if o.logical_id not in taken))
        case _:
            assert_never(step)


def _change_set_intended(state: TargetState, step: e.ChangeSetIntended, at: datetime) -> TargetState:
    intended = _on_action(
        state,
        at,
        step=Step.CHANGE_SET_INTENDED,
        id=step.action_id,
        creating=step.creating,
        imports=(),
        lets_go=(),
        bridging=step.bridging,
    )
    return _deploying(replace(intended, made_stack=state.made_stack or step.creating))


def _continue_intended(state: TargetState, identity: str, skip: tuple[str, ...], at: datetime) -> TargetState:
    if state.action is None:
        return state
    times = state.action.continues + 1
    intended = _on_action(
        state, at, step=Step.CONTINUE_INTENDED, continue_id=identity, skip=skip, continues=times
    )
    return _deploying(intended)


def _imported(state: TargetState, at: datetime) -> TargetState:
    """Back to looking, with the stack as the import has left it."""
    action = state.action
    if action is None:
        return state
    taken = tuple(orphan for orphan in state.orphans if orphan.logical_id in action.imports)
    state = replace(_on_action(state, at, apart=()), bridged=(*state.bridged, *taken))
    return _abandoned(state, at)


def _abandoned(state: TargetState, at: datetime) -> TargetState:
    """Back to looking. A take-over is nobody's failed attempt and costs no round."""
    action = state.action
    if action is None:
        return state
    rounds = action.rounds if action.inherited else action.rounds + 1
    forward = action.direction is e.Direction.FORWARD
    state = replace(state, changed=action.changed if forward else state.changed)
    return _on_action(state, at, step=Step.LOOK, inherited=False, change_set="", id="", rounds=rounds)


def _observed(state: TargetState, action: Action, seen: e.TargetObserved, at: datetime) -> TargetState:
    looked = replace(action, since=at, step=Step.OBSERVED, seen=seen, stack_id=seen.stack_id)
    release = seen.mark.split(" ")[0] if seen.mark else ""
    if state.captured or state.phase is Phase.ROLLING_BACK:
        return replace(state, action=looked, observed=release)
    others = [good for good in state.goods if good.release != state.release]
    previous = others[-1] if others else None
    return replace(state, action=looked, observed=release, previous_good=previous, captured=True)


def _deploying(state: TargetState) -> TargetState:
    return replace(state, phase=Phase.DEPLOYING) if state.phase is Phase.CLAIMED else state


def _verifying(phase: Phase) -> Phase:
    return Phase.VERIFYING if phase in (Phase.CLAIMED, Phase.DEPLOYING) else phase


def _ended(state: TargetState, end: e.TargetEnd, at: datetime) -> TargetState:
    done = None if state.action is None else replace(state.action, since=at, step=Step.DONE)
    state = replace(state, action=done, settled_at=at)
    match end:
        case e.TargetHealthy(reason=reason):
            return replace(state, phase=Phase.HEALTHY, observed=state.release, reason=reason, fault=None)
        case e.TargetJudged(verdict=verdict, reason=reason):
            return _judged(state, verdict, reason)
        case e.TargetGood():
            return _good(state)
        case e.TargetFailed(reason=reason, fault=fault):
            return replace(state, phase=Phase.FAILED, reason=reason, fault=fault)
        case e.TargetUnknown(reason=reason):
            return replace(state, phase=Phase.UNKNOWN, reason=reason)
        case e.TargetSkipped(reason=reason, fault=fault):
            return replace(state, phase=Phase.SKIPPED, reason=reason, fault=fault)
        case e.TargetReleased():
            changed = state.changed if state.action is None else state.action.changed
            return replace(state, phase=Phase.PENDING, action=None, changed=changed)
        case e.TargetRolledBack(to=to):
            goods = tuple(g for g in state.goods if g.release != state.release)
            return replace(state, phase=Phase.ROLLED_BACK, observed=to, goods=goods)
        case e.RollbackFailed(reason=reason):
            return replace(state, phase=Phase.ROLLBACK_FAILED, reason=reason)
        case e.TargetQuarantined(reason=reason, command=command, fault=fault):
            blamed = fault if fault is not None else state.fault
            return replace(state, phase=Phase.QUARANTINED, reason=reason, command=command, fault=blamed)
        case _:
            assert_never(end)


def _judged(state: TargetState, verdict: e.Verdict, reason: str) -> TargetState:
    """What cannot be read is never healthy: only PASS leaves a target HEALTHY."""
    state = replace(state, verdict=verdict, reason=reason)
    if state.phase is not Phase.HEALTHY or verdict is e.Verdict.PASS:
        return state
    phase = Phase.FAILED if verdict is e.Verdict.FAIL else Phase.UNKNOWN
    return replace(state, phase=phase, fault=e.Fault.RELEASE)


def _good(state: TargetState) -> TargetState:
    if state.desired is None:
        return state
    others = tuple(g for g in state.goods if g.release != state.desired.release)
    return replace(state, goods=(*others, state.desired))
