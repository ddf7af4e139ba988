"""Family O: a company to which anything happens in any order, by Hypothesis; every invariant after every step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipeline.adapters.simulated.cloud import Break
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan
from pipeline.ports import Place
from stages.rollback import RollbackScope
from tests.faults.cases import Case, Family, each_in_a_child, seeds
from tests.faults.kills import MOMENTS
from tests.faults.stage import QUICK, Refused, Stage
from tests.faults.wire import Strike
from tests.simulation import SERVICE, a_fleet

__all__ = ["MACHINE", "ReleaseMachine"]

CLIENTS = 4
SHAKEN = ("deploy", "health", "alarm", "no data", "code")
TROUBLES = (
    FaultKind.THROTTLED,
    FaultKind.LOST_APPLIED,
    FaultKind.REFUSED,
    FaultKind.SUSPENDED,
    FaultKind.UNAVAILABLE,
)

clients = st.integers(1, CLIENTS)


class ReleaseMachine(RuleBasedStateMachine):
    """The rules are what people, accounts and networks do; the checker looks on by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory(prefix="machine-")
        self.stage = Stage(Path(self.folder.name), fleet=a_fleet(CLIENTS), policy=QUICK, strict=False)
        self.stage.rivals = True
        self.stage.check.exact_moments = False
        self.version = 0
        self.current: Plan | None = None

    @initialize()
    def first_release(self) -> None:
        self.releases()
        self.goes_on()

    def _try(self, command: Callable[[], object]) -> None:
        """A refusal with a typed error is an answer; whatever else is raised is a find."""
        with suppress(Refused):
            command()

    # --- people --------------------------------------------------------------------------------

    @rule()
    def releases(self) -> None:
        self.version += 1
        version = f"1.{self.version}.0"
        self.stage.build(version)
        with suppress(Refused):
            self.current = self.stage.plan(version)

    @precondition(lambda self: self.current is not None)
    @rule()
    def goes_on(self) -> None:
        plan = self._plan()
        self._try(lambda: self.stage.promote(plan))

    @precondition(lambda self: self.current is not None)
    @rule()
    def goes_as_far_as_a_bake(self) -> None:
        plan = self._plan()
        self._try(lambda: self.stage.promote(plan, blocked=True))

    @precondition(lambda self: self.current is not None)
    @rule(wave=st.integers(0, 3))
    def goes_as_far_as_a_wave(self, wave: int) -> None:
        plan = self._plan()
        self._try(lambda: self.stage.promote(plan, wave=wave))

    @precondition(lambda self: self.current is not None)
    @rule()
    def is_halted(self) -> None:
        if str(self._plan().release) in self.stage.check.record.runs:
            self.stage.pull(self._plan().release)

    @precondition(lambda self: self.current is not None)
    @rule()
    def is_resumed(self) -> None:
        plan = self._plan()
        if str(plan.release) in self.stage.check.record.runs:
            self._try(lambda: self.stage.resume(plan))

    @precondition(lambda self: self.current is not None)
    @rule(wave=st.integers(1, 3), everything=st.booleans(), only=st.booleans())
    def is_taken_back(self, wave: int, everything: bool, only: bool) -> None:
        plan = self._plan()
        scope = RollbackScope(all=True) if everything else RollbackScope(wave=wave, only=only)
        if str(plan.release) in self.stage.check.record.runs:
            self._try(lambda: self.stage.rollback(plan, scope))

    @precondition(lambda self: self.current is not None)
    @rule(client=clients)
    def a_client_is_taken_back(self, client: int) -> None:
        plan, target = self._plan(), TargetId(f"c{client}", "us-east-1")
        if str(plan.release) in self.stage.check.record.runs:
            self._try(lambda: self.stage.rollback(plan, RollbackScope(target=target)))

    @rule(client=clients)
    def is_cleared(self, client: int) -> None:
        self._try(lambda: self.stage.typed(lambda: self.stage.clear(TargetId(f"c{client}", "us-east-1"))))

    # --- the world -----------------------------------------------------------------------------

    @rule(client=clients, how=st.sampled_from(SHAKEN), after=st.sampled_from([0, 0, 2]))
    def falls_ill(self, client: int, how: str, after: int) -> None:
        account = self.stage.fleet.clients[client - 1].account
        template = self.stage.client_template(f"1.{self.version}.0")
        self.stage.cloud.breaks(
            Break(template=template, how=how, account=account, after=timedelta(seconds=after))
        )

    @rule()
    def recovers(self) -> None:
        for version in range(1, self.version + 1):
            self.stage.cloud.mends(self.stage.client_template(f"1.{version}.0"))

    @rule(percent=st.sampled_from([0, 5, 20]))
    def weather(self, percent: int) -> None:
        self.stage.cloud.weather(percent)

    @rule(client=clients, kind=st.sampled_from(TROUBLES), times=st.sampled_from([1, 3, 0]))
    def an_account_makes_trouble(self, client: int, kind: FaultKind, times: int) -> None:
        account = self.stage.fleet.clients[client - 1].account
        self.stage.cloud.fault(Fault(kind=kind, account=account, times=times))

    @rule(calls=st.integers(1, 400), moment=st.sampled_from(MOMENTS))
    def the_next_runner_dies(self, calls: int, moment: object) -> None:
        due = len(self.stage.wire.seen) + calls
        self.stage.wire.hook = lambda number, _label: Strike(moment=moment) if number == due else None  # type: ignore[arg-type]

    @rule(calls=st.integers(1, 400))
    def somebody_barges_in(self, calls: int) -> None:
        due = len(self.stage.wire.seen) + calls

        def hook(number: int, _label: str) -> Strike | None:
            if number == due:
                self.stage.barges_in()
            return None

        self.stage.wire.hook = hook

    @rule(minutes=st.sampled_from([1, 20, 300]))
    def time_passes(self, minutes: int) -> None:
        self.stage.clock.advance(timedelta(minutes=minutes))

    @precondition(lambda self: self.version > 1)
    @rule(client=clients)
    def somebody_deploys_by_hand(self, client: int) -> None:
        planned = [t for t in self.stage.plans[0].targets if t.id == TargetId(f"c{client}", "us-east-1")]
        if planned:
            place = Place(planned[0].account, "us-east-1")
            found = self.stage.cloud.formation(place).find(f"svc-{SERVICE}")
            if found is not None and found.content_at(self.stage.cloud.clock.now()) is not None:
                self.stage.cloud.by_hand(place, f"svc-{SERVICE}", planned[0].desired)

    # --- always --------------------------------------------------------------------------------

    @invariant()
    def the_journal_reads_as_it_was_written(self) -> None:
        for stream in self.stage.stores[0].streams(""):
            self.stage.stores[0].read(stream)

    def teardown(self) -> None:
        """With the faults gone it comes to an end."""
        self.stage.calm()
        if self.current is not None and str(self.current.release) in self.stage.check.record.runs:
            self.goes_on()
        self.folder.cleanup()

    def _plan(self) -> Plan:
        assert self.current is not None, "a precondition says so"
        return self.current


def settings_for(steps: int, examples: int = 1) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )


def _cases_o(large: bool) -> list[Case]:
    return [Case(seeds("O") + number, 50 if large else 25) for number in range(20_000 if large else 120)]


def _play_o(case: Case, tmp: Path) -> None:
    chosen = Random(case.number).randrange(1 << 30)
    run_state_machine_as_test(seed(chosen)(ReleaseMachine), settings=settings_for(max(1, case.place)))


MACHINE = Family(
    letter="O",
    title="anything in any order: people, accounts and networks, drawn by Hypothesis",
    invariants=("I1", "I2", "I4", "I7", "I8", "I9", "I10", "I11", "I12", "I14", "I17", "I20"),
    cases=_cases_o,
    play=_play_o,
    batch=each_in_a_child(_play_o),
    scene=lambda case: case.number // 10,
)
