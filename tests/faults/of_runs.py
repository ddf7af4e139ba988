"""The invariants of a run and its waves: who may start, how long is baked, who leaves a halt."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from pipeline.model import event as e
from pipeline.model.canonical import canonical
from pipeline.model.plan import Wave, WaveKind
from pipeline.model.policy import Pace
from tests.faults.record import Now, RunRecord, WaveRecord, parse_stream
from tests.faults.sight import PLANTED, Sight, fail

SECRET = PLANTED.encode()
_OUT = (Now.FAILED, Now.LOST)


# --- every entry ---------------------------------------------------------------------------------------------------


def chain_holds(check: Sight, entry: e.Envelope) -> None:
    """I8, I14 and I15: the hash is made here in a way of its own"""
    stream = check.record.streams.get(entry.stream)
    seq, previous, fence = (0, e.GENESIS, 0) if stream is None else (stream.seq, stream.hash, stream.fence)
    content = canonical(
        {
            "stream": entry.stream,
            "seq": entry.seq,
            "at": entry.at.isoformat(timespec="milliseconds"),
            "actor": entry.actor,
            "fence": entry.fence,
            "event": e.event_to_json(entry.event),
            "previous": previous,
        }
    )
    if entry.seq != seq + 1:
        fail("I14", f"{entry.stream} goes from {seq} to {entry.seq}")
    if entry.previous_hash != previous or entry.hash != hashlib.sha256(content).hexdigest():
        fail("I14", f"the chain of {entry.stream} does not hold at {entry.seq}")
    if check.latest is not None and entry.at < check.latest:
        fail("I14", f"{entry.stream} goes back in time at {entry.seq}")
    check.latest = entry.at
    if entry.fence < fence:
        fail("I8", f"{entry.stream} took an entry under the fence {entry.fence} after {fence}")
    if SECRET in content:
        fail("I15", f"{entry.stream} {entry.seq} repeats what an account keeps secret")


# --- starting ------------------------------------------------------------------------------------------------------


def failed_and_flying(check: Sight, run: RunRecord, number: int) -> tuple[int, int]:
    failed = flying = 0
    claimed = run.waves[number].claimed
    for target in run.members(number):
        now = check.record.target_of(run, target).now
        failed += now in _OUT and target not in run.forgiven
        flying += now in (Now.FLYING, Now.GOING_BACK) or (now is Now.PENDING and target in claimed)
    return failed, flying


def may_claim(check: Sight, entry: e.Envelope) -> None:
    """I1, I2 and I11, before the claim"""
    event, run = entry.event, check.run_of(entry)
    assert isinstance(event, e.TargetsClaimed)
    if run is None:
        fail("I7", "targets are claimed without a plan")
    if run.standing != "running":
        fail("I11", f"targets were claimed while {run.standing}")
    failed, _ = failed_and_flying(check, run, event.wave)
    if failed > run.plan.waves[event.wave].tolerance:
        fail("I1", f"wave {event.wave} goes on with {failed} failed")
    if again := set(event.targets) & run.waves[event.wave].claimed:
        fail("I9", f"{sorted(map(str, again))} are claimed twice")
    if stray := set(event.targets) - set(run.members(event.wave)):
        fail("I3", f"{sorted(map(str, stray))} do not go with wave {event.wave}")
    earlier_waves_have_baked(check, run, event.wave, entry.at)


def earlier_waves_have_baked(check: Sight, run: RunRecord, number: int, at: datetime) -> None:
    """I2"""
    for earlier in range(number):
        wave = run.waves[earlier]
        if not wave.passed:
            fail("I2", f"wave {number} starts before wave {earlier} has passed")
        if not (wave.hurried or baked(check, wave, at)):
            fail("I2", f"wave {number} starts before wave {earlier} has baked")


def baked(check: Sight, wave: WaveRecord, at: datetime) -> bool:
    """By the store's time; or by the right one, where the store's clock was put back meanwhile."""
    if wave.baking_until is None:
        return False
    if wave.baking_until <= at:
        return True
    now = check.true_time()
    # Of a journal that was taken up in the middle nobody knows the right time of what stood there before.
    if now is None or wave.truly_since is None or wave.baking_since is None:
        return False
    # Stores keep whole milliseconds.
    return now - wave.truly_since + timedelta(milliseconds=1) >= wave.baking_until - wave.baking_since


def notes_the_bake(check: Sight, entry: e.Envelope) -> None:
    """No rule: when a bake began, by both clocks."""
    event, run = entry.event, check.run_of(entry)
    assert isinstance(event, e.WaveBaking)
    assert run is not None, "a run has begun"
    wave = run.waves[event.wave]
    wave.baking_since, wave.truly_since = entry.at, check.true_time()


def keeps_the_pace(check: Sight, entry: e.Envelope) -> None:
    """I1, after the claim"""
    event, run = entry.event, check.run_of(entry)
    assert isinstance(event, e.TargetsClaimed)
    assert run is not None, "a claim was allowed"
    wave = run.plan.waves[event.wave]
    failed, flying = failed_and_flying(check, run, event.wave)
    limit = _limit(check, run, wave, failed)
    if flying > limit:
        fail("I1", f"{flying} in flight in wave {event.wave}, {failed} failed; at most {limit} may be")


def regions_take_turns(check: Sight, entry: e.Envelope) -> None:
    """I7, once a target has begun"""
    event = entry.event
    assert isinstance(event, e.TargetClaimed)
    run = check.record.runs[event.release]
    owners = [t.owner for t in run.targets if check.record.target_of(run, t).now is Now.FLYING]
    if len(owners) != len(set(owners)):
        fail("I7", f"two Regions of one client are in flight: {sorted(owners)}")


def _limit(check: Sight, run: RunRecord, wave: Wave, failed: int) -> int:
    if wave.kind is not WaveKind.WAVE:
        return 1 - failed
    match wave.pace:
        case Pace.WON:
            healthy = sum(1 for t in run.targets if check.record.target_of(run, t).now is Now.HEALTHY)
            return min(wave.max_in_flight, max(1, healthy))
        case Pace.STRICT:
            return min(wave.max_in_flight, wave.tolerance + 1 - failed)
        case Pace.FULL:
            return wave.max_in_flight


def plan_is_sound(check: Sight, entry: e.Envelope) -> None:
    """I3"""
    run = check.run_of(entry)
    assert run is not None, "it has just been fixed"
    waves = run.plan.waves
    kinds = [wave.kind for wave in waves]
    first = 1 if kinds and kinds[0] is WaveKind.SERVICE else 0
    if WaveKind.SERVICE in kinds[first:] or kinds.count(WaveKind.CANARY) != (len(kinds) > first):
        fail("I3", f"the waves are {[k.value for k in kinds]}")
    if len(kinds) <= first:
        return
    canary = {t.owner for t in waves[first].targets}
    if kinds[first] is not WaveKind.CANARY or not canary or len(canary) > check.canary_cap:
        fail("I3", f"the canary is {sorted(canary)} in {[k.value for k in kinds]}")


def wave_may_start(check: Sight, entry: e.Envelope) -> None:
    """I2, I6, I11 and I19"""
    event, run = entry.event, check.run_of(entry)
    assert isinstance(event, e.WaveStarted)
    if run is None or run.standing not in ("planned", "running"):
        fail("I11", f"a wave starts while {None if run is None else run.standing}")
    earlier_waves_have_baked(check, run, event.wave, entry.at)
    started = sum(1 for wave in run.waves if wave.started)
    if (entry.actor, parse_stream(entry.stream)[1], started) not in check.verified:
        fail("I6", f"wave {event.wave} starts, and {entry.actor} has not verified the release")
    wave = run.plan.waves[event.wave]
    if wave.approval:
        is_approved(run, f"wave:{wave.number}", entry.at)


def is_approved(run: RunRecord, subject: str, at: datetime) -> None:
    """I19"""
    given = [a for a in run.approvals if isinstance(a, e.ApprovalGiven) and a.subject == subject]
    good = [a for a in given if a.plan == run.digest and a.by != run.starter and a.expires > at]
    if not good:
        fail("I19", f"{subject} goes on with the approvals {given} at {at}, started by {run.starter}")


def target_is_free(check: Sight, entry: e.Envelope) -> None:
    """I7 and I11"""
    event = entry.event
    assert isinstance(event, e.TargetClaimed)
    if check.record.target(entry.stream).now in (Now.FLYING, Now.GOING_BACK):
        fail("I7", f"{entry.stream} is claimed by {event.release} in mid-flight")
    run = check.record.runs.get(event.release)
    if run is None or run.digest != event.plan or run.ended:
        fail("I7", f"{entry.stream} is claimed by {event.release}, whose run has not begun or is over")


# --- baking --------------------------------------------------------------------------------------------------------


def bakes_long_enough(check: Sight, entry: e.Envelope) -> None:
    """I2: by the store's time, from when the last target of the wave was well"""
    event, run = entry.event, check.run_of(entry)
    assert isinstance(event, e.WaveBaking)
    assert run is not None, "a run has begun"
    states = [check.record.target_of(run, t) for t in run.members(event.wave)]
    _, flying = failed_and_flying(check, run, event.wave)
    waiting = sum(state.now is Now.PENDING for state in states)
    if flying or waiting:
        fail("I2", f"wave {event.wave} bakes with {flying} in flight and {waiting} not begun")
    well = [s.well_since for s in states if s.now is Now.HEALTHY and s.well_since is not None]
    cut, bake = hurried_by(run), run.plan.waves[event.wave].bake
    bake = bake if cut is None else min(bake, cut)
    if well and event.until - max(well) < bake:
        fail("I2", f"wave {event.wave} bakes {event.until - max(well)}, not {bake}")


def hurried_by(run: RunRecord) -> timedelta | None:
    """What bakes are cut to under an approved lane; None where nobody hurries."""
    for asked in run.approvals:
        if not isinstance(asked, e.LaneAsked):
            continue
        subject = f"lane:{asked.lane}"
        given = [a for a in run.approvals if isinstance(a, e.ApprovalGiven) and a.subject == subject]
        if any(a.by != run.starter and a.plan == run.digest for a in given):
            return run.plan.emergency_bake if asked.lane == "emergency" else timedelta(0)
    return None


def bake_is_over(check: Sight, entry: e.Envelope) -> None:
    """I2 and I11: for the end of a bake and for what is said after it"""
    event, run = entry.event, check.run_of(entry)
    assert isinstance(event, e.WaveJudging | e.WavePassed)
    if run is None or run.standing != "running":
        fail("I11", f"{type(event).__name__} while {None if run is None else run.standing}")
    wave = run.waves[event.wave]
    hurried = hurried_by(run) is not None
    if not hurried and not baked(check, wave, entry.at):
        fail("I2", f"{type(event).__name__} of wave {event.wave} before its bake is over")
    if isinstance(event, e.WavePassed):
        passes_rightly(check, run, event, hurried=hurried)


def passes_rightly(check: Sight, run: RunRecord, event: e.WavePassed, *, hurried: bool) -> None:
    """I1, I18 and I19: nobody in flight, no more failed than may be, and in a hurry only with leave"""
    failed, flying = failed_and_flying(check, run, event.wave)
    if flying or failed > run.plan.waves[event.wave].tolerance:
        fail("I1", f"wave {event.wave} passes with {flying} in flight and {failed} failed")
    if event.hurried and not hurried:
        fail("I19", f"wave {event.wave} passes in a hurry that nobody approved")


# --- standing still ------------------------------------------------------------------------------------------------


def leaves_a_halt(check: Sight, entry: e.Envelope) -> None:
    """I11"""
    event, run = entry.event, check.run_of(entry)
    match event:
        case e.RunResumed(reason=reason) | e.RetryOrdered(reason=reason):
            if not reason or not entry.actor or entry.actor == "tidegate":
                fail("I11", f"{entry.stream} goes on, by {entry.actor!r} because {reason!r}")
        case e.RollbackOrdered(by=by) if run is not None and run.standing == "halted":
            if by == "tidegate":
                fail("I11", f"{entry.stream} leaves its halt by itself")
        case e.RunEnded(outcome=outcome) if run is not None:
            ends_rightly(run, entry, outcome)
        case _:
            pass


def ends_rightly(run: RunRecord, entry: e.Envelope, outcome: e.Outcome) -> None:
    """I11 and I2: a run that stands still ends only by giving way; one that succeeds has passed every wave"""
    if run.ended:
        fail("I11", f"{entry.stream} ends twice: {run.standing}, then {outcome}")
    if run.standing in ("halted", "paused") and outcome is not e.Outcome.SUPERSEDED:
        fail("I11", f"{entry.stream} ends {outcome} while {run.standing}")
    only_targets = run.order is not None and bool(run.order.targets)
    complete = run.standing == "running" and all(wave.passed for wave in run.waves)
    if outcome is e.Outcome.SUCCEEDED and not only_targets and not complete:
        fail("I2", f"{entry.stream} has succeeded without all its waves")
