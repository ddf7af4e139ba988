"""Floor 1, policy: how waves are cut, how fast they go, what a failure does. No effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

__all__ = [
    "REST",
    "CanaryPolicy",
    "HealthPolicy",
    "OnFail",
    "OnFailPolicy",
    "Pace",
    "ServiceWavePolicy",
    "WavePolicy",
    "WaveSize",
]


class Pace(StrEnum):
    """How many targets of a wave may be in flight (DESIGN rule 1: never bet more than has been won)."""

    WON = "won"
    """in flight <= min(max_in_flight, max(1, targets healthy on this release so far))"""
    STRICT = "strict"
    """failed + in flight <= tolerance + 1, the rule of StackSets' STRICT_FAILURE_TOLERANCE"""
    FULL = "full"
    """in flight <= max_in_flight"""


class OnFail(StrEnum):
    ROLLBACK = "rollback"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFailPolicy:
    service: OnFail = OnFail.ROLLBACK
    canary: OnFail = OnFail.ROLLBACK
    wave: OnFail = OnFail.HOLD


@dataclass(frozen=True, slots=True)
class WaveSize:
    """A count of clients, a percentage of the clients behind the canary, or the rest."""

    amount: int
    unit: str
    """`clients`, `%` or `rest` (the amount then means nothing)"""

    def __str__(self) -> str:
        return "rest" if self.unit == "rest" else f"{self.amount}{'%' if self.unit == '%' else ''}"


REST = WaveSize(0, "rest")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWavePolicy:
    """Wave 0, the service's own account(s): its own bake."""

    bake: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """Wave 1. `min_requests` is kept in the plan; judging by statistics reads it."""

    clients: int = 1
    bake: timedelta = timedelta(hours=1)
    min_requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePolicy:
    service: ServiceWavePolicy = ServiceWavePolicy()
    canary: CanaryPolicy = CanaryPolicy()
    sizes: tuple[WaveSize, ...] = field(default=(REST,))
    bake: timedelta = timedelta(hours=2)
    tolerance: int = 0
    max_skipped: int = 1_000_000
    """More targets than this skipped in one wave fail the wave."""
    max_in_flight: int = 50
    pace: Pace = Pace.WON
    on_fail: OnFailPolicy = OnFailPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """What must be true of a target before it is HEALTHY.

    url_output: the stack output that holds the address to call; empty for no HTTP check.
    path: appended to that address. expect: the HTTP status wanted.
    alarms: True when every alarm of the stack must be readable and OK.
    deadline: how long a target may take to become healthy after its stack is complete. A new alarm is in
    INSUFFICIENT_DATA until its first periods are over, so this is minutes rather than seconds.
    """

    url_output: str = ""
    path: str = ""
    expect: int = 200
    alarms: bool = True
    deadline: timedelta = timedelta(minutes=10)
