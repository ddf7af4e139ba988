"""The invariants of a target: what may change there, how often, back to what, and when it may be called healthy."""

from __future__ import annotations

from pipeline.adapters.simulated.witness import Happening
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.plan import WaveKind
from pipeline.model.stack import SUCCEEDED
from tests.faults.record import Now, RunRecord, TargetRecord, parse_stream
from tests.faults.sight import Effect, Sight, fail

# --- changes in the cloud ------------------------------------------------------------------------------------------


def stays_apart(effect: Effect) -> None:
    """I7"""
    earlier, done = effect.before, effect.happening
    if earlier is not None and earlier.settled > done.at:
        fail("I7", f"{done.place} is changed at {done.at} while a change of {earlier.at} goes on")


def nothing_with_data_is_lost(effect: Effect) -> None:
    """I13"""
    if effect.destroyed:
        fail("I13", f"{effect.happening.place} loses {', '.join(effect.destroyed)}")


def lands_where_planned(check: Sight, stream: str, target: TargetRecord, done: Happening) -> None:
    """I20"""
    run = None if target.plan is None else check.record.by_plan.get(target.plan)
    if run is None:
        fail("I20", f"{done.place} is changed for {stream}, which is in no plan")
    planned = run.targets[target_id(stream)]
    if (planned.account, planned.id.region, planned.stack) != (
        done.place.account,
        done.place.region,
        done.stack,
    ):
        fail("I20", f"{stream} is changed at {done.place}, planned in {planned.account}")


def takes_effect_once(stream: str, target: TargetRecord, done: Happening) -> None:
    """I8 and I9"""
    attempt = target.made.get(done.token)
    if attempt is None or attempt.plan != target.plan:
        fail("I8", f"{stream} is changed under a token of another run")
    if not attempt.open:
        fail("I8", f"{stream} is changed under a token that was given up for certain")
    if attempt.begun:
        fail("I9", f"{stream} is changed twice under one token")
    step = (attempt.plan, attempt.direction, attempt.number)
    if attempt.continuing or done.outcome.value.startswith("IMPORT_"):
        return  # on the way, and no end of it
    if step in target.succeeded:
        fail("I9", f"{stream} is taken {attempt.direction} twice by one release")
    # A way back that failed may be tried again; a way forward only when a person says so.
    if done.outcome in SUCCEEDED or attempt.direction is e.Direction.FORWARD:
        target.succeeded.add(step)


def is_what_was_planned(stream: str, target: TargetRecord, done: Happening) -> None:
    """I5 forward, I12 back"""
    direction = target.made[done.token].direction
    if done.how != "change set" or done.outcome.value.startswith("IMPORT_"):
        return
    if direction is e.Direction.FORWARD and done.after != target.release:
        fail("I5", f"{stream} gets {done.after}, not {target.release}")
    if direction is e.Direction.BACK and done.after != target.before:
        fail("I12", f"{stream} goes back to {done.after}; before, it had {target.before or 'nothing good'}")


def nothing_starts_after_a_halt(check: Sight, release: str, actor: str) -> None:
    """I10"""
    if release in check.closed and actor not in check.slipping:
        fail("I10", f"{actor} goes on with {release}, which is halted")
    check.slipping.discard(actor)


def verified_in_this_wave(check: Sight, actor: str, target: TargetRecord) -> None:
    """I6: by this very process, right before the wave was said to start or since"""
    before, since = (actor, target.release, target.wave), (actor, target.release, target.wave + 1)
    if not {before, since} & check.verified:
        fail("I6", f"{actor} changes a target of wave {target.wave} of {target.release} unverified")


# --- what is said --------------------------------------------------------------------------------------------------


def is_truly_well(check: Sight, entry: e.Envelope) -> None:
    """I18"""
    event = entry.event
    if isinstance(event, e.TargetJudged) and event.verdict is not e.Verdict.PASS:
        return
    record = check.record.target(entry.stream)
    runs = check.runs(entry.stream)
    if runs != record.release and record.now in (Now.FLYING, Now.HEALTHY):
        fail("I4", f"{entry.stream} is called well on {record.release} and runs {runs or 'nothing'}")
    if not check.exact_moments:
        return
    sick = check.sick(entry.stream)
    if sick:
        fail("I18", f"{entry.stream} is called well ({type(event).__name__}) and has {sorted(sick)}")


def becomes_good_only_baked(check: Sight, entry: e.Envelope) -> None:
    """I18 and I2: a place to go back to is healthy, judged and baked"""
    target = check.record.target(entry.stream)
    run = check.record.runs.get(target.release)
    if target.now is not Now.HEALTHY or run is None:
        fail("I18", f"{entry.stream} becomes good while {target.now.value}")


def nothing_was_executed(check: Sight, entry: e.Envelope) -> None:
    """I9: what is given up for certain has truly never begun"""
    record = check.record.target(entry.stream)
    begun = [attempt.token for attempt in record.made.values() if attempt.open and attempt.begun]
    if begun and record.latest in begun:
        fail("I9", f"{entry.stream} gives up {record.latest}, which was executed")


# --- going back ----------------------------------------------------------------------------------------------------


def may_go_back(check: Sight, entry: e.Envelope) -> None:
    """I12"""
    event = entry.event
    assert isinstance(event, e.RollbackClaimed)
    run = check.record.runs.get(event.release)
    if run is None or run.order is None or run.standing != "turning back":
        fail("I12", f"{entry.stream} goes back, and nobody has ordered it")
    target, order = target_id(entry.stream), run.order
    number = run.moved.get(target, run.home[target])
    if order.targets and target not in order.targets:
        fail("I12", f"{target} goes back, and only {order.targets} were ordered")
    if number not in order.waves:
        fail("I12", f"{target} of wave {number} goes back; ordered were {order.waves}")
    record = check.record.target_of(run, target)
    # An execution that was intended and never looked for again may have taken place, for all that anybody knows.
    perhaps = any(made.open and made.direction is e.Direction.FORWARD for made in record.made.values())
    if not (record.changed or perhaps or order.recall or order.targets):
        fail("I12", f"{target} goes back and was not changed by {event.release}")
    if not order.targets:
        newest_first(check, run, order, number)


def newest_first(check: Sight, run: RunRecord, order: e.RollbackOrdered, number: int) -> None:
    """I12"""
    for later in order.waves:
        if later <= number:
            continue
        for target in run.members(later):
            record = check.record.target_of(run, target)
            waits = record.now in (Now.HEALTHY, Now.FAILED, Now.GOING_BACK)
            if waits and (record.changed or order.recall):
                fail("I12", f"wave {number} goes back before {target} of wave {later}")
    if run.plan.waves[number].kind is WaveKind.SERVICE:
        no_client_above_the_service(check, run)


def no_client_above_the_service(check: Sight, run: RunRecord) -> None:
    """I12"""
    for target in run.targets:
        record = check.record.target_of(run, target)
        if target.is_client and (record.now in (Now.HEALTHY, Now.FLYING, Now.GOING_BACK)):
            fail("I12", f"the service goes back below {target}")


def target_id(stream: str) -> TargetId:
    return TargetId.parse(parse_stream(stream)[1].split("/", 1)[1])
