"""Floor 2, estimates: when each target's turn is expected, if nothing fails and nobody has to be waited for. Pure.

It plays the run through as the engine would: the same pace, the same windows and freezes, the same deferrals (a late
client goes with the next wave; only where nobody may be changed does the run wait). Approvals are taken as given at
once, and every deployment as long as those seen before.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.decide.pace import may_start
from pipeline.decide.windows import opens_at
from pipeline.model.plan import Plan, PlannedTarget, TargetEta, Wave, WaveKind

__all__ = ["USUAL", "estimate", "typical"]

USUAL = timedelta(minutes=5)
"""How long one deployment takes where none has been seen yet."""


def typical(seen: Iterable[timedelta]) -> timedelta:
    """The median of what was seen, USUAL where nothing was."""
    ordered = sorted(seen)
    return ordered[len(ordered) // 2] if ordered else USUAL


def estimate(plan: Plan, each: timedelta) -> tuple[TargetEta, ...]:
    """One estimate for every target, in the order in which they begin, counted from the plan's making.

    each: how long one deployment takes, from its claim until it is healthy.
    """
    planned = {target.id: target for target in plan.targets}
    at, won = plan.created_at, 0
    found: list[TargetEta] = []
    late: list[PlannedTarget] = []
    for number, wave in enumerate(plan.waves):
        together = [*(planned[target] for target in wave.targets), *late]
        later = [planned[target] for w in plan.waves[number + 1 :] for target in w.targets]
        if wave.kind is WaveKind.WAVE and not _any_open(together, at) and _any_open(later, at):
            late = together
            continue
        turn = _Turn(wave=wave, at=at, each=each, won=won, last=number + 1 == len(plan.waves))
        late = turn.play(together)
        found += [TargetEta(id=t.id, wave=number, start=start, finish=start + each) for t, start in turn.done]
        won += len(turn.done)
        at = turn.at + (wave.bake if turn.done else timedelta(0))
    return tuple(sorted(found, key=lambda eta: (eta.start, eta.wave)))


def _any_open(targets: Sequence[PlannedTarget], at: datetime) -> bool:
    return any(opens_at(target, at) <= at for target in targets)


@dataclass(slots=True, kw_only=True)
class _Turn:
    """One wave played through. won: targets healthy before it. at: the present instant of the play."""

    wave: Wave
    at: datetime
    each: timedelta
    won: int
    last: bool
    done: list[tuple[PlannedTarget, datetime]] = field(default_factory=list)
    flying: list[tuple[datetime, int, str]] = field(default_factory=list)
    """(when over, place, owner), the first to be over on top"""
    landed: int = 0

    def play(self, together: Sequence[PlannedTarget]) -> list[PlannedTarget]:
        """Until all are done; gives back who is left for the next wave."""
        ready = list(range(len(together)))
        shut: list[tuple[datetime, int]] = []
        while ready or shut or self.flying:
            while shut and shut[0][0] <= self.at:
                heapq.heappush(ready, heapq.heappop(shut)[1])
            self._start(together, ready, shut)
            if self.flying:
                self.at = heapq.heappop(self.flying)[0]
                self.landed += 1
            elif shut and self.landed and not self.last:
                return [together[place] for _, place in sorted(shut, key=lambda late: late[1])]
            elif shut:
                self.at = max(self.at, shut[0][0])
        return []

    def _start(
        self, together: Sequence[PlannedTarget], ready: list[int], shut: list[tuple[datetime, int]]
    ) -> None:
        room = may_start(
            self.wave, failed=0, in_flight=len(self.flying), healthy_so_far=self.won + self.landed
        )
        busy = {owner for _, _, owner in self.flying}
        held: list[int] = []
        while ready and room > 0:
            place = heapq.heappop(ready)
            target = together[place]
            opening = opens_at(target, self.at)
            if opening > self.at:
                heapq.heappush(shut, (opening, place))
            elif target.id.owner in busy:
                held.append(place)
            else:
                busy.add(target.id.owner)
                self.done.append((target, self.at))
                heapq.heappush(self.flying, (self.at + self.each, place, target.id.owner))
                room -= 1
        for place in held:
            heapq.heappush(ready, place)
