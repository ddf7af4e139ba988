"""Plans and states in the middle of a run, said in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.model import event as e
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, Digest, ReleaseName, TargetId, digest
from pipeline.model.plan import (
    Deployable,
    EffectKind,
    Plan,
    PlannedTarget,
    Wave,
    WaveKind,
)
from pipeline.model.policy import OnFail, Pace
from pipeline.model.target_state import Phase, TargetState

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
RELEASE = ReleaseName("intake", "1.4.0")


def digest_of(text: str) -> Digest:
    return digest(sha256_hex(text.encode()))


def deployable(version: str) -> Deployable:
    return Deployable(
        release=f"intake@{version}",
        digest=digest_of(f"release {version}"),
        commit=f"commit{version}",
        template=digest_of(f"template {version}"),
        parameters=(("Colour", "#0a7"),),
    )


OLD, NEW = deployable("1.3.0"), deployable("1.4.0")


def t(text: str) -> TargetId:
    """`acme`, in us-east-1, or `acme/eu-west-1`."""
    return TargetId.parse(text if "/" in text else f"{text}/us-east-1")


def a_wave(*targets: str, kind: WaveKind = WaveKind.WAVE, number: int = 2) -> Wave:
    names = {WaveKind.SERVICE: "service", WaveKind.CANARY: "canary", WaveKind.WAVE: f"wave-{number}"}
    return Wave(
        name=names[kind],
        kind=kind,
        targets=tuple(t(text) for text in targets),
        bake=timedelta(hours=1),
        tolerance=0,
        max_in_flight=1 if kind is not WaveKind.WAVE else 10,
        max_skipped=0 if kind is WaveKind.SERVICE else 1000,
        pace=Pace.WON if kind is WaveKind.WAVE else Pace.STRICT,
        on_fail=OnFail.HOLD if kind is WaveKind.WAVE else OnFail.ROLLBACK,
    )


def planned(target: TargetId) -> PlannedTarget:
    return PlannedTarget(
        id=target,
        account=AccountId("000000000001"),
        stack="svc-intake",
        desired=NEW,
        effect=EffectKind.CREATE,
    )


def a_plan(*waves: Wave) -> Plan:
    return Plan(
        release=RELEASE,
        digest=NEW.digest,
        manifest=digest_of("manifest"),
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
        bucket_prefix="tidegate-artifacts-111111111111",
        targets=tuple(planned(target) for wave in waves for target in wave.targets),
        waves=waves,
    )


def states(plan: Plan, **phases: Phase | TargetState) -> dict[TargetId, TargetState]:
    """By client's name, in whatever Region; everything else is PENDING. `intake` is the service's own."""
    found = {target.id: TargetState() for target in plan.targets}
    for target in found:
        said = phases.get(target.owner.removeprefix("@"), Phase.PENDING)
        found[target] = said if isinstance(said, TargetState) else TargetState(phase=said, desired=NEW)
    return found


def envelopes(said: Sequence[e.Event], every: timedelta = timedelta(seconds=1)) -> tuple[e.Envelope, ...]:
    """As a journal gives them to a fold; the chain of hashes is not a fold's business."""
    return tuple(
        e.Envelope(
            stream="s",
            seq=seq,
            at=NOW + every * (seq - 1),
            actor="ann",
            fence=1,
            event=event,
            previous_hash="",
            hash="",
        )
        for seq, event in enumerate(said, start=1)
    )


def paced(wave: Wave, pace: Pace, *, tolerance: int = 0, max_in_flight: int = 10) -> Wave:
    return replace(wave, pace=pace, tolerance=tolerance, max_in_flight=max_in_flight)
