"""A company whose runner can be killed at any of its calls, and stories to tell with it.

A killed runner gives nothing back: its lease stays until it expires. Then the same command is typed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pipeline.adapters.simulated.cloud import Break, Temper
from pipeline.adapters.simulated.faults import Killed, KillSwitch, Moment, guarded
from pipeline.engine.loop import Until
from pipeline.engine.world import LEASE_TTL, World
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.fleet import Fleet
from pipeline.model.plan import Plan
from stages.rollback import RollbackScope
from tests.simulation import SERVICE, Company, a_fleet

FLEET = a_fleet(clients=4)
MILD = Temper()


class Mortal(Company):
    """A company whose every command goes through `switch`, and is typed again where it was killed."""

    def __init__(self, tmp: Path, switch: KillSwitch, temper: Temper = MILD, fleet: Fleet = FLEET) -> None:
        super().__init__(tmp, fleet=fleet, temper=temper)
        self.switch = switch
        self.armed = False
        self.deaths: list[str] = []

    def world(self) -> World:
        world = super().world()
        if not self.armed:
            return world
        return replace(
            world,
            stacks=guarded(world.stacks, self.switch),
            alarms=guarded(world.alarms, self.switch),
            health=guarded(world.health, self.switch),
        )

    def _hold(self, plan: Plan, until: Until, order: tuple[RollbackScope, str] | None) -> Ending:
        if not self.armed:
            return super()._hold(plan, until, order)
        stores = self.journal, self.leases, self.latch
        while True:
            self.journal, self.leases, self.latch = (guarded(store, self.switch) for store in stores)
            try:
                return super()._hold(plan, until, order)
            except Killed as killed:
                self.deaths.append(str(killed))
                self.switch = KillSwitch()
                self.clock.advance(LEASE_TTL)
            finally:
                self.journal, self.leases, self.latch = stores

    # --- what must be true however often the runner dies ---------------------------------------

    def assert_deployed_once(self, version: str) -> None:
        """No target got this version twice, and none was taken back from it twice."""
        release = f"{SERVICE}@{version}"
        there = Counter(h.place for h in self.cloud.history if h.after == release)
        back = Counter(h.place for h in self.cloud.history if h.before == release != h.after)
        assert {place: count for place, count in there.items() if count > 1} == {}
        assert {place: count for place, count in back.items() if count > 1} == {}

    def assert_sound(self) -> None:
        """Every stream's chain holds, and nothing is left in flight."""
        for stream in self.journal.streams(""):
            self.journal.read(stream)
        now = self.clock.now()
        assert [h for h in self.cloud.history if h.settled > now] == []


Story = Callable[[Mortal], None]


def _released(company: Mortal, version: str) -> Plan:
    company.build(version)
    plan = company.plan(version)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    return plan


def _mixed(company: Mortal) -> dict[str, str]:
    """The canary on 1.1.0, everybody else back on, or still on, 1.0.0."""
    _released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    victim = plan.target(plan.waves[2].targets[-1])
    company.cloud.breaks(
        Break(template=company.client_template("1.1.0"), how="health", account=victim.account)
    )
    assert company.promote(plan).kind is EndingKind.HALTED
    assert company.rollback(plan, RollbackScope(wave=2)).kind is EndingKind.ROLLED_BACK
    runs = company.runs()
    assert set(runs.values()) == {"1.0.0", "1.1.0"}
    return runs


def all_good(company: Mortal) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.armed = True
    assert company.promote(plan).kind is EndingKind.SUCCEEDED

    assert set(company.runs().values()) == {"1.0.0"}
    assert sorted(company.deployments("1.0.0")) == sorted(str(target.id) for target in plan.targets)
    assert set(company.phases(plan).values()) == {"HEALTHY"}


def sick_canary(company: Mortal) -> None:
    _released(company, "1.0.0")
    company.build("1.1.0")
    company.cloud.breaks(Break(template=company.client_template("1.1.0"), how="health"))
    plan = company.plan("1.1.0")
    company.armed = True
    assert company.promote(plan).kind is EndingKind.ROLLED_BACK

    assert set(company.runs().values()) == {"1.0.0"}
    assert company.deployments("1.1.0") == [f"@{SERVICE}/us-east-1", str(plan.waves[1].targets[0])]
    company.assert_deployed_once("1.1.0")


def failed_wave(company: Mortal) -> None:
    _released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    victim = plan.target(plan.waves[2].targets[-1])
    company.cloud.breaks(
        Break(template=company.client_template("1.1.0"), how="deploy", account=victim.account)
    )
    company.armed = True
    assert company.promote(plan).kind is EndingKind.HALTED
    touched = {str(target) for wave in plan.waves[:3] for target in wave.targets}
    assert set(company.deployments("1.1.0")) <= touched
    assert company.rollback(plan, RollbackScope(wave=2)).kind is EndingKind.ROLLED_BACK

    canary = {str(target) for target in plan.waves[1].targets}
    assert company.runs() == {name: "1.1.0" if name in canary else "1.0.0" for name in company.runs()}
    assert company.run(plan).waves[1].at_risk
    company.assert_deployed_once("1.1.0")


def mixed_versions(company: Mortal) -> None:
    before = _mixed(company)
    company.build("1.2.0")
    plan = company.plan("1.2.0")
    company.armed = True
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.2.0"}
    assert company.rollback(plan, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK

    assert company.runs() == before
    company.assert_deployed_once("1.2.0")


STORIES: dict[str, Story] = {
    "all good": all_good,
    "sick canary": sick_canary,
    "failed wave": failed_wave,
    "mixed versions": mixed_versions,
}


def tell(story: Story, tmp: Path, boundary: int | None, moment: Moment, temper: Temper = MILD) -> Mortal:
    """The story with at most one death in it, checked to its end."""
    company = Mortal(tmp, KillSwitch(boundary, moment), temper)
    story(company)
    company.assert_sound()
    # A death after the very last call is no death any more.
    assert len(company.deaths) == (boundary is not None) or (moment is Moment.AFTER and not company.deaths)
    return company


def boundaries(seen: list[str]) -> tuple[int, ...]:
    """The numbers of the calls worth dying at: all that change something, and of the looks between two of them
    the first of each kind. The hundreds of polls between are all alike."""
    found: list[int] = []
    looked: set[str] = set()
    for number, label in enumerate(seen, start=1):
        changes = label.rpartition(".")[2] in _CHANGING
        if changes or label not in looked:
            found.append(number)
        looked = set() if changes else looked | {label}
    return tuple(found)


_CHANGING = frozenset(
    {"append", "take", "give_back", "create_change_set", "delete_change_set", "execute_change_set"}
)
