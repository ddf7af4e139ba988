"""`release test`: accounts of the pool, the release in them, its tests, evidence, and every account handed back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.decide.pool import UNITS
from pipeline.errors import OperationFailed, UsageError
from pipeline.errors import TestsFailed as ProofFailed
from pipeline.model.canonical import sha256_hex
from pipeline.model.event import release_stream
from pipeline.model.fleet import Client, Fleet, FleetService, Tools
from pipeline.model.ids import AccountId, ReleaseName, TargetId, digest
from pipeline.model.plan import PlannedTarget
from pipeline.model.release import BuiltStack, Evidence, Manifest, Parameter, ServiceSpec, TestPolicy
from pipeline.model.run_state import fold_run
from pipeline.model.stack import StackSnapshot, StackStatus
from pipeline.ports import Place, RegistryRow
from stages.accounts import AccountWorld
from stages.integration import IntegrationRun, Outcome, TestAccount
from stages.leasing import LEASE_TTL, LeaseKeeper, lease_name
from stages.pool import HandedBack, PoolWorld
from stages.test import TestReport, TestRequest, TestWorld, prove_release
from tests.stages.landscape import MAILBOX, MANAGEMENT, Landscape

TOOLS = AccountId("222222222222")
CLIENT = AccountId("444444444444")
DAY = "20260105"
RELEASE = ReleaseName("intake", "1.4.0")
DIGEST = digest(sha256_hex(b"intake 1.4.0"))
FLEET = Fleet(
    email=MAILBOX,
    tools=Tools(management=MANAGEMENT, account=TOOLS, organization="o-aaaaaaaaaa"),
    services=(FleetService(name="intake", account=AccountId("555555555555"), regions=("us-east-1",)),),
    clients=(
        Client(
            name="acme",
            account=CLIENT,
            regions=("us-east-1", "eu-west-1"),
            services=("intake",),
            cosmetic=(("BrandColour", "#0a7"), ("Motto", "Care")),
        ),
    ),
)
STACK = BuiltStack(
    role="client",
    template=digest(sha256_hex(b"template")),
    unmarked=digest(sha256_hex(b"unmarked")),
    parameters=(
        Parameter(name="Client", type="String", default=None),
        Parameter(name="BrandColour", type="String", default="#369"),
        Parameter(name="Motto", type="String", default=None),
        Parameter(name="PeerRegions", type="String", default=""),
        Parameter(name="ServiceAccount", type="String", default=None),
    ),
)
MANIFEST = Manifest(
    release=RELEASE,
    digest=DIGEST,
    commit="0" * 40,
    stacks=(STACK,),
    artifacts=(),
    spec=digest(sha256_hex(b"spec")),
)
SPEC = ServiceSpec(name="intake", client_template="client.yaml", test=TestPolicy(tests="tests/integration"))
GOOD = Outcome(passed=4, failed=0, skipped=1)


@dataclass
class Cleaning:
    """ports.Cleaner over what was deployed. stubborn: accounts whose stacks cannot be deleted."""

    land: Landscape
    there: dict[Place, dict[str, StackStatus]] = field(default_factory=dict)
    stubborn: set[AccountId] = field(default_factory=set)
    somebody_else: str = ""

    def deploy(self, place: Place, name: str = "svc-intake") -> None:
        self.there.setdefault(place, {})[f"id:{name}"] = StackStatus.CREATE_COMPLETE

    def caller(self, account: AccountId) -> str:
        return self.somebody_else or account

    def stacks(self, place: Place) -> tuple[StackSnapshot, ...]:
        found = self.there.get(place, {})
        return tuple(
            StackSnapshot(stack_id=i, status=s)
            for i, s in found.items()
            if s is not StackStatus.DELETE_COMPLETE
        )

    def delete(self, place: Place, stack_id: str) -> None:
        self.land.log.append(f"delete {stack_id} {place.account} {place.region}")
        failed = place.account in self.stubborn
        self.there[place][stack_id] = StackStatus.DELETE_FAILED if failed else StackStatus.DELETE_COMPLETE

    def describe(self, place: Place, stack_id: str) -> StackSnapshot | None:
        return StackSnapshot(stack_id=stack_id, status=self.there[place][stack_id], reason="bucket not empty")

    def kept(self, place: Place, stack_id: str) -> tuple[str, ...]:
        return (f"AWS::KMS::Key key-of-{place.account}",)


@dataclass
class Bench:
    """One `release test` after another in one landscape."""

    land: Landscape
    folder: Path
    outcome: Outcome | BaseException = GOOD
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    runs: list[IntegrationRun] = field(default_factory=list)
    targets: list[PlannedTarget] = field(default_factory=list)
    before_cleaning: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.land.organizations.ensure(UNITS)
        self.cleaner = Cleaning(self.land)

    def prove(self, accounts: int = 1, holder: str = "ann") -> TestReport:
        with LeaseKeeper(self.land.leases, self.land.clock, holder) as keeper:
            return prove_release(self._world(keeper), self._request(accounts))

    def _world(self, keeper: LeaseKeeper) -> TestWorld:
        land = self.land
        return TestWorld(
            pool=PoolWorld(
                accounts=AccountWorld(
                    accounts=land.organizations,
                    units=land.organizations,
                    registry=land.registry,
                    clock=land.clock,
                    mailbox=MAILBOX,
                ),
                stacks=land.stacks,
                cleaner=self.cleaner,
                fleet=FLEET,
                organization="o-aaaaaaaaaa",
                keeper=keeper,
            ),
            journal=land.journal,
            deploy=self._deploy,
            describe=lambda place, stack: StackSnapshot(
                stack_id=stack,
                status=StackStatus.CREATE_COMPLETE,
                outputs=(("Url", f"https://{place.account}"),),
            ),
            run=self._run,
        )

    def _request(self, accounts: int) -> TestRequest:
        return TestRequest(
            manifest=MANIFEST,
            spec=SPEC,
            accounts=accounts,
            folder=self.folder,
            region="us-east-1",
            state=self.folder / "state.db",
            junit=Path("evidence/junit.xml"),
            actor="ann",
        )

    def _deploy(self, targets: Sequence[PlannedTarget]) -> Mapping[TargetId, str]:
        self.targets += targets
        for target in targets:
            self.cleaner.deploy(Place(target.account, target.id.region))
        return {target.id: self.unhealthy.get(target.id.owner, "") for target in targets}

    def _run(self, run: IntegrationRun) -> Outcome:
        self.runs.append(run)
        self.before_cleaning()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    @property
    def states(self) -> dict[str, str]:
        return {row.name: row.state for row in self.land.registry.rows("test")}

    @property
    def evidence(self) -> Evidence | None:
        return fold_run(self.land.journal.read(release_stream(RELEASE))).evidence

    @property
    def deletions(self) -> list[str]:
        return [line for line in self.land.log if line.startswith("delete ")]

    def account(self, number: int = 1) -> AccountId:
        row = self.land.registry.row(f"test-{DAY}-{number:03d}")
        assert row is not None
        assert row.account is not None
        return row.account


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "tests" / "integration").mkdir(parents=True)
    return Bench(Landscape(), tmp_path)


# --- the ordinary way ------------------------------------------------------------------------------


def test_an_empty_pool_is_filled_and_the_accounts_are_ready_for_the_next_run(bench: Bench) -> None:
    report = bench.prove(2)

    assert [(row.name, row.email, row.state) for row in bench.land.registry.rows("test")] == [
        (f"test-{DAY}-001", f"qa+{DAY}-001@example.com", "Ready"),
        (f"test-{DAY}-002", f"qa+{DAY}-002@example.com", "Ready"),
    ]
    assert [bench.land.organizations.unit_of(bench.account(n)) for n in (1, 2)] == ["Test/Pool"] * 2
    assert report.back == tuple(
        HandedBack(name=f"test-{DAY}-00{n}", kept=(f"AWS::KMS::Key key-of-{bench.account(n)}",))
        for n in (1, 2)
    )


def test_the_evidence_names_the_digest_the_accounts_the_tests_and_the_time(bench: Bench) -> None:
    report = bench.prove(2)

    assert bench.evidence == report.evidence
    assert replace(report.evidence, seconds=0) == Evidence(
        release="intake@1.4.0",
        digest=DIGEST,
        accounts=(bench.account(1), bench.account(2)),
        passed=4,
        failed=0,
        skipped=1,
        seconds=0,
        junit="evidence/junit.xml",
    )
    assert report.evidence.seconds > 0


def test_the_second_run_takes_the_same_accounts_and_makes_none(bench: Bench) -> None:
    bench.prove(2)
    made = [line for line in bench.land.log if line.startswith("create ")]
    bench.prove(2)

    assert [line for line in bench.land.log if line.startswith("create ")] == made
    assert list(bench.states.values()) == ["Ready", "Ready"]


def test_a_target_is_what_a_client_gets_but_reaches_no_real_service(bench: Bench) -> None:
    bench.prove()
    target = bench.targets[0]

    assert (target.id, target.stack) == (TargetId(f"~test-{DAY}-001", "us-east-1"), "svc-intake")
    assert target.desired.template == STACK.template
    assert target.desired.parameters == (
        ("BrandColour", "#369"),
        ("Client", f"test-{DAY}-001"),
        ("Motto", "Care"),
        ("PeerRegions", ""),
        ("ServiceAccount", bench.account()),
    )


def test_the_tests_get_each_account_with_its_role_its_external_id_and_its_outputs(bench: Bench) -> None:
    bench.prove(2)
    run = bench.runs[0]
    rows = bench.land.registry.rows("test")

    assert run.via == f"arn:aws:iam::{TOOLS}:role/TidegateTest"
    assert run.accounts == tuple(
        TestAccount(
            name=row.name,
            account=str(row.account),
            region="us-east-1",
            role=f"arn:aws:iam::{row.account}:role/TidegateTester",
            external_id=row.external_id,
            outputs=(("Url", f"https://{row.account}"),),
        )
        for row in rows
    )


def test_an_account_is_prepared_with_the_roles_of_test_accounts(bench: Bench) -> None:
    bench.prove()
    row = bench.land.registry.rows("test")[0]

    assert bench.land.stacks.parameters(Place(bench.account(), "us-east-1"), "tidegate-test") == {
        "ToolsAccount": TOOLS,
        "ExternalId": row.external_id,
        "OrganizationId": "o-aaaaaaaaaa",
        "TemplateUrls": (
            f"https://s3.eu-west-1.amazonaws.com/tidegate-artifacts-{TOOLS}-eu-west-1/sha256/*,"
            f"https://s3.us-east-1.amazonaws.com/tidegate-artifacts-{TOOLS}-us-east-1/sha256/*"
        ),
    }


def test_while_tests_run_the_account_is_leased_and_afterwards_it_is_not(bench: Bench) -> None:
    seen: list[tuple[str, str]] = []

    def look() -> None:
        lease = bench.land.leases.current(lease_name(bench.account()))
        assert lease is not None
        seen.append((lease.holder, bench.states[f"test-{DAY}-001"]))

    bench.before_cleaning = look
    bench.prove()

    assert seen == [("ann", "Leased")]
    assert bench.land.leases.take(lease_name(bench.account()), "bob", LEASE_TTL).holder == "bob"


# --- failing ---------------------------------------------------------------------------------------


def test_failing_tests_are_evidence_too_and_the_accounts_go_back(bench: Bench) -> None:
    bench.outcome = Outcome(passed=3, failed=1, skipped=0)
    with pytest.raises(ProofFailed, match=r"3 passed, 1 failed, 0 skipped"):
        bench.prove()

    assert bench.evidence is not None
    assert (bench.evidence.passed, bench.evidence.failed) == (3, 1)
    assert bench.states == {f"test-{DAY}-001": "Ready"}


@pytest.mark.parametrize("problem", ["no test was run", "pytest ended with exit code 3 and left no results"])
def test_a_run_that_proves_nothing_is_a_failure(bench: Bench, problem: str) -> None:
    bench.outcome = Outcome(passed=0, failed=0, skipped=0, problem=problem)
    with pytest.raises(ProofFailed) as failed:
        bench.prove()

    assert failed.value.details == (problem,)
    assert bench.evidence is not None
    assert bench.evidence.failed == 1


def test_where_a_deployment_fails_no_test_is_run(bench: Bench) -> None:
    bench.unhealthy = {f"~test-{DAY}-002": "alarm in ALARM"}
    with pytest.raises(ProofFailed) as failed:
        bench.prove(2)

    assert bench.runs == []
    assert failed.value.details == (f"~test-{DAY}-002/us-east-1: alarm in ALARM",)
    assert bench.evidence is not None
    assert (bench.evidence.passed, bench.evidence.failed) == (0, 1)
    assert list(bench.states.values()) == ["Ready", "Ready"]


def test_ctrl_c_hands_the_accounts_back_and_leaves_no_evidence(bench: Bench) -> None:
    bench.outcome = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.prove()

    assert bench.evidence is None
    assert bench.states == {f"test-{DAY}-001": "Ready"}
    assert len(bench.deletions) == 1


def test_a_service_without_tests_is_refused_before_any_account_is_touched(bench: Bench) -> None:
    (bench.folder / "tests" / "integration").rmdir()
    with pytest.raises(UsageError, match="has no integration tests at tests/integration"):
        bench.prove()

    assert bench.land.log == []


# --- handing back ------------------------------------------------------------------------------------


def test_an_account_whose_stack_cannot_be_deleted_goes_into_quarantine(bench: Bench) -> None:
    bench.prove()
    bench.cleaner.stubborn = {bench.account()}
    report = bench.prove()
    row = bench.land.registry.row(f"test-{DAY}-001")

    assert row is not None
    assert (row.state, row.note) == (
        "Quarantine",
        "id:svc-intake could not be deleted (DELETE_FAILED): bucket not empty",
    )
    assert bench.land.organizations.unit_of(bench.account()) == "Test/Quarantine"
    assert report.back[0].problem == row.note


def test_an_account_in_quarantine_is_not_leased_again(bench: Bench) -> None:
    bench.prove()
    bench.cleaner.stubborn = {bench.account()}
    bench.prove()
    bench.prove()

    assert bench.states == {f"test-{DAY}-001": "Quarantine", f"test-{DAY}-002": "Ready"}


@pytest.mark.parametrize("unit", ["Clients", ""])
def test_an_account_outside_the_test_units_is_never_cleaned(bench: Bench, unit: str) -> None:
    bench.before_cleaning = lambda: bench.land.organizations.move(bench.account(), unit)
    report = bench.prove()

    assert bench.deletions == []
    assert report.back[0].problem == f"it is in the unit {unit or 'root'!r}, not below Test"
    assert bench.states == {f"test-{DAY}-001": "Quarantine"}
    # It may be anybody's: it is not even moved.
    assert bench.land.organizations.unit_of(bench.account()) == unit


def test_a_session_in_another_account_deletes_nothing(bench: Bench) -> None:
    bench.cleaner.somebody_else = CLIENT
    report = bench.prove()

    assert bench.deletions == []
    assert report.back[0].problem == f"the cleaning session is in account {CLIENT}"


def test_an_account_whose_lease_was_lost_is_not_cleaned(bench: Bench) -> None:
    def lose() -> None:
        bench.land.clock.sleep(LEASE_TTL * 2)
        bench.land.leases.take(lease_name(bench.account()), "bob", LEASE_TTL)

    bench.before_cleaning = lose
    report = bench.prove()

    assert bench.deletions == []
    assert report.back[0].problem == "its lease is not ours"


def test_stacks_are_deleted_in_every_region_of_the_fleet(bench: Bench) -> None:
    bench.before_cleaning = lambda: bench.cleaner.deploy(Place(bench.account(), "eu-west-1"), "svc-old")
    bench.prove()

    assert sorted(bench.deletions) == [
        f"delete id:svc-intake {bench.account()} us-east-1",
        f"delete id:svc-old {bench.account()} eu-west-1",
    ]


# --- the pool --------------------------------------------------------------------------------------


def row_of(bench: Bench, state: str, *, made: bool = True) -> RegistryRow:
    """What an earlier run left in the registry."""
    email = f"qa+{DAY}-001@example.com"
    name = f"test-{DAY}-001"
    account = None
    if made:
        bench.land.organizations.create(name, email, ())
        bench.land.clock.sleep(timedelta(seconds=10))
        account = bench.land.account_named(name)
        bench.land.organizations.move(account, "Test/Pool")
    return bench.land.registry.add(
        RegistryRow(
            name=name,
            kind="test",
            email=email,
            account=account,
            state=state,
            external_id="secret-of-account-one",
        )
    )


@pytest.mark.parametrize("state", ["Leased", "Cleaning"])
def test_what_a_dead_runner_left_is_cleaned_before_it_is_used(bench: Bench, state: str) -> None:
    row = row_of(bench, state)
    assert row.account is not None
    bench.cleaner.deploy(Place(row.account, "us-east-1"), "svc-left-behind")
    bench.prove()

    assert bench.deletions == [
        f"delete id:svc-left-behind {row.account} us-east-1",
        f"delete id:svc-intake {row.account} us-east-1",
    ]
    assert bench.states == {row.name: "Ready"}


def test_an_account_that_another_runner_holds_is_left_to_it(bench: Bench) -> None:
    row = row_of(bench, "Leased")
    bench.land.leases.take(lease_name(str(row.account)), "bob", LEASE_TTL)
    bench.prove()

    assert bench.states == {f"test-{DAY}-001": "Leased", f"test-{DAY}-002": "Ready"}


def test_an_account_in_which_a_dead_runners_tests_still_work_is_left_alone(bench: Bench) -> None:
    row = row_of(bench, "Leased")
    bench.land.leases.take(f"worker-account/{row.account}", "an orphaned worker", LEASE_TTL)
    bench.prove()

    assert bench.states == {f"test-{DAY}-001": "Leased", f"test-{DAY}-002": "Ready"}
    assert not [line for line in bench.deletions if str(row.account) in line]


def test_a_half_made_account_is_finished_first(bench: Bench) -> None:
    row_of(bench, "Creating", made=False)
    bench.prove()

    assert bench.states == {f"test-{DAY}-001": "Ready"}
    assert bench.account() == bench.runs[0].accounts[0].account


def test_after_a_lost_answer_the_test_account_is_found_and_not_made_twice(bench: Bench) -> None:
    bench.land.organizations.lose = ["applied"]
    bench.prove()

    assert len(bench.land.organizations.accounts()) == 2
    assert bench.states == {f"test-{DAY}-001": "Ready"}


def test_an_address_that_is_taken_stays_burnt_and_the_next_is_used(bench: Bench) -> None:
    bench.land.organizations.rules._burnt.add(f"qa+{DAY}-001@example.com")
    bench.prove()

    assert bench.states == {f"test-{DAY}-001": "Burnt", f"test-{DAY}-002": "Ready"}


def test_a_pool_that_cannot_be_filled_proves_nothing_and_keeps_nothing(bench: Bench) -> None:
    bench.prove()
    bench.land.organizations.rules.limits = replace(bench.land.limits, max_accounts=2)
    with pytest.raises(OperationFailed, match="ACCOUNT_LIMIT_EXCEEDED"):
        bench.prove(3)

    assert bench.states[f"test-{DAY}-001"] == "Ready"
    assert len(bench.runs) == 1


def test_no_account_at_all_cannot_be_asked_for(bench: Bench) -> None:
    with pytest.raises(UsageError, match="at least one account"):
        bench.prove(0)
