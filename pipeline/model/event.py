"""Floor 1, events: everything that can be said in the journal, in the past tense. No effects.

Two kinds of stream: `release/intake@1.4.0`, and `target/intake/acme/us-east-1`, which lives as long as the target
does, over many releases. Intents end in `Intended`: they are written before the call; what came of the call is
written after it. The JSON of an event carries its class name as `type`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, get_args

from pipeline.model.canonical import Json, canonical, sha256_hex
from pipeline.model.codec import decode, sparse_json, to_json
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.release_event import (
    ApprovalGiven,
    BakeExtended,
    FollowUpScheduled,
    Gate,
    HeadsSigned,
    Lane,
    LaneAsked,
    Outcome,
    PassedOver,
    PlanFixed,
    PreflightDone,
    ReleaseBuilt,
    ReleaseEvent,
    ReleaseTested,
    RetryOrdered,
    RollbackOrdered,
    RunEnded,
    RunHalted,
    RunPaused,
    RunResumed,
    SignedHead,
    TargetsClaimed,
    TargetsDeferred,
    WaveBaking,
    WaveDecided,
    WaveFailed,
    WaveGated,
    WaveInconclusive,
    WaveJudged,
    WaveJudging,
    WavePassed,
    WaveRolledBack,
    WaveStarted,
)
from pipeline.model.target_event import (
    AlarmsBefore,
    ChangeSetAbandoned,
    ChangeSetEmpty,
    ChangeSetInspected,
    ChangeSetIntended,
    ChangeSetMade,
    ContinueAbandoned,
    ContinueIntended,
    ContinueStarted,
    Direction,
    ExecutionAbandoned,
    ExecutionIntended,
    ExecutionStarted,
    Fault,
    Orphan,
    OrphansApart,
    OrphansLeft,
    OrphansTaken,
    RollbackClaimed,
    RollbackFailed,
    SkipsChosen,
    StackContinued,
    StackImported,
    StackSettled,
    StackStuck,
    TargetClaimed,
    TargetCleared,
    TargetEnd,
    TargetEvent,
    TargetFailed,
    TargetGood,
    TargetHealthy,
    TargetJudged,
    TargetObserved,
    TargetProtected,
    TargetQuarantined,
    TargetRecalled,
    TargetReleased,
    TargetRetried,
    TargetRolledBack,
    TargetSkipped,
    TargetStep,
    TargetTakenOver,
    TargetUnknown,
    TargetUnprotected,
    TargetVerified,
    Verdict,
)

__all__ = [
    "GENESIS",
    "AlarmsBefore",
    "ApprovalGiven",
    "BakeExtended",
    "ChangeSetAbandoned",
    "ChangeSetEmpty",
    "ChangeSetInspected",
    "ChangeSetIntended",
    "ChangeSetMade",
    "ContinueAbandoned",
    "ContinueIntended",
    "ContinueStarted",
    "Direction",
    "Envelope",
    "Event",
    "ExecutionAbandoned",
    "ExecutionIntended",
    "ExecutionStarted",
    "Fault",
    "FollowUpScheduled",
    "Gate",
    "HeadsSigned",
    "Lane",
    "LaneAsked",
    "Orphan",
    "OrphansApart",
    "OrphansLeft",
    "OrphansTaken",
    "Outcome",
    "PassedOver",
    "PlanFixed",
    "PreflightDone",
    "ReleaseBuilt",
    "ReleaseEvent",
    "ReleaseTested",
    "RetryOrdered",
    "RollbackClaimed",
    "RollbackFailed",
    "RollbackOrdered",
    "RunEnded",
    "RunHalted",
    "RunPaused",
    "RunResumed",
    "SignedHead",
    "SkipsChosen",
    "StackContinued",
    "StackImported",
    "StackSettled",
    "StackStuck",
    "TargetClaimed",
    "TargetCleared",
    "TargetEnd",
    "TargetEvent",
    "TargetFailed",
    "TargetGood",
    "TargetHealthy",
    "TargetJudged",
    "TargetObserved",
    "TargetProtected",
    "TargetQuarantined",
    "TargetRecalled",
    "TargetReleased",
    "TargetRetried",
    "TargetRolledBack",
    "TargetSkipped",
    "TargetStep",
    "TargetTakenOver",
    "TargetUnknown",
    "TargetUnprotected",
    "TargetVerified",
    "TargetsClaimed",
    "TargetsDeferred",
    "Verdict",
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
    "chain",
    "event_from_json",
    "event_to_json",
    "release_stream",
    "target_stream",
]

GENESIS = "0" * 64
"""The hash before the first event of a stream."""

Event: TypeAlias = ReleaseEvent | TargetEvent

_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One journal entry. seq counts from 1 in its stream; at is the store's time; hash covers everything
    else here and the hash before it, so that nothing can be changed, dropped or put in later."""

    stream: str
    seq: int
    at: datetime
    actor: str
    fence: int
    event: Event
    previous_hash: str
    hash: str


def event_to_json(event: Event) -> Json:
    body = sparse_json(event)
    assert isinstance(body, dict)
    return {"type": type(event).__name__, **body}


def event_from_json(text: bytes) -> Event:
    """ValueError for anything but the JSON of an event."""
    try:
        raw = json.loads(text)
    except RecursionError as fault:
        raise ValueError("not the JSON of a journal event") from fault
    kind = _KINDS.get(str(raw.pop("type", ""))) if isinstance(raw, dict) else None
    if kind is None:
        raise ValueError("not the JSON of a journal event")
    return decode(kind, raw)


def chain(previous_hash: str, entry: Envelope, event: Json = None) -> str:
    """The hash of an entry; `entry.hash` and `entry.previous_hash` themselves are not read.

    event: the JSON of `entry.event`, from whoever has it at hand.
    """
    content: Json = {
        "stream": entry.stream,
        "seq": entry.seq,
        "at": to_json(entry.at),
        "actor": entry.actor,
        "fence": entry.fence,
        "event": event if event is not None else event_to_json(entry.event),
        "previous": previous_hash,
    }
    return sha256_hex(canonical(content))


def release_stream(release: ReleaseName) -> str:
    return f"release/{release}"


def target_stream(service: str, target: TargetId) -> str:
    return f"target/{service}/{target}"
