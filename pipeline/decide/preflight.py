"""Floor 2, the pre-flight: from what was seen of every account to who is passed over, or why nobody may begin. Pure.

An account's own fault passes its client over, under the cap of each wave. A defect of the release, or any fault of
the service's own account, refuses the release. Previous artifacts that are missing or damaged, and a role that
leads into another account, are a matter of integrity. Everything is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.inspection import CHANGED_BY_HAND, AlarmSeen, DriftStatus, ResourceDrift, Room
from pipeline.model.plan import EffectKind, Plan, PlannedTarget, Wave, WaveKind
from pipeline.model.policy import AlarmsBefore
from pipeline.model.stack import DEPLOYABLE, IN_PROGRESS, StackStatus

__all__ = [
    "CHANGE_SETS_OF_A_STACK",
    "DRIFT_CAN_BE_DETECTED",
    "Blame",
    "Cleared",
    "Finding",
    "Kind",
    "Reading",
    "Refused",
    "blame_of",
    "decide",
    "findings_of",
    "needs_room",
    "notes_of",
    "touched_at",
]

CHANGE_SETS_OF_A_STACK = 1000
"""LimitExceededException beyond it. Not on the page of quotas; deployment tools met it (aws-cli#4534)."""

DRIFT_CAN_BE_DETECTED = frozenset(
    {
        StackStatus.CREATE_COMPLETE,
        StackStatus.UPDATE_COMPLETE,
        StackStatus.UPDATE_ROLLBACK_COMPLETE,
        StackStatus.UPDATE_ROLLBACK_FAILED,
    }
)
"""User Guide, "Detect unmanaged configuration changes": the statuses in which drift can be detected."""

_NAMED = 5
"""So many targets are named where many have the same to say."""
_MOST_NOTES = 500
"""Lines of notes: DynamoDB takes items of up to 400 KB, and an event is one item."""
_LINE = re.compile(
    r"(Add|Modify|Remove|Import|Dynamic|SyncWithActual|Unknown) (\S+) \(([^\s()]*)\)"
    r"(?:, (?:replaces it|may replace it))?"
)
"""The lines of a plan's effect groups (pipeline/decide/planning.py, effect_line)."""
_NOTHING_THERE_YET = frozenset({"Add", "Import"})


class Kind(StrEnum):
    UNREACHABLE = "unreachable"
    """closed, suspended, role missing, or another external id"""
    WRONG_ACCOUNT = "wrong account"
    DENIED = "denied"
    """the role opens, and a policy (a service control policy, a boundary) forbids what the release needs"""
    REGION_OFF = "region off"
    UNREADABLE = "unreadable"
    """AWS gave no answer for this account, however often it was asked"""
    UNDEPLOYABLE = "undeployable stack"
    FOREIGN_CHANGE_SET = "foreign change set"
    DRIFT = "drift"
    ALARM = "alarm"
    ALARM_MISSING = "alarm missing"
    QUOTA = "quota"
    ARTIFACT = "previous artifact"
    REFUSED = "refused"
    """AWS refuses what this release asks for, in a way that no account can be blamed for"""


class Blame(StrEnum):
    ACCOUNT = "account"
    RELEASE = "release"
    INTEGRITY = "integrity"


_BLAME: Mapping[Kind, Blame] = {
    Kind.UNREACHABLE: Blame.ACCOUNT,
    Kind.WRONG_ACCOUNT: Blame.INTEGRITY,
    Kind.DENIED: Blame.ACCOUNT,
    Kind.REGION_OFF: Blame.ACCOUNT,
    Kind.UNREADABLE: Blame.ACCOUNT,
    Kind.UNDEPLOYABLE: Blame.ACCOUNT,
    Kind.FOREIGN_CHANGE_SET: Blame.ACCOUNT,
    Kind.DRIFT: Blame.ACCOUNT,
    Kind.ALARM: Blame.ACCOUNT,
    Kind.ALARM_MISSING: Blame.ACCOUNT,
    Kind.QUOTA: Blame.ACCOUNT,
    Kind.ARTIFACT: Blame.INTEGRITY,
    Kind.REFUSED: Blame.RELEASE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """sentence: what is wrong there, for a person, without the target's name."""

    target: TargetId
    kind: Kind
    sentence: str

    def __str__(self) -> str:
        return f"{self.target}: {self.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was seen of one target. troubles: (kind, sentence) of what AWS refused while it was looked at.

    status: None where there is no stack. change_sets: names on the stack. drift: of the resources this release
    touches. room: None where no stack has to be created. unread: sentences on what could not be found out and
    does not stand in the way.
    """

    target: PlannedTarget
    troubles: tuple[tuple[Kind, str], ...] = ()
    status: StackStatus | None = None
    change_sets: tuple[str, ...] = ()
    drift: tuple[ResourceDrift, ...] = ()
    alarms: tuple[AlarmSeen, ...] = ()
    room: Room | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """The run may begin."""

    passed_over: tuple[e.PassedOver, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nobody may begin. integrity: exit 7 rather than 8. problem: one sentence. details: every finding."""

    integrity: bool
    problem: str
    details: tuple[str, ...]


def touched_at(plan: Plan, target: TargetId) -> tuple[str, ...] | None:
    """Logical ids of what stands already and would be changed or removed, sorted; with slashes inside nested
    stacks. None where the plan's own words cannot be read: then every resource counts."""
    found: set[str] = set()
    for group in plan.groups:
        if target not in group.targets:
            continue
        for line in group.changes:
            read = _LINE.fullmatch(line)
            if read is None or read[2].endswith("?"):
                return None
            if read[1] not in _NOTHING_THERE_YET:
                found.add(read[2])
    return tuple(sorted(found))


def blame_of(finding: Finding) -> Blame:
    """The service's own account is the release's business: no client is served before its service."""
    blame = _BLAME[finding.kind]
    return blame if finding.target.is_client or blame is Blame.INTEGRITY else Blame.RELEASE


# --- one target ------------------------------------------------------------------------------------


def findings_of(plan: Plan, reading: Reading) -> tuple[Finding, ...]:
    """What stands in the way at this target, in a fixed order."""
    target = reading.target.id
    return tuple(
        Finding(target=target, kind=kind, sentence=sentence) for kind, sentence in _found(plan, reading)
    )


def _found(plan: Plan, reading: Reading) -> Iterator[tuple[Kind, str]]:
    yield from reading.troubles
    yield from _of_stack(reading)
    yield from _of_drift(reading)
    missing = [alarm.name for alarm in reading.alarms if not alarm.state]
    if missing:
        yield Kind.ALARM_MISSING, f"its stack has alarms that are not there any more: {_some(missing)}"
    ringing = _ringing(reading)
    if ringing and plan.alarms_before is AlarmsBefore.BLOCK:
        yield Kind.ALARM, f"in ALARM before anything was deployed: {_some(ringing)}"
    room = reading.room
    if room is not None and room.stacks >= room.limit:
        yield Kind.QUOTA, f"its account has {room.stacks} stacks in this Region and may have {room.limit}"


def _of_stack(reading: Reading) -> Iterator[tuple[Kind, str]]:
    status, stack = reading.status, reading.target.stack
    if status is not None and not _can_be_deployed_to(status):
        yield Kind.UNDEPLOYABLE, f"its stack {stack} is in {status}, which only a person can leave"
    foreign = [name for name in reading.change_sets if not name.startswith("tg-")]
    if foreign:
        yield Kind.FOREIGN_CHANGE_SET, f"somebody else's change sets stand on {stack}: {_some(foreign)}"
    if len(reading.change_sets) >= CHANGE_SETS_OF_A_STACK:
        yield Kind.QUOTA, f"{len(reading.change_sets)} change sets stand on {stack}, and AWS takes no more"


def _can_be_deployed_to(status: StackStatus) -> bool:
    """Somebody's operation under way is waited for; a stack in review has nothing in it yet."""
    empty = (StackStatus.REVIEW_IN_PROGRESS, StackStatus.DELETE_COMPLETE)
    return status in DEPLOYABLE or status in IN_PROGRESS or status in empty


def _of_drift(reading: Reading) -> Iterator[tuple[Kind, str]]:
    for found in reading.drift:
        if found.status in CHANGED_BY_HAND:
            what = "deleted" if found.status is DriftStatus.DELETED else "changed"
            where = f" ({_some(found.properties)})" if found.properties else ""
            named = f"{found.logical_id}, which this release touches,"
            yield Kind.DRIFT, f"{named} was {what} by hand{where}"


def _ringing(reading: Reading) -> list[str]:
    return [alarm.name for alarm in reading.alarms if alarm.state == "ALARM"]


def notes_of(plan: Plan, reading: Reading) -> tuple[str, ...]:
    """What is worth writing down and stands in nobody's way, without the target's name."""
    notes = list(reading.unread)
    ringing = _ringing(reading)
    if ringing and plan.alarms_before is AlarmsBefore.RECORD:
        notes.append(f"in ALARM before anything was deployed: {_some(ringing)}")
    dark = [a.name for a in reading.alarms if a.state and a.state not in ("OK", "ALARM")]
    if dark:
        notes.append(f"without data before anything was deployed: {_some(dark)}")
    unknown = [d.logical_id for d in reading.drift if d.status is DriftStatus.UNKNOWN]
    if unknown:
        notes.append(f"nobody can tell whether these were changed by hand: {_some(unknown)}")
    if reading.status in IN_PROGRESS:
        notes.append(f"its stack is in {reading.status} by somebody else's hand, and will be waited for")
    return tuple(notes)


# --- all of them -----------------------------------------------------------------------------------


def decide(plan: Plan, readings: Sequence[Reading]) -> Cleared | Refused:
    """readings: one for every target of the plan, in the plan's order. ValueError where one is missing."""
    if [reading.target.id for reading in readings] != [target.id for target in plan.targets]:
        raise ValueError("a pre-flight has to have looked at every target of its plan")
    found = [finding for reading in readings for finding in findings_of(plan, reading)]
    blames = {blame_of(finding) for finding in found}
    passed_over = _passed_over(plan, found)
    everything = tuple(str(finding) for finding in found)
    if Blame.INTEGRITY in blames:
        return Refused(integrity=True, problem=_integrity(found), details=everything)
    reasons = [*_of_the_release(found), *_over_the_cap(plan, passed_over)]
    if reasons:
        return Refused(integrity=False, problem="; ".join(reasons), details=everything)
    return Cleared(passed_over=passed_over, notes=_together(plan, readings))


def _passed_over(plan: Plan, found: Sequence[Finding]) -> tuple[e.PassedOver, ...]:
    """Whole clients: one Region of a client never gets ahead of another because of a fault."""
    own: dict[TargetId, list[str]] = {}
    first: dict[str, Finding] = {}
    for finding in found:
        if blame_of(finding) is Blame.ACCOUNT:
            own.setdefault(finding.target, []).append(finding.sentence)
            first.setdefault(finding.target.owner, finding)
    passed = []
    for target in plan.targets:
        if target.id in own:
            passed.append(e.PassedOver(target=target.id, reason="; ".join(own[target.id])))
        elif target.id.owner in first:
            passed.append(e.PassedOver(target=target.id, reason=f"together with {first[target.id.owner]}"))
    return tuple(passed)


def _integrity(found: Sequence[Finding]) -> str:
    broken = [finding for finding in found if blame_of(finding) is Blame.INTEGRITY]
    more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
    return f"before the first wave, {broken[0]}{more}"


def _of_the_release(found: Sequence[Finding]) -> Iterator[str]:
    own = [finding for finding in found if blame_of(finding) is Blame.RELEASE]
    if own:
        more = f", and {len(own) - 1} more" if len(own) > 1 else ""
        yield f"{own[0]}{more}"


def _over_the_cap(plan: Plan, passed_over: Sequence[e.PassedOver]) -> Iterator[str]:
    away = {passed.target for passed in passed_over}
    for wave in plan.waves:
        gone = [target for target in wave.targets if target in away]
        if len(gone) > wave.max_skipped:
            yield f"{_of_wave(gone, wave)} cannot be deployed to, and only {wave.max_skipped} may be passed over"
        elif gone and wave.kind is not WaveKind.WAVE and len(gone) == len(wave.targets):
            yield f"nobody of {wave.name} can be deployed to, so nothing would be tried"


def _of_wave(gone: Sequence[TargetId], wave: Wave) -> str:
    return f"{len(gone)} of {len(wave.targets)} targets of {wave.name}"


_Notes: TypeAlias = dict[str, list[TargetId]]


def _together(plan: Plan, readings: Iterable[Reading]) -> tuple[str, ...]:
    """One line for each note, however many targets it is of: an event has to stay small."""
    notes: _Notes = {}
    for reading in readings:
        for note in notes_of(plan, reading):
            notes.setdefault(note, []).append(reading.target.id)
    lines = tuple(f"{_some([str(t) for t in targets])}: {note}" for note, targets in notes.items())
    if len(lines) <= _MOST_NOTES:
        return lines
    return (*lines[:_MOST_NOTES], f"and {len(lines) - _MOST_NOTES} more notes of this kind")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


def needs_room(target: PlannedTarget, status: StackStatus | None) -> bool:
    """Whether a stack has to be created here, which its account may have no room for. One in review counts
    already."""
    return target.effect is EffectKind.CREATE and status in (None, StackStatus.DELETE_COMPLETE)
