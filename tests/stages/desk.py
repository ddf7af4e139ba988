"""A run in the middle of things, made of what its journal says: for the words that people put in beside a runner."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.stores import MemoryJournal, MemoryLatch
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, WaveKind, plan_digest
from pipeline.model.release import Evidence
from pipeline.model.run_state import RunState, fold_run
from stages.promote import Admission
from tests.decide.runs import NEW, RELEASE, a_plan, a_wave, digest_of, t

__all__ = ["ADA", "BOB", "CAT", "EVIDENCE", "RUNNER", "Desk", "a_gated_plan"]

ADA, BOB, CAT = "sso:ada@example.com", "sso:bob@example.com", "aws-role:123456789012/OnCall"
RUNNER = Admission(fence=7, actor=ADA)
EVIDENCE = digest_of("evidence")


def a_gated_plan() -> Plan:
    """Service, canary, and a second wave that somebody else has to approve."""
    plan = a_plan(
        a_wave("@intake", kind=WaveKind.SERVICE),
        a_wave("c1", "c2", kind=WaveKind.CANARY),
        a_wave("c3", "c4", "c5"),
    )
    return replace(plan, waves=(*plan.waves[:2], replace(plan.waves[2], approval=True)))


@dataclass
class Desk:
    plan: Plan = field(default_factory=a_gated_plan)
    clock: SimulatedClock = field(default_factory=SimulatedClock)

    def __post_init__(self) -> None:
        self.journal = MemoryJournal(self.clock)
        self.latch = MemoryLatch(self.clock)

    def began(self, *more: e.ReleaseEvent, starter: str = ADA) -> Desk:
        """Built, tested, its plan fixed by the starter; then `more`."""
        evidence = Evidence(
            release=str(RELEASE), digest=NEW.digest, accounts=("1",), passed=1, failed=0, skipped=0, seconds=1
        )
        self.say(
            e.ReleaseBuilt(digest=NEW.digest, manifest=self.plan.manifest, commit="c"),
            e.ReleaseTested(evidence=evidence),
            e.PlanFixed(plan=plan_digest(self.plan), waves=len(self.plan.waves)),
            actor=starter,
        )
        return self.say(*more) if more else self

    def say(self, *events: e.ReleaseEvent, actor: str = ADA) -> Desk:
        """As the runner that holds the lease would."""
        stream = e.release_stream(self.plan.release)
        expected = self.journal.head(stream).seq
        self.journal.append(stream, events, expected=expected, fence=RUNNER.fence, actor=actor)
        return self

    def say_of(self, target: str, *events: e.TargetEvent) -> Desk:
        stream = self.target_stream(target)
        expected = self.journal.head(stream).seq
        self.journal.append(stream, events, expected=expected, fence=RUNNER.fence, actor=ADA)
        return self

    def claimed(self, target: str, wave: int, *events: e.TargetEvent) -> Desk:
        claim = e.TargetClaimed(release=str(RELEASE), plan=plan_digest(self.plan), wave=wave, desired=NEW)
        return self.say_of(target, claim, *events)

    def through(self, wave: int) -> tuple[e.ReleaseEvent, ...]:
        """What is said until so many waves have passed."""
        said: list[e.ReleaseEvent] = []
        for number in range(wave):
            said += [
                e.WaveStarted(wave=number),
                e.TargetsClaimed(wave=number, targets=self.plan.waves[number].targets),
                e.WavePassed(wave=number),
            ]
        return tuple(said)

    def target_stream(self, target: str) -> str:
        return e.target_stream(RELEASE.service, self.target(target))

    def target(self, target: str) -> TargetId:
        return t(target)

    def later(self, **length: float) -> datetime:
        self.clock.advance(timedelta(**length))
        return self.clock.now()

    @property
    def run(self) -> RunState:
        return fold_run(self.entries)

    @property
    def entries(self) -> tuple[e.Envelope, ...]:
        return self.journal.read(e.release_stream(self.plan.release))

    @property
    def last(self) -> e.Envelope:
        return self.entries[-1]
