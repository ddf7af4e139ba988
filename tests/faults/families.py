"""All families, in the order of their letters."""

from __future__ import annotations

from tests.faults import kills, statuses, transport
from tests.faults.cases import Family

__all__ = ["FAMILIES"]

FAMILIES: tuple[Family, ...] = (
    kills.ONE_KILL,
    kills.TWO_KILLS,
    transport.TRANSPORT,
    statuses.STACK_STATUSES,
    transport.STORES,
    transport.ACCOUNTS,
    statuses.WAYS_BACK,
)
