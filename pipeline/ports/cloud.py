"""Floor 2, ports: stacks in the accounts and how healthy they are. No code here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.model.ids import AccountId, Digest
from pipeline.model.stack import ChangeSetView, StackSnapshot

__all__ = ["Alarms", "ChangeSetRequest", "Health", "HealthReading", "Place", "Stacks"]


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
