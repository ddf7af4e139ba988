"""What the journal has said so far, folded anew and in the simplest way: the checker's own memory.

It shares no code with the folds under test, so that a mistake there cannot excuse itself here. It judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from pipeline.model import event as e
from pipeline.model.ids import AccountId, Digest, TargetId
from pipeline.model.plan import Plan, PlannedTarget, plan_digest
from pipeline.ports import Place

__all__ = [
    "Attempt",
    "Now",
    "Record",
    "RunRecord",
    "StreamRecord",
    "TargetRecord",
    "WaveRecord",
    "parse_stream",
]


class Now(Enum):
    """How a target stands in the run that speaks of it."""

    PENDING = "pending"
    FLYING = "flying"
    HEALTHY = "healthy"
    FAILED = "failed"
    SKIPPED = "skipped"
    GOING_BACK = "going back"
    RESTORED = "restored"
    LOST = "lost"


@dataclass(slots=True)
class StreamRecord:
    seq: int = 0
    hash: str = e.GENESIS
    fence: int = 0


@dataclass(slots=True)
class Attempt:
    """One intended execution. open: it may still be made under this token."""

    token: str
    direction: e.Direction
    plan: Digest | None
    number: int
    open: bool = True
    begun: int = 0
    """how often the cloud began it"""
    continuing: bool = False
    """a stuck rollback that goes on, rather than a change set"""


@dataclass(slots=True)
class TargetRecord:
    now: Now = Now.PENDING
    plan: Digest | None = None
    release: str = ""
    wave: int = -1
    direction: e.Direction = e.Direction.FORWARD
    goods: list[str] = field(default_factory=list)
    before: str | None = None
    """the release to go back to, as it was before this run's first write; None: nowhere"""
    looked: bool = False
    changed: bool = False
    """the cloud has changed something here for this run"""
    well_since: datetime | None = None
    attempt: int = 0
    made: dict[str, Attempt] = field(default_factory=dict)
    latest: str = ""
    """the token of the newest of them"""
    succeeded: set[tuple[Digest | None, e.Direction, int]] = field(default_factory=set)


@dataclass(slots=True)
class WaveRecord:
    started: bool = False
    claimed: set[TargetId] = field(default_factory=set)
    baking_until: datetime | None = None
    baking_since: datetime | None = None
    """by the store's time, as the deadline is"""
    truly_since: datetime | None = None
    """by the right time, whatever the store's clock says"""
    passed: bool = False
    hurried: bool = False


@dataclass(slots=True)
class RunRecord:
    plan: Plan
    digest: Digest
    starter: str
    waves: list[WaveRecord]
    standing: str = "planned"
    """planned, running, paused, halted, turning back, or how it ended"""
    order: e.RollbackOrdered | None = None
    forgiven: set[TargetId] = field(default_factory=set)
    moved: dict[TargetId, int] = field(default_factory=dict)
    approvals: list[e.ReleaseEvent] = field(default_factory=list)
    targets: dict[TargetId, PlannedTarget] = field(default_factory=dict)
    home: dict[TargetId, int] = field(default_factory=dict)

    def members(self, number: int) -> tuple[TargetId, ...]:
        own = self.plan.waves[number].targets
        if not self.moved:
            return own
        stayed = tuple(t for t in own if self.moved.get(t, number) == number)
        return stayed + tuple(t for t, to in self.moved.items() if to == number and t not in stayed)

    @property
    def ended(self) -> bool:
        return self.standing in {outcome.value for outcome in e.Outcome}


def parse_stream(stream: str) -> tuple[str, str]:
    """(kind, rest): `release` and the release's name, or `target` and SERVICE/OWNER/REGION."""
    kind, _, rest = stream.partition("/")
    return kind, rest


class Record:
    """runs by release name: the newest run of each. targets by stream."""

    def __init__(self) -> None:
        self.plans: dict[Digest, Plan] = {}
        self.streams: dict[str, StreamRecord] = {}
        self.runs: dict[str, RunRecord] = {}
        self.by_plan: dict[Digest, RunRecord] = {}
        self.targets: dict[str, TargetRecord] = {}
        self.places: dict[Place, str] = {}
        self.tokens: dict[str, tuple[str, Attempt]] = {}

    def knows(self, plan: Plan) -> None:
        self.plans[plan_digest(plan)] = plan
        for target in plan.targets:
            place = Place(AccountId(target.account), target.id.region)
            self.places[place] = e.target_stream(plan.release.service, target.id)

    def target(self, stream: str) -> TargetRecord:
        return self.targets.setdefault(stream, TargetRecord())

    def target_of(self, run: RunRecord, target: TargetId) -> TargetRecord:
        """As this run sees it: untouched where the stream last spoke of another run."""
        found = self.targets.get(e.target_stream(run.plan.release.service, target))
        return found if found is not None and found.plan == run.digest else _UNTOUCHED

    # --- learning ------------------------------------------------------------------------------

    def learn(self, entry: e.Envelope) -> None:
        stream = self.streams.setdefault(entry.stream, StreamRecord())
        stream.seq, stream.hash = entry.seq, entry.hash
        stream.fence = max(stream.fence, entry.fence)
        kind, rest = parse_stream(entry.stream)
        if kind == "release":
            self._release(rest, entry)
        else:
            self._target(entry.stream, entry)

    def _release(self, release: str, entry: e.Envelope) -> None:
        event = entry.event
        if isinstance(event, e.PlanFixed):
            plan = self.plans[event.plan]
            run = RunRecord(
                plan=plan, digest=event.plan, starter=entry.actor, waves=[WaveRecord() for _ in plan.waves]
            )
            run.targets = {target.id: target for target in plan.targets}
            run.home = {t: n for n, wave in enumerate(plan.waves) for t in wave.targets}
            self.runs[release] = self.by_plan[event.plan] = run
            return
        known = self.runs.get(release)
        if known is not None:
            _learn_of_run(known, event)

    def _target(self, stream: str, entry: e.Envelope) -> None:
        record, event = self.target(stream), entry.event
        if isinstance(event, e.TargetHealthy):
            record.well_since = entry.at
        match event:
            case e.TargetClaimed():
                made = record.made
                fresh = TargetRecord(
                    now=Now.FLYING,
                    plan=event.plan,
                    release=event.release,
                    wave=event.wave,
                    goods=record.goods,
                    attempt=record.attempt if record.plan == event.plan else 0,
                    made=made,
                    succeeded=record.succeeded,
                    changed=record.changed and record.plan == event.plan,
                    before=record.before if record.plan == event.plan else None,
                    looked=record.looked and record.plan == event.plan,
                )
                self.targets[stream] = fresh
            case e.ExecutionIntended(action_id=token):
                attempt = Attempt(token, record.direction, record.plan, record.attempt)
                record.made[token], record.latest = attempt, token
                self.tokens[token] = (stream, attempt)
            case e.ContinueIntended(action_id=token):
                going_on = Attempt(token, record.direction, record.plan, record.attempt, continuing=True)
                record.made[token] = going_on
                self.tokens[token] = (stream, going_on)
            case e.ExecutionAbandoned() | e.ChangeSetAbandoned() | e.ContinueAbandoned() | e.TargetReleased():
                for attempt in record.made.values():
                    attempt.open = False
                if isinstance(event, e.TargetReleased):
                    record.now = Now.PENDING
            case _:
                _learn_of_target(record, event)


def _learn_of_target(record: TargetRecord, event: e.Event) -> None:
    match event:
        case e.TargetObserved() if not record.looked and record.now is Now.FLYING:
            others = [good for good in record.goods if good != record.release]
            record.before, record.looked = (others[-1] if others else None), True
        case e.TargetHealthy():
            record.now = Now.HEALTHY
        case e.TargetJudged(verdict=verdict) if verdict is not e.Verdict.PASS:
            record.now = Now.FAILED if record.now is Now.HEALTHY else record.now
        case e.TargetFailed() | e.TargetUnknown():
            record.now = Now.FAILED
        case e.TargetSkipped():
            record.now = Now.SKIPPED
        case e.RollbackClaimed(release=release) if release == record.release:
            record.now, record.direction, record.latest = Now.GOING_BACK, e.Direction.BACK, ""
        case e.ChangeSetIntended() | e.StackSettled():
            record.latest = ""
        case e.TargetRolledBack():
            record.now = Now.RESTORED
            record.goods = [good for good in record.goods if good != record.release]
        case e.TargetQuarantined() if not record.changed and getattr(event, "fault", None) in _BLAMELESS:
            record.now = Now.SKIPPED
        case e.RollbackFailed() | e.TargetQuarantined():
            record.now = Now.LOST
        case e.TargetCleared():
            record.now, record.plan, record.release = Now.PENDING, None, ""
        case e.TargetGood():
            record.goods = [*(g for g in record.goods if g != record.release), record.release]
        case e.TargetRecalled(release=release):
            record.goods = [good for good in record.goods if good != release]
            if record.before == release:
                others = [good for good in record.goods if good != record.release]
                record.before = others[-1] if others else None
        case e.TargetRetried():
            record.now, record.attempt = Now.PENDING, record.attempt + 1
        case _:
            pass


def _learn_of_run(run: RunRecord, event: e.Event) -> None:
    match event:
        case e.WaveStarted(wave=wave):
            run.waves[wave].started, run.standing = True, "running"
        case e.TargetsClaimed(wave=wave, targets=targets):
            run.waves[wave].claimed.update(targets)
        case e.WaveBaking(wave=wave, until=until):
            run.waves[wave].baking_until, run.waves[wave].passed = until, False
        case e.BakeExtended(wave=wave, until=until):
            run.waves[wave].baking_until = until
        case e.WavePassed(wave=wave, hurried=hurried):
            run.waves[wave].passed, run.waves[wave].hurried = True, hurried
        case e.TargetsDeferred(to=to, targets=targets):
            run.moved.update(dict.fromkeys(targets, to))
        case e.RunHalted():
            run.standing = run.standing if run.ended else "halted"
        case e.RunPaused() | e.WaveInconclusive():
            run.standing = "paused" if run.standing in ("planned", "running") else run.standing
        case e.RunResumed(forgiven=forgiven):
            run.standing = "running" if run.standing in ("halted", "paused") else run.standing
            run.forgiven.update(forgiven)
        case e.WaveDecided():
            run.standing = "running" if run.standing == "paused" else run.standing
        case e.RetryOrdered(targets=targets):
            _learn_of_retry(run, set(targets))
        case e.ApprovalGiven() | e.LaneAsked():
            run.approvals.append(event)
        case e.RollbackOrdered():
            run.order, run.standing = event, "turning back"
        case e.RunEnded(outcome=outcome):
            run.standing = outcome.value
        case _:
            pass


def _learn_of_retry(run: RunRecord, targets: set[TargetId]) -> None:
    run.standing = "running"
    run.forgiven -= targets
    present = next((n for n, wave in enumerate(run.waves) if not wave.passed), None)
    for wave in run.waves:
        again = wave.claimed & targets
        clients = {target for target in again if target.is_client}
        if wave.passed and present is not None:
            run.moved.update(dict.fromkeys(clients, present))
        # A service goes with no wave of clients, and where every wave has passed its own is open again.
        wave.passed = wave.passed and not (again if present is None else again - clients)
        wave.claimed -= targets


_UNTOUCHED = TargetRecord()
_BLAMELESS = (e.Fault.ACCOUNT, e.Fault.GUARD)
"""Found before anything was executed, and no defect of the release: burns no tolerance."""
