"""Floor 1, the plan: release × targets × waves × policy, frozen and named by its digest. No effects.

Nothing but the plan decides what promote does. Its JSON round-trips to the same digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.codec import from_json, sparse_json
from pipeline.model.fleet import Freeze, Window
from pipeline.model.ids import AccountId, Digest, ReleaseName, TargetId, digest
from pipeline.model.judging import JudgePolicy
from pipeline.model.policy import AlarmsBefore, HealthPolicy, OnFail, Pace
from pipeline.model.waiver import SignedWaiver

__all__ = [
    "PLAN_FORMAT",
    "CanaryDraw",
    "Deployable",
    "EffectGroup",
    "EffectKind",
    "Plan",
    "PlannedTarget",
    "SkippedTarget",
    "Stratum",
    "TargetEta",
    "TargetSkew",
    "Wave",
    "WaveKind",
    "plan_digest",
    "plan_from_json",
    "plan_to_json",
]

PLAN_FORMAT = 1


class WaveKind(StrEnum):
    SERVICE = "service"
    CANARY = "canary"
    WAVE = "wave"


class EffectKind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployable:
    """All that is needed to put one stack on one release: for a deploy and, later, for a rollback to it.

    template: digest of the canonical JSON, an artifact. functions: (logical id, zip digest) to verify.
    parameters: sorted (name, value); only what the template declares.
    """

    release: str
    digest: Digest
    commit: str
    template: Digest
    parameters: tuple[tuple[str, str], ...] = ()
    functions: tuple[tuple[str, Digest], ...] = ()
    health: HealthPolicy = HealthPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTarget:
    id: TargetId
    account: AccountId
    stack: str
    desired: Deployable
    effect: EffectKind
    effect_digest: Digest | None = None
    """Digest of the change set's normalised changes; None for a first creation."""
    window: Window | None = None
    freezes: tuple[Freeze, ...] = ()
    """All that speak of this target and were not over when the plan was made; by start."""
    ring: str = ""
    size: str = ""
    stratum: str = ""
    """Name of the client's stratum in the plan's draw; empty for a service's own account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """targets: in the order in which they are claimed. bake: the wait after the last target is healthy.

    extend: how much longer the bake may get, in all, while evidence is short. min_requests: what must have been
    seen before the bake can end. approval: the wave starts only when somebody has approved it. Only the last
    wave may be empty: it takes in those whom their windows and freezes held back.
    """

    name: str
    kind: WaveKind
    targets: tuple[TargetId, ...]
    bake: timedelta
    tolerance: int
    max_in_flight: int
    max_skipped: int
    pace: Pace
    on_fail: OnFail
    extend: timedelta = timedelta(0)
    min_requests: int = 0
    approval: bool = False

    @property
    def number(self) -> int:
        """What a person calls it: 0 the service, 1 the canary, then 2, 3, …, also where a service has no account
        of its own and the plan begins with its canary."""
        if self.kind is WaveKind.WAVE:
            return int(self.name.rpartition("-")[2])
        return 0 if self.kind is WaveKind.SERVICE else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedTarget:
    id: TargetId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectGroup:
    """Targets whose change is the same. changes: one readable line each, in order."""

    effect: EffectKind
    effect_digest: Digest | None
    targets: tuple[TargetId, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Clients that are alike: the same ring, the same Regions, the same size. clients, canaries: by name."""

    name: str
    clients: tuple[str, ...]
    canaries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryDraw:
    """How the canary's clients were found, so that anybody can draw again and the judge knows what it may permute.

    seed: the release's name and digest. canaries: in the order in which they go. randomised: every client of the
    canary was drawn at random among those of the strata; False where it took a choice to cover more. attempts:
    draws until one covered all that can be covered. uncovered: one sentence for each effect, Region or class of
    parameters of the plan that no canary client has.
    """

    seed: str
    strata: tuple[Stratum, ...]
    canaries: tuple[str, ...]
    randomised: bool
    attempts: int = 1
    uncovered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSkew:
    """How far a target lags before this run. running: the release it runs; empty where none is known.

    behind: how many releases of the service that became good somewhere are newer than that.
    """

    id: TargetId
    running: str
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEta:
    """When a target's turn is expected to begin and end, if nothing fails. wave: the place in `Plan.waves` in
    which it is expected, which is a later one than its own where its window or a freeze holds it back."""

    id: TargetId
    wave: int
    start: datetime
    finish: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """expires: after this instant promote refuses the plan as stale (exit 9).

    judge to emergency_bake: as in WavePolicy. rollback_safe: False where the release says of itself that going
    back may lose data; a failure then holds. waivers: those whose signature held when the plan was made.
    """

    format_version: int = PLAN_FORMAT
    release: ReleaseName
    digest: Digest
    manifest: Digest
    """Digest of the signed envelope as stored."""
    created_at: datetime
    expires_at: datetime
    bucket_prefix: str
    health_hosts: tuple[str, ...] = ()
    targets: tuple[PlannedTarget, ...]
    waves: tuple[Wave, ...]
    skipped: tuple[SkippedTarget, ...] = ()
    groups: tuple[EffectGroup, ...] = ()
    draw: CanaryDraw | None = None
    judge: JudgePolicy = field(default_factory=JudgePolicy)
    alarms_before: AlarmsBefore = AlarmsBefore.BLOCK
    approval_life: timedelta = timedelta(hours=24)
    waiting_deadline: timedelta = timedelta(days=7)
    max_deferral: timedelta = timedelta(days=14)
    emergency_bake: timedelta = timedelta(minutes=10)
    rollback_safe: bool = True
    waivers: tuple[SignedWaiver, ...] = ()
    max_skew: int = 3
    skew: tuple[TargetSkew, ...] = ()
    """Only targets that lag."""
    etas: tuple[TargetEta, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know before promoting: pins and freezes that expired, and the like."""

    def target(self, wanted: TargetId) -> PlannedTarget:
        """KeyError for a target the plan does not hold."""
        for target in self.targets:
            if target.id == wanted:
                return target
        raise KeyError(str(wanted))

    def wave_numbered(self, number: int) -> int:
        """The place in `waves` of the wave that a person calls by this number. KeyError where there is none."""
        for place, wave in enumerate(self.waves):
            if wave.number == number:
                return place
        raise KeyError(number)

    def wave_of(self, wanted: TargetId) -> int:
        for number, wave in enumerate(self.waves):
            if wanted in wave.targets:
                return number
        raise KeyError(str(wanted))


def plan_to_json(plan: Plan) -> bytes:
    """Canonical JSON; its sha256 is the plan's digest."""
    return canonical(sparse_json(plan))


def plan_from_json(content: bytes) -> Plan:
    """ValueError where the bytes are not a plan of this format."""
    return from_json(Plan, content)


def plan_digest(plan: Plan) -> Digest:
    return digest(sha256_hex(plan_to_json(plan)))
