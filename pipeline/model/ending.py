"""Floor 1, how a run of the engine ended. No effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Ending", "EndingKind"]


class EndingKind(StrEnum):
    SUCCEEDED = "succeeded"
    BAKING = "baking"
    """nothing to do before `until`; run the same command again"""
    WAITING = "waiting"
    """everything that is left waits for its window, until `until` at the earliest"""
    WAVE_PASSED = "wave_passed"
    """as far as was asked for"""
    AWAITING_APPROVAL = "awaiting_approval"
    """until `until`; then it is halted"""
    PAUSED = "paused"
    """a person must decide, until `until`; then it is halted"""
    HALTED = "halted"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_INCOMPLETE = "rollback_incomplete"
    SUPERSEDED = "superseded"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    kind: EndingKind
    reason: str = ""
    until: datetime | None = None
