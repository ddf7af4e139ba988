"""Floor 3, adapters: the Cleaner port. The only place that calls DeleteStack, and only as TidegateClean.

That role exists in test accounts alone, and its policy knows no other stacks than those of services. Whether an
account may be cleaned is decided before (pipeline/decide/pool.py); here nothing is decided, and nothing waits.
"""

from __future__ import annotations

from pipeline.adapters.aws.operations import stack_status
from pipeline.adapters.aws.reach import IdentityOf, Reach
from pipeline.adapters.aws.session import Aws
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.model.ids import AccountId
from pipeline.model.stack import StackSnapshot, StackStatus
from pipeline.ports import Place

__all__ = ["CloudFormationCleaner"]

_CFN = "cloudformation"
_PREFIX = "svc-"


class CloudFormationCleaner:
    """ports.Cleaner. identity_of: TidegateClean of the place's account. home: any Region, for GetCallerIdentity."""

    def __init__(self, aws: Aws, identity_of: IdentityOf, home: str) -> None:
        self._aws = aws
        self._identity_of = identity_of
        self._home = home
        self._reach = Reach(aws, identity_of)
        self._stacks = CloudFormationStacks(aws, identity_of)

    def caller(self, account: AccountId) -> str:
        return self._aws.caller(self._identity_of(Place(account, self._home)))[0]

    def stacks(self, place: Place) -> tuple[StackSnapshot, ...]:
        filters = [status.value for status in StackStatus if status is not StackStatus.DELETE_COMPLETE]
        found: list[StackSnapshot] = []
        for page in self._reach.pages(place, _CFN, "list_stacks", StackStatusFilter=filters):
            for row in page.get("StackSummaries", ()):
                if str(row["StackName"]).startswith(_PREFIX) and not row.get("ParentId"):
                    stack_id = self._reach.landed(place, str(row["StackId"]))
                    status = stack_status(str(row["StackStatus"]))
                    found.append(StackSnapshot(stack_id=stack_id, status=status))
        return tuple(sorted(found, key=lambda stack: stack.stack_id))

    def delete(self, place: Place, stack_id: str) -> None:
        self._reach.call(place, _CFN, "delete_stack", StackName=self._reach.landed(place, stack_id))

    def describe(self, place: Place, stack_id: str) -> StackSnapshot | None:
        return self._stacks.describe(place, stack_id)

    def kept(self, place: Place, stack_id: str) -> tuple[str, ...]:
        """DELETE_SKIPPED in the stack's events (API reference, StackEvent, ResourceStatus)."""
        found: set[str] = set()
        for page in self._reach.pages(place, _CFN, "describe_stack_events", StackName=stack_id):
            for event in page.get("StackEvents", ()):
                if event.get("ResourceStatus") == "DELETE_SKIPPED":
                    found.add(f"{event.get('ResourceType', '')} {event.get('PhysicalResourceId', '')}")
        return tuple(sorted(found))
