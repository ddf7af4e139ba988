"""The twelve stories every fault is tried on: what a company lives through with four waves and ten targets.

`prepare` sets the scene without any fault; `tell` is what may be disturbed. Each says how it has to end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from pipeline.adapters.simulated.cloud import Break
from pipeline.model import event as e
from pipeline.model.ending import EndingKind as Kind
from pipeline.model.fleet import Fleet
from pipeline.model.ids import ReleaseName
from pipeline.model.plan import Plan
from pipeline.model.policy import OnFail, WavePolicy
from stages.rollback import RollbackScope
from tests.faults.stage import FLEET, QUICK, Stage
from tests.simulation import SERVICE, a_fleet

__all__ = ["STORIES", "Story"]

Scene = Callable[[Stage], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    name: str
    prepare: Scene
    tell: Scene
    fleet: Fleet = FLEET
    policy: WavePolicy = QUICK


def released(stage: Stage, version: str) -> Plan:
    stage.build(version)
    plan = stage.plan(version)
    stage.ends(stage.promote(plan), Kind.SUCCEEDED)
    return plan


def nothing_there(_stage: Stage) -> None:
    """A fleet without the service."""


def first_is_there(stage: Stage) -> None:
    released(stage, "1.0.0")
    stage.build("1.1.0")


def broken(
    stage: Stage, version: str, how: str, wave: int, place: int = -1, after: timedelta = timedelta(0)
) -> None:
    """One target of a wave of the newest plan, and only there."""
    plan = stage.plans[-1]
    victim = plan.target(plan.waves[wave].targets[place])
    stage.cloud.breaks(
        Break(template=stage.client_template(version), how=how, account=victim.account, after=after)
    )


def runs_everywhere(stage: Stage, version: str) -> None:
    if stage.strict:
        found = stage.runs()
        assert set(found.values()) == {version}, found


def runs_by_wave(stage: Stage, plan: Plan, new: tuple[int, ...], version: str, old: str) -> None:
    """The clients of these waves run `version`, all others `old`."""
    if stage.strict:
        on_new = {str(t) for number in new for t in plan.waves[number].targets}
        found = stage.runs()
        assert found == {name: version if name in on_new else old for name in found}, found


def one_wave(stage: Stage) -> None:
    released(stage, "1.0.0")
    runs_everywhere(stage, "1.0.0")


def four_waves(stage: Stage) -> None:
    stage.ends(stage.promote(stage.plan("1.1.0")), Kind.SUCCEEDED)
    runs_everywhere(stage, "1.1.0")


def canary_cannot_deploy(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    broken(stage, "1.1.0", "deploy", 1)
    stage.ends(stage.promote(plan), Kind.ROLLED_BACK)
    runs_everywhere(stage, "1.0.0")


def canary_alarm(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    broken(stage, "1.1.0", "alarm", 1)
    stage.ends(stage.promote(plan), Kind.ROLLED_BACK)
    runs_everywhere(stage, "1.0.0")


def within_tolerance(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    wave = plan.waves[2].targets
    owners = [target.owner for target in wave]
    place = next(n for n, target in enumerate(wave) if owners.count(target.owner) == 1)
    broken(stage, "1.1.0", "deploy", 2, place)
    victim = wave[place]
    stage.ends(stage.promote(plan), Kind.SUCCEEDED)
    if stage.strict:
        assert stage.runs() == {n: "1.0.0" if n == str(victim) else "1.1.0" for n in stage.runs()}


def over_tolerance(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    broken(stage, "1.1.0", "deploy", 3, 0)
    broken(stage, "1.1.0", "health", 3, -1)
    stage.ends(stage.promote(plan), Kind.HALTED)


def alarm_in_bake(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    broken(stage, "1.1.0", "alarm", 2, after=timedelta(seconds=200))
    stage.ends(stage.promote(plan), Kind.HALTED)
    runs_by_wave(stage, plan, (1, 2), "1.1.0", "1.0.0")


def halt_at(stage: Stage, wave: int) -> None:
    """A person pulls the cord when the wave's first target has been made its change set."""
    first = e.target_stream(SERVICE, stage.plans[-1].waves[wave].targets[0])

    def pulls(entry: e.Envelope) -> bool:
        return entry.stream == first and isinstance(entry.event, e.ChangeSetMade)

    stage.cords.append((pulls, stage.plans[-1].release))


def halted_by_a_person(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    halt_at(stage, 2)
    stage.ends(stage.promote(plan), Kind.HALTED)
    runs_by_wave(stage, plan, (1,), "1.1.0", "1.0.0")


def resumed(stage: Stage) -> None:
    halted_by_a_person(stage)
    stage.cords.clear()
    plan = stage.plans[-1]
    stage.resume(plan)
    stage.ends(stage.promote(plan), Kind.SUCCEEDED)
    runs_everywhere(stage, "1.1.0")


def wave_taken_back(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    broken(stage, "1.1.0", "health", 2)
    stage.ends(stage.promote(plan), Kind.HALTED)
    stage.ends(stage.rollback(plan, RollbackScope(wave=2)), Kind.ROLLED_BACK)
    runs_by_wave(stage, plan, (1,), "1.1.0", "1.0.0")


def recalled(stage: Stage) -> None:
    plan = stage.plan("1.1.0")
    stage.ends(stage.promote(plan), Kind.SUCCEEDED)
    stage.ends(stage.rollback(plan, RollbackScope(all=True)), Kind.ROLLED_BACK)
    runs_everywhere(stage, "1.0.0")


def overtaken(stage: Stage) -> None:
    """1.1.0 is halted in its third wave, and the hotfix 1.2.0 goes everywhere from there. Recalled, it takes the
    canary back to 1.1.0, which was good there, and everybody else to 1.0.0, whatever was tried since."""
    first = stage.plan("1.1.0")
    broken(stage, "1.1.0", "health", 2)
    stage.ends(stage.promote(first), Kind.HALTED)
    stage.build("1.2.0")
    second = stage.plan("1.2.0")
    stage.ends(stage.promote(second), Kind.SUCCEEDED)
    runs_everywhere(stage, "1.2.0")
    stage.ends(stage.rollback(second, RollbackScope(all=True)), Kind.ROLLED_BACK)
    runs_by_wave(stage, first, (1,), "1.1.0", "1.0.0")


BAKING = replace(QUICK, bake=timedelta(seconds=260))
SMALL = a_fleet(clients=4)
"""One client in the wave after the canary's can fail, and one beside it can not."""
SMALLEST = a_fleet(clients=3)
TOLERANT = replace(QUICK, tolerance=1)
HOLDING = replace(QUICK, tolerance=1, on_fail=replace(QUICK.on_fail, canary=OnFail.HOLD))

STORIES: tuple[Story, ...] = (
    Story(name="one wave", prepare=nothing_there, tell=one_wave, fleet=a_fleet(1)),
    Story(name="four waves", prepare=first_is_there, tell=four_waves),
    Story(name="canary cannot deploy", prepare=first_is_there, tell=canary_cannot_deploy, fleet=SMALLEST),
    Story(name="canary alarm", prepare=first_is_there, tell=canary_alarm, fleet=SMALLEST),
    Story(name="within tolerance", prepare=first_is_there, tell=within_tolerance, policy=TOLERANT),
    Story(name="over tolerance", prepare=first_is_there, tell=over_tolerance, policy=TOLERANT),
    Story(name="alarm in bake", prepare=first_is_there, tell=alarm_in_bake, policy=BAKING, fleet=SMALL),
    Story(name="halted by a person", prepare=first_is_there, tell=halted_by_a_person, fleet=SMALL),
    Story(name="resumed", prepare=first_is_there, tell=resumed, fleet=SMALL),
    Story(name="wave taken back", prepare=first_is_there, tell=wave_taken_back, fleet=SMALL),
    Story(name="recalled", prepare=first_is_there, tell=recalled, fleet=SMALLEST),
    Story(name="hotfix overtakes", prepare=first_is_there, tell=overtaken, fleet=SMALLEST),
)


def release_of(version: str) -> ReleaseName:
    return ReleaseName(SERVICE, version)
