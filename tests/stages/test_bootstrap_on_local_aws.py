"""Bootstrap against the local AWS with IAM enforced: the shipped roles suffice, and do not reach further."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pipeline.adapters.aws import tester_session as testers
from pipeline.adapters.aws.bootstrap_stacks import BootstrapStacks
from pipeline.adapters.aws.organizations import AwsOrganizations
from pipeline.adapters.aws.session import AMBIENT, Aws, Identity
from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.front import process
from pipeline.adapters.simulated.stores import MemoryRegistry
from pipeline.cloudformation import Template, template_body
from pipeline.errors import AccessRefused, AccountUnusable, ReleaseError
from pipeline.model.fleet import Client, Fleet, FleetService, Tools
from pipeline.model.ids import AccountId
from pipeline.ports import OwnStack, Place, RegistryRow
from stages.accounts import AccountWorld, burn, make_account
from stages.bootstrap import Bootstrapped, BootstrapWorld, bootstrap
from stages.own_stack import NEW_ACCOUNT, deploy_own_stack
from stages.trust import template_addresses

pytestmark = pytest.mark.local_aws

FLEET = Fleet(
    email="qa@example.com",
    tools=Tools(),
    services=(FleetService(name="intake", account=None, regions=("us-east-1",)),),
    clients=(
        Client(name="acme", account=None, regions=("eu-west-1",), services=("intake",)),
        Client(name="birch", account=None, regions=("us-east-1",), services=("intake",)),
    ),
)
REFUSED = (AccessRefused, AccountUnusable)


class Company:
    """A bootstrapped organisation on a local AWS of its own."""

    def __init__(self) -> None:
        self.aws = Aws(max_connections=16)
        self.registry = MemoryRegistry()
        self.caller = self.aws.caller(AMBIENT)
        self.done = self.bootstrap()
        values = {(f.table, f.key): f.value for f in self.done.filled if f.table == "tools"}
        self.tools = AccountId(values["tools", "account"])
        self.key = values["tools", "release_key"]
        self.journal_key = values["tools", "journal_key"]
        self.bucket = f"tidegate-artifacts-{self.tools}-us-east-1"

    def bootstrap(self) -> Bootstrapped:
        organizations = AwsOrganizations(self.aws, AMBIENT)
        accounts = AccountWorld(
            accounts=organizations,
            units=organizations,
            registry=self.registry,
            clock=SystemClock(),
            mailbox=FLEET.email,
        )
        world = BootstrapWorld(
            accounts=accounts, stacks=BootstrapStacks(self.aws, self._first), caller=self.caller
        )
        return bootstrap(world, FLEET, "all")

    def _first(self, place: Place) -> Identity:
        if place.account == self.caller[0]:
            return AMBIENT
        return Identity(role_arn=f"arn:aws:iam::{place.account}:role/OrganizationAccountAccessRole")

    def role(self, name: str) -> Identity:
        return Identity(role_arn=f"arn:aws:iam::{self.tools}:role/{name}")

    def account(self, owner: str) -> AccountId:
        row = self.registry.row(owner)
        assert row is not None
        assert row.account is not None
        return row.account

    def in_account(self, owner: str, name: str, *, via: str, external_id: str | None = None) -> Identity:
        row = self.registry.row(owner)
        assert row is not None
        return Identity(
            role_arn=f"arn:aws:iam::{row.account}:role/{name}",
            external_id=row.external_id if external_id is None else external_id,
            via=self.role(via),
        )

    def account_maker(self) -> AwsOrganizations:
        """As `release test` reaches Organizations."""
        arn = f"arn:aws:iam::{self.caller[0]}:role/TidegateAccounts"
        return AwsOrganizations(self.aws, Identity(role_arn=arn, via=self.role("TidegateTest")))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    home: Path = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch, process.running(home):
        for name, value in process.environment(home).items():
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)
        yield Company()


def refused(call: Callable[[], object]) -> bool:
    """True where AWS says no; any other failure is a failure of the test."""
    try:
        call()
    except REFUSED:
        return True
    return False


# --- it stands, and stays ------------------------------------------------------------------------------


def test_a_second_run_finds_everything_in_place(company: Company) -> None:
    assert company.bootstrap().did == ()


def test_each_clients_account_opens_to_promote_with_its_own_external_id_only(company: Company) -> None:
    acme = company.in_account("client/acme", "TidegateDeploy", via="TidegatePromote")
    birch = company.registry.row("client/birch")
    assert birch is not None

    assert company.aws.caller(acme)[0] == company.account("client/acme")
    for wrong in (birch.external_id, "", "x" * 32):
        assert refused(partial(company.aws.caller, replace(acme, external_id=wrong)))


@pytest.mark.parametrize("via", ["TidegateBuild", "TidegateTest"])
def test_neither_build_nor_test_enters_a_clients_account(company: Company, via: str) -> None:
    for name in ("TidegateDeploy", "TidegateObserve", "OrganizationAccountAccessRole"):
        identity = company.in_account("client/acme", name, via=via)
        assert refused(partial(company.aws.caller, identity))


def test_promote_cannot_take_the_way_of_an_administrator(company: Company) -> None:
    for name in ("OrganizationAccountAccessRole", "TidegateExecution", "TidegateRepair"):
        identity = company.in_account("client/acme", name, via="TidegatePromote")
        assert refused(partial(company.aws.caller, identity))


# --- what the deploy role may ------------------------------------------------------------------------


def deploy_call(company: Company, operation: str, **params: object) -> Callable[[], object]:
    identity = company.in_account("client/birch", "TidegateDeploy", via="TidegatePromote")
    return lambda: company.aws.call(identity, "cloudformation", "us-east-1", operation, **params)


def test_the_deploy_role_deletes_no_stack_and_sees_none_of_tidegates_own(company: Company) -> None:
    assert refused(deploy_call(company, "delete_stack", StackName="svc-intake"))
    assert refused(deploy_call(company, "delete_stack", StackName="tidegate-target"))
    assert refused(deploy_call(company, "describe_stacks", StackName="tidegate-target"))
    with pytest.raises(ReleaseError, match="does not exist"):
        deploy_call(company, "describe_stacks", StackName="svc-intake")()


def test_a_change_set_needs_a_template_from_the_artifacts_and_the_execution_role(company: Company) -> None:
    execution = f"arn:aws:iam::{company.account('client/birch')}:role/TidegateExecution"
    good = f"https://s3.us-east-1.amazonaws.com/{company.bucket}/sha256/{'a' * 64}"
    base = {"StackName": "svc-intake", "ChangeSetName": "tg-1", "ChangeSetType": "CREATE"}

    assert refused(deploy_call(company, "create_change_set", **base, TemplateURL=good))
    assert refused(deploy_call(company, "create_change_set", **base, TemplateBody="{}", RoleARN=execution))
    other = good.replace(company.bucket, "somebody-elses-bucket")
    assert refused(deploy_call(company, "create_change_set", **base, TemplateURL=other, RoleARN=execution))


# --- artifacts and the key ---------------------------------------------------------------------------


def test_artifacts_are_written_once_by_build_read_by_accounts_and_never_deleted(company: Company) -> None:
    key = f"sha256/{'b' * 64}"

    def s3(identity: Identity, operation: str, **params: object) -> Callable[[], object]:
        return lambda: company.aws.call(
            identity, "s3", "us-east-1", operation, Bucket=company.bucket, Key=key, **params
        )

    build, promote = company.role("TidegateBuild"), company.role("TidegatePromote")
    deploy = company.in_account("client/birch", "TidegateDeploy", via="TidegatePromote")
    assert refused(s3(build, "put_object", Body=b"1"))
    s3(build, "put_object", Body=b"1", IfNoneMatch="*")()
    with pytest.raises(ReleaseError, match="PreconditionFailed"):
        s3(build, "put_object", Body=b"2", IfNoneMatch="*")()
    for identity in (build, promote, company.role("TidegateTest"), deploy):
        s3(identity, "get_object")()
    access = Identity(role_arn=f"arn:aws:iam::{company.tools}:role/OrganizationAccountAccessRole")
    for identity in (build, promote, deploy, access):
        assert refused(s3(identity, "delete_object"))


@pytest.mark.parametrize(("key", "signer"), [("release", "TidegateBuild"), ("journal", "TidegatePromote")])
def test_build_signs_releases_promote_signs_the_journal_and_nobody_both(
    company: Company, key: str, signer: str
) -> None:
    def sign(identity: Identity) -> Callable[[], object]:
        return lambda: company.aws.call(
            identity,
            "kms",
            "us-east-1",
            "sign",
            KeyId=company.key if key == "release" else company.journal_key,
            Message=b"0" * 32,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )

    assert company.key != company.journal_key
    sign(company.role(signer))()
    for name in {"TidegateBuild", "TidegatePromote", "TidegateTest"} - {signer}:
        assert refused(sign(company.role(name)))


# --- test accounts -----------------------------------------------------------------------------------


def test_the_test_stage_makes_a_test_account_and_prepares_only_that(company: Company) -> None:
    organizations = company.account_maker()
    world = AccountWorld(
        accounts=organizations,
        units=organizations,
        registry=company.registry,
        clock=SystemClock(),
        mailbox=FLEET.email,
    )
    row = make_account(world, burn(world, "test"))
    assert row.account is not None
    accounts = Identity(
        role_arn=f"arn:aws:iam::{company.caller[0]}:role/TidegateAccounts", via=company.role("TidegateTest")
    )

    def enter(account: AccountId) -> Callable[[], object]:
        arn = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
        return lambda: company.aws.caller(Identity(role_arn=arn, via=accounts))

    assert organizations.unit_of(row.account) == "Test/Pool"
    enter(row.account)()
    prepare(company, accounts, row)
    for name in ("TidegateDeploy", "TidegateTester", "TidegateClean"):
        identity = company.in_account(row.name, name, via="TidegateTest")
        assert company.aws.caller(identity)[0] == row.account
        assert refused(partial(company.aws.caller, replace(identity, external_id="x" * 32)))
        assert refused(partial(company.aws.caller, replace(identity, via=company.role("TidegatePromote"))))
    session = testers.tester_session(
        via=f"arn:aws:iam::{company.tools}:role/TidegateTest",
        role=f"arn:aws:iam::{row.account}:role/TidegateTester",
        external_id=row.external_id,
        region="us-east-1",
    )
    assert session.client("sts").get_caller_identity()["Account"] == row.account
    for owner in ("client/acme", "service/intake", "tools"):
        assert refused(enter(company.account(owner)))


def prepare(company: Company, accounts: Identity, row: RegistryRow) -> None:
    def access(place: Place) -> Identity:
        arn = f"arn:aws:iam::{place.account}:role/OrganizationAccountAccessRole"
        return Identity(role_arn=arn, via=accounts)

    assert row.account is not None
    organization = company.account_maker().organization()
    parameters = {
        "ToolsAccount": company.tools,
        "ExternalId": row.external_id,
        "OrganizationId": organization,
        "TemplateUrls": ",".join(template_addresses(company.tools, ("us-east-1",))),
    }
    request = OwnStack(
        place=Place(row.account, "us-east-1"),
        stack=Template.TEST.value,
        template=template_body(Template.TEST),
        parameters=tuple(parameters.items()),
    )
    stacks = BootstrapStacks(company.aws, access)
    first = deploy_own_stack(stacks, SystemClock(), request, usable=NEW_ACCOUNT)
    second = deploy_own_stack(stacks, SystemClock(), request)
    assert (first.changed, second.changed) == (True, False)


def test_the_test_stage_closes_no_account(company: Company) -> None:
    accounts = Identity(
        role_arn=f"arn:aws:iam::{company.caller[0]}:role/TidegateAccounts", via=company.role("TidegateTest")
    )
    account = company.account("client/acme")

    assert refused(
        lambda: company.aws.call(accounts, "organizations", "us-east-1", "close_account", AccountId=account)
    )
