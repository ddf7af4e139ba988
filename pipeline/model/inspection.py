"""Floor 1, what a look at an account before a release has found: drift, alarms, room for stacks. No effects.

Source: CloudFormation API reference (StackResourceDrift, DescribeStackDriftDetectionStatus, AccountLimit);
CloudWatch API reference (DescribeAlarms, StateValue).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "CHANGED_BY_HAND",
    "AlarmSeen",
    "DetectionPart",
    "DriftDetection",
    "DriftStatus",
    "ResourceDrift",
    "Room",
]


class DriftStatus(StrEnum):
    """Every value of botocore's StackResourceDriftStatus; a test compares the two."""

    IN_SYNC = "IN_SYNC"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    NOT_CHECKED = "NOT_CHECKED"
    """its type does not support drift detection: nothing is known, and nothing ever will be"""
    UNKNOWN = "UNKNOWN"
    """it was asked for and could not be found out, as where the asking role may not read the resource"""
    UNSUPPORTED = "UNSUPPORTED"


CHANGED_BY_HAND = frozenset({DriftStatus.MODIFIED, DriftStatus.DELETED})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ResourceDrift:
    """logical_id: with slashes where it is in a nested stack. properties: paths of what differs, no values: an
    actual value may be a secret. reason: AWS's DriftStatusReason."""

    logical_id: str
    resource_type: str = ""
    status: DriftStatus
    properties: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionPart:
    """One DetectStackDrift operation. prefix: the logical ids that lead to a nested stack, with slashes."""

    stack: str
    prefix: str
    id: str
    logical_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetection:
    """What was started, to ask for later. missing: resources for which nothing could be started."""

    parts: tuple[DetectionPart, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AlarmSeen:
    """state: OK, ALARM or INSUFFICIENT_DATA; empty where the stack lists the alarm and CloudWatch has none."""

    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Stacks of one account and Region, those in REVIEW_IN_PROGRESS too, and how many there may be."""

    stacks: int
    limit: int
