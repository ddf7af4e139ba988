"""Floor 3, engine: the in-process loop: fold, decide, perform, append, until nothing is left or a bake begins.

One loop drives any number of targets over a bounded pool; a target that waits costs a heap entry, not a thread.
There is no resume: running again over the same journal is how a run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from pipeline.decide import run_steps as moves
from pipeline.decide.rollback import ClaimRollback
from pipeline.engine.fan_out import FanOut
from pipeline.engine.heartbeat import Heartbeat
from pipeline.engine.ledger import Ledger
from pipeline.engine.perform import still_ours
from pipeline.engine.tick import judge
from pipeline.engine.weigh import READERS, weigh
from pipeline.engine.workers import Workers
from pipeline.engine.world import Runner, World
from pipeline.errors import AccessRefused, AnswerLost, RequestRefused, StreamMoved, Throttled
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import Digest, TargetId
from pipeline.model.members import wave_of
from pipeline.model.plan import Plan, PlannedTarget
from pipeline.model.run_state import ENDED, Run
from pipeline.model.target_state import Phase

__all__ = ["Until", "run_loop"]

_WORTH_SIGNING = (e.WavePassed, e.WaveFailed, e.WaveRolledBack, e.RunEnded)
"""A wave has come to an end: nothing said so far may be cut off unseen."""
_MISSES_TO_FAIL = 3
_MISS_DELAY = timedelta(seconds=1)
_READ_GRACE = timedelta(minutes=5)
"""How long the end of a bake waits for alarms and metrics that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When to come back although the release is not done. blocked: at a bake.

    wave: once the wave that a person calls by this number has passed.
    """

    blocked: bool = True
    wave: int | None = None


@dataclass(slots=True)
class _Loop:
    world: World
    runner: Runner
    ledger: Ledger
    plan: Plan
    fan_out: FanOut
    heartbeat: Heartbeat
    until: Until
    stopped: Callable[[], bool]
    misses: dict[TargetId, int] = field(default_factory=dict)
    unread_since: dict[TargetId, datetime] = field(default_factory=dict)
    watched: dict[TargetId, datetime] = field(default_factory=dict)
    planned: dict[TargetId, PlannedTarget] = field(default_factory=dict)
    verified: set[int] = field(default_factory=set)

    def run(self) -> Ending:
        self.planned = {target.id: target for target in self.plan.targets}
        self.ledger.take_over()
        while True:
            self.heartbeat.check()
            if self.stopped():
                return self._checkpoint()
            self._heed_the_latch()
            ending = self._turn()
            if ending is not None:
                # A runner that slept through a take-over reads an ending that is somebody else's to tell.
                still_ours(self.world, self.runner)
                return ending

    # --- one turn: decide, then carry out ------------------------------------------------------

    def _turn(self) -> Ending | None:
        now = self.ledger.now(self.world.clock.now())
        move = moves.next_move(self.plan, self.ledger.run, self.ledger.targets(), now)
        if self._is_far_enough(move):
            return Ending(kind=EndingKind.WAVE_PASSED)
        match move:
            case moves.Finished(ending=ending):
                return ending
            case moves.Record(event=event):
                self._record(event)
                if isinstance(event, _WORTH_SIGNING):
                    self._sign_heads()
            case moves.StartWave(wave=wave):
                self._verify(wave)
                self._record(e.WaveStarted(wave=wave))
            case moves.Claim(wave=wave, targets=targets):
                self._verify(wave)
                if self._record(e.TargetsClaimed(wave=wave, targets=targets)):
                    self.fan_out.begin(targets)
            case ClaimRollback(targets=targets):
                self._begin_rollback(targets)
            case moves.MarkGood(targets=targets):
                still_ours(self.world, self.runner)
                for target in targets:
                    self.ledger.say(target, (e.TargetGood(),))
            case moves.Judge(targets=targets):
                self._look_at(targets, final=True)
                self._wait(None)
            case moves.Weigh(wave=wave, look=look):
                self._weigh(wave, look)
            case moves.Bake(until=until, targets=targets):
                return self._bake(until, targets)
            case moves.Wait(until=until, reason=reason):
                return self._wait_for_windows(until, reason)
            case moves.Await(targets=targets):
                self._await(targets)
            case _:
                assert_never(move)
        return None

    def _verify(self, wave: int) -> None:
        """Once for each wave in every process: whoever takes a wave over has not seen its release verified."""
        if wave not in self.verified:
            self.runner.verify()
            self.verified.add(wave)

    def _is_far_enough(self, move: moves.RunMove) -> bool:
        """The wave that was asked for has passed, and what comes next would begin or wait for something behind it.
        What is in flight there is followed all the same, and what has failed there is written down."""
        run = self.ledger.run
        if self.until.wave is None or run.run not in (Run.PLANNED, Run.RUNNING):
            return False
        if run.current_wave is None:
            return isinstance(move, moves.Bake)
        behind = self.plan.waves[run.current_wave].number > self.until.wave
        return behind and not self.fan_out.busy and _goes_further(move)

    def _record(self, event: e.ReleaseEvent) -> bool:
        """False when somebody appended first: the next turn decides anew on what they said."""
        try:
            self.ledger.record((event,))
        except StreamMoved:
            return False
        return True

    def _sign_heads(self) -> None:
        """What cannot be signed now is covered by the next signature; a missing one is told, and stops nothing."""
        if self.runner.sign is None:
            return
        try:
            self._record(self.runner.sign(self.ledger.heads()))
        except (Throttled, AnswerLost, AccessRefused, RequestRefused) as fault:
            self.runner.warned(f"the journal's heads were not signed: {fault.problem}")

    def _heed_the_latch(self) -> None:
        self.ledger.refresh()
        run = self.ledger.run
        if run.run in ENDED or run.run in (Run.HALTED, Run.ROLLING_BACK):
            return
        halt = self.world.latch.read(str(self.plan.release))
        if halt is not None:
            self._record(e.RunHalted(reason=halt.reason, by=halt.actor))

    # --- targets -------------------------------------------------------------------------------

    def _await(self, targets: tuple[TargetId, ...]) -> None:
        run = self.ledger.run
        if run.run is Run.RUNNING and run.current_wave is not None:
            self._verify(run.current_wave)
        idle = [target for target in targets if target not in self.fan_out.busy]
        self.fan_out.begin([target for target in idle if self.ledger.never_begun(target)])
        self.fan_out.go_on(targets)
        self._wait(None)

    def _begin_rollback(self, targets: tuple[TargetId, ...]) -> None:
        """One pair of hands for a target: a look at its bake that is still under way comes back first."""
        idle = [target for target in targets if target not in self.fan_out.busy]
        for target in idle:
            self.ledger.say(target, (e.RollbackClaimed(release=str(self.plan.release)),))
            self.fan_out.tick(target)
        if not idle:
            self._wait(None)

    def _wait(self, until: datetime | None) -> None:
        for value in self.fan_out.wait(until, stopped=self.stopped()):
            if isinstance(value, _Look):
                self._looked(value)

    # --- baking and judging --------------------------------------------------------------------

    def _bake(self, until: datetime, targets: tuple[TargetId, ...]) -> Ending | None:
        if self.until.blocked and not self.fan_out.busy:
            return Ending(kind=EndingKind.BAKING, until=until)
        self._look_at(targets, final=False)
        idle = [t for t in targets if t in self.watched and t not in self.fan_out.busy]
        watch_again = min((self.watched[t] for t in idle), default=until)
        self._wait(min(until, watch_again))
        return None

    def _wait_for_windows(self, until: datetime, reason: str) -> Ending | None:
        if self.until.blocked and not self.fan_out.busy:
            return Ending(kind=EndingKind.WAITING, reason=reason, until=until)
        self._wait(until)
        return None

    def _weigh(self, number: int, look: int) -> None:
        """Gather, judge, keep what was judged, and only then say it."""
        plan, run = self.plan, self.ledger.run
        readers = min(READERS, self.fan_out.width)
        targets = self.ledger.targets()
        judgement, document = weigh(self.world, plan, run, targets, number, look, readers=readers)
        self._record(
            e.WaveJudged(
                wave=number,
                look=look,
                verdict=judgement.verdict,
                reason=judgement.reason,
                evidence=self.world.keep(document),
            )
        )

    def _look_at(self, targets: tuple[TargetId, ...], *, final: bool) -> None:
        now = self.world.clock.now()
        for target in targets:
            if target in self.fan_out.busy or (not final and self.watched.get(target, now) > now):
                continue
            self.fan_out.at_once(target, self._look(target, final=final))

    def _look(self, target: TargetId, *, final: bool) -> Callable[[], object]:
        def look() -> _Look:
            verdict, reason = judge(self.world, self.ledger, self.plan, self.planned[target])
            return _Look(target, verdict, reason, final)

        return look

    def _looked(self, look: _Look) -> None:
        """PASS is only said at the end of the bake; until then it means: look again later."""
        target, now = look.target, self.world.clock.now()
        turned = self.ledger.run.run is Run.ROLLING_BACK
        if turned or self.ledger.target(target).phase is not Phase.HEALTHY:
            self.fan_out.busy.discard(target)
            return
        self.watched[target] = now + self._watch_interval(target)
        again = self._look_again_after(look, now)
        if again is not None:
            self.fan_out.later(now + again, self._look(target, final=look.final))
            return
        self.fan_out.busy.discard(target)
        if look.final or look.verdict is e.Verdict.FAIL:
            self.ledger.say(target, (e.TargetJudged(verdict=look.verdict, reason=look.reason),))

    def _look_again_after(self, look: _Look, now: datetime) -> timedelta | None:
        """One miss is a hiccup, three in a row are a fact. What cannot be read is waited for at the end of a bake,
        within limits, and is no reason to fail before that. None: this look stands."""
        target = look.target
        missed = look.verdict is e.Verdict.FAIL
        self.misses[target] = self.misses.get(target, 0) + 1 if missed else 0
        if look.verdict is not e.Verdict.NO_DATA:
            self.unread_since.pop(target, None)
            return _MISS_DELAY if 0 < self.misses[target] < _MISSES_TO_FAIL else None
        since = self.unread_since.setdefault(target, now)
        return 5 * _MISS_DELAY if look.final and now - since < _READ_GRACE else None

    def _watch_interval(self, target: TargetId) -> timedelta:
        bake = self.plan.waves[wave_of(self.plan, self.ledger.run, target)].bake
        return min(max(bake / 10, timedelta(seconds=1)), timedelta(minutes=1))

    # --- stopping ------------------------------------------------------------------------------

    def _checkpoint(self) -> Ending:
        """Nothing new begins; closing the workers lets the calls under way finish and be written down."""
        return Ending(kind=EndingKind.INTERRUPTED, reason="interrupted; the same command goes on from here")


def _goes_further(move: moves.RunMove) -> bool:
    match move:
        case moves.StartWave() | moves.Claim() | moves.Wait() | moves.Bake():
            return True
        case moves.Record(event=event):
            return isinstance(event, e.WaveGated | e.TargetsDeferred)
        case moves.Finished(ending=ending):
            return ending.kind is EndingKind.AWAITING_APPROVAL
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Look:
    target: TargetId
    verdict: e.Verdict
    reason: str
    final: bool


def run_loop(
    world: World,
    runner: Runner,
    plan: Plan,
    digest: Digest,
    workers: Workers,
    heartbeat: Heartbeat,
    until: Until,
    stopped: Callable[[], bool],
) -> Ending:
    """Drive a fixed plan until it is done, blocked, halted or interrupted.

    FenceLost: another runner has taken over. IntegrityBroken: before a wave, the release no longer verifies.
    """
    ledger = Ledger(world.journal, plan, digest, runner)
    loop = _Loop(
        world=world,
        runner=runner,
        ledger=ledger,
        plan=plan,
        fan_out=FanOut(world, runner, ledger, plan, workers),
        heartbeat=heartbeat,
        until=until,
        stopped=stopped,
    )
    try:
        return loop.run()
    finally:
        workers.close()
