"""Floor 1, the plan: release × targets × waves × policy, frozen and named by its digest. No effects.

Nothing but the plan decides what promote does. Its JSON round-trips to the same digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.codec import from_json, to_json
from pipeline.model.ids import AccountId, Digest, ReleaseName, TargetId, digest
from pipeline.model.policy import HealthPolicy, OnFail, Pace

__all__ = [
    "PLAN_FORMAT",
    "Deployable",
    "EffectGroup",
    "EffectKind",
    "Plan",
    "PlannedTarget",
    "SkippedTarget",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """targets: in the order in which they are claimed. bake: the wait after the last target is healthy."""

    name: str
    kind: WaveKind
    targets: tuple[TargetId, ...]
    bake: timedelta
    tolerance: int
    max_in_flight: int
    max_skipped: int
    pace: Pace
    on_fail: OnFail

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
class Plan:
    """expires: after this instant promote refuses the plan as stale (exit 9)."""

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
    return canonical(to_json(plan))


def plan_from_json(content: bytes) -> Plan:
    """ValueError where the bytes are not a plan of this format."""
    return from_json(Plan, content)


def plan_digest(plan: Plan) -> Digest:
    return digest(sha256_hex(plan_to_json(plan)))
