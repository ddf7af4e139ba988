"""Floor 2, ports: what is looked at in an account before a release comes to it. Nothing is changed. No code here.

Stacks and their change sets are looked at through `Stacks`, artifacts through `Artifacts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pipeline.model.inspection import AlarmSeen, DriftDetection, ResourceDrift, Room
from pipeline.ports.cloud import Place

__all__ = ["Inspection"]


class Inspection(Protocol):
    """Reads one account and Region. AccountUnusable: the role does not open, or the account is closed."""

    def reach(self, place: Place) -> None:
        """Nothing, where the deploying role opens, AWS names the planned account, and the Region answers.

        RegionOff where the account has not enabled the Region. WrongAccount.
        """
        ...

    def begin_drift(self, place: Place, stack: str, logical_ids: Sequence[str]) -> DriftDetection:
        """Have AWS compare these resources with their template. Asynchronous: ask `drift` for the answer.

        logical_ids: with slashes for those of nested stacks. RequestRefused where AWS does not begin.
        """
        ...

    def drift(self, place: Place, detection: DriftDetection) -> tuple[ResourceDrift, ...] | None:
        """None while it is under way. Then one answer for each resource that was asked for, sorted by logical id:
        NOT_CHECKED where its type cannot be compared, UNKNOWN where it could not be."""
        ...

    def alarms(self, place: Place, stack: str) -> tuple[AlarmSeen, ...]:
        """Every metric and composite alarm of the stack and of its nested ones, sorted by name."""
        ...

    def room(self, place: Place) -> Room:
        """How many stacks there are and may be: the quota as AWS gives it for this account, never assumed."""
        ...
