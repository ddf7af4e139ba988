"""Floor 1, the events of a release's stream, in the past tense. No effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from pipeline.model.ids import Digest, TargetId
from pipeline.model.release import Evidence
from pipeline.model.target_event import Verdict

__all__ = [
    "ApprovalGiven",
    "BakeExtended",
    "FollowUpScheduled",
    "Gate",
    "HeadsSigned",
    "Lane",
    "LaneAsked",
    "Outcome",
    "PassedOver",
    "PlanFixed",
    "PreflightDone",
    "ReleaseBuilt",
    "ReleaseEvent",
    "ReleaseTested",
    "RetryOrdered",
    "RollbackOrdered",
    "RunEnded",
    "RunHalted",
    "RunPaused",
    "RunResumed",
    "SignedHead",
    "TargetsClaimed",
    "TargetsDeferred",
    "WaveBaking",
    "WaveDecided",
    "WaveFailed",
    "WaveGated",
    "WaveInconclusive",
    "WaveJudged",
    "WaveJudging",
    "WavePassed",
    "WaveRolledBack",
    "WaveStarted",
]


class Gate(StrEnum):
    """What a wave waits for before it starts."""

    APPROVAL = "approval"
    WINDOW = "window"
    """maintenance windows and freezes of its clients"""


class Lane(StrEnum):
    """How a promotion may be hurried; neither skips integrity, guard, fence, canary or pace."""

    FULL = "full"
    """what is left of bakes and judging is skipped"""
    EMERGENCY = "emergency"
    """bakes are cut short"""


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
class PassedOver:
    """A target that this run leaves alone, for a fault of its account that the release cannot mend."""

    target: TargetId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightDone:
    """Every account was looked at before the first wave. notes: what was found and is no reason to stop."""

    passed_over: tuple[PassedOver, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveGated:
    """The wave may not start yet. until: when the gate opens by itself; None where a person opens it.

    deadline: the run is halted at this instant if the gate is still shut.
    """

    wave: int
    gate: Gate
    reason: str
    deadline: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStarted:
    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsClaimed:
    """Appended on condition that nobody else appended first: this is the one counter that keeps the pace."""

    wave: int
    targets: tuple[TargetId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsDeferred:
    """Clients that may not be changed now go with a later wave; the wave does not wait for them."""

    wave: int
    to: int
    targets: tuple[TargetId, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveBaking:
    wave: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeExtended:
    """There is too little evidence to judge by: the bake goes on until then, and not for ever."""

    wave: int
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveJudging:
    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveJudged:
    """One registered look of the judge. evidence: the stored inputs and numbers, an artifact."""

    wave: int
    look: int
    verdict: Verdict
    reason: str
    evidence: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveInconclusive:
    """Neither good nor bad can be shown; a person decides. evidence: what that person is shown."""

    wave: int
    reason: str
    deadline: datetime
    evidence: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveDecided:
    """A person has let an inconclusive wave pass: this wave, this once."""

    wave: int
    reason: str
    evidence: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePassed:
    """hurried: without its whole bake, because somebody was allowed to; good nowhere before the follow-up."""

    wave: int
    hurried: bool = False


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
class RunPaused:
    """Nothing more is started; what is in flight goes on. deadline: then it is halted."""

    reason: str
    by: str
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOrdered:
    """These failed or unknown targets are tried again with the same digest: as if they had not been claimed."""

    targets: tuple[TargetId, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneAsked:
    """Somebody wants to hurry; it takes effect when somebody else approves. skips: what is left out, one each."""

    lane: Lane
    reason: str
    skips: tuple[str, ...]
    ticket: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven:
    """subject: `wave:2` (the number people count) or `lane:full`. by: the identity that AWS or GitHub vouches for."""

    subject: str
    plan: Digest
    by: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpScheduled:
    """What a hurried release owes: a last look at every target then, before it counts as good anywhere."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    stream: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsSigned:
    """Where every stream of the plan stood, signed with the journal key: nothing before it can be cut off unseen.

    signature: base64 of the DER that KMS returned, over the sha256 of the heads' canonical JSON.
    """

    heads: tuple[SignedHead, ...]
    key: str
    signature: str


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
    | PreflightDone
    | WaveGated
    | WaveStarted
    | TargetsClaimed
    | TargetsDeferred
    | WaveBaking
    | BakeExtended
    | WaveJudging
    | WaveJudged
    | WaveInconclusive
    | WaveDecided
    | WavePassed
    | WaveFailed
    | RunHalted
    | RunPaused
    | RunResumed
    | RetryOrdered
    | LaneAsked
    | ApprovalGiven
    | FollowUpScheduled
    | HeadsSigned
    | RollbackOrdered
    | WaveRolledBack
    | RunEnded
)
