"""Floor 2, views: a plan as text with equal effects grouped, and as JSON. Pure."""

from __future__ import annotations

from datetime import UTC, timedelta

from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.plan import EffectGroup, EffectKind, Plan, PlannedTarget, TargetEta, Wave, plan_digest
from pipeline.views.plan_sentences import (
    canary_lines,
    expectations,
    expected_end,
    held_lines,
    lag_lines,
    minute,
    note_lines,
)
from pipeline.views.text import WIDTH, count, cut, listed, moment, plain, short, span, table

__all__ = ["has_changes", "plan_json", "plan_text"]

_MOST = 12
"""changes shown of one group"""


def has_changes(plan: Plan) -> bool:
    return any(target.effect is not EffectKind.NOTHING for target in plan.targets)


def plan_text(plan: Plan) -> str:
    """What would happen, where and in which order; the last line is the next command."""
    blocks = [
        _header(plan),
        _effects(plan),
        _waves(plan),
        canary_lines(plan),
        held_lines(plan),
        lag_lines(plan),
        _skipped(plan),
        note_lines(plan),
        [f"next: release promote {plan.release}"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _header(plan: Plan) -> list[str]:
    return [
        f"plan {short(plan_digest(plan))} of {plan.release} ({short(plan.digest)})",
        f"  made {moment(plan.created_at)}, valid until {moment(plan.expires_at)}",
    ]


def _effects(plan: Plan) -> list[str]:
    total = len(plan.targets)
    if not total:
        return ["no targets: no client subscribes to this service, or all are skipped"]
    parts = [f"{_of(group, total)}: {_effect(group)}" for group in plan.groups]
    lines = ["; ".join(parts)] if parts else []
    for group in plan.groups:
        if group.effect is EffectKind.NOTHING:
            continue
        lines += ["", cut(f"{_effect(group)} at {listed([str(t) for t in group.targets], 4)}", WIDTH)]
        lines += [cut(f"  {_symbol(group)} {plain(change)}", WIDTH) for change in group.changes[:_MOST]]
        if len(group.changes) > _MOST:
            lines.append(f"  … and {len(group.changes) - _MOST} more: release plan {plan.release} --json")
    return lines


def _of(group: EffectGroup, total: int) -> str:
    number = len(group.targets)
    return (
        f"all {count(total, 'target')}"
        if number == total and total > 1
        else f"{number} of {count(total, 'target')}"
    )


def _effect(group: EffectGroup) -> str:
    match group.effect:
        case EffectKind.NOTHING:
            return "nothing to change"
        case EffectKind.CREATE:
            return f"first creation, {count(len(group.changes), 'resource')}"
        case EffectKind.UPDATE:
            same = "the same " if len(group.targets) > 1 else ""
            return f"{same}{count(len(group.changes), 'change')}"


def _symbol(group: EffectGroup) -> str:
    return "+" if group.effect is EffectKind.CREATE else "~"


def _waves(plan: Plan) -> list[str]:
    if not plan.waves:
        return []
    expected = expectations(plan)
    rows = [
        (
            str(wave.number),
            wave.name,
            count(len(wave.targets), "target"),
            span(wave.bake),
            f"{wave.max_in_flight} ({wave.pace.value})",
            str(wave.tolerance),
            wave.on_fail.value,
            f"{expected[place][0].astimezone(UTC):%m-%d %H:%M}Z" if place in expected else "",
            cut(_members(wave), 30),
        )
        for place, wave in enumerate(plan.waves)
    ]
    head = ("", "wave", "", "bake", "at once", "tolerance", "on failure", "expected", "")
    lines = [cut(line, WIDTH) for line in table(head, rows)]
    end = expected_end(plan)
    if end is not None:
        lines.append(f"  if nothing fails and nobody has to be waited for, done by {minute(end)}")
    asking = [str(wave.number) for wave in plan.waves if wave.approval]
    if asking:
        noun = "wave" if len(asking) == 1 else "waves"
        lines.append(f"  {noun} {listed(asking)} will wait for somebody's approval")
    return lines + _longer(plan)


def _longer(plan: Plan) -> list[str]:
    return [
        f"  {wave.name} bakes up to {span(wave.extend)} longer while there is too little to judge by"
        for wave in plan.waves
        if wave.extend and (wave.min_requests or plan.judge.metrics)
    ]


def _members(wave: Wave) -> str:
    return listed([str(target) for target in wave.targets], 4) if wave.targets else "whoever comes late"


def _skipped(plan: Plan) -> list[str]:
    lines = [cut(f"  {skipped.id}  {plain(skipped.reason)}", WIDTH) for skipped in plan.skipped]
    return [f"skipped: {count(len(lines), 'target')}", *lines] if lines else []


def plan_json(plan: Plan) -> Json:
    """What `release plan --json` prints. The plan itself, the file that promote takes, is `plan_to_json`."""
    return {
        "format_version": plan.format_version,
        "plan": plan_digest(plan),
        "release": str(plan.release),
        "digest": plan.digest,
        "created_at": to_json(plan.created_at),
        "expires_at": to_json(plan.expires_at),
        "has_changes": has_changes(plan),
        "waves": [_wave_json(wave) for wave in plan.waves],
        "expected_end": to_json(expected_end(plan)),
        "targets": _targets_json(plan),
        "groups": [to_json(group) for group in plan.groups],
        "skipped": [
            {"client": s.id.owner, "region": s.id.region, "reason": plain(s.reason)} for s in plan.skipped
        ],
        "canary": to_json(plan.draw),
        "rollback_safe": plan.rollback_safe,
        "skew": {
            "max": plan.max_skew,
            "targets": [
                {"client": s.id.owner, "region": s.id.region, "running": s.running, "behind": s.behind}
                for s in plan.skew
            ],
        },
        "waivers": [to_json(signed.waiver) for signed in plan.waivers],
        "notes": [plain(note) for note in plan.notes],
        "next": f"release promote {plan.release}",
    }


def _targets_json(plan: Plan) -> list[Json]:
    waves = {target: wave.name for wave in plan.waves for target in wave.targets}
    etas = {eta.id: eta for eta in plan.etas}
    return [_target_json(plan, target, waves[target.id], etas.get(target.id)) for target in plan.targets]


def _target_json(plan: Plan, target: PlannedTarget, wave: str, eta: TargetEta | None) -> Json:
    return {
        "client": target.id.owner,
        "account": target.account,
        "region": target.id.region,
        "wave": wave,
        "effect": target.effect.value,
        "effect_digest": target.effect_digest,
        "stratum": target.stratum,
        "window": to_json(target.window),
        "freezes": [to_json(freeze) for freeze in target.freezes],
        "expected": None
        if eta is None
        else {"wave": plan.waves[eta.wave].name, "start": to_json(eta.start), "finish": to_json(eta.finish)},
    }


def _wave_json(wave: Wave) -> Json:
    return {
        "number": wave.number,
        "name": wave.name,
        "kind": wave.kind.value,
        "targets": [str(target) for target in wave.targets],
        "bake_seconds": wave.bake // timedelta(seconds=1),
        "tolerance": wave.tolerance,
        "max_in_flight": wave.max_in_flight,
        "max_skipped": wave.max_skipped,
        "pace": wave.pace.value,
        "on_fail": wave.on_fail.value,
        "approval": wave.approval,
        "extend_seconds": wave.extend // timedelta(seconds=1),
        "min_requests": wave.min_requests,
    }
