"""Floor 3, the stage before the first wave: looks at every account of a plan, then says who is passed over.

Nothing is changed in any account. It is carried out once for a run: what it found stands in the release's stream,
and a run that has begun is never stopped by a second look. All findings are told at once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from pipeline.decide.preflight import (
    DRIFT_CAN_BE_DETECTED,
    Cleared,
    Kind,
    Reading,
    Refused,
    decide,
    needs_room,
    touched_at,
)
from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    ArtifactDamaged,
    ArtifactMissing,
    BlockedByPolicy,
    CredentialsRefused,
    FenceLost,
    IntegrityBroken,
    NotFound,
    RegionOff,
    ReleaseError,
    RequestRefused,
    StreamMoved,
    Throttled,
    WrongAccount,
)
from pipeline.model import event as e
from pipeline.model.ids import Digest
from pipeline.model.plan import Deployable, EffectKind, Plan, PlannedTarget, plan_digest
from pipeline.model.run_state import Run, RunState, WaveStatus, fold_run
from pipeline.model.target_state import fold_target
from pipeline.ports import Artifacts, Clock, Head, Inspection, Journal, Latch, Place, Stacks
from stages.patience import patiently
from stages.promote import Admission, admit, read_run
from stages.together import together

__all__ = ["PreflightPorts", "admit_looked_at", "is_due", "look", "preflight", "record"]

T = TypeVar("T")

_AT_ONCE = 32
_PATIENCE = timedelta(minutes=2)
"""How long one account may be slow to answer before it is passed over for it."""
_DRIFT_TAKES = timedelta(minutes=5)
"""DetectStackDrift "can take up to several minutes" (API reference)."""
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightPorts:
    """at_once: accounts that are looked at side by side; 1 in tests that have to repeat themselves exactly.

    heard: called with the entry that says what was found, for progress; must not raise.
    """

    clock: Clock
    journal: Journal
    stacks: Stacks
    inspection: Inspection
    artifacts: Artifacts
    at_once: int = _AT_ONCE
    heard: Callable[[e.Envelope], None] = lambda _entry: None


def admit_looked_at(
    plan: Plan, ports: PreflightPorts, who: Admission, latch: Latch | None = None
) -> RunState:
    """`stages.promote.admit`, with the look at every account before the plan is fixed: a release that is refused
    leaves nothing behind. Raises as `admit` and `preflight` do."""
    run = read_run(ports.journal, plan.release)
    if run.plan == plan_digest(plan):
        admit(plan, ports.journal, ports.clock, who, latch)
        preflight(plan, ports, who)
    else:
        _refuse_as_admit_would(plan, ports, who, latch)
        done = look(plan, ports)
        admit(plan, ports.journal, ports.clock, who, latch)
        record(plan, done, ports, who)
    return read_run(ports.journal, plan.release)


def preflight(plan: Plan, ports: PreflightPorts, who: Admission) -> e.PreflightDone | None:
    """Look, then write down what was found, if this run has not done so yet. Called once the plan is fixed, under
    the service's lease. None where there is nothing left to do.

    BlockedByPolicy: a defect of the release, a fault of the service's own account, or too many to pass over.
    IntegrityBroken: a previous artifact is missing or damaged, or a role leads into another account.
    """
    if not is_due(plan, ports.journal):
        return None
    return record(plan, look(plan, ports), ports, who)


class _WouldWrite(Exception):
    """Everything that could be checked without writing holds."""


@dataclass(frozen=True, slots=True)
class _ReadOnly:
    """ports.Journal up to the first append."""

    journal: Journal

    def head(self, stream: str) -> Head:
        return self.journal.head(stream)

    def read(self, stream: str) -> tuple[e.Envelope, ...]:
        return self.journal.read(stream)

    def append(
        self, stream: str, events: Sequence[e.Event], *, expected: int, fence: int, actor: str
    ) -> tuple[e.Envelope, ...]:
        raise _WouldWrite(f"{len(events)} events to {stream} behind {expected}, by {actor} under {fence}")

    def streams(self, prefix: str) -> tuple[str, ...]:
        return self.journal.streams(prefix)


def _refuse_as_admit_would(plan: Plan, ports: PreflightPorts, who: Admission, latch: Latch | None) -> None:
    """A stale plan or another runner's release is told at once, not after hundreds of accounts were looked at."""
    with contextlib.suppress(_WouldWrite):
        admit(plan, _ReadOnly(ports.journal), ports.clock, who, latch)


def is_due(plan: Plan, journal: Journal) -> bool:
    """Whether this plan has not begun yet. False for another plan's run, and where a wave has begun already."""
    run = fold_run(journal.read(e.release_stream(plan.release)))
    return _is_due(plan, run)


def _is_due(plan: Plan, run: RunState) -> bool:
    begun = any(wave.status is not WaveStatus.PENDING for wave in run.waves)
    waiting = run.run in (Run.PLANNED, Run.RUNNING)
    return run.plan == plan_digest(plan) and waiting and not begun and not run.preflight_done


def look(plan: Plan, ports: PreflightPorts) -> e.PreflightDone:
    """Every target of the plan, over a bounded pool. Reads only; raises as `preflight` does."""
    inspector = _Inspector(plan, ports)
    labels = [str(target.id) for target in plan.targets]
    readings = together(labels, lambda n: inspector.read(plan.targets[n]), ports.at_once)
    found = decide(plan, readings)
    if isinstance(found, Cleared):
        return e.PreflightDone(passed_over=found.passed_over, notes=found.notes)
    raise _refusal(plan, found)


def record(
    plan: Plan, done: e.PreflightDone, ports: PreflightPorts, who: Admission
) -> e.PreflightDone | None:
    """Append it, unless somebody has done so in the meantime. FenceLost where a newer runner has taken over."""
    stream = e.release_stream(plan.release)
    for _ in range(_ATTEMPTS):
        entries = ports.journal.read(stream)
        if not _is_due(plan, fold_run(entries)):
            return None
        try:
            said = ports.journal.append(
                stream, (done,), expected=len(entries), fence=who.fence, actor=who.actor
            )
        except StreamMoved:
            continue  # a person's halt, say: read again, and decide again
        for entry in said:
            ports.heard(entry)
        return done
    raise StreamMoved(
        f"the stream of {plan.release} keeps growing",
        state="no wave was started",
        remedy=f"run `release promote {plan.release}` again",
    )


def _refusal(plan: Plan, found: Refused) -> ReleaseError:
    again = f"`release promote {plan.release}` again"
    if found.integrity:
        return IntegrityBroken(
            found.problem,
            state="no account was touched",
            details=found.details,
            remedy=f"find out who changed it, put the artifact back from its backup, then {again}",
        )
    return BlockedByPolicy(
        f"{plan.release} was not begun: {found.problem}",
        state="no account was touched",
        details=found.details,
        remedy=f"mend what is listed, or raise max_skipped in release.toml and build anew; then {again}",
    )


# --- one target ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Inspector:
    plan: Plan
    ports: PreflightPorts
    lock: threading.Lock = field(default_factory=threading.Lock)
    fetched: dict[tuple[Digest, str], _Fetch] = field(default_factory=dict)
    spread: Callable[[], float] = field(default_factory=lambda: _Spread().next)

    def read(self, target: PlannedTarget) -> Reading:
        """Never raises for what is this account's business; CredentialsRefused and FenceLost are the runner's."""
        reading = self._artifacts(target, Reading(target=target))
        steps: tuple[Callable[[Place, Reading], Reading], ...] = (
            self._reach,
            self._stack,
            self._alarms,
            self._drift,
            self._room,
        )
        place = Place(target.account, target.id.region)
        for step in steps:
            try:
                reading = step(place, reading)
            except (CredentialsRefused, FenceLost):
                raise
            except ReleaseError as fault:
                # Whatever comes later would be refused alike: one sentence for one cause.
                return replace(reading, troubles=(*reading.troubles, (_kind_of(fault), fault.problem)))
        return reading

    def _ask(self, call: Callable[[], T]) -> T:
        return patiently(self.ports.clock, call, _PATIENCE, (Throttled, AnswerLost), self.spread)

    def _reach(self, place: Place, reading: Reading) -> Reading:
        self._ask(lambda: self.ports.inspection.reach(place))
        return reading

    def _stack(self, place: Place, reading: Reading) -> Reading:
        stacks, name = self.ports.stacks, reading.target.stack
        found = self._ask(lambda: stacks.describe(place, name))
        if found is None:
            return reading
        names = self._ask(lambda: stacks.list_change_sets(place, name))
        return replace(reading, status=found.status, change_sets=names)

    def _alarms(self, place: Place, reading: Reading) -> Reading:
        if reading.status is None:
            return reading
        seen = self._ask(lambda: self.ports.inspection.alarms(place, reading.target.stack))
        return replace(reading, alarms=seen)

    def _drift(self, place: Place, reading: Reading) -> Reading:
        """Of what an update touches. What cannot be compared is written down, and never guessed."""
        target = reading.target
        touched = touched_at(self.plan, target.id)
        if target.effect is not EffectKind.UPDATE or touched == ():
            return reading
        if touched is None or reading.status not in DRIFT_CAN_BE_DETECTED:
            return _unread(reading, "nobody can tell what of its stack was changed by hand")
        inspection = self.ports.inspection
        try:
            begun = self._ask(lambda: inspection.begin_drift(place, target.stack, touched))
            found = self._until(lambda: inspection.drift(place, begun))
        except (AccessRefused, NotFound, RequestRefused) as fault:
            return _unread(reading, f"drift could not be detected: {fault.problem}")
        if found is None:
            return _unread(reading, f"drift was not known after {_DRIFT_TAKES}")
        return replace(reading, drift=found)

    def _until(self, call: Callable[[], T | None]) -> T | None:
        clock = self.ports.clock
        end = clock.now() + _DRIFT_TAKES
        pause = timedelta(milliseconds=250)
        while True:
            found = self._ask(call)
            if found is not None or clock.now() >= end:
                return found
            clock.sleep(pause)
            pause = min(pause * 2, timedelta(seconds=5))

    def _room(self, place: Place, reading: Reading) -> Reading:
        if not needs_room(reading.target, reading.status):
            return reading
        try:
            return replace(reading, room=self._ask(lambda: self.ports.inspection.room(place)))
        except (AccessRefused, RequestRefused) as fault:
            return _unread(reading, f"the quota of stacks could not be read: {fault.problem}")

    # --- what it would go back to ----------------------------------------------------------------

    def _artifacts(self, target: PlannedTarget, reading: Reading) -> Reading:
        good = self._previous_good(target)
        if good is None:
            return reading
        wanted = dict.fromkeys([good.template, *(zipped for _, zipped in good.functions)])
        broken = [fault for digest in wanted if (fault := self._fetch(digest, target.id.region))]
        said = tuple(
            (Kind.ARTIFACT, f"{good.release}, to which it would go back, cannot be had: {fault}")
            for fault in broken
        )
        return replace(reading, troubles=(*reading.troubles, *said))

    def _previous_good(self, target: PlannedTarget) -> Deployable | None:
        """As the target itself will capture it before its first write."""
        stream = e.target_stream(self.plan.release.service, target.id)
        goods = fold_target(self.ports.journal.read(stream)).goods
        others = [good for good in goods if good.release != str(self.plan.release)]
        return others[-1] if others else None

    def _fetch(self, digest: Digest, region: str) -> str:
        """Why this artifact cannot be had in that Region; empty where it can. Fetched once for all targets."""
        with self.lock:
            fetch = self.fetched.setdefault((digest, region), _Fetch())
        with fetch.lock:
            if fetch.fault is None:
                fetch.fault = self._fault_of(digest, region)
            return fetch.fault

    def _fault_of(self, digest: Digest, region: str) -> str:
        try:
            self._ask(lambda: self.ports.artifacts.get(digest, region))
        except (ArtifactMissing, ArtifactDamaged) as fault:
            return fault.problem
        return ""


@dataclass(slots=True)
class _Spread:
    """Pauses of many accounts that do not fall together, and yet are the same in every run that asks alike."""

    asked: int = 0

    def next(self) -> float:
        self.asked += 1
        return 0.8 + self.asked * 7 % 41 / 100


@dataclass(slots=True)
class _Fetch:
    """fault: None until it was fetched. The lock makes one fetch of many targets that need it at once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    fault: str | None = None


def _unread(reading: Reading, sentence: str) -> Reading:
    return replace(reading, unread=(*reading.unread, sentence))


_KINDS: Sequence[tuple[type[ReleaseError], Kind]] = (
    (RegionOff, Kind.REGION_OFF),
    (AccountUnusable, Kind.UNREACHABLE),
    (AccessRefused, Kind.DENIED),
    (WrongAccount, Kind.WRONG_ACCOUNT),
    (Throttled, Kind.UNREADABLE),
    (AnswerLost, Kind.UNREADABLE),
)


def _kind_of(fault: ReleaseError) -> Kind:
    """An unknown refusal is nobody's account's fault: it stops the release rather than skip a client."""
    return next((kind for error, kind in _KINDS if isinstance(fault, error)), Kind.REFUSED)
