"""All families, in the order of their letters.

Not here: N (files that people write: tests/config, tests/cli), Q (real processes: tests/acceptance), R and T (test
accounts), U (scripts/bench).
"""

from __future__ import annotations

from tests.faults import (
    damage,
    destructive,
    judging,
    kills,
    machine,
    moments,
    replays,
    rivals,
    statuses,
    transport,
)
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
    damage.JOURNALS,
    damage.ARTIFACTS,
    moments.ALARMS,
    transport.ACCOUNTS,
    destructive.DESTRUCTIVE,
    statuses.WAYS_BACK,
    machine.MACHINE,
    replays.REPLAYS,
    judging.JUDGE,
)
