"""Whatever goes wrong in the accounts, the journal of a run obeys the rules after every single event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phase_
from hypothesis import strategies as st

from pipeline.adapters.simulated.cloud import Break, Temper
from pipeline.adapters.simulated.stack import CloudTimes
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan, Wave, WaveKind
from pipeline.model.policy import OnFail, OnFailPolicy, Pace, WavePolicy, WaveSize
from pipeline.model.run_state import Run, RunState, WaveStatus, evolve_run
from pipeline.model.target_state import IN_FLIGHT, Phase, TargetState, evolve_target
from pipeline.ports import Journal
from stages.rollback import RollbackScope
from tests.simulation import POLICY, SERVICE, Company, a_fleet

FAILED = frozenset({Phase.FAILED, Phase.UNKNOWN, Phase.ROLLBACK_FAILED, Phase.QUARANTINED})
# A failing story is short to read as it is; making it shorter would take minutes.
THOROUGH = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase_.explicit, Phase_.generate),
)
HOWS = ("deploy", "health", "alarm", "no data", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What happens during one release. broken: (client's number, how). halt_at: the how-manieth event closes
    the latch; 0 for never."""

    policy: WavePolicy
    broken: tuple[tuple[int, str], ...]
    halt_at: int
    weather: int
    lag: int
    seed: int


troubles = st.builds(
    Trouble,
    policy=st.builds(
        replace,
        st.just(POLICY),
        tolerance=st.integers(0, 2),
        pace=st.sampled_from(Pace),
        max_in_flight=st.integers(1, 4),
        sizes=st.sampled_from(
            [(WaveSize(0, "rest"),), (WaveSize(2, "clients"), WaveSize(0, "rest")), (WaveSize(40, "%"),)]
        ),
        on_fail=st.builds(OnFailPolicy, canary=st.sampled_from(OnFail), wave=st.sampled_from(OnFail)),
    ),
    broken=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(HOWS)), max_size=3).map(tuple),
    halt_at=st.one_of(st.just(0), st.integers(1, 120)),
    weather=st.sampled_from([0, 0, 10, 25]),
    lag=st.sampled_from([0, 3]),
    seed=st.integers(0, 1000),
)


@dataclass
class Recorder:
    """A journal that remembers the order of all appends over all streams, and may pull the cord."""

    journal: Journal
    company: Company
    halt_at: int = 0
    entries: list[e.Envelope] = field(default_factory=list)

    def append(self, stream: str, events: Sequence[e.Event], **how: Any) -> tuple[e.Envelope, ...]:
        appended = self.journal.append(stream, events, **how)
        before = len(self.entries)
        self.entries += appended
        if before < self.halt_at <= len(self.entries):
            self.company.latch.close(f"{SERVICE}@1.2.0", "a person pulled the cord", "ann")
        return appended

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)


class _Watch:
    """Folds a run event by event and holds every rule against what comes of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.run = RunState()
        self.targets = {target.id: TargetState() for target in plan.targets}

    def see(self, entry: e.Envelope) -> None:
        self._before(entry)
        before = self.targets
        if entry.stream.startswith("release/"):
            self.run = evolve_run(self.run, entry)
        else:
            target = TargetId.parse(entry.stream.removeprefix(f"target/{SERVICE}/"))
            self.targets = {**before, target: evolve_target(before[target], entry)}
        self._regions_take_turns()
        match entry.event:
            case e.TargetsClaimed(wave=number):
                self._pace(number)
            case _:
                pass
        for number in range(len(self.plan.waves) if self.run.waves else 0):
            self._strict(number)

    def _before(self, entry: e.Envelope) -> None:
        match entry.event:
            case e.TargetsClaimed(wave=number, targets=targets):
                self._may_claim(number, targets, entry.at)
            case e.TargetClaimed(wave=number):
                assert self.run.run is Run.RUNNING, f"a target was started while {self.run.run}"
            case _:
                pass

    def _may_claim(self, number: int, targets: tuple[TargetId, ...], at: datetime) -> None:
        assert self.run.run is Run.RUNNING, f"targets were claimed while {self.run.run}"
        wave = self.plan.waves[number]
        assert self._failed(wave) <= wave.tolerance
        assert set(targets) <= set(wave.targets) - self.run.wave(number).claimed
        for earlier in range(number):
            state = self.run.wave(earlier)
            assert state.status is WaveStatus.PASSED
            assert state.bake_until is not None
            assert state.bake_until <= at

    def _pace(self, number: int) -> None:
        wave = self.plan.waves[number]
        flying, failed = self._in_flight(number), self._failed(wave)
        healthy = sum(1 for state in self.targets.values() if state.phase is Phase.HEALTHY)
        assert flying <= wave.max_in_flight
        if wave.kind is WaveKind.WAVE and wave.pace is Pace.WON:
            assert flying <= max(1, healthy)
        if wave.kind is WaveKind.WAVE and wave.pace is Pace.STRICT:
            assert failed + flying <= wave.tolerance + 1

    def _strict(self, number: int) -> None:
        wave = self.plan.waves[number]
        if wave.kind is not WaveKind.WAVE and self.run.run is Run.RUNNING:
            assert self._failed(wave) + self._in_flight(number) <= 1

    def _in_flight(self, number: int) -> int:
        claimed = self.run.wave(number).claimed
        return sum(
            1
            for target in self.plan.waves[number].targets
            if self.targets[target].phase in IN_FLIGHT
            or (target in claimed and self.targets[target].phase is Phase.PENDING)
        )

    def _failed(self, wave: Wave) -> int:
        return sum(1 for t in wave.targets if self.targets[t].phase in FAILED and t not in self.run.forgiven)

    def _regions_take_turns(self) -> None:
        flying = [target.owner for target, state in self.targets.items() if state.phase in IN_FLIGHT]
        assert len(flying) == len(set(flying))


@dataclass
class _Told:
    company: Company
    plan: Plan
    before: dict[str, str]
    ending: Ending
    entries: list[e.Envelope]


def _live_through(trouble: Trouble, folder: Path) -> _Told:
    """1.0.0 everywhere, 1.1.0 up to the canary and then given up, and 1.2.0 in trouble."""
    times = CloudTimes(lag=timedelta(seconds=trouble.lag))
    company = Company(
        folder, fleet=a_fleet(6), policy=trouble.policy, temper=Temper(seed=trouble.seed, times=times)
    )
    company.build("1.0.0")
    assert company.promote(company.plan("1.0.0")).kind is EndingKind.SUCCEEDED
    company.build("1.1.0")
    given_up = company.plan("1.1.0")
    assert company.promote(given_up, wave=1).kind is EndingKind.WAVE_PASSED
    company.latch.close(f"{SERVICE}@1.1.0", "given up", "ann")
    assert company.promote(given_up).kind is EndingKind.HALTED
    before = company.runs()
    assert set(before.values()) == {"1.0.0", "1.1.0"}

    company.build("1.2.0")
    plan = company.plan("1.2.0")
    for number, how in trouble.broken:
        account = company.fleet.clients[number - 1].account
        company.cloud.breaks(Break(template=company.client_template("1.2.0"), how=how, account=account))
    recorder = Recorder(company.journal, company, trouble.halt_at)
    company.journal = recorder  # type: ignore[assignment]
    company.cloud.weather(trouble.weather)
    ending = company.promote(plan)
    return _Told(company, plan, before, ending, recorder.entries)


@THOROUGH
@given(trouble=troubles)
def test_the_rules_hold_after_every_event(trouble: Trouble) -> None:
    with TemporaryDirectory() as folder:
        told = _live_through(trouble, Path(folder))

        watch = _Watch(told.plan)
        for entry in told.entries:
            watch.see(entry)
        assert told.ending.kind in (
            EndingKind.SUCCEEDED,
            EndingKind.HALTED,
            EndingKind.ROLLED_BACK,
            EndingKind.ROLLBACK_INCOMPLETE,
        )


@THOROUGH
@given(trouble=troubles)
def test_after_a_halt_nothing_starts(trouble: Trouble) -> None:
    with TemporaryDirectory() as folder:
        told = _live_through(replace(trouble, halt_at=max(1, trouble.halt_at)), Path(folder))

        halted = next((n for n, x in enumerate(told.entries) if isinstance(x.event, e.RunHalted)), None)
        after = [] if halted is None else told.entries[halted:]
        starts = (e.WaveStarted, e.TargetsClaimed, e.TargetClaimed)
        assert [x for x in after if isinstance(x.event, starts)] == []
        assert told.company.promote(told.plan).kind is told.ending.kind


@THOROUGH
@given(trouble=troubles)
def test_a_recall_restores_every_target_to_what_it_ran_before(trouble: Trouble) -> None:
    with TemporaryDirectory() as folder:
        told = _live_through(trouble, Path(folder))
        company, plan = told.company, told.plan
        company.cloud.mends(company.client_template("1.2.0"))
        company.cloud.weather(0)
        left = {t for t, phase in company.phases(plan).items() if phase == "QUARANTINED"}
        recalled = company.rollback(plan, RollbackScope(all=True)).kind

        assert recalled is (EndingKind.ROLLBACK_INCOMPLETE if left else EndingKind.ROLLED_BACK)
        runs = company.runs()
        assert {t: runs[t] for t in runs if t not in left} == {
            t: version for t, version in told.before.items() if t not in left
        }
        going_forward = [h for h in company.cloud.history if h.after == f"{SERVICE}@1.2.0"]
        assert len({h.place for h in going_forward}) == len(going_forward)
