"""Floor 4, composition: what `release test` needs: the pool, its roles, and the engine for leased accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.adapters.local.processes import holder_name
from pipeline.compose.house import House
from pipeline.engine.deploy import deploy_all
from pipeline.engine.heartbeat import Heartbeat
from pipeline.engine.workers import ThreadWorkers
from pipeline.engine.world import LEASE_TTL, Runner, World
from pipeline.errors import UsageError
from pipeline.model.event import Envelope
from pipeline.model.ids import Digest, ReleaseName, TargetId
from pipeline.model.plan import Plan, PlannedTarget, Wave, WaveKind
from pipeline.model.policy import OnFail, Pace
from pipeline.model.release import Manifest, ServiceSpec
from pipeline.ports import Deploy
from stages.accounts import AccountWorld
from stages.leasing import LeaseKeeper
from stages.packaging.archive import unpack
from stages.pool import PoolWorld
from stages.test import TestReport, TestRequest, TestWorld, prove_release

__all__ = ["prove"]

_THREADS = 16


def prove(house: House, release: ReleaseName, accounts: int | None, say: Callable[[str], None]) -> TestReport:
    """accounts None: as many as release.toml asks for."""
    manifest, envelope = house.manifest(release)
    spec = house.spec(manifest)
    service = house.fleet.service(release.service)
    if service is None:
        raise UsageError(f"the fleet has no service {release.service}", remedy="add it to fleet.toml")
    world = house.world("TidegateTest")
    junit = house.root / ".tidegate" / "evidence" / f"{release.service}-{release.version}.xml"
    junit.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        request = TestRequest(
            manifest=manifest,
            spec=spec,
            accounts=accounts if accounts is not None else spec.test.accounts,
            folder=_released_tests(house, manifest, spec, stack),
            region=service.regions[0],
            state=Path(house.store.database.path),
            junit=junit,
            actor=house.actor,
        )
        keeper = stack.enter_context(LeaseKeeper(house.store.leases, house.clock, holder_name()))
        # One for the service, not for the release: fences have to grow along a test account's own stream.
        lease = house.store.leases.take(f"test/{release.service}", holder_name(), LEASE_TTL)
        heartbeat = stack.enter_context(Heartbeat(house.store.leases, house.clock, lease))
        runner = Runner(
            lease=lease.name, fence=lease.fence, actor=house.actor, verify=lambda: None, heard=_unheard
        )
        test_world = TestWorld(
            pool=_pool(house, keeper, say),
            journal=house.store.journal,
            deploy=_deployer(house, world, runner, heartbeat, manifest, envelope),
            describe=world.stacks.describe,
        )
        return prove_release(test_world, request)


def _released_tests(house: House, manifest: Manifest, spec: ServiceSpec, stack: ExitStack) -> Path:
    """The tests as they were built and signed, not as they stand in somebody's folder."""
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="tidegate-tests-")))
    packed = next((artifact for artifact in manifest.artifacts if artifact.purpose == "tests"), None)
    if packed is not None:
        unpack(house.artifacts().get(packed.digest), folder / spec.test.tests)
    return folder


def _unheard(_entry: Envelope) -> None:
    """A test deployment has nothing to tell that its evidence does not."""


def _deployer(
    house: House, world: World, runner: Runner, heartbeat: Heartbeat, manifest: Manifest, envelope: Digest
) -> Deploy:
    def deploy(targets: Sequence[PlannedTarget]) -> Mapping[TargetId, str]:
        plan = _one_wave(house, manifest, envelope, targets)
        workers = ThreadWorkers(house.clock, _THREADS)
        return deploy_all(world, runner, plan, workers, heartbeat.check)

    return deploy


def _one_wave(house: House, manifest: Manifest, envelope: Digest, targets: Sequence[PlannedTarget]) -> Plan:
    """All test accounts at once: nothing can spread between them."""
    now = house.clock.now()
    wave = Wave(
        name="wave-0",
        kind=WaveKind.WAVE,
        targets=tuple(target.id for target in targets),
        bake=timedelta(0),
        tolerance=0,
        max_in_flight=len(targets),
        max_skipped=0,
        pace=Pace.FULL,
        on_fail=OnFail.HOLD,
    )
    return Plan(
        release=manifest.release,
        digest=manifest.digest,
        manifest=envelope,
        created_at=now,
        expires_at=now + timedelta(hours=1),
        bucket_prefix=house.fleet.tools.bucket_prefix,
        health_hosts=house.fleet.health_hosts,
        targets=tuple(targets),
        waves=(wave,),
    )


def _pool(house: House, keeper: LeaseKeeper, say: Callable[[str], None]) -> PoolWorld:
    from pipeline.adapters.aws.bootstrap_stacks import BootstrapStacks
    from pipeline.adapters.aws.cleaner import CloudFormationCleaner
    from pipeline.adapters.aws.organizations import AwsOrganizations

    test = house.role("TidegateTest")
    management = house.fleet.tools.management
    accounts = house.role("TidegateAccounts", management, via=test)
    organizations = AwsOrganizations(house.aws, accounts)
    return PoolWorld(
        accounts=AccountWorld(
            accounts=organizations,
            units=organizations,
            registry=house.store.registry,
            clock=house.clock,
            mailbox=house.fleet.email,
            said=say,
        ),
        stacks=BootstrapStacks(house.aws, house.access_role(management, via=accounts)),
        cleaner=CloudFormationCleaner(
            house.aws, house.identity_in("TidegateClean", test), house.tools.region
        ),
        fleet=house.fleet,
        organization=house.fleet.tools.organization,
        keeper=keeper,
    )
