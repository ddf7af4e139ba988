"""Floor 3, engine: ticks of many targets over a bounded pool. A target that waits is a heap entry, not a thread."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pipeline.decide.target_steps import given_up
from pipeline.engine.ledger import Ledger
from pipeline.engine.tick import Tick, TickStatus, tick
from pipeline.engine.workers import Workers
from pipeline.engine.world import Runner, World
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.members import wave_of
from pipeline.model.plan import Plan, plan_digest

__all__ = ["FanOut"]

_OUTAGE = timedelta(minutes=30)
_WARN_EVERY = timedelta(seconds=10)


class FanOut:
    """busy: the targets that this process has in hand. Used from one thread, the loop's."""

    def __init__(self, world: World, runner: Runner, ledger: Ledger, plan: Plan, workers: Workers) -> None:
        self.busy: set[TargetId] = set()
        self._world = world
        self._runner = runner
        self._ledger = ledger
        self._plan = plan
        self._digest = plan_digest(plan)
        self._workers = workers
        self._targets = {target.id: target for target in plan.targets}
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._troubled: dict[TargetId, datetime] = {}
        self._warned: datetime | None = None

    @property
    def width(self) -> int:
        """How much is carried out at once."""
        return self._workers.size

    def begin(self, targets: Sequence[TargetId]) -> None:
        """Say that these are ours now, each in its own stream, and tick them."""
        run = self._ledger.run
        reasons = {passed.target: passed.reason for passed in run.passed_over}
        for target in targets:
            claimed = e.TargetClaimed(
                release=str(self._plan.release),
                plan=self._digest,
                wave=wave_of(self._plan, run, target),
                desired=self._targets[target].desired,
            )
            if target in reasons:
                skipped = e.TargetSkipped(reason=reasons[target], fault=e.Fault.ACCOUNT)
                self._ledger.say(target, (claimed, skipped))
                continue
            self._ledger.say(target, (claimed,))
            self.tick(target)

    def tick(self, target: TargetId) -> None:
        self.busy.add(target)
        self._workers.submit(self._work(target))

    def go_on(self, targets: Sequence[TargetId]) -> None:
        """Pick up what is in flight in the journal but in nobody's hands here, as after a restart."""
        for target in targets:
            if target not in self.busy and self._ledger.target(target).action is not None:
                self.tick(target)

    def at_once(self, target: TargetId, work: Callable[[], object]) -> None:
        """Some other work on a target than a tick; its result comes back from `wait`."""
        self.busy.add(target)
        self._workers.submit(work)

    def later(self, when: datetime, work: Callable[[], object]) -> None:
        heapq.heappush(self._due, (when, next(self._order), work))

    def wait(self, until: datetime | None, *, stopped: bool = False) -> list[object]:
        """Until something is done, something is due, or `until` has come. What is not a tick is returned.

        Ticks that want to go on are submitted again, unless `stopped`.
        """
        self._submit_what_is_due()
        moments = [m for m in (until, self._due[0][0] if self._due else None) if m is not None]
        results = self._workers.results(min(moments) if moments else None)
        if not results and self._submit_what_is_due():
            # What came due meanwhile begins at once, and not only after another turn of the loop.
            results = self._workers.results(self._world.clock.now())
        others: list[object] = []
        for value, fault in results:
            if fault is not None:
                raise fault
            if isinstance(value, Tick):
                self._ticked(value, stopped=stopped)
            else:
                others.append(value)
        return others

    def _submit_what_is_due(self) -> bool:
        now, found = self._world.clock.now(), False
        while self._due and self._due[0][0] <= now:
            self._workers.submit(heapq.heappop(self._due)[2])
            found = True
        return found

    def _is_lost(self, result: Tick) -> bool:
        """Whether AWS could not be asked about this target for so long that nobody knows any more how it is.

        Until then a person hears of it, now and then, rather than wonder about the silence.
        """
        target, now = result.target, self._world.clock.now()
        if not result.trouble:
            self._troubled.pop(target, None)
            return False
        since = self._troubled.setdefault(target, now)
        if now - since > _OUTAGE:
            reason = f"AWS could not be asked since {since:%H:%M:%S} UTC: {result.reason}"
            self._ledger.say(target, given_up(self._targets[target], self._ledger.target(target), reason))
            return True
        if now - since > _WARN_EVERY and (self._warned is None or now - self._warned > _WARN_EVERY):
            self._warned = now
            self._runner.warned(f"{target}: trying again since {since:%H:%M:%S} UTC: {result.reason}")
        return False

    def _work(self, target: TargetId) -> Callable[[], object]:
        planned = self._targets[target]
        return lambda: tick(self._world, self._runner, self._ledger, self._plan, planned)

    def _ticked(self, result: Tick, *, stopped: bool) -> None:
        target = result.target
        if self._is_lost(result):
            self.busy.discard(target)
            return
        if result.status is TickStatus.GO_ON and not stopped:
            self.tick(target)
        elif result.status is TickStatus.WAIT and result.until is not None:
            self.later(result.until, self._work(target))
        else:
            self.busy.discard(target)
