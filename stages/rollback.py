"""Floor 3, the stage that stops and turns back: halt, resume, and the order to roll back.

Each of them is one conditional write; the engine obeys it at its next step, in whatever process it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.decide.pace import FAILED_PHASES
from pipeline.decide.rollback import waves_to_roll_back
from pipeline.errors import NotFound, ReleaseHalted, StreamMoved, UsageError
from pipeline.model import event as e
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.members import wave_of
from pipeline.model.plan import Plan, WaveKind, plan_digest
from pipeline.model.run_state import ENDED, Run, RunState, fold_run
from pipeline.model.target_state import Phase, fold_target
from pipeline.ports import Halt, Journal, Latch
from stages.pause import resume_pause
from stages.promote import Admission, read_run, read_targets

__all__ = [
    "RollbackScope",
    "as_halted",
    "check_rollback",
    "choose_skips",
    "clear",
    "halt",
    "order_rollback",
    "resume",
]


_ACCEPTED = FAILED_PHASES | {Phase.SKIPPED}
"""What a resume accepts as it is: it counts against no tolerance and no cap any more."""
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackScope:
    """Exactly one of: a wave (and all later ones unless `only`), everything, or one target."""

    wave: int | None = None
    only: bool = False
    all: bool = False
    target: TargetId | None = None


def halt(release: ReleaseName, reason: str, actor: str, journal: Journal, latch: Latch) -> Halt:
    """Close the latch: no runner and no lease is needed. Every runner reads it before its next claim or call."""
    run = read_run(journal, release)
    if run.plan is None:
        raise UsageError(
            f"{release} was never promoted: there is nothing to halt",
            remedy=f"see `release status {release}`",
        )
    if run.run in ENDED:
        raise UsageError(
            f"{release} is not under way: it is {run.run}",
            remedy=f"see `release status {release}`",
        )
    return latch.close(str(release), reason, actor)


def as_halted(run: RunState, closed: Halt | None) -> RunState:
    """The run as it stands with its latch: no runner may have come by to write the halt down."""
    if closed is None or run.plan is None or run.run in (Run.HALTED, Run.ROLLING_BACK, *ENDED):
        return run
    return replace(
        run,
        run=Run.HALTED,
        halted_because=closed.reason,
        halted_by=closed.actor,
        halted_in=run.current_wave,
    )


def resume(plan: Plan, reason: str, journal: Journal, latch: Latch, who: Admission) -> RunState:
    """End a halt or a pause, by a named person with a reason. Of a halt, failures so far are accepted and stay
    where they are. A wave that the judge could not tell of goes on waiting for its decision.

    The latch of a run that has ended may be opened as well: a new plan could not begin otherwise.
    """
    run = read_run(journal, plan.release)
    closed = latch.read(str(plan.release))
    if run.run is Run.ROLLING_BACK:
        raise UsageError(
            f"{plan.release} is being rolled back, and that is not called off",
            state="nothing was changed",
            remedy=f"run `release promote {plan.release}`: it goes on with the rollback",
        )
    if run.run is Run.PAUSED and closed is None:
        return resume_pause(plan, reason, who.actor, journal)
    if run.run is not Run.HALTED and closed is None:
        raise UsageError(
            f"{plan.release} is not halted: it is {run.run}",
            remedy=f"see `release status {plan.release}`",
        )
    if closed is not None and run.run not in (Run.HALTED, *ENDED):
        # No runner has come by since: the journal has to know of the halt before it hears of its end.
        _append(journal, plan.release, e.RunHalted(reason=closed.reason, by=closed.actor), who)
    if run.run not in ENDED:
        targets = read_targets(journal, plan)
        failed = tuple(sorted(t for t, state in targets.items() if state.phase in _ACCEPTED))
        _append(journal, plan.release, e.RunResumed(reason=reason, forgiven=failed), who)
    latch.open(str(plan.release))
    return read_run(journal, plan.release)


def clear(service: str, target: TargetId, reason: str, journal: Journal, who: Admission) -> None:
    """Let later releases plan with a quarantined target again, after a person has looked at its stack."""
    stream = e.target_stream(service, target)
    state = fold_target(journal.read(stream))
    if not state.quarantined:
        raise UsageError(
            f"{target} is not quarantined for {service}: it is {state.phase}",
            state="nothing was changed",
            remedy="see `release fleet`",
        )
    expected = journal.head(stream).seq
    cleared = e.TargetCleared(reason=reason)
    journal.append(stream, (cleared,), expected=expected, fence=who.fence, actor=who.actor)


def choose_skips(
    service: str, target: TargetId, resources: Sequence[str], reason: str, journal: Journal, who: Admission
) -> None:
    """Let a stuck rollback go on without the resources that a person names; they are drift from then on.

    UsageError where no rollback is stuck there. Whether a name is one of the stack's resources is CloudFormation's
    to say when the rollback goes on.
    """
    stream = e.target_stream(service, target)
    state = fold_target(journal.read(stream))
    if state.phase not in (Phase.QUARANTINED, Phase.ROLLBACK_FAILED):
        raise UsageError(
            f"no rollback of {service} is stuck at {target}: it is {state.phase}",
            state="nothing was changed",
            remedy="see `release fleet`; without --skip, clear lifts a quarantine",
        )
    chosen = e.SkipsChosen(resources=tuple(dict.fromkeys(resources)), reason=reason)
    expected = journal.head(stream).seq
    journal.append(stream, (chosen,), expected=expected, fence=who.fence, actor=who.actor)


def check_rollback(plan: Plan, scope: RollbackScope, journal: Journal) -> None:
    """Raise what `order_rollback` would refuse, and write nothing: asked before anybody's lease is taken away."""
    run = read_run(journal, plan.release)
    _admit_order(plan, run, _wanted(plan, run, scope, "", ""), journal)


def order_rollback(
    plan: Plan, scope: RollbackScope, reason: str, journal: Journal, who: Admission
) -> RunState:
    """Record the order; the engine carries it out, each target to its own previous good release."""
    order = _ordered(plan, scope, reason, journal, who)
    if order.recall:
        _recall(plan.release, journal, who)
    return read_run(journal, plan.release)


def _ordered(
    plan: Plan, scope: RollbackScope, reason: str, journal: Journal, who: Admission
) -> e.RollbackOrdered:
    """Of the very run it was decided on: a runner that has just lost its lease may still have begun a wave, and what
    it began goes back as well."""
    stream = e.release_stream(plan.release)
    for attempt in range(_ATTEMPTS):
        entries = journal.read(stream)
        run = fold_run(entries)
        order = _wanted(plan, run, scope, reason, who.actor)
        if not _admit_order(plan, run, order, journal):
            return order
        try:
            journal.append(stream, (order,), expected=len(entries), fence=who.fence, actor=who.actor)
        except StreamMoved:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        break
    return order


def _wanted(plan: Plan, run: RunState, scope: RollbackScope, reason: str, actor: str) -> e.RollbackOrdered:
    if run.run in (Run.NONE, Run.SUPERSEDED):
        raise UsageError(
            f"{plan.release} is {run.run}: there is nothing to roll back",
            remedy=f"see `release history {plan.release}`",
        )
    return _order(plan, run, scope, reason, actor)


def _admit_order(plan: Plan, run: RunState, order: e.RollbackOrdered, journal: Journal) -> bool:
    """Whether the order says anything new; an error where it may not be given."""
    standing = run.rollback if run.run is Run.ROLLING_BACK else None
    if standing is None:
        _refuse_untouched(plan, order, journal)
        return True
    if _is_standing(standing, order):
        return False
    _refuse_narrower(plan, standing, order)
    return True


def _refuse_untouched(plan: Plan, order: e.RollbackOrdered, journal: Journal) -> None:
    """A single target that this run has not reached has nothing to go back from."""
    for target in order.targets:
        state = fold_target(journal.read(e.target_stream(plan.release.service, target)))
        if state.plan != plan_digest(plan) or state.phase in (Phase.PENDING, Phase.SKIPPED):
            raise UsageError(
                f"{target} is not on {plan.release}: this run has not touched it, or a later release has",
                state="nothing was changed",
                remedy=f"see `release status {plan.release}` and `release fleet`",
            )


def _refuse_narrower(plan: Plan, standing: e.RollbackOrdered, order: e.RollbackOrdered) -> None:
    """What was once ordered back goes back: an order under way is only ever widened."""
    wider = set(order.waves) >= set(standing.waves) and not order.targets
    if not wider or (standing.recall and not order.recall):
        raise UsageError(
            f"{plan.release} is already being rolled back, and further than that: {standing.reason}",
            state="that order stands; nothing was changed",
            remedy=f"run `release promote {plan.release}`: it goes on with the rollback",
        )


def _is_standing(standing: e.RollbackOrdered, order: e.RollbackOrdered) -> bool:
    """The same command again goes on; a wider one is an order of its own."""
    wanted = (order.waves, order.targets, order.recall)
    return (standing.waves, standing.targets, standing.recall) == wanted


def _recall(release: ReleaseName, journal: Journal, who: Admission) -> None:
    """The release is good nowhere any more, also where a later one runs by now: nothing goes back to it."""
    for stream in journal.streams(f"target/{release.service}/"):
        state = fold_target(journal.read(stream))
        good = [*state.goods, *((state.previous_good,) if state.previous_good is not None else ())]
        if any(one.release == str(release) for one in good):
            recalled = e.TargetRecalled(release=str(release))
            expected = journal.head(stream).seq
            journal.append(stream, (recalled,), expected=expected, fence=who.fence, actor=who.actor)


def _order(plan: Plan, run: RunState, scope: RollbackScope, reason: str, actor: str) -> e.RollbackOrdered:
    if scope.target is not None:
        try:
            number = wave_of(plan, run, scope.target)
        except KeyError:
            raise NotFound(
                f"{scope.target} is not in the plan of {plan.release}",
                remedy=f"its targets are listed by `release status {plan.release}`",
            ) from None
        return e.RollbackOrdered(waves=(number,), reason=reason, by=actor, targets=(scope.target,))
    if scope.all:
        waves = waves_to_roll_back(run, 0, only=False)
        return e.RollbackOrdered(waves=waves, reason=reason, by=actor, recall=True)
    assert scope.wave is not None, "a scope names a wave, a target or everything"
    place = _place(plan, scope.wave)
    if scope.only and plan.waves[place].kind is WaveKind.SERVICE:
        raise UsageError(
            "the service's own account never goes below its clients: it goes back last, when none is left",
            state="nothing was changed",
            remedy=f"run `release rollback {plan.release} --all --reason …`",
        )
    waves = waves_to_roll_back(run, place, only=scope.only)
    if not waves:
        raise ReleaseHalted(
            f"wave {scope.wave} of {plan.release} has not started: there is nothing to roll back",
            remedy=f"see `release status {plan.release}`",
        )
    return e.RollbackOrdered(waves=waves, reason=reason, by=actor)


def _place(plan: Plan, number: int) -> int:
    try:
        return plan.wave_numbered(number)
    except KeyError:
        known = ", ".join(f"{wave.number} ({wave.name})" for wave in plan.waves)
        raise NotFound(
            f"{plan.release} has no wave {number}: its waves are {known}",
            remedy=f"see `release status {plan.release}`",
        ) from None


def _append(journal: Journal, release: ReleaseName, event: e.ReleaseEvent, who: Admission) -> None:
    stream = e.release_stream(release)
    expected = journal.head(stream).seq
    journal.append(stream, (event,), expected=expected, fence=who.fence, actor=who.actor)
