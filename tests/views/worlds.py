"""A small fleet in the middle of things, built from events as the engine would write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipeline.model import event as e
from pipeline.model.ids import Digest, ReleaseName, TargetId, account_id
from pipeline.model.plan import (
    Deployable,
    EffectGroup,
    EffectKind,
    Plan,
    PlannedTarget,
    SkippedTarget,
    Wave,
    WaveKind,
)
from pipeline.model.policy import OnFail, Pace
from pipeline.model.release import Evidence
from pipeline.model.run_state import RunState, fold_run
from pipeline.model.target_state import TargetState, fold_target

START = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
NOW = START + timedelta(minutes=12)
RELEASE = ReleaseName("intake", "1.2.0")


def sha(number: int) -> Digest:
    return Digest("sha256:" + f"{number:02x}" * 32)


def at(name: str, region: str = "us-east-1") -> TargetId:
    return TargetId(name, region)


SERVICE = at("@intake")
CANARY = (at("birch"), at("cedar", "eu-west-1"))
SECOND = (at("acme"), at("acme", "eu-west-1"), at("maple"), at("elm", "ap-southeast-2"))
THIRD = (at("oak", "ap-southeast-2"), at("spruce", "eu-west-1"))
OLD = Deployable(release="intake@1.1.0", digest=sha(11), commit="a" * 40, template=sha(12))
NEW = Deployable(release=str(RELEASE), digest=sha(21), commit="b" * 40, template=sha(22))


def wave(name: str, kind: WaveKind, targets: tuple[TargetId, ...], bake: timedelta, pace: Pace) -> Wave:
    return Wave(
        name=name,
        kind=kind,
        targets=targets,
        bake=bake,
        tolerance=0,
        max_in_flight=1 if pace is Pace.STRICT else 50,
        max_skipped=1_000_000,
        pace=pace,
        on_fail=OnFail.HOLD if kind is WaveKind.WAVE else OnFail.ROLLBACK,
    )


def a_plan() -> Plan:
    targets = (SERVICE, *CANARY, *SECOND, *THIRD)
    created, same = THIRD[1:], (SERVICE, *CANARY, *SECOND, *THIRD[:1])
    return Plan(
        release=RELEASE,
        digest=sha(21),
        manifest=sha(23),
        created_at=START,
        expires_at=START + timedelta(days=1),
        bucket_prefix="tidegate-artifacts-444455556666",
        targets=tuple(
            PlannedTarget(
                id=target,
                account=account_id(f"{number:012d}"),
                stack="svc-intake",
                desired=NEW,
                effect=EffectKind.CREATE if target in created else EffectKind.UPDATE,
                effect_digest=None if target in created else sha(31),
            )
            for number, target in enumerate(targets, 100)
        ),
        waves=(
            wave("service", WaveKind.SERVICE, (SERVICE,), timedelta(0), Pace.STRICT),
            wave("canary", WaveKind.CANARY, CANARY, timedelta(hours=1), Pace.STRICT),
            wave("wave-2", WaveKind.WAVE, SECOND, timedelta(hours=2), Pace.WON),
            wave("wave-3", WaveKind.WAVE, THIRD, timedelta(days=1, hours=2), Pace.FULL),
        ),
        skipped=(
            SkippedTarget(id=at("hazel"), reason="pinned until 2026-12-31: their \x1b[31maudit\x1b[0m"),
        ),
        groups=(
            EffectGroup(
                effect=EffectKind.UPDATE,
                effect_digest=sha(31),
                targets=same,
                changes=(
                    "Modify Form (AWS::Lambda::Function)",
                    "Modify Records (AWS::DynamoDB::Table), may replace it",
                    "Modify TidegateRelease (AWS::SSM::Parameter)",
                ),
            ),
            EffectGroup(
                effect=EffectKind.CREATE,
                effect_digest=None,
                targets=created,
                changes=("Add Form (AWS::Lambda::Function)", "Add Records (AWS::DynamoDB::Table)"),
            ),
        ),
    )


def entries(stream: str, *events: e.Event, first: datetime = START) -> tuple[e.Envelope, ...]:
    """A stream with one event a minute; the hashes are not real, views do not read them."""
    return tuple(
        e.Envelope(
            stream=stream,
            seq=number,
            at=first + timedelta(minutes=number - 1),
            actor="runner-1",
            fence=1,
            event=event,
            previous_hash=f"{number - 1:064x}",
            hash=f"{number:064x}",
        )
        for number, event in enumerate(events, 1)
    )


EVIDENCE = Evidence(
    release=str(RELEASE),
    digest=sha(21),
    accounts=("qa-001", "qa-002"),
    passed=7,
    failed=0,
    skipped=1,
    seconds=12,
)


def run_events() -> tuple[e.Envelope, ...]:
    return entries(
        "release/intake@1.2.0",
        e.ReleaseBuilt(digest=sha(21), manifest=sha(23), commit="b" * 40),
        e.ReleaseTested(evidence=EVIDENCE),
        e.PlanFixed(plan=sha(41), waves=4),
        e.WaveStarted(wave=0),
        e.WavePassed(wave=0),
        e.WavePassed(wave=1),
        e.WaveStarted(wave=2),
        e.TargetsClaimed(wave=2, targets=SECOND[:3]),
        e.WaveFailed(wave=2, reason="1 of 4 targets failed, 0 are tolerated"),
        e.RunHalted(reason="wave-2: 1 of 4 targets failed, 0 are tolerated", by="tidegate"),
    )


def history_of(target: TargetId, *ends: e.TargetEvent) -> TargetState:
    stream = f"target/intake/{target}"
    old = (
        e.TargetClaimed(release=OLD.release, plan=sha(40), wave=1, desired=OLD),
        e.TargetHealthy(changed=True),
        e.TargetGood(),
    )
    claimed = e.TargetClaimed(release=str(RELEASE), plan=sha(41), wave=2, desired=NEW)
    seen = e.TargetObserved(
        stack_id="arn:s",
        status="UPDATE_COMPLETE",
        mark=f"{OLD.release} {sha(11)} c",
        parameters=sha(1),
    )
    return fold_target(entries(stream, *old, *((claimed, seen) if ends else ()), *ends))


def halted_run() -> RunState:
    return fold_run(run_events())


def halted_targets() -> dict[TargetId, TargetState]:
    healthy, good = e.TargetHealthy(changed=True), e.TargetGood()
    refused = e.TargetFailed(
        reason="Form: \x1b[31mAccess denied\x1b[0m\r\nby a key policy", fault=e.Fault.RELEASE
    )
    return {
        **{target: history_of(target, healthy, good) for target in (SERVICE, *CANARY)},
        SECOND[0]: history_of(SECOND[0], healthy),
        SECOND[1]: history_of(SECOND[1], refused),
        SECOND[2]: history_of(SECOND[2], e.ChangeSetIntended(action_id="f" * 32, creating=False)),
        SECOND[3]: history_of(SECOND[3]),
    }
