"""All families, in the order of their letters."""

from __future__ import annotations

from tests.faults import destructive, kills, moments, rivals, statuses, transport
from tests.faults.cases import Family

__all__ = ["FAMILIES"]

FAMILIES: tuple[Family, ...] = (
    kills.ONE_KILL,
    kills.TWO_KILLS,
    transport.TRANSPORT,
    statuses.STACK_STATUSES,
    rivals.RIVALS,
    moments.CLOCKS,
    transport.STORES,
    moments.ALARMS,
    transport.ACCOUNTS,
    destructive.DESTRUCTIVE,
    statuses.WAYS_BACK,
)
