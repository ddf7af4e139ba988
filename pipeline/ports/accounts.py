"""Floor 2, ports: AWS Organizations, Tidegate's own stacks, and test accounts. No code here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.model.ids import AccountId, TargetId
from pipeline.model.plan import PlannedTarget
from pipeline.model.stack import ChangeSetView, StackSnapshot
from pipeline.ports.cloud import Place

__all__ = [
    "Accounts",
    "Cleaner",
    "CreationStatus",
    "Deploy",
    "OrganizationAccount",
    "OrganizationUnit",
    "OwnStack",
    "OwnStacks",
    "Units",
]


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
