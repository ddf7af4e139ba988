"""Floor 1, the events of a release's stream, in the past tense. No effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from pipeline.model.ids import Digest, TargetId
from pipeline.model.release import Evidence

__all__ = [
    "Outcome",
    "PlanFixed",
    "ReleaseBuilt",
    "ReleaseEvent",
    "ReleaseTested",
    "RollbackOrdered",
    "RunEnded",
    "RunHalted",
    "RunResumed",
    "TargetsClaimed",
    "WaveBaking",
    "WaveFailed",
    "WaveJudging",
    "WavePassed",
    "WaveRolledBack",
    "WaveStarted",
]


class Outcome(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseBuilt:
    digest: Digest
    manifest: Digest
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTested:
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFixed:
    """A run begins. After this nothing reads configuration again."""

    plan: Digest
    waves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStarted:
    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsClaimed:
    """Appended on condition that nobody else appended first: this is the one counter that keeps the pace."""

    wave: int
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveBaking:
    wave: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveJudging:
    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePassed:
    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveFailed:
    wave: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHalted:
    reason: str
    by: str
    """`tidegate` where it halted by itself, else the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """forgiven: targets whose failure a person has accepted; they count against no tolerance any more."""

    reason: str
    forgiven: tuple[TargetId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackOrdered:
    """waves: which waves go back. targets: when not empty, only these of them."""

    waves: tuple[int, ...]
    reason: str
    by: str
    targets: tuple[TargetId, ...] = ()
    recall: bool = False
    """True for `--all`: the release is good nowhere any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRolledBack:
    wave: int
    incomplete: tuple[TargetId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    outcome: Outcome


ReleaseEvent: TypeAlias = (
    ReleaseBuilt
    | ReleaseTested
    | PlanFixed
    | WaveStarted
    | TargetsClaimed
    | WaveBaking
    | WaveJudging
    | WavePassed
    | WaveFailed
    | RunHalted
    | RunResumed
    | RollbackOrdered
    | WaveRolledBack
    | RunEnded
)
