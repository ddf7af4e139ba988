"""Floor 2, planning: from the fleet, a release and what was observed to the frozen plan. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from pipeline.decide.canary import Trait, stratum_of
from pipeline.decide.eta import USUAL, estimate
from pipeline.decide.freezes import expired, freezes_of, pin_of
from pipeline.decide.judge.looks import attainable
from pipeline.decide.parameters import STANDARD
from pipeline.decide.skew import Known, skew_of
from pipeline.decide.waves import Candidate, draw_and_cut
from pipeline.decide.windows import held_because, opens_at
from pipeline.model.fleet import Client, Fleet
from pipeline.model.ids import Digest, TargetId
from pipeline.model.plan import (
    CanaryDraw,
    EffectGroup,
    EffectKind,
    Plan,
    PlannedTarget,
    SkippedTarget,
    Wave,
    WaveKind,
)
from pipeline.model.policy import WavePolicy
from pipeline.model.release import Manifest
from pipeline.model.stack import ResourceChange, effect_of
from pipeline.model.target_state import TargetState
from pipeline.model.waiver import SignedWaiver

__all__ = [
    "PLAN_LIFE",
    "Effect",
    "Surroundings",
    "assemble",
    "effect_line",
    "reason_to_skip",
    "too_late",
    "waiver_notes",
    "with_times",
]

PLAN_LIFE = timedelta(hours=24)
"""A plan that is older says too little about the world to be trusted."""
_SOON = timedelta(days=1)
"""A client that may not be changed for longer is no canary: everybody would wait for it."""
_SAME_FOR_ALL = frozenset(STANDARD) - {"PeerRegions"}
"""Parameters that tell one client from another without telling one kind of client from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a deployment would do at one target. changes: empty for NOTHING. running: the release that the stack
    says it runs; empty where there is no stack or no mark."""

    kind: EffectKind
    changes: tuple[ResourceChange, ...] = ()
    running: str = ""

    @property
    def digest(self) -> Digest | None:
        return effect_of(self.changes) if self.kind is EffectKind.UPDATE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else a plan is made of. known: the service's releases in the order in which they were built.

    running: what every target of the service runs, those left out included. each: how long one deployment takes.
    waivers: of this release; which of them are used, and where, is in the notes.
    """

    rollback_safe: bool = True
    waivers: tuple[SignedWaiver, ...] = ()
    known: tuple[Known, ...] = ()
    running: Mapping[TargetId, str] = field(default_factory=dict)
    each: timedelta = USUAL
    notes: tuple[str, ...] = ()


def reason_to_skip(client: Client, service: str, state: TargetState, today: date) -> str:
    """Why a client gets nothing in this run; empty where it takes part."""
    if client.account is None:
        return f"has no account yet; run `release bootstrap client {client.name}`"
    if client.suspended:
        return "is suspended"
    pin = pin_of(client, service, today)
    if pin is not None:
        return f"is pinned until {pin.until}: {pin.reason}"
    if state.quarantined:
        return f"is quarantined: {state.reason}"
    return ""


def with_times(target: PlannedTarget, fleet: Fleet, service: str, now: datetime) -> PlannedTarget:
    """The target with its client's window, ring and size, and with the freezes that speak of it."""
    freezes = freezes_of(fleet, service, target.id.owner, now)
    client = fleet.client(target.id.owner) if target.id.is_client else None
    if client is None:
        return replace(target, freezes=freezes)
    return replace(target, freezes=freezes, window=client.window, ring=client.ring, size=client.size)


def too_late(target: PlannedTarget, policy: WavePolicy, now: datetime) -> str:
    """Why a run would not wait for the target at all; empty where its turn comes within `max_deferral`."""
    if opens_at(target, now) - now <= policy.max_deferral:
        return ""
    days = policy.max_deferral / timedelta(days=1)
    longest = "1 day" if days == 1 else f"{days:g} days"
    return f"{held_because(target, now)} (a run waits for {longest} at most)"


def waiver_notes(used: Sequence[tuple[TargetId, SignedWaiver]]) -> tuple[str, ...]:
    """One sentence for each waiver that lets something through: what, where, who signed it and why."""
    where: dict[SignedWaiver, list[str]] = {}
    for target, signed in used:
        where.setdefault(signed, []).append(str(target))
    return tuple(
        f"{signed.waiver.approver} waived {signed.waiver.rule} of {signed.waiver.logical_id} at"
        f" {', '.join(targets[:3])}{f' and {len(targets) - 3} more' if len(targets) > 3 else ''}"
        f" until {signed.waiver.expires:%Y-%m-%d %H:%M}Z: {signed.waiver.reason}"
        for signed, targets in where.items()
    )


def assemble(
    manifest: Manifest,
    envelope: Digest,
    fleet: Fleet,
    policy: WavePolicy,
    targets: Sequence[tuple[PlannedTarget, Effect]],
    skipped: Sequence[SkippedTarget],
    now: datetime,
    around: Surroundings | None = None,
) -> Plan:
    """Draw the canary and cut the waves over the targets that take part, and group identical effects."""
    around = around or Surroundings()
    service = manifest.release.service
    timed = [(with_times(target, fleet, service, now), effect) for target, effect in targets]
    own = [target.id for target, _ in timed if not target.id.is_client]
    candidates = _candidates(fleet, timed, _defaults(manifest), now)
    late = any(target.id.is_client and (target.window or target.freezes) for target, _ in timed)
    seed = f"{manifest.release} {manifest.digest}"
    waves, draw = draw_and_cut(own, candidates, policy, seed, late=late)
    order = {target: n for n, target in enumerate(t for wave in waves for t in wave.targets)}
    ordered = sorted(timed, key=lambda pair: order[pair[0].id])
    plan = Plan(
        release=manifest.release,
        digest=manifest.digest,
        manifest=envelope,
        created_at=now,
        expires_at=now + PLAN_LIFE,
        bucket_prefix=fleet.tools.bucket_prefix,
        health_hosts=fleet.health_hosts,
        targets=_in_strata([target for target, _ in ordered], candidates, draw),
        waves=waves,
        skipped=tuple(sorted(skipped, key=lambda s: str(s.id))),
        groups=_groups(ordered),
        draw=draw,
        judge=policy.judge,
        alarms_before=policy.alarms_before,
        approval_life=policy.approval_life,
        waiting_deadline=policy.waiting_deadline,
        max_deferral=policy.max_deferral,
        emergency_bake=policy.emergency_bake,
        rollback_safe=around.rollback_safe,
        waivers=around.waivers,
        max_skew=policy.max_skew,
        skew=skew_of(around.running, around.known),
        notes=(
            *around.notes,
            *expired(fleet, service, now),
            *_unasked(policy, waves),
            *_without_a_client(policy, candidates),
            *_uncounted(policy, waves),
            *_beyond_numbers(policy, waves),
            *_reluctant(candidates),
        ),
    )
    return replace(plan, etas=estimate(plan, around.each))


# --- who may be a canary, and of what -----------------------------------------------------------------


def _candidates(
    fleet: Fleet,
    targets: Sequence[tuple[PlannedTarget, Effect]],
    defaults: Mapping[str, str],
    now: datetime,
) -> tuple[Candidate, ...]:
    planned = {target.id: (target, effect) for target, effect in targets}
    found = []
    for client in fleet.clients:
        ids = (TargetId(client.name, region) for region in client.regions)
        own = tuple(target for target in ids if target in planned)
        traits = (_traits(*planned[target], defaults) for target in own)
        if own:
            found.append(
                Candidate(
                    client=client.name,
                    ring=client.ring,
                    targets=own,
                    size=client.size,
                    willing=client.canary,
                    ready=all(opens_at(planned[target][0], now) - now <= _SOON for target in own),
                    traits=frozenset[Trait]().union(*traits),
                )
            )
    return tuple(found)


def _defaults(manifest: Manifest) -> dict[str, str]:
    stack = manifest.stack("client")
    return {p.name: p.default for p in stack.parameters if p.default is not None} if stack else {}


def _traits(target: PlannedTarget, effect: Effect, defaults: Mapping[str, str]) -> frozenset[Trait]:
    """What the client would prove by going first; nothing where nothing would change.

    Parameters are classed by which of them are set at all: what they are set to is cosmetic, but a client with
    peer Regions or a key of its own goes another way through the template.
    """
    if effect.kind is EffectKind.NOTHING:
        return frozenset()
    lines = effect_lines(effect)
    what = "a first creation" if effect.kind is EffectKind.CREATE else "; ".join(lines[:2])
    more = f" and {len(lines) - 2} more" if effect.kind is EffectKind.UPDATE and len(lines) > 2 else ""
    key = effect.digest or "\n".join(lines)
    chosen = sorted(
        name
        for name, value in target.desired.parameters
        if value and value != defaults.get(name) and name not in _SAME_FOR_ALL
    )
    return frozenset(
        {
            Trait(kind="effect", what=what + more, key=key),
            Trait(kind="Region", what=target.id.region),
            Trait(kind="parameters", what=", ".join(chosen)),
        }
    )


def _in_strata(
    targets: Sequence[PlannedTarget], candidates: Sequence[Candidate], draw: CanaryDraw | None
) -> tuple[PlannedTarget, ...]:
    drawn = {name for stratum in (draw.strata if draw else ()) for name in stratum.clients}
    strata = {c.client: stratum_of(c) for c in candidates if c.client in drawn}
    return tuple(replace(target, stratum=strata.get(target.id.owner, "")) for target in targets)


def _unasked(policy: WavePolicy, waves: Sequence[Wave]) -> tuple[str, ...]:
    numbers = {wave.number for wave in waves}
    return tuple(
        f"an approval is asked for wave {number}, which this plan does not have"
        for number in sorted(set(policy.approvals) - numbers)
    )


def _without_a_client(policy: WavePolicy, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """A ring that no client is in is more likely a typing error than a wave that somebody wants empty."""
    rings = {candidate.ring for candidate in candidates}
    wanted = dict.fromkeys(size.ring for size in policy.sizes if size.unit == "ring")
    return tuple(
        f"sizes asks for ring:{ring}, and no client of this plan is in it: it makes no wave"
        for ring in wanted
        if rings and ring not in rings
    )


def _uncounted(policy: WavePolicy, waves: Sequence[Wave]) -> tuple[str, ...]:
    if policy.judge.metrics or not any(wave.min_requests for wave in waves):
        return ()
    wanted = policy.canary.min_requests
    why = "but no [[judge.metric]] counts them: it cannot pass without a person"
    return (f"the canary is to see {wanted} requests, {why}",)


def _beyond_numbers(policy: WavePolicy, waves: Sequence[Wave]) -> tuple[str, ...]:
    """Said before anybody relies on it: with so few clients no numbers, however bad, could fail the canary."""
    canaries = len({t.owner for wave in waves if wave.kind is WaveKind.CANARY for t in wave.targets})
    controls = len({t.owner for wave in waves if wave.kind is WaveKind.WAVE for t in wave.targets})
    if not policy.judge.metrics or not canaries or attainable(policy.judge, canaries, controls):
        return ()
    few = f"{canaries} beside {controls} on the old version"
    return (f"statistics cannot fail a canary of {few}: it waits for a person after its hard gates",)


def _reluctant(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    if candidates and not any(candidate.willing for candidate in candidates):
        return ("every client has opted out of the canary, and one has to go first all the same",)
    return ()


# --- what is the same for whom ------------------------------------------------------------------------


def _groups(targets: Sequence[tuple[PlannedTarget, Effect]]) -> tuple[EffectGroup, ...]:
    """Largest first; targets that would be changed in the same way stand together."""
    together: dict[tuple[EffectKind, Digest | None, tuple[str, ...]], list[TargetId]] = {}
    for target, effect in targets:
        lines = effect_lines(effect)
        together.setdefault((effect.kind, effect.digest, lines), []).append(target.id)
    ordered: Mapping[tuple[EffectKind, Digest | None, tuple[str, ...]], list[TargetId]] = dict(
        sorted(together.items(), key=lambda item: (-len(item[1]), str(item[1][0])))
    )
    return tuple(
        EffectGroup(effect=kind, effect_digest=digest, targets=tuple(members), changes=lines)
        for (kind, digest, lines), members in ordered.items()
    )


def effect_lines(effect: Effect) -> tuple[str, ...]:
    """One for each change, in order; what only concerns static tags is none."""
    return tuple(effect_line(change) for change in sorted(effect.changes) if not change.is_tags_only)


def effect_line(change: ResourceChange) -> str:
    replacement = {"True": ", replaces it", "Conditional": ", may replace it"}.get(change.replacement, "")
    return f"{change.action} {change.logical_id} ({change.resource_type}){replacement}"
