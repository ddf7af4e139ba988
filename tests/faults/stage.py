"""The stage: a company whose every event and every effect goes past the checker, and whose every call can fail.

A command is typed again where its runner died, as a person or a schedule would; a killed runner gives nothing back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from pipeline.adapters.simulated.cloud import Temper
from pipeline.adapters.simulated.faults import Fault, Killed
from pipeline.adapters.simulated.stack import CloudTimes
from pipeline.adapters.simulated.stores import MemoryJournal
from pipeline.engine.world import LEASE_TTL, World
from pipeline.errors import FenceLost, LeaseHeld, PlanStale, ReleaseError, StreamMoved, UsageError
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.fleet import Fleet
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import Plan
from pipeline.model.policy import CanaryPolicy, HealthPolicy, ServiceWavePolicy, WavePolicy, WaveSize
from pipeline.model.release import Manifest
from pipeline.model.run_state import RunState, fold_run
from pipeline.ports import Place
from stages.promote import error_of
from tests.faults.invariants import Checker
from tests.faults.record import Now
from tests.faults.sight import PLANTED, fail
from tests.faults.truth import sickness, watch
from tests.faults.wire import Wire
from tests.simulation import POLICY, SERVICE, Company, a_fleet

__all__ = ["FLEET", "QUICK", "SWIFT", "Refused", "Stage"]

T = TypeVar("T")

_BOTH = ("us-east-1", "eu-west-1")


def _with_two_regions(fleet: Fleet, *names: str) -> Fleet:
    """One of two clients in two Regions is drawn into the canary; the other one is not."""
    clients = tuple(replace(c, regions=_BOTH) if c.name in names else c for c in fleet.clients)
    return replace(fleet, clients=clients)


FLEET = _with_two_regions(a_fleet(clients=6), "c2", "c5")
QUICK = replace(
    POLICY,
    service=ServiceWavePolicy(bake=timedelta(seconds=2)),
    canary=CanaryPolicy(clients=2, bake=timedelta(seconds=4)),
    sizes=(WaveSize(2, "clients"), WaveSize(0, "rest")),
    bake=timedelta(seconds=3),
    max_in_flight=5,
)
SWIFT = CloudTimes(
    change_set=timedelta(milliseconds=400),
    create=timedelta(milliseconds=1500),
    update=timedelta(milliseconds=1000),
    cleanup=timedelta(milliseconds=400),
    fail=timedelta(milliseconds=800),
)
"""Of a matrix of thousands, most would else be spent polling: how long things take matters to none of the rules."""
PATIENCE = 12
"""How often a command is typed again before it is said never to end."""
HEALTH = HealthPolicy(
    url_output="Url", path="/status", expect=200, alarms=True, deadline=timedelta(seconds=20)
)
_NOT_GUARDED_HERE = ("clock", "keep", "journal", "leases", "latch")
"""The stores are guarded for the whole command, which begins before there is a runner."""
_ENDS = {
    EndingKind.SUCCEEDED: "SUCCEEDED",
    EndingKind.HALTED: "halted",
    EndingKind.ROLLED_BACK: "ROLLED_BACK",
    EndingKind.ROLLBACK_INCOMPLETE: "ROLLBACK_INCOMPLETE",
    EndingKind.SUPERSEDED: "SUPERSEDED",
}
_EXITS = {
    EndingKind.SUCCEEDED: {0},
    EndingKind.HALTED: {3, 9},
    EndingKind.ROLLED_BACK: {3, 9},
    EndingKind.ROLLBACK_INCOMPLETE: {11},
}


class Refused(Exception):
    """A command was refused for good, with a typed error: where faults are about, that is an end as well."""

    def __init__(self, error: ReleaseError) -> None:
        super().__init__(f"{type(error).__name__}: {error.problem}")
        self.error = error


class Stage(Company):
    """strict: every command ends as if nothing had happened; False where faults may change how a release ends."""

    def __init__(
        self,
        tmp: Path,
        *,
        fleet: Fleet = FLEET,
        policy: WavePolicy = QUICK,
        temper: Temper | None = None,
        strict: bool = True,
    ) -> None:
        super().__init__(tmp, fleet=fleet, policy=policy, temper=temper or Temper(times=SWIFT), health=HEALTH)
        self.strict = strict
        self.rivals = False
        """other runners are about: to be outdated is no failure"""
        self.command: Callable[[], Any] = lambda: None
        self.wire = Wire()
        self.wire.on_change = self._changing
        self.check = Checker(self._sick, self._runs, policy.canary.clients)
        self.check.true_time = self.cloud.clock.now
        watch(self.cloud, self.check.happened)
        self.cords: list[tuple[Callable[[e.Envelope], bool], ReleaseName]] = []
        self.watchers: list[tuple[type[e.Event], str, Callable[[e.Envelope], None]]] = []
        self.entries: list[e.Envelope] = []
        self.plans: list[Plan] = []
        self.ahead: dict[str, Plan] = {}
        self.refusals: list[ReleaseError] = []
        self.journal = _Recorder(self.journal, self)  # type: ignore[assignment]
        self.stores = (self.journal, self.leases, self.latch)

    # --- the checker's eyes --------------------------------------------------------------------

    def _sick(self, stream: str) -> frozenset[str]:
        return sickness(self.cloud, self._place(stream), f"svc-{SERVICE}")

    def _runs(self, stream: str) -> str:
        return self.cloud.runs(self._place(stream), f"svc-{SERVICE}")

    def _place(self, stream: str) -> Place:
        return next(p for p, known in self.check.record.places.items() if known == stream)

    def _changing(self, actor: str, label: str, args: tuple[Any, ...]) -> None:
        if label == "stacks.create_change_set":
            self._about_to_change(actor, args[1].token)
        elif label == "stacks.execute_change_set":
            self._about_to_change(actor, args[3])

    def _about_to_change(self, actor: str, token: str) -> None:
        self.check.changing(actor, token, lease_was_read=self.wire.lease_was_read(actor))

    def heard(self, entry: e.Envelope) -> None:
        self.entries.append(entry)
        self.check.see(entry)
        for watcher in [
            w for w in self.watchers if isinstance(entry.event, w[0]) and w[1] in ("", entry.stream)
        ]:
            self.watchers.remove(watcher)
            watcher[2](entry)
        for pulls, release in self.cords:
            if pulls(entry):
                self.pull(release)

    def pull(self, release: ReleaseName) -> None:
        """A person closes the latch, at this very moment."""
        self.stores[2].close(str(release), "pulled the cord", "ann")
        self.check.closing(str(release), self.wire.has_read_the_latch())

    def shuts_when(self, kind: type[e.Event], stream: str, fault: Fault) -> None:
        """Orders the fault the first time that such an event is said in the stream; in any where it is empty."""

        def does(entry: e.Envelope) -> None:
            self.cloud.fault(fault)

        self.happens_when(kind, stream, does)

    def happens_when(self, kind: type[e.Event], stream: str, does: Callable[[e.Envelope], None]) -> None:
        """Once, from now on: what others do at the very moment that something is said."""
        self.watchers.append((kind, stream, does))

    def build(self, version: str) -> Manifest:
        """Every stack has an output that nobody is to repeat."""
        built = super().build(version)
        for stack in built.stacks:
            scripted = self.cloud.scripted(stack.template)
            outputs = (*scripted.outputs, ("AdminPassword", PLANTED))
            self.cloud.release(replace(scripted, outputs=outputs))
        return built

    def verifier(self, plan: Plan, actor: str) -> Callable[[], None]:
        return lambda: self.check.verifies(actor, str(plan.release))

    # --- commands ------------------------------------------------------------------------------

    def plan(self, version: str) -> Plan:
        """Planned anew, unless the scene was set with it. Whoever plans types the command again, too."""
        ahead = self.ahead.pop(version, None)
        if ahead is not None:
            return ahead
        plan = self._planned(version)
        self.check.record.knows(plan)
        self.plans.append(plan)
        return plan

    def _planned(self, version: str) -> Plan:
        for attempt in range(PATIENCE):
            try:
                return super().plan(version)
            except ReleaseError as refused:
                self.refusals.append(refused)
                if attempt > 2:
                    raise Refused(refused) from refused
                if attempt == 1:
                    self.calm()
        return fail("I17", f"planned {PATIENCE} times and no plan")

    def plan_ahead(self, version: str) -> Stage:
        self.ahead[version] = self.plan(version)
        return self

    def world(self) -> World:
        world = super().world()
        guarded = {
            field.name: self.wire.guard(field.name, getattr(world, field.name))
            for field in fields(world)
            if field.name not in _NOT_GUARDED_HERE
        }
        return replace(world, **guarded)

    def _hold(self, plan: Plan, *rest: Any, **named: Any) -> Ending:
        def command() -> Ending:
            return self._as_an_actor(
                f"runner{self.holders + 1}", lambda: super(Stage, self)._hold(plan, *rest, **named)
            )

        self.command = command
        ending = self.typed(command)
        self._tells_the_truth(plan, ending)
        return ending

    def barges_in(self) -> None:
        """Somebody else types the command that is being carried out, once the lease has run out."""
        self.clock.advance(LEASE_TTL + timedelta(seconds=1))
        try:
            self.command()
        except (Killed, LeaseHeld, FenceLost, StreamMoved, PlanStale) as stopped:
            self.warnings.append(f"the other one: {stopped!r}")

    def resume(self, plan: Plan, reason: str = "looked at it") -> RunState:
        def command() -> RunState:
            try:
                return self._as_an_actor("person", lambda: super(Stage, self).resume(plan, reason))
            except UsageError:
                if not self.wire.deaths:
                    raise
                self.clock.advance(LEASE_TTL)  # it had died after its last write, and holds the lease again
                return self.run(plan)

        state = self.typed(command)
        self.check.opening(str(plan.release))
        return state

    def clear(self, target: TargetId) -> None:
        self._as_an_actor("person", lambda: super(Stage, self).clear(target))

    def _as_an_actor(self, actor: str, command: Callable[[], T]) -> T:
        """Through guarded stores, under a name of its own: a killed process is never the same one again."""
        before, stores = self.wire.actor, (self.journal, self.leases, self.latch)
        self.wire.actor = actor
        self.wire.dead.discard(actor)
        names = ("journal", "leases", "latch")
        guarded: list[Any] = [self.wire.guard(n, s) for n, s in zip(names, self.stores, strict=True)]
        self.journal, self.leases, self.latch = guarded
        try:
            return command()
        finally:
            self.wire.actor = before
            self.journal, self.leases, self.latch = stores

    def typed(self, command: Callable[[], T]) -> T:
        """Typed again until it comes to an end; whatever keeps it from that is gone after its first refusal."""
        for attempt in range(PATIENCE):
            try:
                return command()
            except Killed:
                self.clock.advance(LEASE_TTL)
            except (LeaseHeld, FenceLost, StreamMoved, PlanStale) as refused:
                # PlanStale: the other one has begun, and ended, while this one was being admitted.
                if not self.rivals:
                    raise self._stale_for_good(refused) from refused
                self.clock.advance(LEASE_TTL)
            except ReleaseError as refused:
                if self.strict:
                    raise
                self.refusals.append(refused)
                self.calm()
                if attempt > 2:
                    raise Refused(refused) from refused
                self.clock.advance(LEASE_TTL)
        return fail("I17", f"typed {PATIENCE} times and no end; died {self.wire.deaths}")

    def _stale_for_good(self, refused: ReleaseError) -> Exception:
        """Where faults may change how a release ends a plan may have expired: it is made anew, by a person."""
        return Refused(refused) if isinstance(refused, PlanStale) and not self.strict else refused

    def calm(self) -> None:
        """The weather clears: no more faults from now on."""
        self.wire.calm()
        self.cloud.calm()

    def ends(self, ending: Ending, wanted: EndingKind) -> None:
        """In a strict story the ending is the one told of; elsewhere a deviation ends the story, not the case."""
        if ending.kind is wanted:
            return
        if self.strict:
            fail("I17", f"ended {ending.kind}, not {wanted}: {ending.reason}")
        raise _Deviated(ending)

    # --- the end -------------------------------------------------------------------------------

    def _tells_the_truth(self, plan: Plan, ending: Ending) -> None:
        """I22"""
        run = self.check.record.runs[str(plan.release)]
        wanted = _ENDS.get(ending.kind)
        if wanted is not None and run.standing != wanted:
            fail("I22", f"answered {ending.kind} while the journal says {run.standing}")
        state = fold_run(self.stores[0].read(e.release_stream(plan.release)))
        fault = error_of(plan, ending, state, {})
        code = 0 if fault is None else fault.exit_code
        if ending.kind in _EXITS and code not in _EXITS[ending.kind]:
            fail("I22", f"answered {ending.kind} and would leave with {code}")

    def play(self, story: Callable[[Stage], None]) -> None:
        """Tell it to its end, wherever that is, and look at everything once more."""
        try:
            story(self)
        except (_Deviated, Refused):
            if self.strict:
                raise
        self.assert_at_rest()

    def assert_at_rest(self) -> None:
        """I4 and I14 at the end: nothing in flight, everything known, every stream still reads as it was written."""
        for stream in self.stores[0].streams(""):
            self.stores[0].read(stream)
        if self.plans:
            self._everything_is_known(self.plans[-1])

    def _everything_is_known(self, plan: Plan) -> None:
        run = self.check.record.runs.get(str(plan.release))
        if run is None or not (run.ended or run.standing in ("halted", "paused")):
            return
        now = self.cloud.clock.now()
        for happening in self.cloud.history:
            record = self.check.record.target(self.check.record.places[happening.place])
            # Of what has failed nobody claims to know how it ends, and a hand moves when it likes.
            if happening.token and happening.settled > now and record.now not in (Now.FAILED, Now.LOST):
                fail("I4", f"{run.standing}, and still moving: {happening}")
        for target in plan.targets:
            self._is_known(plan, target.id)

    def _is_known(self, plan: Plan, target: TargetId) -> None:
        planned = plan.target(target)
        place = Place(planned.account, target.region)
        happened = self.cloud.formation(place).history
        if happened and not happened[-1].token:
            return  # somebody's hand was there last
        record = self.check.record.target_of(self.check.record.runs[str(plan.release)], target)
        runs = self.cloud.runs(place, planned.stack)
        release = str(plan.release)
        match record.now:
            case Now.FLYING | Now.GOING_BACK:
                fail("I4", f"{target} is left {record.now.value}")
            case Now.HEALTHY if runs != release:
                fail("I4", f"{target} is called healthy on {release} and runs {runs or 'nothing'}")
            case Now.RESTORED if runs != (record.before or ""):
                fail("I4", f"{target} is called restored to {record.before} and runs {runs or 'nothing'}")
            case Now.PENDING | Now.SKIPPED if record.changed and runs == release:
                fail("I4", f"{target} is called {record.now.value} and runs {runs}")
            case _:
                pass


class _Deviated(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(f"{ending.kind}: {ending.reason}")


class _Recorder:
    """ports.Journal over the company's own: everything that is appended, by whomever, is shown to the checker."""

    def __init__(self, journal: MemoryJournal, stage: Stage) -> None:
        self._journal = journal
        self._stage = stage
        self._seen: dict[str, list[e.Envelope]] = {}

    def append(self, stream: str, events: Sequence[e.Event], **how: Any) -> tuple[e.Envelope, ...]:
        appended: tuple[e.Envelope, ...] = self._journal.append(stream, events, **how)
        seen = self._seen.setdefault(stream, [])
        for entry in appended:
            seen.append(entry)
            self._stage.heard(entry)
        return appended

    def read(self, stream: str) -> tuple[e.Envelope, ...]:
        """What the checker has seen being written needs no second look while it is the very same; anything else is
        for the journal itself to read."""
        kept, seen = self._journal._entries.get(stream, ()), self._seen.get(stream, [])
        same = len(kept) == len(seen) and all(a is b for a, b in zip(kept, seen, strict=True))
        return kept if same else self._journal.read(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)
