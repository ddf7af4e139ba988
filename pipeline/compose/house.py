"""Floor 4, composition: builds what one verb needs, on first use, and nothing else. It decides nothing.

AWS adapters are imported when they are first needed, so that `release --help` and everything that only reads the
journal stay quick.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.processes import holder_name
from pipeline.adapters.local.store import LocalStore, open_store
from pipeline.compose.auditing import head_signer
from pipeline.compose.preflight import preflight_ports
from pipeline.config import Project, find_root, load_fleet, load_project
from pipeline.config.project import FLEET_FILE
from pipeline.decide.findings import Finding
from pipeline.decide.parameters import STANDARD
from pipeline.engine.heartbeat import Heartbeat
from pipeline.engine.loop import Until, run_loop
from pipeline.engine.workers import ThreadWorkers
from pipeline.engine.world import LEASE_TTL, Runner, World
from pipeline.errors import AccountUnusable, IntegrityBroken, ReleaseError, UsageError
from pipeline.model.ending import Ending
from pipeline.model.event import Envelope
from pipeline.model.fleet import Fleet, Tools
from pipeline.model.identity import identity_of, unproven
from pipeline.model.ids import AccountId, Digest, ReleaseName
from pipeline.model.plan import Plan, plan_digest, plan_to_json
from pipeline.model.release import Manifest, ServiceSpec
from pipeline.model.run_state import RunState
from pipeline.ports import Alarms, Artifacts, Place, Stacks, Verifier
from pipeline.views.fleet import FleetRow
from stages.build import BuildPorts, BuildRequest, BuildResult, build
from stages.check import check_release, parameter_findings
from stages.fleet import fleet_rows
from stages.manifests import load_manifest, load_spec, verify_release
from stages.plan import PlanPorts, PlanRequest, load_plan, make_plan
from stages.preflight import admit_looked_at
from stages.promote import Admission, read_run
from stages.waive import WAIVERS_FOLDER, read_waivers, verify_waivers

if TYPE_CHECKING:
    from pipeline.adapters.aws.session import Aws, Identity

__all__ = ["POOL_SIZE", "Held", "House", "ask_to_stop", "local_home", "state_path"]

POOL_SIZE = 32
"""Threads that make AWS calls; more targets than this wait on a heap, not in threads."""

_KEPT = "us-east-1"
"""Plans beside the state stand under a Region's name, as artifacts do; which one means nothing here."""
_stop = threading.Event()


def state_path(root: Path) -> Path:
    """TIDEGATE_STATE, or `.tidegate/state.db` beside fleet.toml."""
    named = os.environ.get("TIDEGATE_STATE")
    return Path(named) if named else root / ".tidegate" / "state.db"


def local_home(start: Path) -> Path:
    """Where the local AWS keeps what it has made: TIDEGATE_LOCAL_HOME, or `.tidegate/local` beside fleet.toml."""
    named = os.environ.get("TIDEGATE_LOCAL_HOME")
    return Path(named) if named else find_root(start) / ".tidegate" / "local"


def lease_ttl() -> timedelta:
    """TIDEGATE_LEASE_SECONDS, from 1 to 3600: how long a runner that has gone silent keeps its lease; 30 by default."""
    named = os.environ.get("TIDEGATE_LEASE_SECONDS")
    if named is None:
        return LEASE_TTL
    if not named.isdecimal() or not 1 <= int(named) <= 3600:
        raise UsageError(
            f"TIDEGATE_LEASE_SECONDS is {named!r}",
            state="nothing was touched",
            remedy="write a whole number of seconds from 1 to 3600, or unset it",
        )
    return timedelta(seconds=int(named))


def ask_to_stop() -> None:
    """What a signal handler calls: the engine comes to a clean checkpoint and returns."""
    _stop.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A service's lease, held: the right to change that service's stacks."""

    admission: Admission
    heartbeat: Heartbeat
    lease: str


class House:
    """Everything one command needs, built on first use. start: a folder inside the project."""

    def __init__(
        self,
        start: Path,
        heard: Callable[[Envelope, Plan], None] = lambda *_: None,
        warned: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._start = start
        self._heard = heard
        self._warned = warned
        self.clock = SystemClock()

    # --- files and state -----------------------------------------------------------------------

    @cached_property
    def project(self) -> Project:
        return load_project(self._start)

    def read_again(self) -> None:
        """After fleet.toml has been written to."""
        self.__dict__.pop("project", None)
        self.__dict__.pop("fleet", None)

    @cached_property
    def root(self) -> Path:
        """The folder with fleet.toml, which is not read: a fault in a file must not keep anybody from halting."""
        return find_root(self._start)

    @cached_property
    def fleet(self) -> Fleet:
        return load_fleet(self.root / FLEET_FILE)

    @cached_property
    def tools(self) -> Tools:
        tools = self.fleet.tools
        if tools.account is None or not tools.release_key:
            raise UsageError(
                "fleet.toml names no Tools account and no release key yet",
                state="nothing was touched",
                remedy="run `release bootstrap all`",
            )
        return tools

    @cached_property
    def store(self) -> LocalStore:
        return open_store(state_path(self.root), self.clock)

    # --- identities ----------------------------------------------------------------------------

    @cached_property
    def aws(self) -> Aws:
        from pipeline.adapters.aws.session import Aws

        return Aws(max_connections=POOL_SIZE)

    @cached_property
    def actor(self) -> str:
        """The identity that AWS vouches for, as it stands in the journal. CredentialsRefused where there is none."""
        from pipeline.adapters.aws.session import AMBIENT

        return identity_of(self.aws.caller(AMBIENT)[1]).text

    @property
    def actor_perhaps_unproven(self) -> str:
        """For what only ever stops something and has to work without AWS: who runs the process, marked as unproven,
        where AWS cannot be asked."""
        try:
            return self.actor
        except ReleaseError:
            return unproven(holder_name().split(":")[0]).text

    def role(self, name: str, account: AccountId | None = None, via: Identity | None = None) -> Identity:
        """A role of the Tools account (or of `account`), reached from the ambient credentials (or `via`)."""
        from pipeline.adapters.aws.reach import partition_of
        from pipeline.adapters.aws.session import AMBIENT, Identity

        partition = partition_of(self.tools.region)
        arn = f"arn:{partition}:iam::{account or self.tools.account}:role/{name}"
        return Identity(role_arn=arn, session_name="tidegate", via=via or AMBIENT)

    def identity_in(self, role: str, via: Identity) -> Callable[[Place], Identity]:
        """A role in a target's account, opened with the external id that belongs to this account alone."""
        from pipeline.adapters.aws.reach import partition_of
        from pipeline.adapters.aws.session import Identity

        known: dict[str, Identity] = {}

        def identity(place: Place) -> Identity:
            if place.account not in known:
                row = self.store.registry.by_account(place.account)
                if row is None:
                    raise AccountUnusable(
                        f"account {place.account} is not in the registry",
                        state="no call was made",
                        remedy="run `release bootstrap all`",
                    )
                arn = f"arn:{partition_of(place.region)}:iam::{place.account}:role/{role}"
                known[place.account] = Identity(
                    role_arn=arn, external_id=row.external_id, session_name="tidegate", via=via
                )
            return known[place.account]

        return identity

    # --- AWS, as one role sees it --------------------------------------------------------------

    def artifacts(self, role: str = "TidegatePromote") -> Artifacts:
        from pipeline.adapters.aws.artifacts import S3Artifacts

        return S3Artifacts(self.aws, self.role(role), self.tools)

    def verifier(self, role: str = "TidegatePromote") -> Verifier:
        from pipeline.adapters.aws.kms import KmsVerifier

        return KmsVerifier(self.aws, self.role(role))

    def stacks_and_alarms(self, role: str, via: str) -> tuple[Stacks, Alarms]:
        """One ListStackResources serves both."""
        from pipeline.adapters.aws.alarms import CloudWatchAlarms
        from pipeline.adapters.aws.reach import Reach
        from pipeline.adapters.aws.resources import StackResources
        from pipeline.adapters.aws.stacks import CloudFormationStacks

        identity_of = self.identity_in(role, self.role(via))
        resources = StackResources(Reach(self.aws, identity_of))
        prefix = self.fleet.tools.bucket_prefix
        stacks = CloudFormationStacks(self.aws, identity_of, bucket_prefix=prefix, resources=resources)
        return stacks, CloudWatchAlarms(self.aws, identity_of, resources=resources)

    def world(self, via: str = "TidegatePromote") -> World:
        from pipeline.adapters.aws.metrics import CloudWatchMetrics
        from pipeline.adapters.aws.protection import StackProtection
        from pipeline.adapters.aws.smoke import LambdaSmoke
        from pipeline.adapters.http_health import HttpHealth

        stacks, alarms = self.stacks_and_alarms("TidegateDeploy", via)
        deploying = self.identity_in("TidegateDeploy", self.role(via))
        protecting = self.identity_in("TidegateProtect", self.role(via))
        artifacts, prefix = self.artifacts(via), self.tools.bucket_prefix
        return World(
            clock=self.clock,
            journal=self.store.journal,
            leases=self.store.leases,
            latch=self.store.latch,
            stacks=stacks,
            alarms=alarms,
            health=HttpHealth(),
            smoke=LambdaSmoke(self.aws, deploying),
            metrics=CloudWatchMetrics(self.aws, deploying),
            protection=StackProtection(self.aws, protecting, artifacts, prefix),
            keep=lambda document: artifacts.put(document, (self.tools.region,))[0],
            artifacts=artifacts,
        )

    # --- accounts and builds -------------------------------------------------------------------

    def access_role(self, management: AccountId | None, via: Identity) -> Callable[[Place], Identity]:
        """The role that AWS puts into every account it makes: only for Tidegate's very first stacks there.

        via: who acts in the management account itself.
        """
        from pipeline.adapters.aws.reach import partition_of
        from pipeline.adapters.aws.session import Identity

        def identity(place: Place) -> Identity:
            if place.account == management:
                return via
            partition = partition_of(place.region)
            arn = f"arn:{partition}:iam::{place.account}:role/OrganizationAccountAccessRole"
            return Identity(role_arn=arn, session_name="tidegate-bootstrap", via=via)

        return identity

    def build(
        self,
        service: str,
        *,
        version: str,
        allow_dirty: bool,
        allow_untagged: bool,
        say: Callable[[str], None],
    ) -> BuildResult:
        """service may be empty where the fleet has only one."""
        from pipeline.adapters.aws.kms import KmsSigner
        from pipeline.adapters.git import GitRepository

        name = service or self._only_service()
        request = BuildRequest(
            folder=str(self.project.folder(name)),
            spec=self.project.spec(name),
            bucket_prefix=self.tools.bucket_prefix,
            regions=self.fleet.regions,
            release_key=self.tools.release_key,
            # Faults of the sources are told before AWS is asked; without AWS nothing can be stored or signed anyway.
            actor=self.actor_perhaps_unproven,
            version=version,
            allow_dirty=allow_dirty,
            allow_untagged=allow_untagged,
        )
        ports = BuildPorts(
            repository=GitRepository(),
            artifacts=self.artifacts("TidegateBuild"),
            signer=KmsSigner(self.aws, self.role("TidegateBuild"), self.tools.release_key),
            verifier=self.verifier("TidegateBuild"),
            journal=self.store.journal,
        )
        return build(request, ports, say)

    def _only_service(self) -> str:
        names = [service.name for service in self.fleet.services]
        if len(names) != 1:
            raise UsageError(
                f"the fleet has {len(names)} services: {', '.join(names)}",
                state="nothing was built",
                remedy=f"name one: `release build {names[0] if names else 'SERVICE'}`",
            )
        return names[0]

    def fleet_rows(self, *, live: bool) -> tuple[FleetRow, ...]:
        stacks = self.stacks_and_alarms("TidegateObserve", "TidegatePromote")[0] if live else None
        return fleet_rows(self.fleet, self.store.journal, stacks)

    # --- releases and plans --------------------------------------------------------------------

    def manifest(self, release: ReleaseName) -> tuple[Manifest, Digest]:
        return load_manifest(release, self.artifacts(), self.verifier(), self.tools.release_key)

    def spec(self, manifest: Manifest) -> ServiceSpec:
        return load_spec(manifest, self.artifacts())

    def plan(self, release: ReleaseName) -> Plan:
        """Verify the release, then make and store a plan for it."""
        self.project  # noqa: B018 - every fault of every file is told before anything is asked of AWS
        manifest, envelope = self.manifest(release)
        artifacts = self.artifacts()
        verify_release(manifest, artifacts, self.fleet.regions)
        stacks, _ = self.stacks_and_alarms("TidegateDeploy", "TidegatePromote")
        ports = PlanPorts(clock=self.clock, journal=self.store.journal, artifacts=artifacts, stacks=stacks)
        waivers = read_waivers(self.root / WAIVERS_FOLDER, self.verifier(), self.tools.journal_key)
        spec = self.spec(manifest)
        request = PlanRequest(
            fleet=self.fleet, manifest=manifest, envelope=envelope, spec=spec, waivers=waivers
        )
        return make_plan(request, ports)

    def check(self, release: ReleaseName) -> tuple[Finding, ...]:
        """Of the release's stored templates, and of the parameters that some client would leave without a value."""
        manifest, _ = self.manifest(release)
        found = list(check_release(manifest, self.artifacts("TidegateBuild")))
        for client in self.fleet.subscribers(release.service):
            supplied = frozenset(STANDARD) | {name for name, _ in client.cosmetic}
            stack = manifest.stack("client")
            if stack is not None:
                found += parameter_findings(stack.parameters, supplied, f"{client.name}, client.yaml")
        return tuple(found)

    def fixed_plan(self, release: ReleaseName) -> Plan | None:
        """The plan this release is being, or was, promoted under; None where it never was."""
        run = read_run(self.store.journal, release)
        return self._stored_plan(run.plan) if run.plan is not None else None

    def _stored_plan(self, wanted: Digest) -> Plan:
        """From beside the state, or else from the artifact store: status has to work while AWS does not."""
        try:
            return load_plan(wanted, self._kept_plans)
        except IntegrityBroken:
            plan = load_plan(wanted, self.artifacts())
        self._kept_plans.put(plan_to_json(plan), (_KEPT,))
        return plan

    @cached_property
    def _kept_plans(self) -> FolderArtifacts:
        return FolderArtifacts(self.root / ".tidegate" / "plans", home=_KEPT)

    # --- carrying out --------------------------------------------------------------------------

    @contextmanager
    def holding(self, service: str, *, preempt: bool = False) -> Iterator[Held]:
        """LeaseHeld, naming the holder, where another runner is at it. preempt: it is taken from that runner, which
        stops before its next call or write; only for turning back."""
        actor = self.actor
        name = f"service/{service}"
        ttl = lease_ttl()
        leases = self.store.leases
        lease = (leases.preempt if preempt else leases.take)(name, holder_name(), ttl)
        with Heartbeat(self.store.leases, self.clock, lease, ttl=ttl) as heartbeat:
            yield Held(admission=Admission(fence=lease.fence, actor=actor), heartbeat=heartbeat, lease=name)

    def admit(self, plan: Plan, held: Held) -> RunState:
        """Fix the plan, or find it fixed already; it is kept beside the state for when AWS cannot be reached."""
        looking = preflight_ports(self, lambda entry: self._heard(entry, plan))
        run = admit_looked_at(plan, looking, held.admission, self.store.latch)
        self._kept_plans.put(plan_to_json(plan), (_KEPT,))
        return run

    def promote(self, plan: Plan, held: Held, until: Until) -> Ending:
        self.admit(plan, held)
        return self.drive(plan, held, until)

    def drive(self, plan: Plan, held: Held, until: Until) -> Ending:
        """The in-process engine over a fixed plan."""
        runner = Runner(
            lease=held.lease,
            fence=held.admission.fence,
            actor=held.admission.actor,
            verify=lambda: self._verify(plan),
            heard=lambda entry: self._heard(entry, plan),
            warned=self._warned,
            sign=head_signer(self, plan),
        )
        return run_loop(
            self.world(),
            runner,
            plan,
            plan_digest(plan),
            ThreadWorkers(self.clock, POOL_SIZE),
            held.heartbeat,
            until,
            _stop.is_set,
        )

    def _verify(self, plan: Plan) -> None:
        """Before each wave: the manifest is still the one that was planned, and every artifact still is itself."""
        manifest, envelope = self.manifest(plan.release)
        if manifest.digest != plan.digest or envelope != plan.manifest:
            raise IntegrityBroken(
                f"{plan.release} is no longer what was planned: {manifest.digest} in place of {plan.digest}",
                state="the wave was not started",
                remedy=f"find out who changed it; `release history {plan.release}`",
            )
        verify_waivers(plan.waivers, self.verifier(), self.tools.journal_key)
        verify_release(manifest, self.artifacts(), sorted({target.id.region for target in plan.targets}))
