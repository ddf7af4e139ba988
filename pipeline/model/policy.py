"""Floor 1, policy: how waves are cut, how fast they go, what a failure does. No effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from pipeline.model.judging import JudgePolicy

__all__ = [
    "REST",
    "AlarmsBefore",
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


class AlarmsBefore(StrEnum):
    """What alarms that are in ALARM before a target is touched mean."""

    BLOCK = "block"
    """the target is not deployed to"""
    RECORD = "record"
    """they are written down, and not held against the release while they stay as they were"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFailPolicy:
    service: OnFail = OnFail.ROLLBACK
    canary: OnFail = OnFail.ROLLBACK
    wave: OnFail = OnFail.HOLD


@dataclass(frozen=True, slots=True)
class WaveSize:
    """A count of clients, a percentage of the clients behind the canary, the clients of a ring, or the rest."""

    amount: int
    unit: str
    """`clients`, `%`, `ring` or `rest` (with the last two the amount means nothing)"""
    ring: str = ""

    def __str__(self) -> str:
        if self.unit == "ring":
            return f"ring:{self.ring}"
        return "rest" if self.unit == "rest" else f"{self.amount}{'%' if self.unit == '%' else ''}"


REST = WaveSize(0, "rest")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWavePolicy:
    """Wave 0, the service's own account(s): its own bake."""

    bake: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """Wave 1. min_requests: how many requests of the release must have been seen before it is judged.

    extend: how much longer the bake may get while evidence is short; None means once more its own length.
    """

    clients: int = 3
    bake: timedelta = timedelta(hours=1)
    min_requests: int = 0
    extend: timedelta | None = None

    @property
    def longest_extension(self) -> timedelta:
        return self.bake if self.extend is None else self.extend


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePolicy:
    """approvals: numbers of the waves that start only when somebody has approved them. approval_life: how long
    an approval holds. waiting_deadline: how long a run may wait for a person before it is halted. max_skew: how
    many releases a client may lag before it is told. max_deferral: how long a client's window or freeze may put
    it off. emergency_bake: what a bake is shortened to under an approved emergency."""

    service: ServiceWavePolicy = ServiceWavePolicy()
    canary: CanaryPolicy = CanaryPolicy()
    sizes: tuple[WaveSize, ...] = field(default=(REST,))
    bake: timedelta = timedelta(hours=2)
    tolerance: int = 0
    max_skipped: int = 5
    """More targets than this skipped in one wave fail the wave."""
    max_in_flight: int = 50
    pace: Pace = Pace.WON
    on_fail: OnFailPolicy = OnFailPolicy()
    approvals: tuple[int, ...] = ()
    approval_life: timedelta = timedelta(hours=24)
    waiting_deadline: timedelta = timedelta(days=7)
    alarms_before: AlarmsBefore = AlarmsBefore.BLOCK
    max_skew: int = 3
    max_deferral: timedelta = timedelta(days=14)
    emergency_bake: timedelta = timedelta(minutes=10)
    judge: JudgePolicy = field(default_factory=JudgePolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """What must be true of a target before it is HEALTHY.

    url_output: the stack output that holds the address to call; empty for no HTTP check.
    path: appended to that address. expect: the HTTP status wanted.
    alarms: True when every alarm of the stack must be readable and OK.
    deadline: how long a target may take to become healthy after its stack is complete. A new alarm is in
    INSUFFICIENT_DATA until its first periods are over, so this is minutes rather than seconds.
    smoke: logical id of a Lambda function of the stack that is invoked and must answer well; empty for none.
    """

    url_output: str = ""
    path: str = ""
    expect: int = 200
    alarms: bool = True
    deadline: timedelta = timedelta(minutes=10)
    smoke: str = ""
