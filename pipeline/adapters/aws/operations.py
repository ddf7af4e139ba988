"""Floor 3, adapters: what CloudFormation's answers say of a stack's status, operations and template. No calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.decide.template import template_digest as canonical_digest
from pipeline.errors import AnswerLost, ReleaseError
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, digest
from pipeline.model.stack import StackSnapshot, StackStatus

__all__ = ["operation_of", "stack_status", "template_digest"]

_FAILED = frozenset({"CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED", "IMPORT_FAILED"})


def stack_status(value: str) -> StackStatus:
    try:
        return StackStatus(value)
    except ValueError:
        raise AwsRefused(
            f"a stack is in the status {value!r}, which this version does not know",
            state="nothing was changed",
            remedy="install a newer Tidegate",
        ) from None


def operation_of(pages: Iterable[Mapping[str, Any]], token: str) -> StackSnapshot | None:
    """The operation that carried this ClientRequestToken; None where no event carries it.

    pages: DescribeStackEvents, newest event first. All events of one operation carry its token and stand together
    (API reference, StackEvent), so reading ends where an older operation of the stack begins.
    """
    newest: Mapping[str, Any] | None = None
    first_failure = ""
    seen = False
    for event in _events(pages):
        own = event.get("PhysicalResourceId") == event.get("StackId")
        if event.get("ClientRequestToken") != token or event.get("ResourceStatus") == "REVIEW_IN_PROGRESS":
            if seen and own:
                break
            continue
        seen = True
        if own:
            newest = newest or event
        elif event.get("ResourceStatus") in _FAILED and event.get("ResourceStatusReason"):
            # Overwritten until the oldest is left: the first to fail is the cause, the others were cancelled.
            first_failure = f"{event.get('LogicalResourceId')}: {event['ResourceStatusReason']}"
    if not seen:
        return None
    if newest is None:
        raise AnswerLost("the stack's events name this operation but not its state", state="it was started")
    return StackSnapshot(
        stack_id=str(newest["StackId"]),
        status=stack_status(str(newest["ResourceStatus"])),
        reason=first_failure or str(newest.get("ResourceStatusReason", "")),
        last_token=token,
    )


def _events(pages: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for page in pages:
        yield from page.get("StackEvents") or ()


def template_digest(body: Mapping[str, Any] | str) -> Digest:
    """Of the canonical form. botocore hands a JSON template over as a dictionary, any other as text.

    What cannot be read as a template is none of Tidegate's; its text is digested as it is, so that it compares
    unequal instead of failing.
    """
    try:
        return canonical_digest(body)
    except (ReleaseError, ValueError, TypeError):
        return digest(sha256_hex(str(body).encode()))
