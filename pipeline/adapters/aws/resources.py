"""Floor 3, adapters: what a stack consists of (ListStackResources), read once for those who ask together.

Verifying a target's code and reading its alarms need the same list within a moment; a list is kept just for that.
It is dropped as soon as this process changes the stack, and it must never be used for a decision to write.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.adapters.aws.reach import Reach
from pipeline.ports import Place

__all__ = ["NESTED_STACK", "StackResource", "StackResources", "stack_name_of"]

NESTED_STACK = "AWS::CloudFormation::Stack"
_DEPTH = 8
_KEPT_FOR = 60.0
"""seconds; nobody asks for anything older, so that memory does not grow with the fleet"""
_KEPT_AT_MOST = 128
"""lists, before old ones are thrown away"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackResource:
    logical_id: str
    physical_id: str
    type: str
    status: str = ""
    """AWS's ResourceStatus."""
    reason: str = ""


class StackResources:
    """Safe to use from many threads."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lock = threading.Lock()
        self._kept: dict[tuple[Place, str], tuple[float, tuple[StackResource, ...]]] = {}

    def read(self, place: Place, stack: str, *, max_age: float = 0.0) -> tuple[StackResource, ...]:
        """The stack's own resources, every page. max_age: seconds an earlier answer may be old."""
        key = (place, stack_name_of(stack))
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < max_age:
            return kept[1]
        asked = time.monotonic()
        found = tuple(self._list(place, stack))
        with self._lock:
            if len(self._kept) >= _KEPT_AT_MOST:
                self._kept = {k: v for k, v in self._kept.items() if asked - v[0] < _KEPT_FOR}
            self._kept[key] = (asked, found)
        return found

    def read_all(self, place: Place, stack: str, *, max_age: float = 0.0) -> tuple[StackResource, ...]:
        """With the resources of nested stacks, which are stacks of their own to CloudFormation."""
        found: list[StackResource] = []
        waiting = [(stack, 0)]
        while waiting:
            name, depth = waiting.pop()
            rows = self.read(place, name, max_age=max_age)
            found += rows
            if depth < _DEPTH:
                nested = (row.physical_id for row in rows if row.type == NESTED_STACK and row.physical_id)
                waiting += [(self._reach.landed(place, arn), depth + 1) for arn in nested]
        return tuple(found)

    def drop(self, place: Place, stack: str) -> None:
        """The stack is about to change."""
        with self._lock:
            self._kept.pop((place, stack_name_of(stack)), None)

    def _list(self, place: Place, stack: str) -> Iterator[StackResource]:
        for page in self._reach.pages(place, "cloudformation", "list_stack_resources", StackName=stack):
            for row in page.get("StackResourceSummaries", ()):
                # A resource whose deletion is over stays listed for a while.
                if row["ResourceStatus"] != "DELETE_COMPLETE":
                    yield StackResource(
                        logical_id=str(row["LogicalResourceId"]),
                        physical_id=str(row.get("PhysicalResourceId", "")),
                        type=str(row["ResourceType"]),
                        status=str(row["ResourceStatus"]),
                        reason=str(row.get("ResourceStatusReason", "")),
                    )


def stack_name_of(stack: str) -> str:
    """arn:…:stack/NAME/UUID gives NAME; a name gives itself."""
    return stack.split("/")[1] if stack.startswith("arn:") and stack.count("/") >= 2 else stack
