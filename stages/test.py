"""Floor 3, the stage that tests: leased accounts, the release deployed as at clients, its tests, and all handed back.

What it proves goes to the release's journal as evidence bound to the release's digest; without it nothing is
promoted. Failing tests are evidence too. The accounts go back whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pipeline.cloudformation import RoleName
from pipeline.decide.parameters import parameters_for
from pipeline.errors import ConfigInvalid, NotFound, OperationFailed, StreamMoved, TestsFailed, UsageError
from pipeline.model.event import ReleaseTested, release_stream
from pipeline.model.fleet import Client, Fleet
from pipeline.model.ids import AccountId, TargetId, stack_name
from pipeline.model.plan import Deployable, EffectKind, PlannedTarget
from pipeline.model.release import Evidence, Manifest, ServiceSpec
from pipeline.model.stack import StackSnapshot
from pipeline.ports import Deploy, Journal, Place, RegistryRow
from stages.integration import IntegrationRun, Outcome, TestAccount, run_integration_tests
from stages.pool import HandedBack, PoolWorld, hand_back, obtain
from stages.trust import partition_of

__all__ = ["TestReport", "TestRequest", "TestWorld", "prove_release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestWorld:
    """describe: a stack in a test account, as TidegateDeploy there. run: runs the tests; given by tests of ours."""

    __test__ = False

    pool: PoolWorld
    journal: Journal
    deploy: Deploy
    describe: Callable[[Place, str], StackSnapshot | None]
    run: Callable[[IntegrationRun], Outcome] = run_integration_tests


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRequest:
    """folder: the service's sources, where its tests are. region: where the test stacks go.

    junit: where the report goes; as it stands here it is told in the evidence.
    """

    __test__ = False

    manifest: Manifest
    spec: ServiceSpec
    accounts: int
    folder: Path
    region: str
    state: Path
    junit: Path
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    """back: each account and whether it went back clean."""

    __test__ = False

    evidence: Evidence
    back: tuple[HandedBack, ...]


def prove_release(world: TestWorld, request: TestRequest) -> TestReport:
    """TestsFailed where a test or a deployment failed; the evidence says so, and promote refuses.

    OperationFailed where no accounts can be had: then nothing was proven either way and no evidence is left.
    """
    _refuse_what_cannot_be_tested(world.pool.fleet, request)
    clock = world.pool.accounts.clock
    started = clock.now()
    rows = obtain(world.pool, request.accounts)
    back: tuple[HandedBack, ...] = ()
    try:
        outcome = _prove(world, request, rows)
        evidence = _evidence(request, rows, outcome, clock.now() - started)
        _record(world, request, evidence)
    finally:
        back = hand_back(world.pool, rows)
    if evidence.failed or not evidence.passed:
        raise _failed(request, evidence, outcome.problem, back)
    return TestReport(evidence=evidence, back=back)


def _refuse_what_cannot_be_tested(fleet: Fleet, request: TestRequest) -> None:
    if not (request.folder / request.spec.test.tests).is_dir() or not request.spec.test.tests:
        raise UsageError(
            f"{request.manifest.release} has no integration tests at {request.spec.test.tests or '(none named)'}",
            state="no account was touched",
            remedy='name their folder in release.toml: [test] tests = "tests/integration"',
        )
    if fleet.service(request.spec.name) is None:
        raise NotFound(f"the fleet has no service {request.spec.name}", remedy="add it to fleet.toml")


# --- deploy and run ----------------------------------------------------------------------------------


def _prove(world: TestWorld, request: TestRequest, rows: Sequence[RegistryRow]) -> Outcome:
    targets = {row.name: _target(world.pool.fleet, request, row) for row in rows}
    world.pool.accounts.said(f"deploying {request.manifest.release} in {len(rows)} test accounts")
    problems = _deployed(world, tuple(targets.values()))
    if problems:
        return Outcome(passed=0, failed=len(problems), skipped=0, problem="; ".join(problems))
    run = IntegrationRun(
        release=str(request.manifest.release),
        folder=request.folder,
        tests=request.spec.test.tests,
        accounts=tuple(_account(world, targets[row.name], row) for row in rows),
        via=_role(world.pool.fleet, world.pool.fleet.tools.account, RoleName.TEST),
        state=request.state,
        junit=request.junit,
        said=world.pool.accounts.said,
    )
    return world.run(run)


def _deployed(world: TestWorld, targets: Sequence[PlannedTarget]) -> tuple[str, ...]:
    """Why targets did not become healthy; empty where all did."""
    told: Mapping[TargetId, str] = world.deploy(targets)
    missing = "the deployment gave no answer"
    answers = [(target.id, told.get(target.id, missing)) for target in targets]
    return tuple(f"{target}: {problem}" for target, problem in answers if problem)


def _target(fleet: Fleet, request: TestRequest, row: RegistryRow) -> PlannedTarget:
    """The client's stack as a client gets it; a service without one is tested with its own."""
    service = fleet.service(request.spec.name)
    stack = request.manifest.stack("client") or request.manifest.stack("service")
    assert service is not None
    assert stack is not None
    assert row.account is not None
    # A test account stands for client and service alike: nothing that is tested may reach the real service.
    alone = replace(service, account=row.account, regions=(request.region,))
    client = _stand_in(fleet, request, row) if stack.role == "client" else None
    values, faults = parameters_for(stack.parameters, fleet, alone, client)
    if faults:
        raise ConfigInvalid(
            f"{len(faults)} template parameters have no value",
            state="the accounts are handed back",
            details=tuple(str(fault) for fault in faults),
            remedy="give the parameter a Default in the template",
        )
    desired = Deployable(
        release=str(request.manifest.release),
        digest=request.manifest.digest,
        commit=request.manifest.commit,
        template=stack.template,
        parameters=values,
        functions=stack.functions,
        health=request.spec.health_of(stack.role),
    )
    return PlannedTarget(
        id=TargetId(f"~{row.name}", request.region),
        account=row.account,
        stack=stack_name(request.spec.name),
        desired=desired,
        effect=EffectKind.CREATE,
    )


def _stand_in(fleet: Fleet, request: TestRequest, row: RegistryRow) -> Client:
    """A client like any other, with the template's own looks; where it has none, those of the first real client."""
    stack = request.manifest.stack("client")
    declared = {p.name for p in stack.parameters if p.default is None} if stack is not None else set()
    subscribers = fleet.subscribers(request.spec.name)
    looks = subscribers[0].cosmetic if subscribers else ()
    return Client(
        name=row.name,
        account=row.account,
        regions=(request.region,),
        services=(request.spec.name,),
        cosmetic=tuple((name, value) for name, value in looks if name in declared),
    )


def _account(world: TestWorld, target: PlannedTarget, row: RegistryRow) -> TestAccount:
    found = world.describe(Place(target.account, target.id.region), target.stack)
    if found is None:
        raise OperationFailed(f"{target.id} was deployed, but its stack cannot be found")
    return TestAccount(
        name=row.name,
        account=target.account,
        region=target.id.region,
        role=_role(world.pool.fleet, target.account, RoleName.TESTER),
        external_id=row.external_id,
        outputs=found.outputs,
    )


def _role(fleet: Fleet, account: AccountId | None, role: RoleName) -> str:
    return f"arn:{partition_of(fleet.tools.region)}:iam::{account}:role/{role.value}"


# --- evidence ----------------------------------------------------------------------------------------


def _evidence(
    request: TestRequest, rows: Sequence[RegistryRow], outcome: Outcome, duration: timedelta
) -> Evidence:
    """A run that proves nothing counts as one failure, so that nothing can be promoted on it."""
    return Evidence(
        release=str(request.manifest.release),
        digest=request.manifest.digest,
        accounts=tuple(row.account for row in rows if row.account is not None),
        passed=outcome.passed,
        failed=outcome.failed + (1 if outcome.problem and not outcome.failed else 0),
        skipped=outcome.skipped,
        seconds=round(duration / timedelta(seconds=1)),
        junit=str(request.junit),
    )


def _record(world: TestWorld, request: TestRequest, evidence: Evidence) -> None:
    """Not under the service's lease: evidence changes nothing that a running promotion decides by."""
    stream = release_stream(request.manifest.release)
    for _ in range(10):
        head = world.journal.head(stream)
        try:
            world.journal.append(
                stream,
                (ReleaseTested(evidence=evidence),),
                expected=head.seq,
                fence=head.fence,
                actor=request.actor,
            )
        except StreamMoved:
            continue
        return
    raise OperationFailed(
        f"the evidence for {evidence.release} could not be recorded: its journal keeps moving",
        state="the tests were run, the accounts are handed back",
        remedy=f"run: release test {evidence.release}",
    )


def _failed(
    request: TestRequest, evidence: Evidence, problem: str, back: Sequence[HandedBack]
) -> TestsFailed:
    dirty = [f"{found.name} is in quarantine: {found.problem}" for found in back if found.problem]
    counts = f"{evidence.passed} passed, {evidence.failed} failed, {evidence.skipped} skipped"
    return TestsFailed(
        f"{evidence.release} failed its tests ({counts})",
        state="the evidence says so, and promote refuses this release; the accounts are handed back",
        remedy=f"see {request.junit}; mend the service and build a new version",
        details=tuple([problem] if problem else []) + tuple(dirty),
    )
