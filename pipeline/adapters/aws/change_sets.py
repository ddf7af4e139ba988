"""Floor 3, adapters: one change set with every page read and its nested change sets followed.

What cannot be followed becomes a change whose action is `Unknown`, which the guard blocks: a missing page must
never look like an absent change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.reach import Reach
from pipeline.decide.stateful import is_weighed
from pipeline.errors import ChangeSetGone
from pipeline.model.stack import ChangeSetView, ExecutionStatus, PropertyChange, ResourceChange
from pipeline.ports import Place

__all__ = ["UNKNOWN", "ChangeSetReader"]

UNKNOWN = "Unknown"

_NESTED = "AWS::CloudFormation::Stack"
_DEPTH = 8


class ChangeSetReader:
    """Reads change sets of one place."""

    def __init__(self, reach: Reach, place: Place) -> None:
        self._reach = reach
        self._place = place

    def read(self, names: Mapping[str, str], *, prefix: str = "", depth: int = 0) -> ChangeSetView:
        """names: ChangeSetName and StackName. prefix: the logical ids that lead to a nested stack, with slashes."""
        head: dict[str, Any] = {}
        rows: list[dict[str, Any]] = []
        # With their values, because whether protection goes on or off is not to be seen without.
        asked = {**names, "IncludePropertyValues": True}
        for page in self._reach.pages(self._place, "cloudformation", "describe_change_set", **asked):
            head = head or page
            rows += page.get("Changes") or ()
        settled = str(head["Status"]) == "CREATE_COMPLETE"
        changes = tuple(self._changes(rows, prefix, depth, follow=settled))
        return ChangeSetView(
            name=str(head["ChangeSetName"]),
            arn=self._reach.landed(self._place, str(head["ChangeSetId"])),
            stack_id=self._reach.landed(self._place, str(head["StackId"])),
            status=str(head["Status"]),
            execution=_execution(str(head.get("ExecutionStatus", "UNAVAILABLE"))),
            reason=str(head.get("StatusReason", "")),
            changes=changes,
        )

    def _changes(
        self, rows: list[dict[str, Any]], prefix: str, depth: int, *, follow: bool
    ) -> Iterator[ResourceChange]:
        for row in rows:
            change = _change(row, prefix)
            yield change
            if follow and change.resource_type == _NESTED:
                yield from self._inside(change, depth)

    def _inside(self, change: ResourceChange, depth: int) -> Iterator[ResourceChange]:
        if not change.nested_change_set:
            # A nested stack that is added has nothing to lose; of any other, nothing is known.
            if change.action != "Add":
                yield _unknown(change)
            return
        names = {"ChangeSetName": self._reach.landed(self._place, change.nested_change_set)}
        try:
            if depth >= _DEPTH:
                raise ChangeSetGone(f"nested deeper than {_DEPTH} stacks")
            child = self.read(names, prefix=f"{change.logical_id}/", depth=depth + 1)
        except (ChangeSetGone, AwsRefused):
            yield _unknown(change)
            return
        if child.status != "CREATE_COMPLETE" and not child.is_empty:
            yield _unknown(change)
        yield from child.changes


def _change(row: Mapping[str, Any], prefix: str) -> ResourceChange:
    found = row.get("ResourceChange")
    if row.get("Type", "Resource") != "Resource" or not found:
        return ResourceChange(logical_id=f"{prefix}?", resource_type="", action=UNKNOWN)
    kind = str(found.get("ResourceType", ""))
    return ResourceChange(
        logical_id=prefix + str(found.get("LogicalResourceId", "?")),
        resource_type=kind,
        action=str(found.get("Action", UNKNOWN)),
        replacement=str(found.get("Replacement", "")),
        policy_action=str(found.get("PolicyAction", "")),
        scope=tuple(sorted(str(s) for s in found.get("Scope") or ())),
        physical_id=str(found.get("PhysicalResourceId", "")),
        nested_change_set=str(found.get("ChangeSetId", "")),
        details=tuple(_property(row, kind) for row in found.get("Details") or ()),
    )


def _property(row: Mapping[str, Any], kind: str) -> PropertyChange:
    """Values are kept only of what the guard weighs by its value: any other may be a secret."""
    target = row.get("Target") or {}
    attribute, name = str(target.get("Attribute", "")), str(target.get("Name", ""))
    path = str(target.get("Path", ""))
    if attribute == "Properties" and not name and path.startswith("/Properties/"):
        name = path.split("/")[2]
    weighed = is_weighed(kind, attribute, name)
    return PropertyChange(
        attribute=attribute,
        name=name,
        path=path,
        change=str(target.get("AttributeChangeType", "")),
        recreation=str(target.get("RequiresRecreation", "")),
        evaluation=str(row.get("Evaluation", "")),
        source=str(row.get("ChangeSource", "")),
        before=str(target.get("BeforeValue", "")) if weighed else "",
        after=str(target.get("AfterValue", "")) if weighed else "",
    )


def _unknown(nested: ResourceChange) -> ResourceChange:
    return ResourceChange(logical_id=f"{nested.logical_id}/?", resource_type="", action=UNKNOWN)


def _execution(value: str) -> ExecutionStatus:
    try:
        return ExecutionStatus(value)
    except ValueError:
        raise AwsRefused(
            f"a change set has the execution status {value!r}, which this version does not know",
            state="nothing was executed",
            remedy="install a newer Tidegate",
        ) from None
