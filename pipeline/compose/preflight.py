"""Floor 4, composition: what the look at every account before a release needs. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.model.event import Envelope
from stages.preflight import PreflightPorts

if TYPE_CHECKING:
    from pipeline.compose.house import House

__all__ = ["preflight_ports"]


def preflight_ports(
    house: House, heard: Callable[[Envelope], None] = lambda _entry: None, via: str = "TidegatePromote"
) -> PreflightPorts:
    """Stacks as the role that will deploy; drift, alarms and quotas as the one that observes."""
    from pipeline.adapters.aws.inspection import AwsInspection

    acting = house.role(via)
    inspection = AwsInspection(
        house.aws,
        house.identity_in("TidegateDeploy", acting),
        house.identity_in("TidegateObserve", acting),
    )
    return PreflightPorts(
        clock=house.clock,
        journal=house.store.journal,
        stacks=house.stacks_and_alarms("TidegateDeploy", via)[0],
        inspection=inspection,
        artifacts=house.artifacts(via),
        heard=heard,
    )
