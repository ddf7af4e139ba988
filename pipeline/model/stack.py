"""Floor 1, stacks: CloudFormation's statuses as explicit tables, and what is seen of a stack. No effects.

Source: CloudFormation User Guide, "Stack status codes"; API reference of DescribeStacks, DescribeChangeSet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.model.canonical import Json, canonical, sha256_hex
from pipeline.model.ids import Digest, digest

__all__ = [
    "DEPLOYABLE",
    "EMPTY_CHANGE_SET_REASONS",
    "FAILED_CREATION",
    "IN_PROGRESS",
    "NEEDS_A_PERSON",
    "OUTPUT_OF_MARK",
    "SUCCEEDED",
    "ChangeSetView",
    "ExecutionStatus",
    "Mark",
    "PropertyChange",
    "ResourceChange",
    "StackSnapshot",
    "StackStatus",
    "effect_of",
    "parameters_digest",
]

OUTPUT_OF_MARK = "TidegateRelease"


class StackStatus(StrEnum):
    """Every value of botocore's StackStatus enum; a test compares the two."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    CREATE_FAILED = "CREATE_FAILED"
    CREATE_COMPLETE = "CREATE_COMPLETE"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    ROLLBACK_COMPLETE = "ROLLBACK_COMPLETE"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETE_FAILED = "DELETE_FAILED"
    DELETE_COMPLETE = "DELETE_COMPLETE"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    UPDATE_COMPLETE_CLEANUP_IN_PROGRESS = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    UPDATE_COMPLETE = "UPDATE_COMPLETE"
    UPDATE_FAILED = "UPDATE_FAILED"
    UPDATE_ROLLBACK_IN_PROGRESS = "UPDATE_ROLLBACK_IN_PROGRESS"
    UPDATE_ROLLBACK_FAILED = "UPDATE_ROLLBACK_FAILED"
    UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"
    UPDATE_ROLLBACK_COMPLETE = "UPDATE_ROLLBACK_COMPLETE"
    REVIEW_IN_PROGRESS = "REVIEW_IN_PROGRESS"
    IMPORT_IN_PROGRESS = "IMPORT_IN_PROGRESS"
    IMPORT_COMPLETE = "IMPORT_COMPLETE"
    IMPORT_ROLLBACK_IN_PROGRESS = "IMPORT_ROLLBACK_IN_PROGRESS"
    IMPORT_ROLLBACK_FAILED = "IMPORT_ROLLBACK_FAILED"
    IMPORT_ROLLBACK_COMPLETE = "IMPORT_ROLLBACK_COMPLETE"


S = StackStatus

DEPLOYABLE = frozenset(
    {
        S.CREATE_COMPLETE,
        S.UPDATE_COMPLETE,
        S.UPDATE_ROLLBACK_COMPLETE,
        S.IMPORT_COMPLETE,
        S.IMPORT_ROLLBACK_COMPLETE,
    }
)
"""An UPDATE change set may be executed."""

SUCCEEDED = frozenset({S.CREATE_COMPLETE, S.UPDATE_COMPLETE})
"""Our own operation ended well."""

IN_PROGRESS = frozenset(
    {
        S.CREATE_IN_PROGRESS,
        S.ROLLBACK_IN_PROGRESS,
        S.DELETE_IN_PROGRESS,
        S.UPDATE_IN_PROGRESS,
        S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS,
        S.UPDATE_ROLLBACK_IN_PROGRESS,
        S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS,
        S.IMPORT_IN_PROGRESS,
        S.IMPORT_ROLLBACK_IN_PROGRESS,
    }
)
"""Wait: nothing may be changed now. REVIEW_IN_PROGRESS is not here: it moves only when somebody acts."""

FAILED_CREATION = frozenset({S.ROLLBACK_COMPLETE, S.ROLLBACK_FAILED, S.CREATE_FAILED})
"""Never held a good release; only deletion helps, and the engine never deletes a stack."""

NEEDS_A_PERSON = FAILED_CREATION | {
    S.UPDATE_FAILED,
    S.UPDATE_ROLLBACK_FAILED,
    S.DELETE_FAILED,
    S.IMPORT_ROLLBACK_FAILED,
}

EMPTY_CHANGE_SET_REASONS = (
    "The submitted information didn't contain changes",
    "No updates are to be performed",
)
"""How a change set without changes fails: the two texts AWS uses, matched as prefixes of StatusReason."""


class ExecutionStatus(StrEnum):
    UNAVAILABLE = "UNAVAILABLE"
    AVAILABLE = "AVAILABLE"
    EXECUTE_IN_PROGRESS = "EXECUTE_IN_PROGRESS"
    EXECUTE_COMPLETE = "EXECUTE_COMPLETE"
    EXECUTE_FAILED = "EXECUTE_FAILED"
    OBSOLETE = "OBSOLETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a stack says of itself, in its output `TidegateRelease` and the SSM parameter beside it."""

    release: str
    digest: str
    commit: str

    def text(self) -> str:
        return f"{self.release} {self.digest} {self.commit}"

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """None where the text is not a mark: a stack that was not deployed by Tidegate."""
        parts = text.split(" ")
        if len(parts) != 3 or not parts[1].startswith("sha256:"):
            return None
        return cls(release=parts[0], digest=parts[1], commit=parts[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSnapshot:
    """One DescribeStacks answer, as far as the engine cares."""

    stack_id: str
    status: StackStatus
    reason: str = ""
    outputs: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    last_token: str = ""
    """ClientRequestToken of the newest operation, where the describing call knows it."""

    @property
    def readable_parameters(self) -> tuple[tuple[str, str], ...]:
        """Without NoEcho ones, whose values DescribeStacks masks with asterisks."""
        return tuple((name, value) for name, value in self.parameters if value != "****")

    @property
    def mark(self) -> Mark | None:
        return Mark.parse(dict(self.outputs).get(OUTPUT_OF_MARK, ""))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PropertyChange:
    """One entry of a change's Details, in AWS's words; a value we do not know stays as it came.

    Source: CloudFormation API reference, ResourceChangeDetail and ResourceTargetDefinition.
    """

    attribute: str
    """Properties, Metadata, CreationPolicy, UpdatePolicy, DeletionPolicy, UpdateReplacePolicy, Tags."""
    name: str = ""
    """Of the property, below Properties: the topmost one."""
    path: str = ""
    """`/Properties/TimeToLiveSpecification/Enabled`; empty where AWS sends none."""
    change: str = ""
    """AttributeChangeType: Add, Remove, Modify, SyncWithActual; may be empty."""
    recreation: str = ""
    """RequiresRecreation: Never, Conditionally, Always."""
    evaluation: str = ""
    """Static, Dynamic."""
    source: str = ""
    """ChangeSource: ResourceReference, ParameterReference, ResourceAttribute, DirectModification, Automatic,
    NoModification."""
    before: str = ""
    after: str = ""
    """Values only of what the guard weighs by its value, such as `DeletionProtection`: others may be secrets."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ResourceChange:
    """One entry of a change set. Enums keep AWS's words; a value we do not know stays as it came."""

    logical_id: str
    resource_type: str
    action: str
    """Add, Modify, Remove, Import, Dynamic, SyncWithActual."""
    replacement: str = ""
    """True, False, Conditional; empty where AWS sends none."""
    policy_action: str = ""
    """Delete, Retain, Snapshot, ReplaceAndDelete, ReplaceAndRetain, ReplaceAndSnapshot; may be empty."""
    scope: tuple[str, ...] = ()
    physical_id: str = ""
    nested_change_set: str = ""
    details: tuple[PropertyChange, ...] = ()

    @property
    def is_tags_only(self) -> bool:
        """Nothing but tags, in place: a stack's own tags go to every resource that can carry them."""
        return self.action == "Modify" and self.scope == ("Tags",) and self.replacement in ("", "False")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetView:
    """A change set with every page read and nested change sets followed."""

    name: str
    arn: str
    stack_id: str
    status: str
    """CREATE_PENDING, CREATE_IN_PROGRESS, CREATE_COMPLETE, FAILED, DELETE_…"""
    execution: ExecutionStatus
    reason: str = ""
    changes: tuple[ResourceChange, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        return self.status == "FAILED" and self.reason.startswith(EMPTY_CHANGE_SET_REASONS)

    @property
    def is_settled(self) -> bool:
        return self.status in ("CREATE_COMPLETE", "FAILED")


def effect_of(changes: tuple[ResourceChange, ...]) -> Digest:
    """The digest of what a change set would do, equal for equal effects in different accounts.

    Physical ids and nested change-set ARNs differ from account to account and are left out; so are changes of
    nothing but tags, which are no effect, and paths and sources of single properties, which may count list items
    that differ from client to client.
    """
    rows = sorted((_row(c) for c in changes if not c.is_tags_only), key=canonical)
    return digest(sha256_hex(canonical(rows)))


def _row(change: ResourceChange) -> list[Json]:
    row: list[Json] = [
        change.logical_id,
        change.resource_type,
        change.action,
        change.replacement,
        change.policy_action,
        list(change.scope),
    ]
    properties = sorted({(d.attribute, d.name, d.recreation, d.after) for d in change.details})
    # A row without details is what it was before there were any: plans made then still hold.
    return [*row, [list(each) for each in properties]] if properties else row


def parameters_digest(parameters: tuple[tuple[str, str], ...]) -> Digest:
    return digest(sha256_hex(canonical([list(p) for p in sorted(parameters)])))
