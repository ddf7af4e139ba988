"""Families F and J: clocks that are wrong, and alarms in every order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from random import Random

from pipeline.adapters.simulated.alarms import AlarmSeries
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.model import event as e
from pipeline.model.ending import EndingKind as Kind
from tests.faults.cases import Case, Family, seeds, set_stage, sharing
from tests.faults.kills import calls_of
from tests.faults.record import Now
from tests.faults.stage import QUICK, Stage
from tests.faults.stories import STORIES, Story, first_is_there
from tests.faults.transport import planned
from tests.faults.wire import CHANGING, Strike
from tests.simulation import SERVICE, a_fleet

__all__ = ["ALARMS", "CLOCKS"]

# --- F -------------------------------------------------------------------------------------------------------------

JUMPS = (
    timedelta(hours=1),
    timedelta(minutes=-10),
    timedelta(seconds=262),
    timedelta(seconds=-262),
    timedelta(days=1),
    timedelta(milliseconds=-7),
    timedelta(seconds=0),
)
"""The last one stands for a jump drawn from an exponential distribution, as Jepsen's clock nemesis bumps."""


class Machine(SimulatedClock):
    """The clock of the machine that the runner and its store stand on. The cloud has the right time."""

    def __init__(self, right: SimulatedClock) -> None:
        super().__init__()
        self._right = right
        self.wrong = timedelta(0)

    def now(self):  # type: ignore[no-untyped-def]
        return self._right.now() + self.wrong

    def advance(self, duration: timedelta) -> None:
        self._right.advance(duration)


def _cases_f(large: bool) -> list[Case]:
    found = []
    for number, story in enumerate(STORIES):
        calls = calls_of(0, story.name)
        places = [n for n, label in enumerate(calls, start=1) if label.rpartition(".")[2] in CHANGING]
        for jump in range(len(JUMPS)):
            chance = Random(100 * number + jump)
            wanted = 40 if large else 4
            found += [
                Case(seeds("F") + 100 * jump + number, place)
                for place in chance.sample(places, min(wanted, len(places)))
            ]
    return found


def _prepare_f(case: Case, tmp: Path) -> Stage:
    return planned(set_stage(STORIES[case.number % 100], tmp))


def _act_f(stage: Stage, case: Case) -> None:
    stage.strict = False
    machine = Machine(stage.clock)
    for store in stage.stores:
        (store._journal if hasattr(store, "_journal") else store)._clock = machine
    stage.clock = machine
    jump = JUMPS[case.number // 100] or timedelta(seconds=Random(case.place).expovariate(1 / 262))

    def hook(number: int, _label: str) -> Strike | None:
        if number == case.place:
            machine.wrong += jump
        return None

    stage.wire.hook = hook
    stage.play(STORIES[case.number % 100].tell)


_PLAY_F, _BATCH_F = sharing(_prepare_f, _act_f)
CLOCKS = Family(
    letter="F",
    title="the clock leaps, forward and back, in the middle of everything",
    invariants=("I2", "I14", "I17", "I19"),
    cases=_cases_f,
    play=_PLAY_F,
    batch=_BATCH_F,
    scene=lambda case: case.number % 100,
)

# --- J -------------------------------------------------------------------------------------------------------------

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
SERIES = tuple(product(STATES, repeat=5))
STEP = timedelta(seconds=9)
BAKED = Story(
    name="alarms",
    prepare=first_is_there,
    tell=STORIES[1].tell,
    policy=replace(QUICK, bake=timedelta(seconds=40)),
    fleet=a_fleet(5),
)
UNREADABLE = 20


def _cases_j(large: bool) -> list[Case]:
    series = [
        Case(seeds("J") + number, wave)
        for number in range(len(SERIES))
        for wave in ((1, 2, 3) if large else (2,))
    ]
    errors = [Case(seeds("J") + 1000 + number, 2) for number in range(UNREADABLE)]
    return series + errors


def _prepare_j(_case: Case, tmp: Path) -> Stage:
    return planned(set_stage(BAKED, tmp, strict=False))


def _act_j(stage: Stage, case: Case) -> None:
    plan = stage.plans[-1]
    victim = plan.target(plan.waves[case.place].targets[0])
    states = SERIES[case.number] if case.number < 1000 else ()
    if states:
        template = stage.client_template("1.1.0")
        stage.cloud.alarm(
            AlarmSeries(
                name="own-alarm", states=states, period=STEP, template=template, account=victim.account
            )
        )
    else:
        kinds = (FaultKind.THROTTLED, FaultKind.REFUSED, FaultKind.UNAVAILABLE, FaultKind.GARBLED)
        nth = 1 + (case.number - 1000) // len(kinds)
        stage.cloud.fault(
            Fault(
                kind=kinds[case.number % len(kinds)], call="alarms", account=victim.account, nth=nth, times=0
            )
        )
    ending = stage.promote(plan)
    stage.assert_at_rest()
    stream = e.target_stream(SERVICE, victim.id)
    if not states:
        # Left out for its account's sake, perhaps, and the others came through; but then nobody called it well.
        well = stage.check.record.target(stream).now is Now.HEALTHY
        assert not (well and ending.kind is Kind.SUCCEEDED), "nobody could read its alarms"
        return
    _as_the_alarms_say(ending.kind, states)


def _as_the_alarms_say(ending: Kind, states: tuple[str, ...]) -> None:
    """The last state stays for ever: only where it is OK can the release have come through."""
    came_through = ending is Kind.SUCCEEDED
    if set(states) == {"OK"}:
        assert came_through, f"all was well and it ended {ending}"
    if states[-1] != "OK":
        assert not came_through, f"it came through with {states}"


_PLAY_J, _BATCH_J = sharing(_prepare_j, _act_j)
ALARMS = Family(
    letter="J",
    title="every series of five alarm states, and alarms that cannot be read",
    invariants=("I2", "I18"),
    cases=_cases_j,
    play=_PLAY_J,
    batch=_BATCH_J,
    scene=lambda _case: "alarms",
)
