"""The checker: it is shown every event of the journal and every effect in the cloud, and holds the rules against it.

Each rule is a function of its own, in `of_runs` and `of_targets`; here stands only which of them listens to what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.model import event as e
from tests.faults import of_runs, of_targets
from tests.faults.sight import INVARIANTS, PLANTED, Broken, Effect, Sight, fail

__all__ = ["INVARIANTS", "PLANTED", "Broken", "Checker", "Effect"]

Rule = Callable[[Sight, e.Envelope], None]

BEFORE: Mapping[type, tuple[Rule, ...]] = {
    e.WaveStarted: (of_runs.wave_may_start,),
    e.TargetsClaimed: (of_runs.may_claim,),
    e.TargetClaimed: (of_runs.target_is_free,),
    e.WaveBaking: (of_runs.bakes_long_enough,),
    e.WaveJudging: (of_runs.bake_is_over,),
    e.WavePassed: (of_runs.bake_is_over,),
    e.RunResumed: (of_runs.leaves_a_halt,),
    e.RetryOrdered: (of_runs.leaves_a_halt,),
    e.RollbackOrdered: (of_runs.leaves_a_halt,),
    e.RunEnded: (of_runs.leaves_a_halt,),
    e.RollbackClaimed: (of_targets.may_go_back,),
    e.ExecutionAbandoned: (of_targets.nothing_was_executed,),
    e.TargetHealthy: (of_targets.is_truly_well,),
    e.TargetJudged: (of_targets.is_truly_well,),
    e.TargetGood: (of_targets.becomes_good_only_baked,),
}
AFTER: Mapping[type, tuple[Rule, ...]] = {
    e.PlanFixed: (of_runs.plan_is_sound,),
    e.WaveBaking: (of_runs.notes_the_bake,),
    e.TargetsClaimed: (of_runs.keeps_the_pace,),
    e.TargetClaimed: (of_runs.regions_take_turns,),
}
NONE: tuple[Rule, ...] = ()


class Checker(Sight):
    """`see` for every entry, in the order of their writing; `happened` for every effect, as it takes place."""

    def see(self, entry: e.Envelope) -> None:
        """Before it is learned: may it be said now? Afterwards: may the state it makes be?"""
        self.checks += 1
        of_runs.chain_holds(self, entry)
        kind = type(entry.event)
        for rule in BEFORE.get(kind, NONE):
            rule(self, entry)
        self.record.learn(entry)
        for rule in AFTER.get(kind, NONE):
            rule(self, entry)

    def happened(self, effect: Effect) -> None:
        self.checks += 1
        done = effect.happening
        of_targets.stays_apart(effect)
        if not done.token:
            return  # somebody's hand
        of_targets.nothing_with_data_is_lost(effect)
        known = self.record.tokens.get(done.token)
        if known is None:
            fail("I8", f"{done.place} changes under the token {done.token}, which no journal knows")
        stream, attempt = known
        target = self.record.target(stream)
        of_targets.lands_where_planned(self, stream, target, done)
        of_targets.takes_effect_once(stream, target, done)
        of_targets.is_what_was_planned(stream, target, done)
        attempt.begun += 1
        target.changed = True

    def closing(self, release: str, slipping: set[str]) -> None:
        """The latch closes. slipping: actors that have read it open and are about to make one call."""
        self.closed.add(release)
        self.slipping = slipping

    def opening(self, release: str) -> None:
        self.closed.discard(release)

    def verifies(self, actor: str, release: str) -> None:
        run = self.record.runs.get(release)
        started = 0 if run is None else sum(1 for wave in run.waves if wave.started)
        self.verified.add((actor, release, started))

    def changing(self, actor: str, token: str, *, lease_was_read: bool) -> None:
        """A runner is about to make or execute a change set under this token."""
        self.checks += 1
        if not lease_was_read:
            fail("I8", f"{actor} changes a stack without having read its lease just before")
        known = self.record.tokens.get(token)
        if known is not None and known[1].direction is e.Direction.FORWARD:
            target = self.record.target(known[0])
            of_targets.nothing_starts_after_a_halt(self, target.release, actor)
            of_targets.verified_in_this_wave(self, actor, target)
