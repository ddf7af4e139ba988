"""Floor 2, ports: stacks in the accounts and how healthy they are. No code here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.model.ids import AccountId, Digest
from pipeline.model.stack import ChangeSetView, StackSnapshot

__all__ = [
    "Alarms",
    "ChangeSetRequest",
    "Health",
    "HealthReading",
    "Place",
    "ResourceToImport",
    "Smoke",
    "Stacks",
]


@dataclass(frozen=True, slots=True)
class Place:
    account: AccountId
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceToImport:
    """identifier: what CloudFormation finds the resource by, e.g. (("TableName", "svc-intake-Table-1X"),): the
    primary identifier of its type (registry schema), not a Ref."""

    logical_id: str
    resource_type: str
    identifier: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetRequest:
    """name: `tg-` and 32 hex digits. template: digest; the adapter turns it into the artifact's URL.

    creating: ChangeSetType CREATE with OnStackFailure=DELETE, else UPDATE. tags: static ones only.
    token: CreateChangeSet's ClientToken.

    How a retained resource comes back into its stack (User Guide, "Import AWS resources into a CloudFormation stack
    automatically" and "… manually"; botocore model of CreateChangeSet):

    import_existing: ImportExistingResources on a CREATE or UPDATE change set. Imports and deploys in **one** change
    set, whose imports show as Action `Import`. It finds only resources whose name stands literally in the template
    (no Ref, Sub or other function), whose DeletionPolicy is Retain or RetainExceptOnCreate, and which belong to no
    stack. Whatever else has that name is imported as well: set it only where the journal knows an orphan, and let
    the guard compare the physical ids. Where the name exists and this is not set, the update fails ("already
    exists") and rolls back. **This is the way for a resource with a literal name.**
    import_resources: ChangeSetType IMPORT, for resources without a literal name. Such a change set may change
    nothing else: no other resource added, modified or removed, no output added or changed; so its template is the
    one that runs now plus the imported resources, each with a DeletionPolicy, and the release itself follows as an
    UPDATE. It ends in IMPORT_COMPLETE, or IMPORT_ROLLBACK_*. Nested stacks are not looked into (AWS refuses
    IncludeNestedStacks with IMPORT). Without either of the two, a resource without a literal name is made anew and
    empty, beside the orphan: the target machine must not let that happen unseen.
    """

    stack: str
    name: str
    token: str
    creating: bool
    template: Digest
    parameters: tuple[tuple[str, str], ...]
    tags: tuple[tuple[str, str], ...]
    description: str = ""
    import_existing: bool = False
    import_resources: tuple[ResourceToImport, ...] = ()


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

    def continue_update_rollback(self, place: Place, stack: str, token: str, skip: Sequence[str]) -> None:
        """ContinueUpdateRollback with this ClientRequestToken: from UPDATE_ROLLBACK_FAILED over
        UPDATE_ROLLBACK_IN_PROGRESS to UPDATE_ROLLBACK_COMPLETE, or back to UPDATE_ROLLBACK_FAILED. `operation`
        finds it by its token.

        skip: names as `failed_resources` gives them, chosen by a person; they count as rolled back and are drift
        from then on. RequestRefused where one of them is not UPDATE_FAILED by the rollback. StackBusy where the
        stack is not in UPDATE_ROLLBACK_FAILED (any more), ExecutionTokenUsed: look.
        """
        ...

    def failed_resources(self, place: Place, stack: str) -> Mapping[str, str]:
        """What keeps a stack in UPDATE_ROLLBACK_FAILED: resources in UPDATE_FAILED, with AWS's reason, sorted.

        A resource of a nested stack is named `NestedStackName.LogicalId`, as ContinueUpdateRollback wants it. One
        whose update was merely cancelled is left out: AWS does not let it be skipped. Empty where there is none.
        """
        ...

    def physical_ids(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, str]:
        """Of the stack's own resources, by logical id; a resource that is not there, or not made yet, is left out.

        Works by stack id for a deleted stack, too. Read it before the operation that orphans them.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReading:
    """readable False: nothing could be learned, which is never healthy."""

    healthy: bool
    readable: bool
    reason: str


class Alarms(Protocol):
    def read(self, place: Place, stack: str, ignored: Sequence[str] = ()) -> HealthReading:
        """Every metric and composite alarm of the stack. ALARM: unhealthy. INSUFFICIENT_DATA or no answer: not
        readable. No alarm at all is healthy. ignored: names (see `states`) whose state does not count."""
        ...

    def states(self, place: Place, stack: str) -> Mapping[str, str]:
        """Every alarm of the stack and its nested stacks by name: OK, ALARM or INSUFFICIENT_DATA; empty where
        CloudWatch does not know the name. An alarm that CloudFormation has not made stands under its logical id,
        empty."""
        ...


class Health(Protocol):
    def call(self, url: str, expect: int, allowed_hosts: tuple[str, ...]) -> HealthReading:
        """One GET, no redirect followed, no proxy or netrc, answers cut at 64 KiB."""
        ...


class Smoke(Protocol):
    def call(self, place: Place, stack: str, logical_id: str) -> HealthReading:
        """Invokes one Lambda function of the stack, which the release ships as its own check of this account. Its
        logical id begins with `Smoke`: the deploy role may invoke no other function.

        It is given {"tidegate": {"check": "smoke", "stack": STACK, "account": ID, "region": REGION}} and has to
        answer {"healthy": true|false, "reason": TEXT} within 25 seconds (reason may be left out, is shown to people
        and cut at 200 characters). Everything else is not readable: no such function, one that raised, another
        answer, a throttled, refused or lost call. Raises only WrongAccount and CredentialsRefused. It may be called
        many times and by two runners at once.
        """
        ...
