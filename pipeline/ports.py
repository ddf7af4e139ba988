"""Floor 2, the ports: what the engine and the stages need of the world, as Protocols. No implementation here.

Every method of a port that reaches AWS may raise `Throttled` (no effect), `AnswerLost` (perhaps applied),
`AccessRefused`, `AccountUnusable`, `CredentialsRefused` or `WrongAccount`; what else it may raise stands at the
method. One contract suite per port runs against every adapter that implements it (tests/contract/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.model.event import Envelope, Event
from pipeline.model.ids import AccountId, Digest, TargetId
from pipeline.model.plan import PlannedTarget
from pipeline.model.stack import ChangeSetView, StackSnapshot

__all__ = [
    "Accounts",
    "Alarms",
    "Artifacts",
    "ChangeSetRequest",
    "Cleaner",
    "Clock",
    "Commit",
    "CreationStatus",
    "Deploy",
    "Halt",
    "Head",
    "Health",
    "HealthReading",
    "Journal",
    "Latch",
    "Lease",
    "Leases",
    "OrganizationAccount",
    "OrganizationUnit",
    "OwnStack",
    "OwnStacks",
    "Place",
    "Registry",
    "RegistryRow",
    "Repository",
    "Signer",
    "Stacks",
    "Units",
    "Verifier",
]


# --- time ------------------------------------------------------------------------------------------


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Engines and stages sleep, ticks never. A simulated clock jumps."""
        ...


# --- the journal, leases and the latch -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """seq 0 for a stream that does not exist yet. fence: the highest that ever appended here."""

    seq: int
    fence: int
    hash: str


class Journal(Protocol):
    """Append-only and hash-chained; one stream per release and one per target, each with its own head."""

    def head(self, stream: str) -> Head: ...

    def read(self, stream: str) -> tuple[Envelope, ...]:
        """Oldest first. JournalDamaged where the chain does not hold."""
        ...

    def append(
        self, stream: str, events: Sequence[Event], *, expected: int, fence: int, actor: str
    ) -> tuple[Envelope, ...]:
        """All or nothing, on condition that the stream still ends at seq `expected`.

        `at` is the store's own time and never goes back within the journal.
        StreamMoved where the stream has grown; FenceLost where a higher fence has appended here.
        The head's fence becomes max(head.fence, fence).
        """
        ...

    def streams(self, prefix: str) -> tuple[str, ...]:
        """Names of all streams that begin with `prefix`, sorted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    name: str
    holder: str
    fence: int
    """Grows with every taking of this lease, for ever."""
    expires: datetime


class Leases(Protocol):
    def take(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """LeaseHeld, naming the holder and the expiry, where another holder's lease has not expired."""
        ...

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """FenceLost where the lease expired and was taken by another holder."""
        ...

    def current(self, name: str) -> Lease | None:
        """The newest lease of that name, expired or not, released or not; None if never taken."""
        ...

    def give_back(self, lease: Lease) -> None:
        """Nothing happens where it is no longer ours."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    reason: str
    actor: str
    at: datetime


class Latch(Protocol):
    """The halt that anybody on call can set without a runner; read before every claim and mutating call."""

    def read(self, release: str) -> Halt | None: ...

    def close(self, release: str, reason: str, actor: str) -> Halt:
        """Idempotent: the first halt stays and is returned."""
        ...

    def open(self, release: str) -> None:
        """Only `resume` calls this."""
        ...


# --- stacks in the accounts ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    account: AccountId
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetRequest:
    """name: `tg-` and 32 hex digits. template: digest; the adapter turns it into the artifact's URL.

    creating: ChangeSetType CREATE with OnStackFailure=DELETE, else UPDATE. tags: static ones only.
    token: CreateChangeSet's ClientToken.
    """

    stack: str
    name: str
    token: str
    creating: bool
    template: Digest
    parameters: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    description: str = ""


class Stacks(Protocol):
    """CloudFormation in the planned account; every call provably lands there, else WrongAccount."""

    def describe(self, place: Place, stack: str) -> StackSnapshot | None:
        """By name or by stack id. None where it does not exist; a deleted stack is found by its id only."""
        ...

    def create_change_set(self, place: Place, request: ChangeSetRequest) -> tuple[str, str]:
        """(change-set ARN, stack id). StackBusy; RequestRefused; ChangeSetBusy where the name exists already."""
        ...

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView:
        """Every page, nested change sets followed. ChangeSetGone."""
        ...

    def list_change_sets(self, place: Place, stack: str) -> tuple[str, ...]:
        """Names on this stack; empty where the stack does not exist."""
        ...

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None:
        """Nothing happens where it is gone. ChangeSetBusy while it is being executed."""
        ...

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None:
        """With RetainExceptOnCreate. ChangeSetGone, ChangeSetBusy, ExecutionTokenUsed, StackBusy."""
        ...

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        """What the stack's own events say of the operation that carried this ClientRequestToken.

        None where no event carries it. `status` and `reason` are those of the newest event of the stack itself
        under that token; reason prefers the first resource that failed.
        """
        ...

    def template(self, place: Place, stack: str) -> Digest:
        """Digest of the canonical form of what GetTemplate (Original) returns."""
        ...

    def function_digests(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, Digest]:
        """CodeSha256 of the named Lambda functions as they stand in the account."""
        ...


# --- health ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReading:
    """readable False: nothing could be learned, which is never healthy."""

    healthy: bool
    readable: bool
    reason: str


class Alarms(Protocol):
    def read(self, place: Place, stack: str) -> HealthReading:
        """Every metric and composite alarm of the stack. ALARM: unhealthy. INSUFFICIENT_DATA or no answer: not
        readable. No alarm at all is healthy."""
        ...


class Health(Protocol):
    def call(self, url: str, expect: int, allowed_hosts: tuple[str, ...]) -> HealthReading:
        """One GET, no redirect followed, no proxy or netrc, answers cut at 64 KiB."""
        ...


# --- artifacts, signatures, sources ----------------------------------------------------------------


class Artifacts(Protocol):
    """Immutable files in the bucket of every Region of the fleet, and named documents written once."""

    def put(self, content: bytes, regions: Sequence[str]) -> tuple[Digest, int]:
        """(digest, number of uploads made): 0 where every Region had it. If-None-Match guards each."""
        ...

    def get(self, wanted: Digest, region: str | None = None) -> bytes:
        """Verified on every read. ArtifactMissing, ArtifactDamaged."""
        ...

    def has(self, wanted: Digest, region: str) -> bool: ...

    def put_document(self, name: str, content: bytes) -> bool:
        """Write once under a readable name such as `releases/intake/1.4.0.json`. False where exactly these bytes
        stand there already; VersionTaken where others do."""
        ...

    def get_document(self, name: str) -> bytes | None: ...


class Signer(Protocol):
    key: str

    def sign(self, sha256: bytes) -> bytes:
        """ECDSA over P-256 of a 32-byte digest; DER, as KMS returns it."""
        ...


class Verifier(Protocol):
    def verify(self, key: str, sha256: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    sha: str
    dirty: bool
    versions: tuple[str, ...]
    """From tags on this very commit: `intake/1.4.0`, `intake@1.4.0`, `v1.4.0` and `1.4.0` all give 1.4.0."""
    at: datetime


class Repository(Protocol):
    def commit(self, folder: str, service: str) -> Commit:
        """Read only. NotFound where the folder is in no git repository or has no commit."""
        ...


# --- accounts --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationAccount:
    """state: PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE or CLOSED."""

    id: AccountId
    name: str
    email: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationStatus:
    """state: IN_PROGRESS, SUCCEEDED or FAILED; reason: AWS's FailureReason."""

    request: str
    name: str
    state: str
    account: AccountId | None = None
    reason: str = ""


class Accounts(Protocol):
    """AWS Organizations, in the management account."""

    def create(self, name: str, email: str, tags: Sequence[tuple[str, str]]) -> CreationStatus:
        """Never retried by the SDK: there is no idempotency token. AnswerLost means: look for it."""
        ...

    def creation(self, request: str) -> CreationStatus: ...

    def creations(self) -> tuple[CreationStatus, ...]:
        """ListCreateAccountStatus, every page."""
        ...

    def accounts(self) -> tuple[OrganizationAccount, ...]:
        """ListAccounts, every page, suspended ones too."""
        ...

    def move(self, account: AccountId, unit: str) -> None:
        """To an organisational unit by path below the root, such as `Test/Pool`. No change where it is there."""
        ...

    def organization(self) -> str:
        """The organisation's id, `o-…`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRow:
    """One account the registry knows. kind: client, service, tools or test; it never changes.

    email: burnt before CreateAccount. state, of test accounts: Creating, Ready, Leased, Cleaning, Quarantine.
    external_id: random, one per account; what opens its roles.
    """

    name: str
    kind: str
    email: str
    account: AccountId | None = None
    state: str = ""
    external_id: str = ""
    note: str = ""


class Registry(Protocol):
    def rows(self, kind: str = "") -> tuple[RegistryRow, ...]:
        """Sorted by name; every kind where `kind` is empty."""
        ...

    def row(self, name: str) -> RegistryRow | None: ...

    def by_account(self, account: AccountId) -> RegistryRow | None: ...

    def add(self, row: RegistryRow) -> RegistryRow:
        """Burns the e-mail address. RequestRefused where name, account or e-mail (case-insensitively) were ever
        used before."""
        ...

    def change(self, name: str, *, expected_state: str, row: RegistryRow) -> RegistryRow:
        """Compare-and-swap on `state`; kind, name and email cannot change. StreamMoved where it has moved."""
        ...


# --- bootstrap and test accounts -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationUnit:
    """path: names from below the root, such as `Test/Pool`; empty for the root itself.

    entity_path: `o-…/r-…/ou-…/`, what aws:PrincipalOrgPaths and aws:ResourceOrgPaths are compared with.
    """

    path: str
    arn: str
    entity_path: str


class Units(Protocol):
    """The tree of AWS Organizations, in the management account."""

    def ensure(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Makes the units that are missing, parents first; the paths that were made."""
        ...

    def unit(self, path: str) -> OrganizationUnit:
        """NotFound where there is no such unit."""
        ...

    def unit_of(self, account: AccountId) -> str:
        """Path of the unit the account is in now; empty for the root. NotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStack:
    """One of Tidegate's own stacks. template: the text itself, because no bucket may exist yet."""

    place: Place
    stack: str
    template: str
    parameters: tuple[tuple[str, str], ...]


class OwnStacks(Protocol):
    """Tidegate's own stacks, through change sets like everything else. What is not told here is as in `Stacks`."""

    def describe(self, place: Place, stack: str) -> StackSnapshot | None: ...

    def propose(self, request: OwnStack, name: str, *, creating: bool) -> tuple[str, str]:
        """Makes a change set: (its ARN, stack id). Creating: with OnStackFailure=DELETE."""
        ...

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView: ...

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None: ...

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None: ...

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None: ...


class Cleaner(Protocol):
    """Deletes the stacks of services in test accounts, with each account's own cleaning role."""

    def caller(self, account: AccountId) -> str:
        """The account id that GetCallerIdentity gives for the very session that deletes."""
        ...

    def stacks(self, place: Place) -> tuple[StackSnapshot, ...]:
        """Every stack of a service (`svc-*`) that is not deleted yet; nested ones are left to their parents."""
        ...

    def delete(self, place: Place, stack_id: str) -> None:
        """Nothing happens where it is being deleted or gone."""
        ...

    def describe(self, place: Place, stack_id: str) -> StackSnapshot | None: ...

    def kept(self, place: Place, stack_id: str) -> tuple[str, ...]:
        """`TYPE PHYSICAL-ID` of what the deletion of this stack left behind on purpose (DeletionPolicy Retain)."""
        ...


class Deploy(Protocol):
    """The target machine of promote, for targets outside a plan's waves."""

    def __call__(self, targets: Sequence[PlannedTarget]) -> Mapping[TargetId, str]:
        """Brings every target to its release and looks at its health, all of them at once.

        Empty text for a healthy target, else why it is not. Every target of the call has an answer.
        """
        ...
