"""Floor 2, what to do about a stack in each of CloudFormation's statuses: one explicit table. Pure.

Nothing here ever deletes a stack or cancels what somebody else has begun. Source: CloudFormation User Guide, "Stack
status codes" and "Continue rolling back an update"; API reference of CreateChangeSet, RollbackStack,
ContinueUpdateRollback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline.model.stack import StackStatus

__all__ = ["TABLE", "Row", "Treatment", "when_found", "when_ours"]

S = StackStatus


class Treatment(StrEnum):
    """What follows from a status. The first six are for a stack as it is found; the others for our own operation."""

    CREATE = "create"
    """make the stack with a CREATE change set"""
    UPDATE = "update"
    """change it with an UPDATE change set, or find that there is nothing to change"""
    REVIEW = "review"
    """go on where the stack is of our own making; another's is for a person"""
    WAIT = "wait"
    """look again later, within limits; never cancel"""
    CONTINUE = "continue"
    """ContinueUpdateRollback, a few times with growing pauses; then a person"""
    PERSON = "person"
    """quarantine, with the command for a person: no call of the engine's helps"""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """our operation failed, and CloudFormation has put the stack back or cleared it away"""
    FAILED_PERSON = "failed, person"
    """our operation failed and has left something that only a person can clear"""


@dataclass(frozen=True, slots=True)
class Row:
    """found: at a look, before this action has executed anything, forward or back. ours: at the end of the operation
    that this action has executed, forward or back."""

    found: Treatment
    ours: Treatment


_T = Treatment

TABLE: Mapping[StackStatus | None, Row] = {
    # Nothing there. Our own operation is still to appear: DescribeStacks lags behind ExecuteChangeSet.
    None: Row(_T.CREATE, _T.WAIT),
    S.CREATE_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    # Only with DisableRollback or OnFailure=DO_NOTHING, which Tidegate never asks for. RollbackStack would delete it.
    S.CREATE_FAILED: Row(_T.PERSON, _T.FAILED_PERSON),
    S.CREATE_COMPLETE: Row(_T.UPDATE, _T.SUCCEEDED),
    S.ROLLBACK_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    S.ROLLBACK_FAILED: Row(_T.PERSON, _T.FAILED_PERSON),
    # A failed creation of somebody's: "only a delete operation can be performed". Ours clear themselves away.
    S.ROLLBACK_COMPLETE: Row(_T.PERSON, _T.FAILED_PERSON),
    S.DELETE_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    S.DELETE_FAILED: Row(_T.PERSON, _T.FAILED_PERSON),
    # Found by stack id only. As an ending it is our first creation, cleared away (OnStackFailure=DELETE).
    S.DELETE_COMPLETE: Row(_T.CREATE, _T.FAILED),
    S.UPDATE_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    S.UPDATE_COMPLETE: Row(_T.UPDATE, _T.SUCCEEDED),
    # Only with DisableRollback: RollbackStack is a person's decision, and refuses after replacements.
    S.UPDATE_FAILED: Row(_T.PERSON, _T.FAILED_PERSON),
    S.UPDATE_ROLLBACK_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    S.UPDATE_ROLLBACK_FAILED: Row(_T.CONTINUE, _T.CONTINUE),
    S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    # What ran before runs again: deployable, and the failed outcome of the operation before it.
    S.UPDATE_ROLLBACK_COMPLETE: Row(_T.UPDATE, _T.FAILED),
    # Empty until its change set is executed. As our own it means: not seen yet.
    S.REVIEW_IN_PROGRESS: Row(_T.REVIEW, _T.WAIT),
    S.IMPORT_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    # Ours import with UPDATE and CREATE change sets, which end as such: another's import is not our success.
    S.IMPORT_COMPLETE: Row(_T.UPDATE, _T.FAILED),
    S.IMPORT_ROLLBACK_IN_PROGRESS: Row(_T.WAIT, _T.WAIT),
    S.IMPORT_ROLLBACK_FAILED: Row(_T.PERSON, _T.FAILED_PERSON),
    S.IMPORT_ROLLBACK_COMPLETE: Row(_T.UPDATE, _T.FAILED),
}
"""Every status, and None for a stack that is not there."""


def when_found(status: str) -> Treatment:
    """What a look asks for. status: as observed, empty where there is no stack. ValueError for an unknown status."""
    return TABLE[S(status) if status else None].found


def when_ours(status: str) -> Treatment:
    """What the status says of an operation that this action has executed."""
    return TABLE[S(status) if status else None].ours
