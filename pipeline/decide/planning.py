"""Floor 2, planning: from the fleet, a release and what was observed to the frozen plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipeline.decide.waves import Candidate, cut_waves
from pipeline.model.fleet import Client, Fleet
from pipeline.model.ids import Digest, TargetId
from pipeline.model.plan import (
    EffectGroup,
    EffectKind,
    Plan,
    PlannedTarget,
    SkippedTarget,
)
from pipeline.model.policy import WavePolicy
from pipeline.model.release import Manifest
from pipeline.model.stack import ResourceChange, effect_of
from pipeline.model.target_state import TargetState

__all__ = ["PLAN_LIFE", "Effect", "assemble", "effect_line", "reason_to_skip"]

PLAN_LIFE = timedelta(hours=24)
"""A plan that is older says too little about the world to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a deployment would do at one target. changes: empty for NOTHING."""

    kind: EffectKind
    changes: tuple[ResourceChange, ...] = ()

    @property
    def digest(self) -> Digest | None:
        return effect_of(self.changes) if self.kind is EffectKind.UPDATE else None


def reason_to_skip(client: Client, service: str, state: TargetState, today: date) -> str:
    """Why a client gets nothing in this run; empty where it takes part."""
    if client.account is None:
        return f"has no account yet; run `release bootstrap client {client.name}`"
    if client.suspended:
        return "is suspended"
    pins = [pin for pin in client.pins if pin.service == service and date.fromisoformat(pin.until) >= today]
    if pins:
        return f"is pinned until {pins[0].until}: {pins[0].reason}"
    if state.quarantined:
        return f"is quarantined: {state.reason}"
    return ""


def assemble(
    manifest: Manifest,
    envelope: Digest,
    fleet: Fleet,
    policy: WavePolicy,
    targets: Sequence[tuple[PlannedTarget, Effect]],
    skipped: Sequence[SkippedTarget],
    now: datetime,
) -> Plan:
    """Cut the waves over the targets that take part, and group identical effects."""
    ids = [target.id for target, _ in targets]
    service = [target for target in ids if not target.is_client]
    waves = cut_waves(service, _candidates(fleet, ids), policy, str(manifest.release))
    order = {target: n for n, target in enumerate(t for wave in waves for t in wave.targets)}
    ordered = sorted(targets, key=lambda pair: order[pair[0].id])
    return Plan(
        release=manifest.release,
        digest=manifest.digest,
        manifest=envelope,
        created_at=now,
        expires_at=now + PLAN_LIFE,
        bucket_prefix=fleet.tools.bucket_prefix,
        health_hosts=fleet.health_hosts,
        targets=tuple(target for target, _ in ordered),
        waves=waves,
        skipped=tuple(sorted(skipped, key=lambda s: str(s.id))),
        groups=_groups(ordered),
    )


def _candidates(fleet: Fleet, targets: Sequence[TargetId]) -> tuple[Candidate, ...]:
    found = []
    for client in fleet.clients:
        own = tuple(TargetId(client.name, r) for r in client.regions if TargetId(client.name, r) in targets)
        if own:
            found.append(Candidate(client=client.name, ring=client.ring, targets=own))
    return tuple(found)


def _groups(targets: Sequence[tuple[PlannedTarget, Effect]]) -> tuple[EffectGroup, ...]:
    """Largest first; targets that would be changed in the same way stand together."""
    together: dict[tuple[EffectKind, Digest | None, tuple[str, ...]], list[TargetId]] = {}
    for target, effect in targets:
        lines = tuple(effect_line(change) for change in sorted(effect.changes))
        together.setdefault((effect.kind, effect.digest, lines), []).append(target.id)
    ordered: Mapping[tuple[EffectKind, Digest | None, tuple[str, ...]], list[TargetId]] = dict(
        sorted(together.items(), key=lambda item: (-len(item[1]), str(item[1][0])))
    )
    return tuple(
        EffectGroup(effect=kind, effect_digest=digest, targets=tuple(members), changes=lines)
        for (kind, digest, lines), members in ordered.items()
    )


def effect_line(change: ResourceChange) -> str:
    replacement = {"True": ", replaces it", "Conditional": ", may replace it"}.get(change.replacement, "")
    return f"{change.action} {change.logical_id} ({change.resource_type}){replacement}"
