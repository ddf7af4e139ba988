"""Floor 3, adapters: the Inspection port. It reads and starts comparisons; it must never change anything, nor wait.

Facts: GetCallerIdentity needs no permission and cannot be denied (STS API reference), and a Region that an account
has not enabled refuses its tokens there, so one call proves role, account and Region. CloudFormation compares
resources with the asking role's own right to read them (User Guide, "Considerations when detecting drift"), which
is why the observing role may read the configuration, never the data, of what services are made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.reach import IdentityOf, Reach
from pipeline.adapters.aws.resources import StackResources
from pipeline.adapters.aws.session import Aws
from pipeline.errors import AccountUnusable, RegionOff, ReleaseError, WrongAccount
from pipeline.model.inspection import (
    AlarmSeen,
    DetectionPart,
    DriftDetection,
    DriftStatus,
    ResourceDrift,
    Room,
)
from pipeline.ports import Place

__all__ = ["AwsInspection"]

_CFN = "cloudformation"
_ALARMS = frozenset({"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"})
_NAMES_PER_CALL = 100
"""DescribeAlarms: AlarmNames holds at most 100 (API reference)."""
_IDS_PER_CALL = 200
"""DetectStackDrift: LogicalResourceIds holds at most 200 (API reference)."""
_ON = frozenset({"ENABLED", "ENABLED_BY_DEFAULT"})
_STANDING = (
    "CREATE_IN_PROGRESS",
    "CREATE_FAILED",
    "CREATE_COMPLETE",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_FAILED",
    "ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS",
    "DELETE_FAILED",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
    "IMPORT_IN_PROGRESS",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_IN_PROGRESS",
    "IMPORT_ROLLBACK_FAILED",
    "IMPORT_ROLLBACK_COMPLETE",
)
"""All but DELETE_COMPLETE, which is listed for 90 days and counts for nothing; a test compares it with botocore."""
_STACK_LIMIT = "StackLimit"
_REGION_OF_ACCOUNTS = "us-east-1"
"""Account Management has its endpoint there. (General Reference, "AWS Account Management endpoints".)"""


class AwsInspection:
    """deploy: the role that will deploy. observe: the one that reads; drift, alarms and quotas are its business.

    resources: shared with CloudFormationStacks and CloudWatchAlarms of the same observing role, or of its own.
    """

    def __init__(
        self,
        aws: Aws,
        deploy: IdentityOf,
        observe: IdentityOf,
        resources: StackResources | None = None,
    ) -> None:
        self._deploy = Reach(aws, deploy)
        self._observe = Reach(aws, observe)
        self._resources = resources or StackResources(self._observe)

    def reach(self, place: Place) -> None:
        """See pipeline.ports.Inspection."""
        try:
            answer = self._deploy.call(place, "sts", "get_caller_identity")
        except AccountUnusable as fault:
            status = self._region_status(place)
            if status and status not in _ON:
                raise _region_off(place, status) from fault
            raise
        if str(answer["Account"]) != place.account:
            raise WrongAccount(
                f"the role for account {place.account} acts in account {answer['Account']}",
                state="nothing was done with it",
                remedy="check the account's row in the registry and the endpoint this machine talks to",
            )

    def begin_drift(self, place: Place, stack: str, logical_ids: Sequence[str]) -> DriftDetection:
        parts: list[DetectionPart] = []
        missing: list[str] = []
        for prefix, names in _by_prefix(logical_ids).items():
            inner = self._nested(place, stack, prefix)
            if inner is None:
                missing += [f"{prefix}{name}" for name in names]
                continue
            for start in range(0, len(names), _IDS_PER_CALL):
                portion = names[start : start + _IDS_PER_CALL]
                answer = self._observe.call(
                    place, _CFN, "detect_stack_drift", StackName=inner, LogicalResourceIds=list(portion)
                )
                begun = str(answer["StackDriftDetectionId"])
                parts.append(DetectionPart(stack=inner, prefix=prefix, id=begun, logical_ids=portion))
        return DriftDetection(parts=tuple(parts), missing=tuple(sorted(missing)))

    def drift(self, place: Place, detection: DriftDetection) -> tuple[ResourceDrift, ...] | None:
        found = [ResourceDrift(logical_id=name, status=DriftStatus.UNKNOWN) for name in detection.missing]
        for part in detection.parts:
            answer = self._observe.call(
                place, _CFN, "describe_stack_drift_detection_status", StackDriftDetectionId=part.id
            )
            self._observe.landed(place, str(answer["StackId"]))
            if answer["DetectionStatus"] == "DETECTION_IN_PROGRESS":
                return None
            found += self._answers(place, part, answer)
        return tuple(sorted(found))

    def alarms(self, place: Place, stack: str) -> tuple[AlarmSeen, ...]:
        rows = self._resources.read_all(place, stack)
        names = sorted({row.physical_id for row in rows if row.type in _ALARMS and row.physical_id})
        states = dict(self._states(place, names))
        unmade = [row.logical_id for row in rows if row.type in _ALARMS and not row.physical_id]
        seen = [AlarmSeen(name=name, state=states.get(name, "")) for name in names]
        return tuple(sorted([*seen, *(AlarmSeen(name=name, state="") for name in unmade)]))

    def room(self, place: Place) -> Room:
        limits = {
            str(limit["Name"]): int(limit["Value"])
            for page in self._observe.pages(place, _CFN, "describe_account_limits")
            for limit in page.get("AccountLimits", ())
        }
        if _STACK_LIMIT not in limits:
            raise AwsRefused(f"AWS names no {_STACK_LIMIT} for account {place.account} in {place.region}")
        standing = sum(
            len(page.get("StackSummaries", ()))
            for page in self._observe.pages(place, _CFN, "list_stacks", StackStatusFilter=list(_STANDING))
        )
        return Room(stacks=standing, limit=limits[_STACK_LIMIT])

    # --- parts ---------------------------------------------------------------------------------

    def _region_status(self, place: Place) -> str:
        """RegionOptStatus, asked where the account has answered always; empty where nobody can tell."""
        home = Place(place.account, _REGION_OF_ACCOUNTS)
        try:
            answer = self._observe.call(home, "account", "get_region_opt_status", RegionName=place.region)
        except ReleaseError:
            return ""  # the account cannot be entered anywhere: the first refusal stands
        return str(answer.get("RegionOptStatus", ""))

    def _nested(self, place: Place, stack: str, prefix: str) -> str | None:
        """The nested stack that these logical ids lead to; None where it is not there."""
        for step in prefix.split("/")[:-1]:
            rows = self._resources.read(place, stack, max_age=30.0)
            found = next((row.physical_id for row in rows if row.logical_id == step), "")
            if not found:
                return None
            stack = self._observe.landed(place, found)
        return stack

    def _answers(
        self, place: Place, part: DetectionPart, answer: Mapping[str, Any]
    ) -> Iterator[ResourceDrift]:
        """One for each resource of the part. Answers older than this detection are those of another."""
        rows = {
            str(row["LogicalResourceId"]): row
            for row in self._compared(place, part.stack)
            if row["Timestamp"] >= answer["Timestamp"]
        }
        failed = answer["DetectionStatus"] != "DETECTION_COMPLETE"
        for name in part.logical_ids:
            row = rows.get(name)
            if row is not None:
                yield _drift_of(row, part.prefix)
            else:
                # AWS leaves out what it cannot compare; after a failure nobody knows which it was.
                status = DriftStatus.UNKNOWN if failed else DriftStatus.NOT_CHECKED
                reason = str(answer.get("DetectionStatusReason", "")) if failed else ""
                yield ResourceDrift(logical_id=part.prefix + name, status=status, reason=reason)

    def _compared(self, place: Place, stack: str) -> Iterator[Mapping[str, Any]]:
        """Every page of DescribeStackResourceDrifts, for which botocore has no paginator."""
        more: dict[str, str] = {}
        while True:
            answer = self._observe.call(
                place, _CFN, "describe_stack_resource_drifts", StackName=stack, MaxResults=100, **more
            )
            yield from answer.get("StackResourceDrifts", ())
            if not answer.get("NextToken"):
                return
            more = {"NextToken": str(answer["NextToken"])}

    def _states(self, place: Place, names: Sequence[str]) -> Iterator[tuple[str, str]]:
        for start in range(0, len(names), _NAMES_PER_CALL):
            pages = self._observe.pages(
                place,
                "cloudwatch",
                "describe_alarms",
                AlarmNames=names[start : start + _NAMES_PER_CALL],
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            )
            for page in pages:
                for alarm in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())):
                    self._observe.landed(place, str(alarm.get("AlarmArn", "")))
                    yield str(alarm["AlarmName"]), str(alarm.get("StateValue", ""))


def _by_prefix(logical_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`Outer/Inner` is `Inner` in the nested stack `Outer`; sorted, so that every run asks alike."""
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(set(logical_ids)):
        head, slash, tail = name.rpartition("/")
        found[head + slash] = (*found.get(head + slash, ()), tail)
    return found


def _drift_of(row: Mapping[str, Any], prefix: str) -> ResourceDrift:
    try:
        status = DriftStatus(str(row["StackResourceDriftStatus"]))
    except ValueError:
        status = DriftStatus.UNKNOWN
    paths = {str(difference["PropertyPath"]) for difference in row.get("PropertyDifferences") or ()}
    return ResourceDrift(
        logical_id=prefix + str(row["LogicalResourceId"]),
        resource_type=str(row.get("ResourceType", "")),
        status=status,
        properties=tuple(sorted(paths)),
        reason=str(row.get("DriftStatusReason", "")),
    )


def _region_off(place: Place, status: str) -> RegionOff:
    return RegionOff(
        f"the Region {place.region} is {status} in account {place.account}",
        state="nothing in this account was touched",
        remedy=f"enable {place.region} in that account, or take it out of the client's regions in fleet.toml",
    )
