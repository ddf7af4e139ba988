"""Floor 3, adapters: the Alarms port over CloudWatch. What cannot be read is never reported as healthy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.adapters.aws.reach import IdentityOf, Reach
from pipeline.adapters.aws.resources import StackResources
from pipeline.adapters.aws.session import Aws
from pipeline.ports import HealthReading, Place

__all__ = ["CloudWatchAlarms"]

_TYPES = frozenset({"AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"})
_NAMES_PER_CALL = 100
"""DescribeAlarms: AlarmNames holds at most 100 (API reference)."""
_LIST_MAX_AGE = 30.0
"""seconds; the list of alarms, never their states, may come from the verification just before"""


class CloudWatchAlarms:
    """Alarms of a stack and of its nested stacks.

    resources: shared with CloudFormationStacks, so that one ListStackResources serves both.
    """

    def __init__(self, aws: Aws, identity_of: IdentityOf, resources: StackResources | None = None) -> None:
        self._reach = Reach(aws, identity_of)
        self._resources = resources or StackResources(self._reach)

    def read(self, place: Place, stack: str, ignored: Sequence[str] = ()) -> HealthReading:
        """See pipeline.ports.Alarms."""
        names, states, unmade = self._look(place, stack)
        return _reading([name for name in names if name not in ignored], states, unmade)

    def states(self, place: Place, stack: str) -> Mapping[str, str]:
        """See pipeline.ports.Alarms."""
        names, states, unmade = self._look(place, stack)
        return {name: states.get(name, "") for name in names} | dict.fromkeys(unmade, "")

    def _look(self, place: Place, stack: str) -> tuple[list[str], Mapping[str, str], list[str]]:
        """Names, states by name, and logical ids of alarms that CloudFormation has not made."""
        names, unmade = self._names(place, stack, _LIST_MAX_AGE)
        states = self._states(place, names)
        if not states.keys() >= set(names):
            # An alarm may have been replaced since the list was made: once more with a new list.
            names, unmade = self._names(place, stack, 0.0)
            states = self._states(place, names)
        return names, states, unmade

    def _names(self, place: Place, stack: str, max_age: float) -> tuple[list[str], list[str]]:
        """Alarm names, and logical ids of alarms that CloudFormation has not made."""
        rows = self._resources.read_all(place, stack, max_age=max_age)
        wanted = [row for row in rows if row.type in _TYPES]
        names = sorted({row.physical_id for row in wanted if row.physical_id})
        return names, sorted(row.logical_id for row in wanted if not row.physical_id)

    def _states(self, place: Place, names: Sequence[str]) -> Mapping[str, str]:
        """Alarm name to StateValue; a name that AWS does not know is missing."""
        states: dict[str, str] = {}
        for start in range(0, len(names), _NAMES_PER_CALL):
            pages = self._reach.pages(
                place,
                "cloudwatch",
                "describe_alarms",
                AlarmNames=names[start : start + _NAMES_PER_CALL],
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            )
            for page in pages:
                alarms: list[dict[str, Any]] = [
                    *page.get("MetricAlarms", ()),
                    *page.get("CompositeAlarms", ()),
                ]
                for alarm in alarms:
                    self._reach.landed(place, str(alarm.get("AlarmArn", "")))
                    states[str(alarm["AlarmName"])] = str(alarm.get("StateValue", ""))
        return states


def _reading(names: Sequence[str], states: Mapping[str, str], unmade: Sequence[str]) -> HealthReading:
    ringing = [name for name in names if states.get(name) == "ALARM"]
    if ringing:
        return HealthReading(healthy=False, readable=True, reason=f"in ALARM: {', '.join(ringing)}")
    dark = [f"{name} is {states.get(name) or 'not there'}" for name in names if states.get(name) != "OK"]
    dark += [f"{logical_id} has not been made" for logical_id in unmade]
    if dark:
        return HealthReading(healthy=False, readable=False, reason=f"no alarm state: {', '.join(dark)}")
    return HealthReading(
        healthy=True, readable=True, reason=f"{len(names)} alarms are OK" if names else "no alarms"
    )
