"""Floor 1, events: everything that can be said in the journal, in the past tense. No effects.

Two kinds of stream: `release/intake@1.4.0`, and `target/intake/acme/us-east-1`, which lives as long as the target
does, over many releases. Intents end in `Intended`: they are written before the call; what came of the call is
written after it. The JSON of an event carries its class name as `type`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias, get_args

from pipeline.model.canonical import Json, canonical, sha256_hex
from pipeline.model.codec import decode, to_json
from pipeline.model.ids import Digest, ReleaseName, TargetId
from pipeline.model.plan import Deployable
from pipeline.model.release import Evidence

__all__ = [
    "GENESIS",
    "ChangeSetAbandoned",
    "ChangeSetEmpty",
    "ChangeSetInspected",
    "ChangeSetIntended",
    "ChangeSetMade",
    "Direction",
    "Envelope",
    "Event",
    "ExecutionAbandoned",
    "ExecutionIntended",
    "ExecutionStarted",
    "Fault",
    "Outcome",
    "PlanFixed",
    "ReleaseBuilt",
    "ReleaseEvent",
    "ReleaseTested",
    "RollbackClaimed",
    "RollbackFailed",
    "RollbackOrdered",
    "RunEnded",
    "RunHalted",
    "RunResumed",
    "StackSettled",
    "TargetClaimed",
    "TargetEvent",
    "TargetFailed",
    "TargetGood",
    "TargetHealthy",
    "TargetJudged",
    "TargetObserved",
    "TargetQuarantined",
    "TargetReleased",
    "TargetRolledBack",
    "TargetSkipped",
    "TargetTakenOver",
    "TargetUnknown",
    "TargetVerified",
    "TargetsClaimed",
    "Verdict",
    "WaveBaking",
    "WaveFailed",
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


class Direction(StrEnum):
    FORWARD = "forward"
    BACK = "back"


class Fault(StrEnum):
    """Whose fault a failure is."""

    RELEASE = "release"
    ACCOUNT = "account"
    """suspended, role missing, denied: told apart from a defect of the release"""
    STALE = "stale"
    """the change set would do something else than the plan says"""
    GUARD = "guard"
    INTEGRITY = "integrity"


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_DATA = "NO_DATA"
    FLEET_EVENT = "FLEET_EVENT"


class Outcome(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_INCOMPLETE = "ROLLBACK_INCOMPLETE"
    SUPERSEDED = "SUPERSEDED"


# --- a release's stream ----------------------------------------------------------------------------


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


# --- a target's stream -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetClaimed:
    release: str
    plan: Digest
    wave: int
    desired: Deployable


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTakenOver:
    """A new holder raised this stream's fence before it acts here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetObserved:
    """What stood in the account before the first write. stack_id is empty where there was no stack."""

    stack_id: str
    status: str
    mark: str
    parameters: Digest
    last_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetIntended:
    action_id: str
    creating: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetMade:
    arn: str
    stack_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetInspected:
    """added: logical ids of resources this change set creates; a rollback may let go of these again."""

    effect: Digest
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetEmpty:
    """AWS found nothing to change; the change set has been deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSetAbandoned:
    """The change set is gone or useless; look at the stack again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionIntended:
    action_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStarted:
    """AWS accepted the execution, or its token was found in the stack's events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionAbandoned:
    """It is certain that nothing was executed under this action's id."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettled:
    status: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetVerified:
    """Mark, template and code in the account have the planned digests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealthy:
    """changed: False where the account already ran this release with these parameters."""

    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetJudged:
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGood:
    """Healthy and baked: from now on a place to roll back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFailed:
    reason: str
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetUnknown:
    """What happened could not be read. Counts as failed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSkipped:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReleased:
    """Put back among the pending: the run was halted before anything was executed here."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackClaimed:
    release: str
    recall: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRolledBack:
    """to: the release it now runs; empty where nothing is left, because the first creation cleared itself."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFailed:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetQuarantined:
    """Left out of later releases until a person clears it. command: what that person types."""

    reason: str
    command: str


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
TargetEvent: TypeAlias = (
    TargetClaimed
    | TargetTakenOver
    | TargetObserved
    | ChangeSetIntended
    | ChangeSetMade
    | ChangeSetInspected
    | ChangeSetEmpty
    | ChangeSetAbandoned
    | ExecutionIntended
    | ExecutionStarted
    | ExecutionAbandoned
    | StackSettled
    | TargetVerified
    | TargetHealthy
    | TargetJudged
    | TargetGood
    | TargetFailed
    | TargetUnknown
    | TargetSkipped
    | TargetReleased
    | RollbackClaimed
    | TargetRolledBack
    | RollbackFailed
    | TargetQuarantined
)
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
    body = to_json(event)
    assert isinstance(body, dict)
    return {"type": type(event).__name__, **body}


def event_from_json(text: bytes) -> Event:
    """ValueError for anything but the JSON of an event."""
    raw = json.loads(text)
    kind = _KINDS.get(raw.pop("type", "")) if isinstance(raw, dict) else None
    if kind is None:
        raise ValueError("not the JSON of a journal event")
    return decode(kind, raw)


def chain(previous_hash: str, entry: Envelope) -> str:
    """The hash of an entry; `entry.hash` and `entry.previous_hash` themselves are not read."""
    content: Json = {
        "stream": entry.stream,
        "seq": entry.seq,
        "at": to_json(entry.at),
        "actor": entry.actor,
        "fence": entry.fence,
        "event": event_to_json(entry.event),
        "previous": previous_hash,
    }
    return sha256_hex(canonical(content))


def release_stream(release: ReleaseName) -> str:
    return f"release/{release}"


def target_stream(service: str, target: TargetId) -> str:
    return f"target/{service}/{target}"
