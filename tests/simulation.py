"""A company under simulation: a fleet, a cloud, the stores and the real engine, all in one thread and virtual time.

Tests tell a story with it: releases are proven, planned by the real planner, promoted by the real loop. What is
true is read from `cloud.history` and from the journal, never from the engine's own opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.cloud import SimulatedCloud, Temper
from pipeline.adapters.simulated.metrics import SimulatedMetrics
from pipeline.adapters.simulated.protection import SimulatedProtection
from pipeline.adapters.simulated.stores import MemoryJournal, MemoryLatch, MemoryLeases
from pipeline.engine.heartbeat import Heartbeat
from pipeline.engine.loop import Until, run_loop
from pipeline.engine.workers import InlineWorkers
from pipeline.engine.world import LEASE_TTL, Runner, World
from pipeline.model import event as e
from pipeline.model.canonical import sha256_hex
from pipeline.model.ending import Ending
from pipeline.model.fleet import Client, Fleet, FleetService, Tools
from pipeline.model.ids import AccountId, Digest, ReleaseName, TargetId, digest
from pipeline.model.plan import Deployable, Plan, plan_digest
from pipeline.model.policy import (
    CanaryPolicy,
    HealthPolicy,
    OnFail,
    OnFailPolicy,
    ServiceWavePolicy,
    WavePolicy,
    WaveSize,
)
from pipeline.model.release import BuiltStack, Evidence, Manifest, ServiceSpec
from pipeline.model.run_state import RunState, fold_run
from pipeline.ports import Place
from stages.plan import PlanPorts, PlanRequest, make_plan
from stages.promote import Admission, admit, read_targets
from stages.rollback import RollbackScope, clear, order_rollback, resume

__all__ = ["POLICY", "Company", "a_fleet", "digest_of"]

SERVICE = "intake"
POLICY = WavePolicy(
    service=ServiceWavePolicy(bake=timedelta(minutes=10)),
    canary=CanaryPolicy(clients=1, bake=timedelta(hours=1)),
    sizes=(WaveSize(2, "clients"), WaveSize(0, "rest")),
    bake=timedelta(hours=2),
    max_in_flight=10,
    on_fail=OnFailPolicy(service=OnFail.ROLLBACK, canary=OnFail.ROLLBACK, wave=OnFail.HOLD),
)


def digest_of(text: str) -> Digest:
    return digest(sha256_hex(text.encode()))


def a_fleet(clients: int = 6) -> Fleet:
    """Clients named c1…cN, each in one Region, but c2, which is in two."""
    regions = {2: ("us-east-1", "eu-west-1")}
    return Fleet(
        email="qa@example.com",
        tools=Tools(account=AccountId("111111111111"), release_key="key"),
        services=(FleetService(name=SERVICE, account=AccountId("222222222222"), regions=("us-east-1",)),),
        clients=tuple(
            Client(
                name=f"c{n}",
                account=AccountId(f"{n:012d}"),
                regions=regions.get(n, ("us-east-1",)),
                services=(SERVICE,),
            )
            for n in range(1, clients + 1)
        ),
        health_hosts=("*.example.com",),
    )


class _Unverified:
    def __call__(self) -> None:
        """The simulation has no signatures; verification has tests of its own."""


@dataclass
class Company:
    """clock, cloud and stores survive a killed runner; `promote` is a new runner each time."""

    tmp: Any
    fleet: Fleet = field(default_factory=a_fleet)
    policy: WavePolicy = POLICY
    health: HealthPolicy = HealthPolicy(
        url_output="Url", path="/status", expect=200, alarms=True, deadline=timedelta(minutes=2)
    )
    temper: Temper = field(default_factory=Temper)
    wrap: Callable[[str, Any], Any] = lambda _name, port: port

    def __post_init__(self) -> None:
        self.clock = SimulatedClock()
        self.cloud = SimulatedCloud(self.clock, self.temper)
        self.journal = MemoryJournal(self.clock)
        self.leases = MemoryLeases(self.clock)
        self.latch = MemoryLatch(self.clock)
        self.artifacts = FolderArtifacts(self.tmp / "artifacts")
        self.metrics = SimulatedMetrics(self.cloud)
        self.stopped = False
        self.actor = ""
        """who promotes; empty for a name of each runner's own"""
        self.passed_over: tuple[e.PassedOver, ...] = ()
        """what a pre-flight has found; it has tests of its own"""
        self.warnings: list[str] = []
        self.holders = 0

    # --- releases ------------------------------------------------------------------------------

    def manifest(self, version: str) -> Manifest:
        stacks = tuple(
            BuiltStack(
                role=role,
                template=digest_of(f"{version}/{role}/template"),
                unmarked=digest_of(f"{version}/{role}/unmarked"),
                functions=(("Form", digest_of(f"{version}/{role}/code")),),
                resource_types=(("Form", "AWS::Lambda::Function"),),
            )
            for role in ("service", "client")
        )
        return Manifest(
            release=ReleaseName(SERVICE, version),
            digest=digest_of(f"release {version}"),
            commit=f"commit{version}",
            stacks=stacks,
            artifacts=(),
            spec=digest_of("spec"),
        )

    def build(self, version: str) -> Manifest:
        """Built, tested, and known to the cloud."""
        manifest = self.manifest(version)
        for stack in manifest.stacks:
            deployable = Deployable(
                release=str(manifest.release),
                digest=manifest.digest,
                commit=manifest.commit,
                template=stack.template,
                functions=stack.functions,
            )
            url = (("Url", "https://{account}.{region}.example.com"),) if stack.role == "client" else ()
            self.cloud.knows(deployable, resources=stack.resource_types, outputs=url)
        evidence = Evidence(
            release=str(manifest.release), digest=manifest.digest, accounts=("~t1",), passed=3, failed=0,
            skipped=0, seconds=9,
        )  # fmt: skip
        events: tuple[e.ReleaseEvent, ...] = (
            e.ReleaseBuilt(digest=manifest.digest, manifest=digest_of(version), commit=manifest.commit),
            e.ReleaseTested(evidence=evidence),
        )
        self.journal.append(e.release_stream(manifest.release), events, expected=0, fence=0, actor="ci")
        return manifest

    def client_template(self, version: str) -> Digest:
        return digest_of(f"{version}/client/template")

    def plan(self, version: str) -> Plan:
        spec = ServiceSpec(name=SERVICE, client_template="client.yaml", health=self.health, waves=self.policy)
        request = PlanRequest(
            fleet=self.fleet, manifest=self.manifest(version), envelope=digest_of(version), spec=spec
        )
        ports = PlanPorts(
            clock=self.clock, journal=self.journal, artifacts=self.artifacts, stacks=self.cloud.stacks
        )
        return make_plan(request, ports)

    # --- running -------------------------------------------------------------------------------

    def verifier(self, _plan: Plan, _actor: str) -> Callable[[], None]:
        return _Unverified()

    def world(self) -> World:
        return World(
            clock=self.clock,
            journal=self.wrap("journal", self.journal),
            leases=self.leases,
            latch=self.latch,
            stacks=self.wrap("stacks", self.cloud.stacks),
            alarms=self.cloud.alarms,
            health=self.cloud.health,
            smoke=self.cloud.smoke,
            metrics=self.metrics,
            protection=SimulatedProtection(self.cloud),
            keep=lambda document: self.artifacts.put(document, ("us-east-1",))[0],
            artifacts=self.artifacts,
        )

    def promote(self, plan: Plan, *, blocked: bool = False, wave: int | None = None) -> Ending:
        return self._hold(plan, Until(blocked=blocked, wave=wave), None)

    def rollback(self, plan: Plan, scope: RollbackScope, reason: str = "because") -> Ending:
        return self._hold(plan, Until(blocked=False), (scope, reason))

    def resume(self, plan: Plan, reason: str = "looked at it") -> RunState:
        lease = self.leases.take(f"service/{SERVICE}", "person", LEASE_TTL)
        who = Admission(fence=lease.fence, actor="person")
        state = resume(plan, reason, self.journal, self.latch, who)
        self.leases.give_back(lease)
        return state

    def clear(self, target: TargetId) -> None:
        lease = self.leases.take(f"service/{SERVICE}", "person", LEASE_TTL)
        clear(SERVICE, target, "looked at it", self.journal, Admission(fence=lease.fence, actor="person"))
        self.leases.give_back(lease)

    def _hold(self, plan: Plan, until: Until, order: tuple[RollbackScope, str] | None) -> Ending:
        self.holders += 1
        lease = self.leases.take(f"service/{SERVICE}", f"runner{self.holders}", LEASE_TTL)
        who = Admission(fence=lease.fence, actor=self.actor or f"runner{self.holders}")
        world = self.world()
        with Heartbeat(self.leases, self.clock, lease, threaded=False) as heartbeat:
            if order is None:
                run = admit(plan, self.journal, self.clock, who)
                if self.passed_over and not run.preflight_done:
                    self.say(plan, e.PreflightDone(passed_over=self.passed_over), who)
            else:
                order_rollback(plan, order[0], order[1], self.journal, who)
            runner = Runner(
                lease=lease.name,
                fence=lease.fence,
                actor=who.actor,
                verify=self.verifier(plan, who.actor),
                heard=lambda _: None,
                warned=self.warnings.append,
            )
            workers = InlineWorkers(self.clock)
            return run_loop(
                world, runner, plan, plan_digest(plan), workers, heartbeat, until, lambda: self.stopped
            )

    def say(self, plan: Plan, event: e.ReleaseEvent, who: Admission) -> None:
        stream = e.release_stream(plan.release)
        seq = self.journal.head(stream).seq
        self.journal.append(stream, (event,), expected=seq, fence=who.fence, actor=who.actor)

    # --- the truth -----------------------------------------------------------------------------

    def run(self, plan: Plan) -> RunState:
        return fold_run(self.journal.read(e.release_stream(plan.release)))

    def phases(self, plan: Plan) -> dict[str, str]:
        return {str(t): s.phase.value for t, s in read_targets(self.journal, plan).items()}

    def runs(self) -> dict[str, str]:
        """What every client's account truly runs: version by target."""
        found = {}
        for client in self.fleet.clients:
            for region in client.regions:
                assert client.account is not None
                release = self.cloud.runs(Place(client.account, region), f"svc-{SERVICE}")
                found[f"{client.name}/{region}"] = release.removeprefix(f"{SERVICE}@")
        return found

    def deployments(self, version: str) -> list[str]:
        """Targets to which this version was deployed forward, in order, once for each time it took effect."""
        owners = {client.account: client.name for client in self.fleet.clients}
        owners[self.fleet.services[0].account] = f"@{SERVICE}"
        return [
            str(TargetId(owners[h.place.account], h.place.region))
            for h in self.cloud.history
            if h.after == f"{SERVICE}@{version}" and h.before != h.after
        ]

    def events(self, version: str) -> Sequence[e.Event]:
        stream = e.release_stream(ReleaseName(SERVICE, version))
        return [entry.event for entry in self.journal.read(stream)]

    def suspended(self, name: str) -> None:
        clients = tuple(replace(c, suspended=True) if c.name == name else c for c in self.fleet.clients)
        self.fleet = replace(self.fleet, clients=clients)
