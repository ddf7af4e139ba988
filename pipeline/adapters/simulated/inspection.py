"""Room: adapters/simulated. What an account shows before a release comes to it: Regions, drift, alarms, quotas.

Facts: sources as in pipeline/adapters/aws/inspection.py. It stands on the simulated cloud, whose faults strike its
calls as well: `reach`, `begin_drift`, `drift`, `inspect_alarms` and `room`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.formation import Formation
from pipeline.errors import RegionOff, RequestRefused
from pipeline.model.ids import AccountId
from pipeline.model.inspection import (
    AlarmSeen,
    DetectionPart,
    DriftDetection,
    DriftStatus,
    ResourceDrift,
    Room,
)
from pipeline.model.stack import StackStatus
from pipeline.ports import Place

__all__ = ["SimulatedInspection"]

_DETECTABLE = frozenset(
    {
        StackStatus.CREATE_COMPLETE,
        StackStatus.UPDATE_COMPLETE,
        StackStatus.UPDATE_ROLLBACK_COMPLETE,
        StackStatus.UPDATE_ROLLBACK_FAILED,
    }
)
"""User Guide, "Detect unmanaged configuration changes to stacks and resources"."""
_STACKS = 2000
"""per account and Region. (User Guide, "Understand CloudFormation quotas".)"""


class SimulatedInspection:
    """ports.Inspection. detection: how long DetectStackDrift takes; "up to several minutes" (API reference)."""

    def __init__(self, cloud: SimulatedCloud, detection: timedelta = timedelta(seconds=20)) -> None:
        self._cloud = cloud
        self._detection = detection
        self._off: dict[Place, str] = {}
        self._limits: dict[AccountId, tuple[int, int]] = {}
        self._drifts: dict[tuple[Place, str], dict[str, ResourceDrift]] = {}
        self._alarms: dict[tuple[Place, str], dict[str, str]] = {}
        self._begun: dict[str, datetime] = {}

    # --- the script ----------------------------------------------------------------------------

    def region_off(self, place: Place, status: str = "DISABLED") -> None:
        """The account has not enabled the Region (RegionOptStatus)."""
        self._off[place] = status

    def stacks(self, account: AccountId, others: int, limit: int = _STACKS) -> None:
        """So many stacks that are none of ours stand in each Region of the account."""
        self._limits[account] = (others, limit)

    def by_hand(self, place: Place, stack: str, drift: ResourceDrift) -> None:
        """Somebody has changed or deleted a resource without CloudFormation; or it cannot be compared."""
        self._drifts.setdefault((place, stack), {})[drift.logical_id] = drift

    def alarm(self, place: Place, stack: str, name: str, state: str) -> None:
        """state: as CloudWatch's StateValue; empty for an alarm that somebody has deleted."""
        self._alarms.setdefault((place, stack), {})[name] = state

    # --- the port ------------------------------------------------------------------------------

    def reach(self, place: Place) -> None:
        def effect(_: Formation) -> None:
            status = self._off.get(place, "")
            if status:
                raise RegionOff(f"the Region {place.region} is {status} in account {place.account}")

        self._cloud.call("reach", place, effect)

    def begin_drift(self, place: Place, stack: str, logical_ids: Sequence[str]) -> DriftDetection:
        wanted = tuple(sorted(set(logical_ids)))

        def effect(formation: Formation) -> DriftDetection:
            found = formation.describe(stack)
            if found is None or found.status not in _DETECTABLE:
                raise RequestRefused(f"ValidationError: drift of {stack} cannot be detected now")
            begun = f"detection-{len(self._begun) + 1}"
            self._begun[begun] = self._cloud.clock.now()
            part = DetectionPart(stack=stack, prefix="", id=begun, logical_ids=wanted)
            return DriftDetection(parts=(part,))

        return self._cloud.call("begin_drift", place, effect)

    def drift(self, place: Place, detection: DriftDetection) -> tuple[ResourceDrift, ...] | None:
        def effect(_: Formation) -> tuple[ResourceDrift, ...] | None:
            found: list[ResourceDrift] = []
            for part in detection.parts:
                if self._cloud.clock.now() - self._begun[part.id] < self._detection:
                    return None
                known = self._drifts.get((place, part.stack), {})
                same = (ResourceDrift(logical_id=n, status=DriftStatus.IN_SYNC) for n in part.logical_ids)
                found += [known.get(drift.logical_id, drift) for drift in same]
            return tuple(sorted(found))

        return self._cloud.call("drift", place, effect)

    def alarms(self, place: Place, stack: str) -> tuple[AlarmSeen, ...]:
        def effect(formation: Formation) -> tuple[AlarmSeen, ...]:
            found = formation.find(stack)
            seen = dict(self._alarms.get((place, stack), {}))
            broken = frozenset[str]() if found is None else self._cloud.broken_now(place, found)
            if "alarm" in broken:
                seen[f"{stack}-errors"] = "ALARM"
            elif "no data" in broken:
                seen[f"{stack}-errors"] = "INSUFFICIENT_DATA"
            return tuple(sorted(AlarmSeen(name=name, state=state) for name, state in seen.items()))

        return self._cloud.call("inspect_alarms", place, effect)

    def room(self, place: Place) -> Room:
        def effect(formation: Formation) -> Room:
            others, limit = self._limits.get(place.account, (0, _STACKS))
            return Room(stacks=others + len(formation.standing()), limit=limit)

        return self._cloud.call("room", place, effect)
